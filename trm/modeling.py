"""TRMForPuzzles: fills in a whole grid at once, one supervision step per call.

Special about this model: its depth is in time, not in parameters. A call takes the carry (y, z) of the call before
and returns a better one; y and z start from two fixed vectors that are not trained but are saved with the weights.
The halting head guesses from y at position 0 whether the answer is right. It has two outputs, of which the second,
the value of going on, is used only by HRM's form of halting.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PreTrainedModel, initialization
from transformers.utils import ModelOutput

from benchmarks.errors import UserError
from trm.configuration import TRMConfig
from trm.layers import HALTING_BIAS, Linear, Mixture, Network, truncated_normal_
from trm.portable import Portable
from trm.puzzle_vectors import PuzzleVectors
from trm.recursion import Hidden, Latent, Latents, build_round, deep_recursion


@dataclass
class TRMOutput(ModelOutput):
    """What one supervision step gives.

    Attributes:
        logits: scores of every token at every position of the grid.
        halting_logit: above 0 where the model takes its answer for right; ``None`` without halting head.
        continue_logit: with ``act="halt_continue"``, the value of going on (as a logit).
        carry: y and z for the next supervision step, without gradient.
        imbalance: mean load-balancing loss of the mixtures of experts, where there are any.
    """

    logits: Float[Tensor, "b c v"] | None = None
    halting_logit: Float[Tensor, " b"] | None = None
    continue_logit: Float[Tensor, " b"] | None = None
    carry: Latents | None = None
    imbalance: Float[Tensor, ""] | None = None


class TRMForPuzzles(Portable, PreTrainedModel):
    """The recursive model over a grid; one call is one supervision step (arXiv 2510.04871, figure 3)."""

    travels_as: ClassVar = {"AutoConfig": "trm.configuration:TRMConfig", "AutoModel": "trm.modeling:TRMForPuzzles"}
    config: TRMConfig
    config_class = TRMConfig
    base_model_prefix = ""
    main_input_name = "input_ids"
    y_init: Float[Tensor, " d"]
    z_init: Float[Tensor, " d"]

    def __init__(self, config: TRMConfig) -> None:
        super().__init__(config)
        self.embedding = nn.Embedding(config.vocabulary_size, config.width)
        self.puzzle_vectors = PuzzleVectors(config.puzzles, config.puzzle_width or 0) if config.prefix else None
        self.networks = nn.ModuleList(Network(config) for _ in range(config.networks))
        self.head = None if config.tied_head else Linear(config.width, config.vocabulary_size)
        self.halting_head = None if config.act == "none" else nn.Linear(config.width, 2)
        self.register_buffer("y_init", torch.zeros(config.width))
        self.register_buffer("z_init", torch.zeros(config.width))
        self.post_init()

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, *args: Any, **kwargs: Any) -> TRMForPuzzles:
        """As in transformers.

        Raises:
            UserError: if the checkpoint is of another architecture.
        """
        if kwargs.get("config") is None:
            settings, _ = TRMConfig.get_config_dict(pretrained_model_name_or_path)
            found = settings.get("model_type", "unknown")
            if found != TRMConfig.model_type:
                raise UserError(
                    f"the checkpoint is of model type '{found}', not '{TRMConfig.model_type}'.",
                    where=str(pretrained_model_name_or_path),
                    cure="Name the folder of a recursive model, such as RUN/model of `reasoning-kit train method=trm`.",
                )
        return super().from_pretrained(pretrained_model_name_or_path, *args, **kwargs)

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if module is self:
            truncated_normal_(self.y_init, 1.0)
            truncated_normal_(self.z_init, 1.0)
        elif isinstance(module, nn.Embedding):
            truncated_normal_(module.weight, 1 / math.sqrt(self.config.width))
        elif isinstance(module, Linear):
            module.reset_parameters()
        elif isinstance(module, PuzzleVectors):
            initialization.zeros_(module.weight)
        elif module is self.halting_head:
            initialization.zeros_(module.weight)
            initialization.constant_(module.bias, HALTING_BIAS)

    def initial_carry(self, batch: int) -> Latents:
        """y and z before the first supervision step: the same two vectors for all problems and positions."""
        config = self.config
        z = self.z_init.repeat(config.n) if config.recursion == "multi_scale" else self.z_init
        return self.y_init.expand(batch, config.length, -1), z.expand(batch, config.length, -1)

    def embed(self, input_ids: Int[Tensor, "b c"], puzzle_ids: Int[Tensor, " b"] | None = None) -> Hidden:
        """x: sqrt(d) times prefix and tokens. The puzzle's vector is padded with zeros to the length of the prefix."""
        config = self.config
        x = self.embedding(input_ids)
        if self.puzzle_vectors is not None:
            ids = input_ids.new_zeros(len(input_ids)) if puzzle_ids is None else puzzle_ids
            vectors = self.puzzle_vectors(ids)
            padding = config.prefix * config.width - vectors.shape[-1]
            x = torch.cat((F.pad(vectors, (0, padding)).unflatten(-1, (config.prefix, -1)), x), dim=1)
        return math.sqrt(config.width) * x

    def read_out(self, h: Hidden) -> Float[Tensor, "b c v"]:
        """Scores of every token at every cell, from y (or from z, to see that it does not hold the answer)."""
        cells = h[:, self.config.prefix :]
        return F.linear(cells, self.embedding.weight) if self.head is None else self.head(cells)

    def recur(self, x: Hidden, y: Hidden, z: Latent, networks: Sequence[Callable[..., Hidden]] = ()) -> Latents:
        """The T rounds of a supervision step.

        Args:
            networks: take the place of the model's own (:mod:`trm.compilation`).
        """
        config = self.config
        angles = self.networks[0].angles(x)  # type: ignore[operator]  # torch types it as any module
        f_z, f_y = (partial((networks or self.networks)[i], angles=angles) for i in (0, -1))
        return deep_recursion(build_round(config.recursion, f_z, f_y, config.n, config.tracked), x, y, z, config.T)

    def forward(
        self,
        input_ids: Int[Tensor, "*b c"],  # another shape is refused with a sentence
        carry: Latents | None = None,
        puzzle_ids: Int[Tensor, " b"] | None = None,
    ) -> TRMOutput:
        """One supervision step; without ``carry``, the first; without ``puzzle_ids``, with vector 0.

        Raises:
            UserError: for a grid of another size, or on a CPU also a token or puzzle id out of range.
        """
        check_inputs(self.config, input_ids, puzzle_ids)
        config = self.config
        x = self.embed(input_ids, puzzle_ids)
        y, z = self.initial_carry(len(input_ids)) if carry is None else carry
        y, z = self.recur(x, y, z)

        # The halting head reads y at position 0: [b, d] -> [b, 2].
        halting, going_on = (None, None) if self.halting_head is None else self.halting_head(y[:, 0]).float().unbind(-1)

        mixtures = [module for module in self.modules() if isinstance(module, Mixture)]
        imbalance = torch.stack([mixture.imbalance for mixture in mixtures]).mean() if mixtures else None
        for mixture in mixtures:
            mixture.imbalance = mixture.imbalance.detach()  # a model at rest holds no graph

        return TRMOutput(
            logits=self.read_out(y),
            halting_logit=halting,
            continue_logit=going_on if config.act == "halt_continue" else None,
            carry=(y.detach(), z.detach()),
            imbalance=imbalance,
        )


