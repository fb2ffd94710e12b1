"""Boolean satisfiability: which variables are true, so that every clause of three literals has a true one?

A question is the string of its clauses (``abCaDe``: a or b or not c, and a or not d or e), an answer one literal per
variable in their order (``aBCdE``). Right answers are counted over all assignments
(:mod:`benchmarks.puzzles.satisfiability.formulas`).
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from benchmarks.drawing import Draft
from benchmarks.errors import UserError
from benchmarks.grid_task import GridTask
from benchmarks.options import require_choice, require_whole
from benchmarks.problem import Answer, Measure, Problem, Verdict, problem_id
from benchmarks.puzzles.satisfiability import formulas
from benchmarks.puzzles.satisfiability.formulas import VARIABLES
from benchmarks.puzzles.satisfiability.input import read_formula
from benchmarks.shapes import Generator
from benchmarks.symmetries import Symmetries, permutations

THRESHOLD = 4.26  # clauses per variable at which half of all large random formulas can be satisfied
BLANK = "."  # an answer cell in a question's grid form
CLAUSES_PER_LINE = 8

Answers = Literal["unique", "many"]


@dataclass(frozen=True)
class Satisfiability(GridTask):
    """Random 3-SAT; every clause has three different variables, and generated clauses differ.

    ``answers="unique"``: exactly one of the ``2 ** variables`` assignments is right, as labelled; nothing is left to
    renaming. Each such formula is drawn equally often (an assignment is chosen, then clauses that it keeps, until no
    other assignment keeps them; a formula with one right answer arises in one way). A true literal then stands in a
    clause more often than a false one, so a vote of the literals guesses single variables well.

    ``answers="many"``: formulas with two right answers or more, each equally often. The label is the first in the order
    of ``a`` true before ``a`` false, then ``b``, and so on.

    Reordering clauses or their literals keeps that first answer; renaming and flipping variables keep it right, but not
    first. So the latter two are symmetries of every task except many answers with the measure ``exact``. The splits are
    disjoint up to all four in any case.

    Attributes:
        variables: 3 to 20.
        clauses: ``None``: 4.26 times ``variables``, where large random formulas are hardest (Crawford and Auton 1996).
            Fewer leave more answers; with ``unique`` they need more search and are rarer.
        answers: ``unique`` or ``many``.
        measure: ``None``: ``exact`` for a unique answer (where it agrees with ``valid``), ``valid`` for many.
    """

    variables: int = 6
    clauses: int | None = None
    answers: Answers = "unique"
    measure: Measure = None  # type: ignore[assignment]  # chosen by __post_init__

    family: ClassVar[str] = "satisfiability"
    noun: ClassVar[str] = "formulas"
    patience: ClassVar[int] = 10_000

    def __post_init__(self) -> None:
        require_whole("variables", self.variables, 3, len(VARIABLES))
        most = 7 * math.comb(self.variables, 3)  # of eight clauses over the same variables one must be left out
        require_whole("clauses", self.clauses, 1, most, or_null=True)
        require_choice("answers", self.answers, get_args(Answers))
        if self.measure is None:
            object.__setattr__(self, "measure", "exact" if self.answers == "unique" else "valid")
        super().__post_init__()

    @property
    def name(self) -> str:
        many = "" if self.answers == "unique" else "-many"
        return f"satisfiability-{self.variables}x{self.clause_count}{many}"

    @property
    def clause_count(self) -> int:
        """``m``: the clauses of every formula."""
        if self.clauses is not None:
            return self.clauses
        return min(round(THRESHOLD * self.variables), 7 * math.comb(self.variables, 3))

    @property
    def positions(self) -> int:
        """Three cells per clause, then one per variable."""
        return 3 * self.clause_count + self.variables

    @property
    def letters(self) -> str:
        """The variables of this size."""
        return VARIABLES[: self.variables]

    @property
    def vocabulary(self) -> str:
        """Tokens 1 blank, then the ``n`` literals that say true, then the ``n`` that say false."""
        return BLANK + self.letters + self.letters.upper()

    @property
    def alphabet(self) -> str:
        """Literals, what separates clauses, and the signs of the traces."""
        return self.letters + self.letters.upper() + ",>?!="

    @property
    def instructions(self) -> str:
        return (
            "These are clauses of three literals each. A small letter says that the variable is true, a capital letter "
            "that it is false. Choose for every variable so that each clause holds at least one of your literals. "
            f"Answer with the {self.variables} literals in alphabetical order without anything between them, for "
            f"example {self.letters[0]}{self.letters[1:].upper()}."
        )

    # --- problems -------------------------------------------------------------------------------

    @property
    def more_problems(self) -> str:
        clauses = "more" if self.answers == "unique" else "fewer"
        return f"Ask for fewer, use more variables, or {clauses} clauses."

    def draw(self, rng: random.Random) -> Draft | None:
        """A random formula; ``None`` if it does not have as many right answers as the task wants."""
        unique = self.answers == "unique"
        clauses = rng.sample(formulas.possible_clauses(self.variables, unique), self.clause_count)
        found = formulas.right_answers(self.variables, clauses).bit_count()
        if found != 1 if unique else found < 2:
            return None

        question = "".join("".join(rng.sample(clause, 3)) for clause in clauses)
        if unique:
            # So far all variables are true in the answer: each is flipped with probability one half.
            flipped = "".join(letter for letter in self.letters if rng.random() < 0.5)
            both = flipped + flipped.upper()
            question = question.translate(str.maketrans(both, both.swapcase()))
        return Draft(question, formulas.orbit(question), lambda: self._problem(question))

    def _problem(self, question: str) -> Problem:
        """A formula that can be satisfied, with its label."""
        table = formulas.right_answers(self.variables, formulas.clauses_of(question))
        return Problem(
            problem_id(f"satisfiability-{self.variables}", question),
            question,
            formulas.first_answer(self.variables, table),
            formulas.orbit(question),
            {"right_answers": table.bit_count()},
        )

    def parse_question(self, text: str) -> Problem:
        """A typed formula, in letters (``abC aDe``; spaces and commas as you like) or in DIMACS.

        It has ``clauses`` clauses; they may repeat. With many answers a formula that has only one is accepted too.
        """
        question = read_formula(text, self.variables, self.clause_count)
        found = formulas.right_answers(self.variables, formulas.clauses_of(question)).bit_count()
        if found == 0:
            raise UserError("no assignment makes every clause true.", where=self.name, cure="Change a clause.")
        if found > 1 and self.answers == "unique":
            raise UserError(
                f"{found} assignments make every clause true.",
                where=self.name,
                cure="Change clauses until one is left, or use a task with answers=many.",
            )
        return self._problem(question)

    # --- judging --------------------------------------------------------------------------------

    def verify(self, problem: Problem, answer: Answer | None) -> Verdict:
        """Exact: the labelled assignment; valid: every clause is true; score: share of variables as in the label."""
        if answer is None:
            return Verdict.wrong("no answer could be read")
        text = answer.text
        if len(text) != self.variables:
            return Verdict.wrong(f"the answer has {len(text)} literals instead of {self.variables}")

        score = sum(a == b for a, b in zip(text, problem.answer, strict=True)) / self.variables
        fault = self._fault(problem.question, text)
        exact = text == problem.answer
        return self.verdict(exact, fault, score, "every clause is true, but it is not the labelled answer")

    def _fault(self, question: str, answer: str) -> str:
        """What is wrong with an answer of the right length, in words; empty if every clause is true."""
        for letter, char in zip(self.letters, answer, strict=True):
            if char not in (letter, letter.upper()):
                return f"'{char}' says neither {letter} nor {letter.upper()}"
        at = formulas.false_clause(question, answer)
        return "" if at is None else f"clause {at + 1}, {question[3 * at : 3 * at + 3]}, is false"

    # --- grid form ------------------------------------------------------------------------------

    @property
    def answer_cells(self) -> slice:
        """The last cells, one for each variable. The clauses before them carry no label."""
        return slice(-self.variables, None)

    def question_row(self, question: str) -> str:
        return question + BLANK * self.variables

    def read_question_row(self, row: str) -> str:
        return row[: -self.variables]

    def answer_row(self, answer: str) -> str:
        return answer

    def read_answer_row(self, row: str) -> str:
        return row

    def sample_symmetries(self, batch: int, generator: Generator) -> Symmetries:
        """Uniform over the orders of clauses and of the literals in each; then over the names of variables and their
        polarities, except where many answers are measured by ``exact`` (see the class)."""
        import torch

        # Orders of the clauses [b, m, 1] and of the literals in each [b, m, 3].
        n, m, device = self.variables, self.clause_count, generator.device
        clauses = permutations(batch, m, generator)[:, :, None] * 3
        literals = permutations(batch * m, 3, generator).view(batch, m, 3)

        # Names and polarities [b, n] of the variables.
        names = torch.arange(n, device=device).expand(batch, n)
        flips = torch.zeros(batch, n, dtype=torch.bool, device=device)
        if self.answers == "unique" or self.measure == "valid":
            names = permutations(batch, n, generator)  # variable v gets the name names[v]
            flips = torch.rand(batch, n, generator=generator, device=device) < 0.5

        position = torch.cat([(clauses + literals).flatten(1), 3 * m + names.argsort(1)], dim=1)
        fixed = torch.arange(2, device=device).expand(batch, 2)
        return Symmetries(position, torch.cat([fixed, 2 + names + n * flips, 2 + names + n * ~flips], dim=1))

    # --- text form ------------------------------------------------------------------------------

    def question_text(self, problem: Problem) -> str:
        """The clauses with commas between them."""
        return ",".join(formulas.clauses_of(problem.question))

    def parse_answer(self, problem: Problem, text: str) -> Answer | None:
        """Exactly one literal per variable, in their order; spaces around them aside."""
        kept = text.strip()
        return Answer(kept) if kept.lower() == self.letters and kept.isascii() else None

    # --- for people -----------------------------------------------------------------------------

    def render(self, problem: Problem, answer: Answer | None = None) -> str:
        """The clauses; with an answer, below it and with a dot for each literal that is false."""
        shown = problem.question
        if answer is not None:
            shown = "".join(literal if literal in answer.text else "." for literal in shown)
        clauses = formulas.clauses_of(shown)
        lines = [" ".join(clauses[at : at + CLAUSES_PER_LINE]) for at in range(0, len(clauses), CLAUSES_PER_LINE)]
        return "\n".join(lines if answer is None else [" ".join(answer.text), *lines])
