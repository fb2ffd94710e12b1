"""What distillation learns from: prompts with the teacher's thinking and answer, as rows of token ids.

Every trace is checked before it is learned; what is left out is counted and reported. Each pass over the problems
after the first shows them under fresh random symmetries, where a programmatic teacher can write about the image too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.compute import LanguageModelPrice
from benchmarks.errors import UserError
from benchmarks.problem import Problem
from benchmarks.symmetries import IGNORE
from benchmarks.task import Task
from benchmarks.text_form import Style, completion_text
from benchmarks.training.budget import Budget
from cot_distill.options import SFTOptions
from cot_distill.traces import check_trace, write_trace

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MAX_ROWS = 100_000  # rows are made in advance; a longer run sees them again
FLOPS_PER_SECOND = 2e11  # of two CPU cores; in a budget of seconds a faster machine sees rows again

Row = dict[str, list[int]]
Teacher = Callable[[Problem], Sequence[str]]  # the completions to learn for a problem; ValueError: none, and why


@dataclass
class Skipped:
    """Problems that cannot be learned from, and why."""

    reasons: list[tuple[str, str]] = field(default_factory=list)

    def summary(self, problems: int) -> list[str]:
        """One sentence for the log and the record, if there is anything to say."""
        if not self.reasons:
            return []
        name, reason = self.reasons[0]
        return [f"{len(self.reasons)} of {problems} training problems are left out; the first, {name}: {reason}."]


def programmatic(task: Task, style: Style, trace: str | None) -> Teacher:
    """The labelled answer, for ``cot`` behind the trace of the family's teacher.

    Raises:
        UserError: if the family has no teacher, or none of this style.
    """

    def completions(problem: Problem) -> list[str]:
        written = None
        if style == "cot":
            written = write_trace(task, problem, trace)
            check_trace(task, problem, written, trace)
        return [completion_text(task, problem, written)]

    return completions


def completions(
    problems: Sequence[Problem], teach: Teacher, skipped: Skipped
) -> Iterator[tuple[Problem, Sequence[str]]]:
    """Each problem with the completions that the teacher gives: one or several.

    Args:
        skipped: gets the problems that the teacher refuses.
    """
    for problem in problems:
        try:
            taught = teach(problem)
        except ValueError as error:
            skipped.reasons.append((problem.id, str(error)))
            continue
        yield problem, taught


def tokenized(
    task: Task,
    problems: Sequence[Problem],
    tokenizer: PreTrainedTokenizerBase,
    style: Style,
    teach: Teacher,
    skipped: Skipped,
    pauses: int = 0,
) -> Iterable[Row]:
    """Rows of ``input_ids`` and ``labels`` (prompt masked), with an end token.

    Args:
        skipped: gets the problems that the teacher refuses.
        pauses: filler tokens at the end of prompts.
    """
    from cot_distill.language_model import render_prompt

    # One prompt for each completion.
    prompts, texts = [], []
    for problem, taught in completions(problems, teach, skipped):
        prompts += [render_prompt(tokenizer, task, problem, style, pauses)] * len(taught)
        texts += [text + str(tokenizer.eos_token) for text in taught]

    if prompts:
        asked = tokenizer(prompts, add_special_tokens=False)["input_ids"]
        written = tokenizer(texts, add_special_tokens=False)["input_ids"]
        yield from _masked(asked, written)


def _masked(asked: Sequence[list[int]], written: Sequence[list[int]]) -> Iterator[Row]:
    for question, answer in zip(asked, written, strict=True):
        yield {"input_ids": question + answer, "labels": [IGNORE] * len(question) + answer}


@dataclass
class SFTExamples:
    """
    Attributes:
        rows: for as many passes as the budget can pay.
        warnings: what is left out or cut, counted.
    """

    rows: list[Row]
    warnings: list[str]


@dataclass(frozen=True)
class Reader:
    """What the rows must know of the model that will learn them.

    Attributes:
        price: what its passes cost, which decides how many rows the budget pays for.
        context: tokens that it can read.
    """

    tokenizer: PreTrainedTokenizerBase
    price: LanguageModelPrice
    context: int


def build_sft_examples(
    task: Task,
    problems: Sequence[Problem],
    reader: Reader,
    style: Style,
    options: SFTOptions,
    budget: Budget,
    seed: int,
) -> SFTExamples:
    """All rows of a training run.

    Raises:
        UserError: if nothing is left to learn from, or the teacher is unknown.
    """
    import torch

    from cot_distill.shuffled_answers import FormatOnlyData

    tokenizer, context = reader.tokenizer, reader.context
    generator, skipped = torch.Generator().manual_seed(seed), Skipped()
    augment = options.augment and options.traces is None

    # Who teaches: right completions, or those of other problems, drawn anew for each pass.
    teach, form = _teacher(task, problems, style, options), None
    if options.content == "wrong":
        form = FormatOnlyData(task, problems, style, teach, options.trace)
        teach = form.one_pass(generator)

    # The first pass shows which problems can be learned, and how long their rows are.
    pauses = options.solver.pauses
    rows = list(tokenized(task, problems, tokenizer, style, teach, skipped, pauses))
    warnings = skipped.summary(len(problems))
    warnings += _unknown(rows, tokenizer)
    rows, cut = _fitting(rows, options.max_length, context)
    if not rows:
        raise UserError(
            " ".join([*warnings, *cut]) or "no training problem.",
            where=task.name,
            cure="Give problems that the teacher can write about, or a model with a longer context.",
        )

    # As many more passes as the budget pays for, each under fresh symmetries.
    out = {name for name, _ in skipped.reasons}
    known = [problem for problem in problems if problem.id not in out]
    length = sum(len(row["input_ids"]) for row in rows) / len(rows)
    for _ in range(affordable_passes(budget, reader.price, options, length, len(rows)) - 1):
        moved = task.augment(known, generator) if augment and form is None else known
        if form is not None:
            teach = form.one_pass(generator)
        elif moved == known:  # the family has no symmetries: the trainer itself repeats the rows
            break
        again, _ = _fitting(
            tokenized(task, moved, tokenizer, style, teach, Skipped(), pauses), options.max_length, context
        )
        rows += again

    if form is not None:
        cut += form.summary(len(rows))
    return SFTExamples(rows, warnings + cut)


def _teacher(task: Task, problems: Sequence[Problem], style: Style, options: SFTOptions) -> Teacher:
    if style == "cot" and options.traces is not None:
        from cot_distill.teacher import taught_by

        return taught_by(Path(options.traces), task, problems)
    return programmatic(task, style, options.trace)


def _unknown(rows: Sequence[Row], tokenizer: PreTrainedTokenizerBase) -> list[str]:
    unknown = tokenizer.unk_token_id
    count = 0 if unknown is None else sum(unknown in row["input_ids"] for row in rows)
    if not count:
        return []
    return [f"{count} of {len(rows)} training rows hold signs that the tokenizer does not know: the model sees gaps."]


def _fitting(rows: Iterable[Row], max_length: int | None, context: int) -> tuple[list[Row], list[str]]:
    """Rows of which something is learned, and in words what is cut or left out."""
    rows = list(rows)
    longest = min(max_length or context, context)
    limit = f"{longest} tokens ({'max_length' if longest == max_length else 'the context of the model'})"

    # A row whose prompt alone fills the limit teaches nothing; of a longer one the beginning is learned.
    kept = [row for row in rows if row["labels"].count(IGNORE) < longest]
    cut = sum(len(row["input_ids"]) > longest for row in kept)

    warnings = []
    if len(kept) < len(rows):
        warnings.append(
            f"{len(rows) - len(kept)} of {len(rows)} training rows are left out: their prompts fill {limit}."
        )
    if cut:
        warnings.append(f"{cut} of {len(rows)} training rows are longer than {limit}: what is beyond is not learned.")
    return kept, warnings


def completion_limit(rows: Sequence[Row], most: int | None = None, test_rows: Sequence[Row] = ()) -> int:
    """How many tokens a solver may write: a quarter more than the longest completion taught, but up to ``most``.

    Args:
        test_rows: rows of the test problems, which may be longer than those taught: the longest must fit.
    """

    def longest(rows: Sequence[Row]) -> int:
        return max((len(row["labels"]) - row["labels"].count(IGNORE) for row in rows), default=0)

    wanted = max(math.ceil(1.25 * longest(rows)), longest(test_rows)) + 4
    return wanted if most is None else min(wanted, most)


def completion_limit_for(
    task: Task, problems: Sequence[Problem], tokenizer: PreTrainedTokenizerBase, style: Style, most: int | None
) -> int:
    """:func:`completion_limit` for a model that is not taught here: what the programmatic teacher would write."""
    return completion_limit(
        list(tokenized(task, problems, tokenizer, style, programmatic(task, style, None), Skipped())), most
    )


def affordable_passes(budget: Budget, shape: LanguageModelPrice, options: SFTOptions, length: float, rows: int) -> int:
    """Passes over the rows that the budget pays for, at least 1, at most :data:`MAX_ROWS` rows in all."""
    per_example = {
        "flops": shape.training_step(1, math.ceil(length)),
        "examples": 1,
        "tokens": length,
        "steps": 1 / options.batch_size,
        "seconds": shape.training_step(1, math.ceil(length)) / FLOPS_PER_SECOND,
    }[budget.unit]
    return max(1, min(math.ceil(budget.limit / per_example / rows), MAX_ROWS // rows))
