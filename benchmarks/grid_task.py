"""GridTask: a family whose problems also have a grid form, token ids and labels of fixed length.

Symbols and a length are enough for a new family::

    @dataclass(frozen=True)
    class Sorting(GridTask):
        ...  # as in benchmarks.task
        symbols: ClassVar[str] = "0123456789"

        @property
        def length(self):
            return self.digits

The question then fills the first cells of a row and the answer takes their place, as in TRM; cells behind them hold
:attr:`GridTask.fill`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from benchmarks.boards import to_board, to_tokens
from benchmarks.errors import UserError
from benchmarks.problem import Answer, Problem
from benchmarks.shapes import Generator, Int, Tensor
from benchmarks.symmetries import IGNORE, Symmetries
from benchmarks.symmetry_group import Group
from benchmarks.task import FAMILIES, Task, family_class
from benchmarks.user_code import attribute, broken, call

# Token 0 is padding in every family.
PADDING = 0


class GridTask(Task):
    """What recursive models read and fill.

    A new family gives :attr:`symbols` and :attr:`length`, and its :meth:`symmetries` if it has any.

    Attributes:
        symbols: the characters that questions and answers are made of.
        length: of the longest question or answer, in characters.
        fill: the character that stands in cells behind a shorter question or answer. It must not be a symbol.
    """

    symbols: str
    length: int
    fill: ClassVar[str] = "_"

    @classmethod
    def faults(cls) -> list[str]:
        """See :meth:`Task.faults`: a grid form needs symbols and a length."""
        found = super().faults()
        if cls.vocabulary is GridTask.vocabulary and not _has(cls, "symbols"):
            found.append('name the symbols of its grid form: write symbols: ClassVar[str] = "..."')
        if cls.positions is GridTask.positions and not _has(cls, "length"):
            found.append("define length, the number of characters of the longest question or answer")
        return found

    def __post_init__(self) -> None:
        super().__post_init__()
        if type(self).vocabulary is GridTask.vocabulary:
            self._check_symbols()
        if type(self).positions is GridTask.positions:
            length = attribute(self, "length")
            if not isinstance(length, int) or length < 1:
                raise broken(self, "length", f"must be a whole number of at least 1, not {length!r:.40}")

    def _check_symbols(self) -> None:
        symbols = attribute(self, "symbols")
        if not isinstance(symbols, str) or not symbols or len(set(symbols)) < len(symbols):
            raise broken(self, "symbols", f"must be different characters in one text, not {symbols!r:.40}")
        if not isinstance(self.fill, str) or len(self.fill) != 1 or self.fill in symbols:
            raise broken(self, "fill", f"must be one character that is none of the symbols, not {self.fill!r:.40}")

    # --- grid form ------------------------------------------------------------------------------

    @property
    def positions(self) -> int:
        """Length ``l`` of the grid form."""
        return self.length

    @property
    def vocabulary(self) -> str:
        """The character of every token from 1 on; token 0 is padding."""
        return self.fill + self.symbols

    @property
    def vocabulary_size(self) -> int:
        """Tokens, the padding included."""
        return len(self.vocabulary) + 1

    @property
    def answer_cells(self) -> slice | list[int]:
        """The positions that carry labels. Derived: all, so that an answer takes the place of the question."""
        return slice(None)

    def question_row(self, question: str) -> str:
        """A question as the characters of all positions; where the answer is to come, too."""
        return question.ljust(self.positions, self.fill)

    def read_question_row(self, row: str) -> str:
        """The inverse of :meth:`question_row`, also after a symmetry."""
        return row.rstrip(self.fill)

    def answer_row(self, answer: str) -> str:
        """An answer as the characters of :attr:`answer_cells`."""
        return answer.ljust(self.positions, self.fill)

    def read_answer_row(self, row: str) -> str:
        """The inverse of :meth:`answer_row`; of what a model filled in, too, where ``?`` is no symbol."""
        return row.rstrip(self.fill)

    def encode(self, problems: Sequence[Problem]) -> tuple[Int[Tensor, "b l"], Int[Tensor, "b l"]]:
        """Token ids and labels; positions without a label hold :data:`benchmarks.symmetries.IGNORE`."""
        import torch

        questions = [self.question_row(problem.question) for problem in problems]
        input_ids = to_tokens(questions, self.positions, self.vocabulary)

        # Labels of the cells that the answer fills; all others carry no loss.
        labels = torch.full_like(input_ids, IGNORE)
        answers = [self.answer_row(problem.answer) for problem in problems]
        cells = labels[:, self.answer_cells].shape[1]
        labels[:, self.answer_cells] = to_tokens(answers, cells, self.vocabulary)
        return input_ids, labels

    def restore(self, input_ids: Int[Tensor, " l"], labels: Int[Tensor, " l"]) -> tuple[str, str]:
        """The question and answer of one row of :meth:`encode`, its inverse (also after a symmetry)."""
        question = self.read_question_row(to_board(input_ids, self.vocabulary))
        return question, self.read_answer_row(to_board(labels[self.answer_cells], self.vocabulary))

    def decode(self, problem: Problem, tokens: Int[Tensor, " l"]) -> Answer:
        """The answer that a row of predicted tokens spells; a token that is no symbol becomes ``?``."""
        return Answer(self.read_answer_row(to_board(tokens[self.answer_cells], self.vocabulary)))

    def misspelt(self, answer: str) -> str:
        """Derived: an answer is made of symbols, and at most ``length`` of them."""
        if len(answer) > self.positions:
            return f"the answer has {len(answer)} characters, more than {self.positions}"
        strange = next((char for char in answer if char not in self.symbols), "")
        return f"'{strange}' is not a symbol of an answer" if strange else super().misspelt(answer)

    def check_drawn(self, question: str, answer: str) -> None:
        """
        Raises:
            UserError: also if the question or the answer does not fit into the grid.
        """
        super().check_drawn(question, answer)
        for what, text in (("a question", question), ("an answer", answer)):
            if len(text) > self.positions:
                raise broken(
                    self,
                    "draw",
                    f"must return {what} of at most length={self.positions} characters, not {text!r:.60}",
                )
            strange = next((char for char in text if char not in self.symbols), "")
            if strange:
                raise broken(
                    self, "draw", f"must return {what} of the symbols '{self.symbols}'; '{strange}' is none of them"
                )

    # --- symmetries -----------------------------------------------------------------------------

    def symmetries(self) -> Sequence[Sequence[int] | Mapping[str, str]]:
        """Changes of a problem that keep a right answer right; with them go all that come from combining them.

        Returns:
            Each a list of cells, which moves characters (``new[i] = old[cells[i]]``), or a mapping of symbols, which
            renames them. Question and answer change together. Derived: none.
        """
        return ()

    def _group(self) -> Group:
        try:
            return Group.of(call(self, "symmetries"), self.positions, self.vocabulary)
        except ValueError as error:
            raise broken(self, "symmetries", str(error)) from None

    def sample_symmetries(self, batch: int, generator: Generator) -> Symmetries:
        """Random symmetries of the family, one per row; all of its symmetries can be drawn.

        Derived: uniform over all combinations of :meth:`symmetries`.
        """
        return self._group().sample(batch, generator)

    def orbit_of(self, question: str) -> str:
        """Derived: the first in alphabetical order of the images of the question under all symmetries."""
        group = self._group()
        return question if len(group.changes) == 1 else group.smallest_image(self.question_row(question))

    def augment(self, problems: Sequence[Problem], generator: Generator) -> list[Problem]:
        """Each problem under a random symmetry: the same augmentation for language models as for recursive ones."""
        input_ids, labels = self.encode(problems)
        symmetries = self.sample_symmetries(len(problems), generator)
        rows = zip(problems, symmetries.apply(input_ids), symmetries.apply(labels), strict=True)

        moved = []
        for problem, ids, label in rows:
            question, answer = self.restore(ids, label)
            moved.append(replace(problem, question=question, answer=answer))
        return moved

    # --- variants -------------------------------------------------------------------------------

    def variants(self, problem: Problem, most: int) -> int:
        """How many different numbered variants there are, at most ``most``; variant 0 is the problem as it is."""
        return most

    def encode_variants(
        self, problems: Sequence[Problem], variants: Sequence[int], generator: Generator | None = None
    ) -> tuple[Int[Tensor, "b l"], Int[Tensor, "b l"]]:
        """:meth:`encode` each problem under its numbered symmetry; a number always means the same symmetry.

        Args:
            generator: draws what is new each time a training problem is used (ARC: where the grids lie).
        """
        input_ids, labels = self.encode(problems)
        symmetries = self._numbered_symmetries(problems, variants)
        return symmetries.apply(input_ids), symmetries.apply(labels)

    def decode_variant(self, problem: Problem, variant: int, tokens: Int[Tensor, " l"]) -> Answer:
        """The answer to the problem itself, from the tokens predicted for its variant."""
        back = self._numbered_symmetries([problem], [variant]).inverse()
        return self.decode(problem, back.apply(tokens[None])[0])

    def _numbered_symmetries(self, problems: Sequence[Problem], variants: Sequence[int]) -> Symmetries:
        import torch

        rows = [self._numbered_symmetry(p, v) for p, v in zip(problems, variants, strict=True)]
        return Symmetries(torch.cat([r.position for r in rows]), torch.cat([r.token for r in rows]))

    def _numbered_symmetry(self, problem: Problem, variant: int) -> Symmetries:
        if variant == 0:
            return Symmetries.identity(1, self.positions, self.vocabulary_size)
        import torch

        # The number and the problem alone decide.
        digest = hashlib.sha256(f"{problem.id} {variant}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
        return self.sample_symmetries(1, generator)


def _has(cls: type, attribute: str) -> bool:
    """Also an option without a default."""
    return hasattr(cls, attribute) or attribute in getattr(cls, "__dataclass_fields__", {})


def as_grid(task: Task, where: str) -> GridTask:
    """The task, for a method that reads grids.

    Raises:
        UserError: if its family is text only.
    """
    if isinstance(task, GridTask):
        return task
    grids = [name for name in FAMILIES if issubclass(family_class(name), GridTask)]
    raise UserError(
        f"the family '{task.family}' is text only, and a recursive model reads and fills grids.",
        where=where,
        cure=f"Compare language models on it: method=[answer_only,cot,grpo]; or choose one of: {', '.join(grids)}.",
    )
