"""AutoregressiveTRMConfig: every number that fixes the function an autoregressive recursive model computes.

All rungs of the ladder from GPT to the autoregressive TRM (:mod:`trm.autoregressive.ladder`) are settings of this one
class. The names ``T``, ``n`` and supervision steps are TRM's (arXiv 2510.04871, section 4).
"""

from __future__ import annotations

from typing import Any, ClassVar

from transformers import PretrainedConfig

from benchmarks.errors import UserError
from trm.autoregressive.choices import (
    PARTNERS,
    Depth,
    Gradient,
    Halting,
    Mode,
    Norm,
    Policy,
    Streams,
    TrainingDepth,
    TrainingSweeps,
)
from trm.autoregressive.ladder import rung as settings_of
from trm.autoregressive.pricing import RefinementPrice
from trm.options import check_counts, check_kinds

SIZES = {
    "vocab_size": 1,
    "hidden_size": 1,
    "num_hidden_layers": 1,
    "num_attention_heads": 1,
    "intermediate_size": 1,
    "max_position_embeddings": 1,
    "T": 1,
    "n": 0,
    "supervision_steps": 1,
    "sweeps": 1,
}


KINDS = {
    "streams": Streams,
    "norm": Norm,
    "gradient": Gradient,
    "halting": Halting,
    "training_depth": TrainingDepth,
    "training_mode": Mode,
    "training_sweeps": TrainingSweeps,
    "depth": Depth,
}


