"""TRMConfig: every number that fixes the function a recursive model computes; training options live elsewhere.

``recursion="direct"`` is the papers' baseline: the same network, applied once. The names ``T`` and ``n`` are the
paper's (arXiv 2510.04871, section 4).
"""

from __future__ import annotations

from typing import Any, Literal, get_args

from transformers import PretrainedConfig

from benchmarks.errors import UserError, did_you_mean
from trm.options import SIZES, check_counts

Mixer = Literal["mlp", "attention"]
Recursion = Literal["trm", "direct"]
Loss = Literal["stablemax", "softmax"]


class TRMConfig(PretrainedConfig):
    """Configuration of :class:`trm.modeling.TRMForPuzzles`; the defaults are the paper's for Sudoku.

    Attributes:
        vocabulary_size: tokens, padding (0) included.
        positions: length ``l`` of the grid form.
        width: ``d``.
        layers: blocks of the one small network.
        heads: attention heads; without effect for ``mixer="mlp"``.
        expansion: inner size of a SwiGLU is ``expansion * 2/3`` times its width, rounded up.
        inner_multiple: inner sizes are rounded up to a multiple of it.
        mixer: what mixes positions: a SwiGLU over positions, or attention with rotary embedding.
        recursion: ``trm``, or ``direct`` (one pass: T, n and supervision_steps become 1, 0 and 1).
        T: rounds of latent recursion in a supervision step; all but the last carry no gradient.
        n: updates of z in a round, before the one of y.
        supervision_steps: how often a problem is worked on at most in training, and at evaluation.
        exploration: probability that halting in training is put off to a random step.
        loss: what turns logits into probabilities in the cross entropy.
    """

    model_type = "trm"

    vocabulary_size: int = 11
    positions: int = 81
    width: int = 512
    layers: int = 2
    heads: int = 8
    expansion: float = 4
    inner_multiple: int = 256
    mixer: Mixer = "mlp"
    recursion: Recursion = "trm"
    T: int = 3
    n: int = 6
    supervision_steps: int = 16
    exploration: float = 0.1
    loss: Loss = "stablemax"

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        if self.recursion == "direct":
            self.T, self.n, self.supervision_steps = 1, 0, 1
        self._check()

    @property
    def evaluations(self) -> int:
        """Evaluations of the network in one supervision step: T (n + 1)."""
        return self.T * (self.n + 1)

    def inner_size(self, width: int) -> int:
        """Inner size of a SwiGLU over ``width`` numbers."""
        return -(-round(self.expansion * width * 2 / 3) // self.inner_multiple) * self.inner_multiple

    def _check(self) -> None:
        for name, kinds in (("mixer", Mixer), ("recursion", Recursion), ("loss", Loss)):
            if getattr(self, name) not in get_args(kinds):
                raise UserError(
                    f"unknown {name} '{getattr(self, name)}'.",
                    where=name,
                    cure=did_you_mean(str(getattr(self, name)), get_args(kinds)),
                )
        check_counts(self, SIZES | {"vocabulary_size": 1, "positions": 1})
        if not self.expansion > 0:
            raise UserError(f"expansion is {self.expansion!r}.", where="expansion", cure="Give a positive number.")
        if not 0 <= self.exploration <= 1:
            raise UserError(
                f"exploration is {self.exploration!r}, which is no probability.",
                where="exploration",
                cure="Give a number from 0 to 1.",
            )
        if self.mixer == "attention" and self.width % (2 * self.heads):
            raise UserError(
                f"a width of {self.width} cannot be split into {self.heads} attention heads of even size.",
                where="width",
                cure=f"Choose a multiple of {2 * self.heads}, or another number of heads.",
            )
