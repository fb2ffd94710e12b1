"""Task: what every family of problems implements, so that every method can learn it and one verifier judges all.

A family says how a problem is drawn and whether an answer is right; everything else is derived from these two, and can
be overridden. That is enough for language models::

    @dataclass(frozen=True)
    class Sorting(Task):
        \"""Sort the digits, the smallest first.\"""

        digits: int = 5

        family: ClassVar[str] = "sorting"

        def draw(self, rng):
            question = "".join(rng.choices("0123456789", k=self.digits))
            return question, "".join(sorted(question))

        def is_right(self, problem, answer):
            return answer == "".join(sorted(problem.question))

Recursive models also need a *grid form* (:class:`benchmarks.grid_task.GridTask`), which symbols and a length give.
``load_task("sudoku", size=6)`` builds a task by the name of its family.
"""

from __future__ import annotations

import inspect
import random
import re
from collections.abc import Sequence
from dataclasses import fields
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from benchmarks.drawn import Drawn
from benchmarks.errors import UserError, did_you_mean
from benchmarks.files.text import sample
from benchmarks.options import require_choice
from benchmarks.problem import Answer, Measure, Problem, Verdict, problem_id
from benchmarks.registry import Registry
from benchmarks.shapes import Generator
from benchmarks.user_code import broken, call

LOOKED_AT = 256  # drawn problems whose characters make the alphabet of a family that declares none


