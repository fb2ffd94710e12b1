"""TRMConfig: every number that fixes the function a recursive model computes; training options live elsewhere.

Every system and ablation of the paper is a setting of this one class (the presets are configs/method/*.yaml). The
names ``T`` and ``n`` are the paper's (arXiv 2510.04871, section 4).
"""

from __future__ import annotations

from typing import Any, Literal

from transformers import PretrainedConfig

from benchmarks.errors import UserError
from trm.options import (
    ACT,
    SIZES,
    Loss,
    Recursion,
    check_counts,
    check_exploration,
    check_heads,
    check_kinds,
    check_variant,
)

Mixer = Literal["mlp", "attention"]


class TRMConfig(PretrainedConfig):
    """Configuration of :class:`trm.modeling.TRMForPuzzles`; the defaults are the paper's for Sudoku.

    Attributes:
        vocabulary_size: tokens, padding (0) included.
        positions: cells of the grid form.
        prefix: positions before the grid, of which the first carries the puzzle's vector; the sequence length ``l`` is
            ``prefix + positions``.
        puzzles: vectors to choose from (1: all problems share one); without effect for ``prefix=0``.
        puzzle_width: numbers in a puzzle's vector, at most ``prefix * width``; ``width`` if not given.
        puzzle_table: name of a puzzle -> its first vector and how many it has, one per variant.
        width: ``d``.
        layers: blocks of a network.
        heads: attention heads; without effect for ``mixer="mlp"``.
        expansion: inner size of a SwiGLU is ``expansion * 2/3`` times its width, rounded up.
        inner_multiple: inner sizes are rounded up to a multiple of it.
        mixer: what mixes positions: a SwiGLU over positions, or attention with rotary embedding.
        experts: SwiGLUs over the width to choose from at each position (section 6, a mixture of experts).
        networks: 1, or 2 for separate networks that update z (HRM's f_L) and y (f_H).
        recursion: how a round updates the latents, see :mod:`trm.recursion`; ``direct`` is one pass (T, n and
            supervision_steps become 1, 0 and 1).
        T: rounds of latent recursion in a supervision step; all but the last carry no gradient.
        n: updates of z in a round, before the one of y.
        gradient_evaluations: gradients flow through this many of the last round's n + 1 evaluations (2 is HRM's 1-step
            gradient); all of them if not given.
        supervision_steps: how often a problem is worked on at most in training, and at evaluation.
        act: how halting is learned: ``halt``, from whether the answer is right; ``halt_continue``, HRM's Q-learning
            with a second forward pass; ``none``: every problem takes all supervision steps.
        exploration: probability that halting in training is put off to a random step.
        tied_head: the output head is the token embedding.
        loss: what turns logits into probabilities in the cross entropy.
    """

    model_type = "trm"

    vocabulary_size: int = 11
    positions: int = 81
    prefix: int = 0
    puzzles: int = 1
    puzzle_width: int | None = None
    puzzle_table: dict[str, list[int]] | None = None
    width: int = 512
    layers: int = 2
    heads: int = 8
    expansion: float = 4
    inner_multiple: int = 256
    mixer: Mixer = "mlp"
    experts: int = 1
    networks: int = 1
    recursion: Recursion = "trm"
    T: int = 3
    n: int = 6
    gradient_evaluations: int | None = None
    supervision_steps: int = 16
    act: ACT = "halt"
    exploration: float = 0.1
    tied_head: bool = False
    loss: Loss = "stablemax"

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        if self.recursion == "direct":
            self.T, self.n, self.supervision_steps, self.act = 1, 0, 1, "none"
        if self.puzzle_width is None:
            self.puzzle_width = self.width
        self._check()

    @property
    def length(self) -> int:
        """Sequence length ``l``: the prefix and the grid."""
        return self.prefix + self.positions

    @property
    def evaluations(self) -> int:
        """Evaluations of the network in one supervision step: T (n + 1)."""
        return self.T * (self.n + 1)

    @property
    def tracked(self) -> int:
        """Evaluations with gradient in one supervision step."""
        if self.recursion == "fixed_point":  # z at the fixed point, and y
            return 2
        return self.n + 1 if self.gradient_evaluations is None else min(self.gradient_evaluations, self.n + 1)

    @property
    def depth(self) -> int:
        """Effective depth of one supervision step, T (n + 1) layers (table 1)."""
        return self.evaluations * self.layers

    def inner_size(self, width: int) -> int:
        """Inner size of a SwiGLU over ``width`` numbers."""
        return -(-round(self.expansion * width * 2 / 3) // self.inner_multiple) * self.inner_multiple

    def _check(self) -> None:
        check_kinds(self, {"mixer": Mixer, "recursion": Recursion, "act": ACT, "loss": Loss})
        check_counts(self, SIZES | {"vocabulary_size": 1, "positions": 1, "puzzles": 1, "puzzle_width": 0})
        check_variant(self)
        if self.prefix and not 0 < (self.puzzle_width or 0) <= self.prefix * self.width:
            raise UserError(
                f"a puzzle's vector of {self.puzzle_width} numbers does not fit into {self.prefix} positions of "
                f"{self.width}.",
                where="puzzle_width",
                cure=f"Choose 1 to {self.prefix * self.width}.",
            )
        if not self.expansion > 0:
            raise UserError(f"expansion is {self.expansion!r}.", where="expansion", cure="Give a positive number.")
        check_exploration(self.exploration)
        check_heads(self.mixer, self.width, self.heads)
