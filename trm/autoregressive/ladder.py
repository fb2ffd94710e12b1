"""The ladder from a GPT to the autoregressive TRM: each rung changes one thing, and all take equally many block passes.

``blocks`` is what a token costs at inference: evaluations of a transformer block, the passes of all supervision steps
times the blocks of a network. Except for the smallest GPT, which has as many parameters as the recursive models and so
fewer passes, all rungs have the same; what they cost in training differs (gradients), which budgets in FLOPs settle.

Light: a report asks every record whether its model thinks before a token, so neither torch nor transformers is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.errors import UserError, did_you_mean

LAYERS = 2  # blocks of a network, TRM's
STEPS = 4  # supervision steps of the rungs that have them
SINGLE = {"streams": "single", "supervision_steps": 1, "halting": "none"}
DUAL = {"streams": "dual", "num_hidden_layers": LAYERS}
# Of AutoregressiveTRMConfig, which a test holds them to.
DEFAULTS = {"streams": "dual", "tied": True, "T": 2, "n": 3, "supervision_steps": 4}


def ladder(blocks: int = 16) -> dict[str, dict[str, Any]]:
    """Settings of :class:`trm.autoregressive.configuration.AutoregressiveTRMConfig` per rung, from the bottom up.

    Args:
        blocks: block passes per token; a multiple of 16.

    Raises:
        UserError: for another number.
    """
    if blocks < 16 or blocks % 16:
        raise UserError(f"a ladder of {blocks} block passes.", where="blocks", cure="Give a multiple of 16.")
    passes = blocks // LAYERS
    tied = {**SINGLE, "num_hidden_layers": LAYERS, "T": passes, "norm": "pre"}
    rounds = passes // STEPS // 2  # T with n = 1 in each supervision step
    recursive = {**DUAL, "supervision_steps": STEPS, "T": rounds, "n": 1}
    return {
        "gpt_small": {**SINGLE, "tied": False, "norm": "pre", "num_hidden_layers": 1, "T": LAYERS},
        "gpt": {**SINGLE, "tied": False, "norm": "pre", "num_hidden_layers": 1, "T": blocks},
        "tied": tied,
        "tied_step": {**tied, "step_embedding": True},
        "tied_deep": {**tied, "T": passes // STEPS, "supervision_steps": STEPS, "halting": "correct"},
        "universal": {**tied, "step_embedding": True, "halting": "act"},
        "dual": {**DUAL, "T": passes // 2, "n": 1, "supervision_steps": 1, "gradient": "all", "halting": "none"},
        "nested": {**DUAL, "T": passes // 4, "n": 3, "supervision_steps": 1, "gradient": "all", "halting": "none"},
        "recursive": {**recursive, "deep_supervision": False, "halting": "none"},
        "recursive_deep": recursive,
    }


def rung(name: str, blocks: int = 16) -> dict[str, Any]:
    """One rung's settings.

    Raises:
        UserError: for an unknown name.
    """
    rungs = ladder(blocks)
    if name not in rungs:
        raise UserError(f"there is no rung '{name}'.", where="ladder", cure=did_you_mean(name, rungs))
    return rungs[name]


def evaluations(settings: Mapping[str, Any]) -> int:
    """How often a token goes through one and the same network, at full depth.

    Supervision steps S times the passes of a step, T (n + 1) or T for a single stream; without tied weights each pass
    has a network of its own, which leaves S. It is 1 for a GPT.

    Args:
        settings: of :class:`trm.autoregressive.configuration.AutoregressiveTRMConfig`, as a run's configuration holds
            them; what they leave out is as there. A ``rung`` stands for its settings.

    Raises:
        UserError: for an unknown rung.
    """
    name = settings.get("rung")
    own = {**DEFAULTS, **({} if name is None else rung(name, settings.get("blocks", 16))), **settings}
    passes = own["T"] * (own["n"] + 1) if own["streams"] == "dual" else own["T"]
    return int(own["supervision_steps"] * (passes if own["tied"] else 1))