class Task(Drawn):
    """One family of problems with its options fixed (size, difficulty). Subclasses are frozen dataclasses.

    A new family writes its name, :meth:`draw` and :meth:`is_right`. Whatever else it writes replaces what is derived
    here.

    Attributes:
        measure: which field of a verdict is reported as accuracy. Derived: ``valid`` where the family says which
            answers are right, ``exact`` where only the label is.
        concurrent: :meth:`verify` waits for other processes, and may be called from several threads.
    """

    concurrent: ClassVar[bool] = False
    measure: Measure = "exact"

    # Options come from outside. __post_init__ refuses wrong ones in words, so the hook that checks types in tests
    # leaves __init__ alone; all other methods are checked.
    __no_type_check__: ClassVar[bool] = True

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        says_what_is_right = "is_right" in vars(cls)
        if says_what_is_right and not any("measure" in vars(base) for base in cls.__mro__ if base is not Task):
            cls.measure = "valid"

    @classmethod
    def faults(cls) -> list[str]:
        """What the class of a new family must still do, in words; the registry takes no class that has any."""
        found = []
        if "__dataclass_fields__" not in vars(cls) or not cls.__dataclass_params__.frozen:  # type: ignore[attr-defined]
            found.append("be a frozen dataclass: write @dataclass(frozen=True) above it")
        if not isinstance(getattr(cls, "family", None), str):
            found.append('have a name: write family: ClassVar[str] = "..."')
        ways = ("draw", "drafts", "generate")
        if all(getattr(cls, way) is getattr(Task, way) for way in ways):
            found.append("define draw(self, rng), which returns a question and its answer")
        return found

    def __post_init__(self) -> None:
        require_choice("measure", self.measure, ("exact", "valid"))

    # --- what a new family writes ----------------------------------------------------------------

    def solve(self, question: str) -> str | None:
        """The answer to a question that somebody typed; ``None`` where it has none. Optional.

        Raises:
            UserError: if the question is malformed, or the family cannot solve what was typed.
        """
        raise UserError(
            f"a question of the family '{self.family}' cannot be typed, because nothing would know its answer.",
            where=self.name,
            cure="Use generated problems, or give the family a method solve(question).",
        )

    # --- in words -------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """Family and options in one word, for example ``sudoku-4x4``. Derived: the options that are no defaults."""
        words = [self.family]
        for option in fields(self):  # type: ignore[arg-type]  # every Task is a dataclass
            value = getattr(self, option.name)
            if option.name != "measure" and value != option.default:
                words.append(option.name + re.sub(r"[^\w.]+", "-", str(value)).strip("-"))
        return "-".join(words)

    @property
    def alphabet(self) -> str:
        """The characters that questions, traces and answers in text form may use.

        Derived: those of some drawn problems, always the same ones. A family with rare characters declares them.
        """
        return self._drawn_alphabet

    @cached_property
    def _drawn_alphabet(self) -> str:
        problems = self.first_drawn(random.Random(0), LOOKED_AT)
        texts = [self.question_text(problem) + self.answer_text(problem) for problem in problems]
        return "".join(sorted(set("".join(texts))))

    @property
    def instructions(self) -> str:
        """For a model that was not trained here: what is asked, and in what form the answer is wanted.

        Derived: the first paragraph of the family's docstring.
        """
        written = type(self).__doc__ or ""
        if written.startswith(f"{type(self).__name__}("):  # written by dataclass, for want of one
            written = ""
        paragraph = inspect.cleandoc(written).partition("\n\n")[0]
        return " ".join([*paragraph.split(), "Write the answer alone."])

    # --- problems -------------------------------------------------------------------------------

    def parse_question(self, text: str) -> Problem:
        """A typed problem, checked and labelled with its right answer. Derived from :meth:`solve`.

        Raises:
            UserError: if it is malformed, has no answer, or (where the family promises one) several.
        """
        question = text.strip()
        answer = call(self, "solve", question)
        if answer is None:
            raise UserError(f"'{question[:60]}' has no answer.", where=self.name, cure="Correct the question.")
        if not isinstance(answer, str):
            raise broken(self, "solve", f"must return text or None, not {answer!r:.60}")
        self.check_drawn(question, answer)
        orbit = self.orbit_of(question)
        return self.confirmed(Problem(problem_id(self.name, question), question, answer, orbit))

    def read(self, path: str | Path, limit: int | None = None, seed: int = 0) -> list[Problem]:
        """Problems of a published file, or of a split of a data set on the hub (``hub:OWNER/NAME:SPLIT``).

        Args:
            limit: a random choice of that many rows; ``None``: all.

        Raises:
            UserError: naming file, line and cure, for every way in which a file can be wrong.
        """
        raise UserError(
            f"the family '{self.family}' has no file form",
            where=str(path),
            cure="Leave train_file and test_file out: its problems are generated.",
        )

    def read_splits(
        self,
        train_files: Sequence[str | Path],
        test_file: str | Path,
        train_size: int | None,
        test_size: int | None,
        seed: int,
    ) -> tuple[list[Problem], list[Problem]]:
        """Training and test problems, each :meth:`read` by itself; from several training files a choice of them all.

        Raises:
            UserError: as :meth:`read`.
        """
        if len(train_files) == 1:
            train = self.read(train_files[0], train_size, seed)
        else:
            together: list[Problem] = []
            for file in train_files:
                together += self.read(file)
            train = sample(together, train_size, seed, " and ".join(map(str, train_files)))
        return train, self.read(test_file, test_size, seed)

    # --- judging --------------------------------------------------------------------------------

    def verify(self, problem: Problem, answer: Answer | None) -> Verdict:
        """The family's only verifier. ``None`` (nothing could be parsed) is wrong.

        Derived: exact is the label; valid is what :meth:`is_right` accepts; the score of a wrong answer is the
        share of the label's characters that it has in their places.

        Raises:
            UserError: if the family's code fails.
        """
        if answer is None:
            return Verdict.wrong("no answer could be read")
        text = answer.text
        exact = text == problem.answer
        reason = self.misspelt(text)
        valid = exact or (not reason and self.judge(problem, text))
        correct = exact if self.measure == "exact" else valid
        agreeing = sum(a == b for a, b in zip(text, problem.answer, strict=False))
        share = agreeing / max(len(text), len(problem.answer), 1)
        score = 1.0 if correct else min(share, 0.99)
        return self.verdict(exact, "" if valid else reason or "the answer is not right", score)

    def verdict(self, exact: bool, fault: str, score: float, unlabelled: str = "right, but not the label") -> Verdict:
        """The verdict on an answer that could be read, by the measure of the task.

        Args:
            exact: it is the labelled answer.
            fault: why it is not right, in words; empty where it is.
            unlabelled: why it is not correct, where it is right but another one is the label.
        """
        valid = not fault
        correct = exact if self.measure == "exact" else valid
        reason = "" if correct else fault or unlabelled
        return Verdict(correct, exact, valid, score, reason)

    def misspelt(self, answer: str) -> str:
        """Why a text cannot be an answer at all, in words: :meth:`is_right` is not asked about it."""
        return "" if answer else "the answer is empty"

    # --- more of a problem -----------------------------------------------------------------------

    def augment(self, problems: Sequence[Problem], generator: Generator) -> list[Problem]:
        """Each problem under a random symmetry of the family; as it is where the family has none."""
        return list(problems)

    def puzzle_of(self, problem: Problem) -> str | None:
        """Key of the puzzle whose hidden rule the problem is an example of (ARC); each variant of a puzzle gets a
        vector of its own. ``None``: the rule is the family's, and all problems share one vector."""
        return None

    def combine(self, ranked: Sequence[Answer]) -> Answer:
        """The answer to give when a problem was answered several times, the most frequent answer first."""
        return ranked[0]

    # --- text form ------------------------------------------------------------------------------

    def question_text(self, problem: Problem) -> str:
        """The question as a language model reads it."""
        return problem.question

    def answer_text(self, problem: Problem) -> str:
        """The labelled answer as a language model writes it."""
        return problem.answer

    def parse_answer(self, problem: Problem, text: str) -> Answer | None:
        """The answer that a language model wrote, or ``None`` where it is not one.

        Strict. Derived: the whole text, spaces around it aside.
        """
        kept = text.strip()
        return None if self.misspelt(kept) else Answer(kept)

    def find_answer(self, problem: Problem, text: str) -> Answer | None:
        """The one final answer in the free text of a model that was not trained here; ``None`` where there is none, or
        several."""
        from benchmarks.final_answer import final_answer

        found = final_answer(text)
        return None if found is None else self.parse_answer(problem, found)

    # --- for people -----------------------------------------------------------------------------

    def render(self, problem: Problem, answer: Answer | None = None) -> str:
        """The question, or the question with an answer filled in, as lines of monospaced text."""
        return problem.question if answer is None else f"{problem.question}\n{answer.text}"