class AutoregressiveTRMConfig(PretrainedConfig):
    """Configuration of :class:`trm.autoregressive.modeling.AutoregressiveTRMForCausalLM`.

    Attributes:
        hidden_size: ``d``.
        num_hidden_layers: blocks of a network.
        intermediate_size: inner size of the SwiGLU.
        rung: takes what is not given here from the ladder of baselines (:mod:`trm.autoregressive.ladder`).
        blocks: its block passes per token.
        streams: ``dual`` keeps a latent z and an answer y beside the token x and updates them in turns, z <- f(x+y+z)
            and y <- f(y+z); ``single`` has one state that starts as x, h <- f(h).
        tied: one network for all passes; otherwise each has its own (a GPT).
        norm: ``post``: h <- norm(h + f(h)), TRM's; ``pre``: h <- h + f(norm(h)), GPT's.
        step_embedding: each pass adds a vector of its own to its input.
        T: rounds in a supervision step; with a single stream, its passes.
        n: updates of z in a round, before the one of y; without effect on a single stream.
        supervision_steps: most steps of refinement of a token. State is carried from one to the next without gradient.
        deep_supervision: every step's prediction is learned from, not only the last one's.
        gradient: ``last_round``: the rounds before the last in a step carry no gradient (TRM); ``all``.
        halting: ``correct``: a head guesses whether this token's prediction is right, and may end its refinement;
            ``act``: adaptive computation time over the passes of a single stream (arXiv 1807.03819); ``none``.
        ponder_cost: weight of ACT's passes in the loss.
        training_depth: supervision steps of a training batch: all of them (``full``); from 1 to all of them in equal
            shares of the budget (``growing``); or drawn anew for each batch (``random``).
        training_mode: what positions see of their prefix in training, see :mod:`trm.autoregressive.sequence`.
        sweeps: of ``jacobi``; 1 is ``parallel``.
        training_sweeps: ``fixed``, or ``random``: from 2 to ``sweeps``, drawn anew for each training batch.
        cache_policy: what is kept of a token when decoding, see :mod:`trm.autoregressive.cache`; ``None``: the partner
            of the training mode (:attr:`policy`).
        depth: when decoding, ``fixed``: all supervision steps; ``adaptive``: until the halting head says so.
        halting_probability: by which a token is taken for right, above which it halts.
    """

    model_type = "autoregressive_trm"
    keys_to_ignore_at_inference: ClassVar[list[str]] = ["past_key_values"]

    vocab_size: int = 32
    hidden_size: int = 96
    num_hidden_layers: int = 2
    num_attention_heads: int = 4
    intermediate_size: int = 256
    max_position_embeddings: int = 8192
    rope_theta: float = 10_000.0
    rung: str | None = None
    blocks: int = 16
    streams: Streams = "dual"
    tied: bool = True
    norm: Norm = "post"
    step_embedding: bool = False
    T: int = 2
    n: int = 3
    supervision_steps: int = 4
    deep_supervision: bool = True
    gradient: Gradient = "last_round"
    halting: Halting = "correct"
    ponder_cost: float = 0.01
    training_depth: TrainingDepth = "full"
    training_mode: Mode = "parallel"
    sweeps: int = 2
    training_sweeps: TrainingSweeps = "fixed"
    cache_policy: Policy | None = None
    depth: Depth = "fixed"
    halting_probability: float = 0.5

    def __new__(cls, *_: Any, **given: Any) -> AutoregressiveTRMConfig:
        config = super().__new__(cls)
        if "rung" in given:  # beside which what is given must not give way, be it a default
            vars(config)["_given"] = frozenset(given)
        return config

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        given = vars(self).pop("_given", ())
        if self.rung is not None:
            for name, value in settings_of(self.rung, self.blocks).items():
                if name not in given:
                    setattr(self, name, value)
            self.rung = None  # what it stands for is what is saved
        self.check()

    @property
    def policy(self) -> Policy:
        """What is kept of a token when decoding."""
        mode = "parallel" if self.sweeps == 1 and self.training_mode == "jacobi" else self.training_mode
        return self.cache_policy or PARTNERS[mode]

    @property
    def passes(self) -> int:
        """Evaluations of a network in one supervision step: T (n + 1), or T for a single stream."""
        return self.T * (self.n + 1) if self.streams == "dual" else self.T

    @property
    def tracked(self) -> int:
        """Those with gradient in training."""
        return self.n + 1 if self.streams == "dual" and self.gradient == "last_round" else self.passes

    @property
    def networks(self) -> int:
        return 1 if self.tied else self.passes

    @property
    def num_key_value_heads(self) -> int:
        return self.num_attention_heads

    def price(self) -> RefinementPrice:
        """What it costs (:func:`benchmarks.compute.language_model_price`)."""
        return RefinementPrice(self)

    def check(self) -> None:
        """Also at the start of a model, since ``from_pretrained`` sets what it is given on the finished configuration.

        Raises:
            UserError: naming the setting.
        """
        if self.rung is not None:
            raise UserError(
                f"the rung '{self.rung}' comes too late.", where="rung", cure="Give it to a new configuration."
            )
        kinds = KINDS if self.cache_policy is None else KINDS | {"cache_policy": Policy}
        check_kinds(self, kinds)
        check_counts(self, SIZES)
        self._check_network()
        self._check_training()
        self._check_halting()

    def _check_network(self) -> None:
        """Sizes and passes that fit together."""
        if self.hidden_size % (2 * self.num_attention_heads):
            raise UserError(
                f"a width of {self.hidden_size} cannot be split into {self.num_attention_heads} heads of even size.",
                where="hidden_size",
                cure=f"Choose a multiple of {2 * self.num_attention_heads}, or another number of heads.",
            )
        if self.streams == "dual" and self.n < 1:
            raise UserError("n is 0, so z would never change.", where="n", cure="Give 1 or more, or streams=single.")

    def _check_training(self) -> None:
        """Depths and sweeps, where they are drawn."""
        if self.training_depth != "full" and self.supervision_steps == 1:
            raise UserError(
                "there is one supervision step only.", where="training_depth", cure="Give full, or more of them."
            )
        if self.training_sweeps == "random" and (self.training_mode != "jacobi" or self.sweeps < 3):
            raise UserError(
                "there is no number of sweeps to draw.",
                where="training_sweeps",
                cure="Give training_mode=jacobi with 3 sweeps or more, or training_sweeps=fixed.",
            )

    def _check_halting(self) -> None:
        """A head, where something asks it."""
        if self.halting == "act" and (self.streams == "dual" or not self.tied or self.supervision_steps > 1):
            raise UserError(
                "ACT halts passes of one tied stream in one supervision step.",
                where="halting",
                cure="Give streams=single, supervision_steps=1 and more T.",
            )
        if not 0 < self.halting_probability < 1:
            raise UserError(
                f"halting_probability must lie between 0 and 1, not {self.halting_probability}.",
                where="halting_probability",
                cure="For example 0.9.",
            )
        if self.depth == "adaptive" and self.halting != "correct":
            raise UserError("nothing says when to halt.", where="depth", cure="Give halting=correct, or depth=fixed.")
