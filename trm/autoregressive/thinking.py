"""Whether a model of this family thinks before it writes a token, read from its settings alone.

Light: a report asks it of every record, so neither torch nor transformers is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trm.autoregressive.ladder import rung

# Of AutoregressiveTRMConfig, which a test holds them to.
DEFAULTS = {"streams": "dual", "tied": True, "T": 2, "n": 3, "supervision_steps": 4}


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
