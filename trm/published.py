"""To and from the published TRM code (SamsungSAILMontreal/TinyRecursiveModels): its names, its configuration.

    model = convert_published(torch.load("step_65104", map_location="cpu"), config)

``config`` is the published architecture's dictionary, as its checkpoints keep it in ``all_config.yaml`` under ``arch``
together with the data set's sizes (``seq_len, vocab_size, num_puzzle_identifiers``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.errors import UserError
from trm.configuration import TRMConfig
from trm.layers import EPSILON, ROTARY_BASE
from trm.modeling import TRMForPuzzles

# Prefixes that a compiled model and the published loss wrapper put before every name.
WRAPPERS = ("_orig_mod.", "module.", "model.")
INNER_MULTIPLE = 256
NEEDED = (
    "seq_len", "vocab_size", "H_cycles", "L_cycles", "L_layers", "hidden_size", "num_heads", "expansion",
    "halt_max_steps",
)  # fmt: skip
# Settings with which the published code computes another function than any model here.
FIXED = {"causal": False, "rms_norm_eps": EPSILON, "rope_theta": ROTARY_BASE}
NAMES = {
    "H_init": "y_init",
    "L_init": "z_init",
    "embed_tokens.embedding_weight": "embedding.weight",
    "lm_head.weight": "head.weight",
    "q_head.weight": "halting_head.weight",
    "q_head.bias": "halting_head.bias",
    "puzzle_emb.weights": "puzzle_vectors.weight",
}
BLOCK_NAMES = {
    "mlp_t.gate_up_proj.weight": "mixer.gate_up.weight",
    "mlp_t.down_proj.weight": "mixer.down.weight",
    "self_attn.qkv_proj.weight": "mixer.qkv.weight",
    "self_attn.o_proj.weight": "mixer.out.weight",
    "mlp.gate_up_proj.weight": "feed_forward.gate_up.weight",
    "mlp.down_proj.weight": "feed_forward.down.weight",
}


def convert_published(state_dict: Mapping[str, Any], config: Mapping[str, Any]) -> TRMForPuzzles:
    """Our model with the weights of a published one: the same function, in float32.

    Args:
        state_dict: tensors or arrays under the published names, with or without the wrappers' prefixes.
        config: the published dictionary.

    Raises:
        UserError: if something is missing or left over, a shape differs, or the configuration has a setting that is
            not supported (a causal mask, learned positions).
    """
    model = TRMForPuzzles(convert_config(config))
    names = published_names(model.config)
    given = {_bare(name): value for name, value in state_dict.items()}
    for what, difference in (("missing", set(names) - set(given)), ("not known", set(given) - set(names))):
        if difference:
            raise _mismatch(f"{', '.join(sorted(difference)[:3])} ({len(difference)} in all) is {what}")
    ours = {names[name]: torch.as_tensor(np.asarray(value) if not isinstance(value, Tensor) else value).float()
            for name, value in given.items()}  # fmt: skip
    for name, expected in model.state_dict().items():
        if ours[name].shape != expected.shape:
            raise _mismatch(f"{name} has shape {list(ours[name].shape)} instead of {list(expected.shape)}")
    model.load_state_dict(ours)
    return model.eval()


def to_published(model: TRMForPuzzles) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The inverse of :func:`convert_published`: state dictionary and configuration.

    Raises:
        UserError: if the published code has no such model (other recursions, two networks, experts, a tied head, no
            halting head).
    """
    config = model.config
    plain = TRMConfig()
    for key in ("recursion", "networks", "experts", "gradient_evaluations", "tied_head", "act"):
        both_have = key == "act" and config.act == "halt_continue"
        if getattr(config, key) != getattr(plain, key) and not both_have:
            raise UserError(
                f"the published code has no model with {key}={getattr(config, key)}.",
                where=key,
                cure="Only the plain recursion can be converted.",
            )
    if config.inner_multiple != INNER_MULTIPLE:
        sizes = {config.width} | ({config.length} if config.mixer == "mlp" else set())
        rounded = [-(-config.inner_size(size) // INNER_MULTIPLE) * INNER_MULTIPLE for size in sizes]
        if rounded != [config.inner_size(size) for size in sizes]:
            raise UserError(
                f"inner sizes are rounded to {config.inner_multiple}, in the published code to {INNER_MULTIPLE}.",
                where="inner_multiple",
                cure=f"Only models trained with inner_multiple={INNER_MULTIPLE} can be converted.",
            )
    weights = model.state_dict()
    state = {f"inner.{theirs}": weights[ours].clone() for theirs, ours in published_names(config).items()}
    attention = config.mixer == "attention"
    return state, {
        "seq_len": config.positions,
        "vocab_size": config.vocabulary_size,
        "num_puzzle_identifiers": config.puzzles,
        "causal": False,
        "halt_exploration_prob": config.exploration,
        "halt_max_steps": config.supervision_steps,
        "H_cycles": config.T,
        "L_cycles": config.n,
        "H_layers": 0,
        "L_layers": config.layers,
        "hidden_size": config.width,
        "num_heads": config.heads,
        "expansion": config.expansion,
        "puzzle_emb_ndim": config.puzzle_width if config.prefix else 0,
        "puzzle_emb_len": config.prefix,
        "pos_encodings": "rope" if attention else "none",
        "forward_dtype": "float32",
        "mlp_t": not attention,
        "no_ACT_continue": config.act != "halt_continue",
    }


def convert_config(config: Mapping[str, Any]) -> TRMConfig:
    """Our configuration for a published one.

    Raises:
        UserError: as :func:`convert_published`.
    """
    for key in NEEDED:
        if key not in config:
            raise UserError(
                f"the published configuration has no '{key}'.",
                where="config",
                cure="Merge the checkpoint's `arch` section with its data set's sizes.",
            )
    attention = not config.get("mlp_t", False)
    positions = config.get("pos_encodings", "rope")
    for key, value in FIXED.items():
        if config.get(key, value) != value:
            raise _unsupported(key, config[key])
    if positions != "rope" and (attention or positions == "learned"):
        raise _unsupported("pos_encodings", positions)
    width, puzzle_width = config["hidden_size"], config.get("puzzle_emb_ndim", 0)
    prefix = (config.get("puzzle_emb_len", 16) or -(-puzzle_width // width)) if puzzle_width else 0
    return TRMConfig(
        vocabulary_size=config["vocab_size"],
        positions=config["seq_len"],
        prefix=prefix,
        puzzles=config.get("num_puzzle_identifiers", 1),
        puzzle_width=puzzle_width or None,
        width=width,
        layers=config["L_layers"],
        heads=config["num_heads"],
        expansion=config["expansion"],
        inner_multiple=INNER_MULTIPLE,
        mixer="attention" if attention else "mlp",
        T=config["H_cycles"],
        n=config["L_cycles"],
        supervision_steps=config["halt_max_steps"],
        exploration=config.get("halt_exploration_prob", 0.0),
        act="halt" if config.get("no_ACT_continue", True) else "halt_continue",
    )


def published_names(config: TRMConfig) -> dict[str, str]:
    """Published name -> ours, for every tensor of the model."""
    names = {theirs: ours for theirs, ours in NAMES.items() if config.prefix or theirs != "puzzle_emb.weights"}
    own = "self_attn." if config.mixer == "attention" else "mlp_t."
    for layer in range(config.layers):
        for theirs, ours in BLOCK_NAMES.items():
            if theirs.startswith((own, "mlp.")):
                names[f"L_level.layers.{layer}.{theirs}"] = f"networks.0.blocks.{layer}.{ours}"
    return names


def _bare(name: str) -> str:
    while name.startswith(WRAPPERS):
        name = name.split(".", 1)[1]
    return name.removeprefix("inner.")


def _mismatch(what: str) -> UserError:
    return UserError(
        f"{what}.", where="state_dict", cure="Give the weights of a published TRM together with its own configuration."
    )


def _unsupported(key: str, value: Any) -> UserError:
    return UserError(
        f"{key}={value} is not supported.",
        where="config",
        cure="The papers' models have no causal mask, rotary positions with attention, and none with token mixing.",
    )
