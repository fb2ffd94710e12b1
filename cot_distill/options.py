"""What a user can set for the language model and its supervised fine-tuning. Light: validated before torch loads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from benchmarks.errors import UserError
from benchmarks.language_models import OwnModel

Schedule = Literal["constant", "cosine", "linear"]


@dataclass(frozen=True)
class SolverOptions:
    """How a trained language model answers.

    Attributes:
        generator: the library that writes.
        samples: completions of each problem; the most frequent answer is given (self-consistency, arXiv 2203.11171),
            and whether any is right is recorded as the oracle.
        temperature: 0 is greedy.
        top_p: nucleus sampling.
        token_budget: longest thought, in tokens; one that is not ended by then is ended for the model, which answers
            at once (budget forcing, arXiv 2501.19393). ``None``: only ``max_length`` ends it.
        pauses: filler tokens between question and answer, in training too (arXiv 2310.02226).
    """

    generator: Literal["transformers", "vllm"] = "transformers"
    samples: int = 1
    temperature: float = 0.0
    top_p: float = 1.0
    token_budget: int | None = None
    pauses: int = 0

    def __post_init__(self) -> None:
        if self.pauses < 0:
            raise UserError(
                f"pauses must be 0 or more, not {self.pauses}.", where="pauses", cure="Give a number of tokens."
            )
        if self.samples < 1:
            raise UserError(f"samples must be 1 or more, not {self.samples}.", where="samples", cure="Give 1 or more.")
        if self.token_budget is not None and self.token_budget < 0:
            raise UserError(
                f"token_budget must be 0 or more, not {self.token_budget}.",
                where="token_budget",
                cure="Give a number of tokens, or leave it out.",
            )
        if not self.temperature >= 0:
            raise UserError(
                f"temperature must be 0 or more, not {self.temperature}.", where="temperature", cure="Give 0 or more."
            )
        if not 0 < self.top_p <= 1:
            raise UserError(
                f"top_p must be above 0 and up to 1, not {self.top_p}.", where="top_p", cure="Give for example 0.95."
            )
        if self.samples > 1 and self.temperature == 0:
            raise UserError(
                f"samples must be 1 at temperature 0, not {self.samples}: greedy samples are all alike.",
                where="temperature",
                cure="Give for example 0.8, or samples=1.",
            )


@dataclass(frozen=True)
class SFTOptions:
    """Options of ``method.cot`` and ``method.answer_only``.

    Attributes:
        batch_size: rows of a training step.
        learning_rate: ``None``: 4e-5 for a pretrained model; from scratch 3e-3, at a constant rate 2e-3.
        trace: how the programmatic teacher writes (``reasoning-kit tasks show NAME`` lists the styles); ``None``: the
            family's first.
        traces: folder of verified traces of a language model (``reasoning-kit teach``), instead of the programmatic
            teacher.
        content: ``wrong``: each problem is shown the thought and answer of another one, anew in every pass, and never a
            right one: only the form is taught (:mod:`cot_distill.shuffled_answers`).
        weight_decay: of every weight.
        warmup_steps: steps in which the learning rate rises to its value.
        schedule: of the learning rate over the budget.
        augment: show problems under random symmetries after the first pass.
        max_grad_norm: gradients are scaled down to this norm; 0: never.
        max_length: longest row, and longest completion of the solver, in tokens; longer rows are cut, and counted in
            a warning (the search traces of hard puzzles reach tens of thousands of tokens). ``None``: no cut.
        trainer: handed to TRL's ``SFTConfig``.
        solver: how the trained model answers.
        model: what differs from the comparison's ``model``.
    """

    batch_size: int = 32
    learning_rate: float | None = None
    trace: str | None = None
    traces: str | None = None
    content: Literal["right", "wrong"] = "right"
    weight_decay: float = 0.1
    warmup_steps: int = 20
    schedule: Schedule = "cosine"
    augment: bool = True
    max_grad_norm: float = 1.0
    max_length: int | None = 3072
    trainer: dict[str, Any] = field(default_factory=dict)
    solver: SolverOptions = field(default_factory=SolverOptions)
    model: OwnModel = field(default_factory=OwnModel)

    def __post_init__(self) -> None:
        if self.trace is not None and self.traces is not None:
            raise UserError(
                "trace and traces must not both be given: they name two teachers.",
                where="traces",
                cure="Give trace (the programmatic one) or traces (a folder).",
            )
        if self.content == "wrong" and self.traces is not None:
            raise UserError(
                "only programmatic traces are shown to the wrong problems.",
                where="content",
                cure="Leave traces out, or give content=right.",
            )

    def rate(self, pretrained: bool) -> float:
        """The learning rate, its default resolved."""
        if self.learning_rate is not None:
            return self.learning_rate
        if pretrained:
            return 4e-5
        return 2e-3 if self.schedule == "constant" else 3e-3