FAMILIES: Registry[Task] = Registry(
    kind="task family",
    base="benchmarks.task:Task",
    group="reasoning_kit.tasks",
    own={
        "sudoku": "benchmarks.puzzles.sudoku.task:Sudoku",
        "maze": "benchmarks.puzzles.maze.task:Maze",
        "graph-coloring": "benchmarks.puzzles.graph_coloring.task:GraphColoring",
        "satisfiability": "benchmarks.puzzles.satisfiability.task:Satisfiability",
        "job-shop": "benchmarks.puzzles.job_shop.task:JobShop",
        "arc": "benchmarks.puzzles.arc.task:ARC",
        "arithmetic": "benchmarks.verifiable.arithmetic:Arithmetic",
        "sequences": "benchmarks.verifiable.sequences:Sequences",
        "countdown": "benchmarks.verifiable.countdown.task:Countdown",
        "gsm8k": "benchmarks.verifiable.gsm8k:GSM8K",
        "svamp": "benchmarks.verifiable.svamp:SVAMP",
        "aqua": "benchmarks.verifiable.aqua:AQuA",
        "gym": "benchmarks.verifiable.gym.task:Gym",
        "humaneval": "benchmarks.verifiable.code.humaneval:HumanEval",
        "mbpp": "benchmarks.verifiable.code.mbpp:MBPP",
        "cruxeval": "benchmarks.verifiable.code.cruxeval:CRUXEval",
        "exercism": "benchmarks.verifiable.code.exercism:Exercism",
    },
)


def family_class(family: str) -> type[Task]:
    """The class that implements a family.

    Raises:
        UserError: if there is no such family.
    """
    return FAMILIES[family]


def load_task(family: str, **options: Any) -> Task:
    """Build a task: ``load_task("sudoku", size=6, givens="minimal")``.

    Raises:
        UserError: if the family, an option or an option's value is unknown.
    """
    cls = family_class(family)
    known = {f.name for f in fields(cls)}  # type: ignore[arg-type]  # every Task is a dataclass
    for key in options:
        if key not in known:
            raise UserError(f"the family '{family}' has no option '{key}'.", cure=did_you_mean(key, known))
    return cls(**options)