def check_inputs(config: TRMConfig, input_ids: Tensor, puzzle_ids: Tensor | None = None) -> None:
    """Refuse what the model has no place for. On a GPU only shapes are looked at: values would cost a wait.

    Raises:
        UserError: naming what is too large.
    """
    if input_ids.ndim != 2 or input_ids.shape[1] != config.positions:
        raise UserError(
            f"grids of shape {list(input_ids.shape)} do not fit a model of {config.positions} positions.",
            where="input_ids",
            cure="Give [batch, positions]: take the task and size that the model was trained on, or train another.",
        )
    if input_ids.device.type != "cpu" or not len(input_ids):
        return
    for thing, ids, count in (("token", input_ids, config.vocabulary_size), ("puzzle", puzzle_ids, config.puzzles)):
        if ids is None or (ids.min() >= 0 and ids.max() < count):
            continue
        wrong = int(ids.max() if ids.max() >= count else ids.min())
        raise UserError(
            f"{thing} {wrong} is out of range.",
            where="input_ids" if thing == "token" else "puzzle_ids",
            cure=f"The model knows {thing}s 0 to {count - 1}: take the task and problems that it was trained for.",
        )


if __name__ == "trm.modeling":  # a copy beside saved weights is found by their auto_map instead
    AutoConfig.register(TRMConfig.model_type, TRMConfig, exist_ok=True)
    AutoModel.register(TRMConfig, TRMForPuzzles, exist_ok=True)
