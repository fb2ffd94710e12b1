"""Which language model the methods train. Light: validated before torch loads.

A comparison has one ``model``; a method may change parts of it for itself (:class:`OwnModel`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from benchmarks.errors import UserError

Architecture = Literal["qwen2", "qwen3", "llama", "autoregressive_trm"]

# Architectures that compute more than once per token, and who knows how often: settings -> passes.
PASSES_PER_TOKEN = {"autoregressive_trm": "trm.autoregressive.ladder:evaluations"}
# Where the configurations of the kit's own architectures live.
CONFIGURATIONS = {"autoregressive_trm": "trm.autoregressive.configuration:AutoregressiveTRMConfig"}


@dataclass(frozen=True)
class ModelOptions:
    """Which language model the methods ``answer_only``, ``cot`` and ``grpo`` train.

    Attributes:
        path: folder or hub name of a pretrained model; ``None`` trains one of the shape below from scratch.
        architecture: model type of transformers for the one from scratch; ``autoregressive_trm`` refines each token
            (:mod:`trm.autoregressive`).
        width, layers, heads, key_value_heads, inner: its shape.
        context: its longest sequence, in tokens.
        settings: what else its transformers configuration is given; not beside ``path``.
        lora_rank: rank of LoRA adapters on all linear layers (peft); 0 trains every weight.
        quantize: load the frozen weights under LoRA in 4 or 8 bits (QLoRA, arXiv 2305.14314; bitsandbytes).
    """

    path: str | None = None
    architecture: Architecture = "qwen3"
    width: int = 96
    layers: int = 2
    heads: int = 4
    key_value_heads: int = 4
    inner: int = 384
    context: int = 8192
    settings: dict[str, Any] = field(default_factory=dict)
    lora_rank: int = 0
    quantize: Literal["none", "8bit", "4bit"] = "none"

    def __post_init__(self) -> None:
        if min(self.width, self.layers, self.heads, self.key_value_heads, self.inner, self.context) < 1:
            raise UserError("a size below 1.", where="model", cure="Give positive sizes.")
        if self.width % self.heads or self.heads % self.key_value_heads:
            raise UserError(
                f"width {self.width}, heads {self.heads} and key_value_heads {self.key_value_heads} do not divide.",
                where="model",
                cure="width must be a multiple of heads, and heads of key_value_heads.",
            )
        if self.path is not None and self.settings:
            raise UserError(
                f"{self.path} has settings of its own, which these would have to replace.",
                where="model.settings",
                cure="Leave them out, or change the config.json of a copy of the model.",
            )
        if self.quantize != "none" and (self.path is None or self.lora_rank == 0):
            raise UserError(
                "only frozen weights can be quantized.",
                where="model.quantize",
                cure="Name a pretrained model (model.path) and train adapters (model.lora_rank=16).",
            )


@dataclass(frozen=True)
class OwnModel:
    """A model of its own, for a method or for a student; what is ``None`` is as in ``model``.

    A shape without ``path`` is one from scratch.

    Attributes:
        path, architecture, width, layers, heads, key_value_heads, inner, context, settings, lora_rank: as in
            :class:`ModelOptions`.
    """

    path: str | None = None
    architecture: Architecture | None = None
    width: int | None = None
    layers: int | None = None
    heads: int | None = None
    key_value_heads: int | None = None
    inner: int | None = None
    context: int | None = None
    settings: dict[str, Any] | None = None
    lora_rank: int | None = None

    def over(self, model: ModelOptions, where: str) -> ModelOptions:
        """The whole of it.

        Args:
            where: its place in the configuration, for messages.

        Raises:
            UserError: if the sizes do not fit together.
        """
        own = {key: value for key, value in asdict(self).items() if value is not None}
        if self.path is None and own.keys() - {"lora_rank", "context"}:  # a shape
            own = {"path": None, "lora_rank": 0, "quantize": "none", **own}
        elif self.path is not None:  # which has its own
            own = {"settings": {}, **own}
        try:
            return replace(model, **own)
        except UserError as error:
            raise UserError(error.what, where=where, cure=error.cure) from None


def register_architectures() -> None:
    """Make the kit's own architectures known to transformers' ``Auto`` classes, for all who build or load a model."""
    import_module("trm.autoregressive.modeling")


def configuration_class(architecture: str) -> Any:
    """The class of an architecture's transformers configuration. No model is loaded for one of the kit's own."""
    if architecture in CONFIGURATIONS:
        module, name = CONFIGURATIONS[architecture].split(":")
        return getattr(import_module(module), name)

    from transformers import CONFIG_MAPPING

    return CONFIG_MAPPING[architecture]


def refines_tokens(model: Mapping[str, Any]) -> bool:
    """Whether a model from scratch sends each token through the same network more than once: latent thinking.

    Args:
        model: :class:`ModelOptions` as a mapping; empty in records that have none.
    """
    known = PASSES_PER_TOKEN.get(str(model.get("architecture")))
    if known is None or model.get("path") is not None:
        return False

    module, function = known.split(":")
    passes: int = getattr(import_module(module), function)(model.get("settings") or {})
    return passes > 1


def check_local_path(model: ModelOptions) -> None:
    """Refuse a pretrained model whose path can only be a folder, and is none. No library is loaded for it.

    Raises:
        UserError: naming the path.
    """
    path = model.path
    if path is None or Path(path).expanduser().is_dir():
        return
    may_be_on_the_hub = not path.startswith((".", "~", "/")) and path.count("/") <= 1
    if not may_be_on_the_hub:
        raise UserError(
            f"there is neither a folder '{path}' here nor an open model of that name on the hub.",
            where=f"model.path={path}",
            cure="Check the folder, which save_pretrained wrote, or the name.",
        )
