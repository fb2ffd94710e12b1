"""Problems that a family draws: checked, each once, those of one split; a draw that fails or never ends is named."""

from __future__ import annotations

import random
from abc import ABC
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

from benchmarks.drawing import Draft, Wanted, collect
from benchmarks.problem import Problem, Split, problem_id
from benchmarks.user_code import TooLong, Watchdog, broken, call


class Drawn(ABC):
    """The part of a :class:`benchmarks.task.Task` that makes problems from :meth:`draw` and :meth:`is_right`.

    Attributes:
        family: the registry's name of the family.
        name: family and options in one word.
        patience: draws in a row that may bring no new problem before generation gives up.
        draw_seconds: that one draw may take.
        noun: what messages call the problems.
    """

    family: ClassVar[str]
    patience: ClassVar[int] = 20_000
    draw_seconds: ClassVar[float] = 60.0
    noun: ClassVar[str] = "problems"

    @property
    def name(self) -> str:
        return self.family

    def draw(self, rng: random.Random) -> Any:
        """One random problem, from this random state alone.

        Returns:
            ``(question, answer)``; also ``(question, answer, orbit)`` and ``(question, answer, orbit, meta)`` as in
            :class:`benchmarks.problem.Problem`; a problem, or a :class:`benchmarks.drawing.Draft` of one. ``None``
            where the draw came to nothing: then it is drawn again.
        """
        raise broken(self, "draw", "is missing, so there is nothing to generate problems with")

    def is_right(self, problem: Problem, answer: str) -> bool:
        """Whether an answer is right, the labelled one or another. Any text can come."""
        return answer == problem.answer

    def generate(self, split: Split, count: int, seed: int) -> list[Problem]:
        """``count`` different problems of one split; a smaller count gives the beginning of a larger one.

        The split of a problem is a function of its orbit (:func:`benchmarks.problem.split_of`), so the two
        splits share no orbit whatever the seeds and counts.

        Raises:
            UserError: if the family has fewer than ``count`` different problems in this split, or its code fails.
        """
        found: dict[str, Problem] = {}
        wanted = Wanted(split, count, self.patience, self.noun, self.name, self.more_problems)
        with self._watched() as watch:
            return collect(watch.each(self.drafts(split, seed, found)), wanted, found)

    @contextmanager
    def _watched(self) -> Iterator[Watchdog]:
        """
        Raises:
            UserError: if a draw does not end.
        """
        try:
            with Watchdog(self.draw_seconds) as watch:
                yield watch
        except TooLong as error:
            said = f"did not end within {self.draw_seconds:g} seconds"
            raise broken(self, "draw", said, error.__traceback__) from None

    def drafts(self, split: Split, seed: int, found: Mapping[str, Problem]) -> Iterator[Draft | None]:
        """An endless stream of drawn problems of either split.

        Args:
            found: the problems that were kept so far.
        """
        yield from self._drawn(random.Random(f"{seed} {split}"))

    def _drawn(self, rng: random.Random) -> Iterator[Draft | None]:
        while True:
            yield self._draft(call(self, "draw", rng))

    def first_drawn(self, rng: random.Random, count: int) -> list[Problem]:
        """Some problems of either split; fewer where most draws come to nothing."""
        problems: list[Problem] = []
        with self._watched() as watch:
            for _, draft in zip(range(8 * count), watch.each(self._drawn(rng)), strict=False):
                problem = None if draft is None else draft.finish()
                if problem is not None:
                    problems.append(problem)
                if len(problems) == count:
                    break
        return problems

    def _draft(self, drawn: Any) -> Draft | None:
        """What was drawn, checked."""
        if drawn is None or isinstance(drawn, Draft):
            return drawn
        if isinstance(drawn, Problem):
            drawn = (drawn.question, drawn.answer, drawn.orbit, drawn.meta, drawn.id)
        elif not isinstance(drawn, tuple) or not 2 <= len(drawn) <= 4:
            raise broken(self, "draw", f"must return (question, answer), a Problem or None, not {drawn!r:.60}")

        # What is missing of question, answer, orbit, meta and id is derived.
        question, answer, *more = drawn
        for what, text in zip(("question", "answer", "orbit"), drawn, strict=False):
            if not isinstance(text, str):
                raise broken(self, "draw", f"must return text as {what}, not {text!r:.60}")
        if len(more) > 1 and not isinstance(more[1], Mapping):
            raise broken(self, "draw", f"must return a mapping as meta, not {more[1]!r:.60}")
        self.check_drawn(question, answer)

        orbit = more[0] if more else self.orbit_of(question)
        meta = more[1] if len(more) > 1 else {}
        key = more[2] if len(more) > 2 else problem_id(self.name, question)
        return Draft(question, orbit, lambda: self.confirmed(Problem(key, question, answer, orbit, meta)))

    def check_drawn(self, question: str, answer: str) -> None:
        """Refuse what the family cannot hold.

        Raises:
            UserError: naming the family's method that drew it.
        """
        if not question or not answer:
            raise broken(self, "draw", "must return a question and an answer that are not empty")

    def orbit_of(self, question: str) -> str:
        """Key that is equal for questions that a symmetry of the family maps onto each other. Derived: the question."""
        return question

    def confirmed(self, problem: Problem) -> Problem:
        """The problem, once the family has accepted its own label."""
        if not self.judge(problem, problem.answer):
            raise broken(self, "is_right", f"must accept the label '{problem.answer:.40}' of '{problem.question:.40}'")
        return problem

    @property
    def more_problems(self) -> str:
        """What to change so that there are more different problems."""
        return "Ask for fewer, or change the options of the task so that there are more."

    def judge(self, problem: Problem, answer: str) -> bool:
        right = call(self, "is_right", problem, answer)
        if type(right).__name__ not in ("bool", "bool_"):  # numpy has one of its own
            raise broken(self, "is_right", f"must return True or False, not {right!r:.60}")
        return bool(right)
