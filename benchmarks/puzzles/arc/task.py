"""ARC-AGI-1, ARC-AGI-2 and ConceptARC: find the rule behind a few pairs of grids, and apply it to another grid.

Each task of ARC is a puzzle with a rule of its own, so a recursive model learns a vector per puzzle and variant, also
from the demonstrations of the tasks that it is tested on (:mod:`benchmarks.puzzles.arc.splits`). An answer holds up to
two grids, because ARC grants two attempts.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import ClassVar, Literal, NoReturn

import numpy as np

from benchmarks.errors import UserError
from benchmarks.grid_task import PADDING, GridTask
from benchmarks.options import require_choice
from benchmarks.problem import Answer, Measure, Problem, Split, Verdict
from benchmarks.puzzles.arc import splits as arc_splits
from benchmarks.puzzles.arc.files import FORM, parse_task
from benchmarks.puzzles.arc.grids import NOTHING, SIDE, crop, is_grid, lay, lift, to_grid, to_text
from benchmarks.puzzles.arc.splits import GIVES, NEXT
from benchmarks.puzzles.arc.variants import CACHED, PuzzleVariants, Variant, puzzle_variants
from benchmarks.shapes import Generator, Int, Tensor
from benchmarks.symmetries import IGNORE, Symmetries

OR = "|"  # between the attempts of an answer


@dataclass(frozen=True)
class ARC(GridTask):
    """Grids of at most 30 by 30 cells in ten colours.

    ARC's rule: an answer is right if one of two attempts is. So ``valid`` (any of the attempts) is the measure, and
    ``exact`` asks the first attempt alone. ARC's own score is the mean over tasks of the share of a task's test inputs
    that were answered: :func:`benchmarks.puzzles.arc.score.puzzle_score`.

    A question is ``input>output;input>output;input``, each grid as rows of digits separated by ``/``; an answer is one
    grid, or several separated by ``|``, the most trusted first.

    Attributes:
        attempts: grids that an answer may hold, 1 or 2.
    """

    attempts: Literal[1, 2] = 2
    measure: Measure = "valid"

    family: ClassVar[str] = "arc"

    def __post_init__(self) -> None:
        require_choice("attempts", self.attempts, (1, 2))
        super().__post_init__()

    @property
    def name(self) -> str:
        return "arc" if self.attempts == 2 else "arc-1-attempt"

    @property
    def positions(self) -> int:
        return SIDE * SIDE

    @property
    def vocabulary(self) -> str:
        """The end-of-grid mark and the colours."""
        return "#0123456789"

    @property
    def alphabet(self) -> str:
        return "0123456789/" + GIVES + NEXT + OR

    @property
    def instructions(self) -> str:
        return (
            f"These are pairs of grids, input{GIVES}output, separated by {NEXT}. A grid is written row by row, rows "
            "separated by /, a digit per cell. One rule leads from each input to its output. Find it and apply it to "
            "the last input. Answer with the last output grid in the same form"
            + (f"; you may give {self.attempts} attempts, separated by {OR}." if self.attempts > 1 else ".")
        )

    # --- problems -------------------------------------------------------------------------------

    def generate(self, split: Split, count: int, seed: int) -> NoReturn:
        """ARC's tasks were made by people: there is no generator."""
        raise UserError(
            "ARC has no generator of problems.",
            where=self.name,
            cure="Name files (train_file and test_file), as task=arc-agi-1 data=FOLDER does.",
        )

    def parse_question(self, text: str) -> Problem:
        """A typed task with one test pair, as JSON: ``{"train": [pair, ...], "test": [pair]}``.

        The output of the test pair must be there, because every problem has its label. ``"puzzle"`` may name the puzzle
        whose vectors a model has learned, for example ``arc_agi_1/evaluation/00576224``.
        """
        where = "the typed task"
        try:
            raw = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise UserError(f"it is no JSON ({error}).", where=where, cure=FORM) from None
        task = parse_task(raw, "typed", f"typed/{sha256(text.encode()).hexdigest()[:12]}", where)
        if len(task.test) != 1:
            raise UserError(f"it has {len(task.test)} test pairs.", where=where, cure="Keep one of them.")
        return arc_splits.asked_problems(replace(task, puzzle=str(raw.get("puzzle", task.puzzle))))[0]

    def read(self, path: str | Path, limit: int | None = None, seed: int = 0) -> list[Problem]:
        """The test pairs of a file, a folder or a set on the Hub (:mod:`benchmarks.puzzles.arc.files`)."""
        return arc_splits.read_test(path, limit, seed)

    def read_splits(
        self,
        train_files: Sequence[str | Path],
        test_file: str | Path,
        train_size: int | None,
        test_size: int | None,
        seed: int,
    ) -> tuple[list[Problem], list[Problem]]:
        """Pairs of the training tasks and demonstrations of the test tasks; test pairs of the test tasks.

        Raises:
            UserError: as :func:`benchmarks.puzzles.arc.splits.read_splits`, above all for a leak.
        """
        return arc_splits.read_splits(train_files, test_file, train_size, test_size, seed)

    # --- judging --------------------------------------------------------------------------------

    def verify(self, problem: Problem, answer: Answer | None) -> Verdict:
        """Exact: the first attempt is the labelled grid; valid: one of the attempts is (ARC's two-attempt rule).

        The score is the share of right cells of the best attempt that has the right shape, else 0.
        """
        if answer is None:
            return Verdict.wrong("no answer could be read")
        tries = answer.text.split(OR)
        if len(tries) > self.attempts:
            return Verdict.wrong(f"the answer has {len(tries)} grids, {self.attempts} are allowed")

        score = max(_share(problem.answer, text) for text in tries)
        fault = "" if problem.answer in tries else _fault(problem.answer, tries[0])
        return self.verdict(tries[0] == problem.answer, fault, score, "only the second attempt is right")

    def combine(self, ranked: Sequence[Answer]) -> Answer:
        """One answer from several, the most trusted first: their first grids become the attempts, each once."""
        first = dict.fromkeys(answer.text.split(OR)[0] for answer in ranked)
        grids = [text for text in first if is_grid(text)]
        return Answer(OR.join(grids[: self.attempts]) or NOTHING)

    # --- grid form ------------------------------------------------------------------------------

    def encode(self, problems: Sequence[Problem]) -> tuple[Int[Tensor, "b l"], Int[Tensor, "b l"]]:
        """Test input and output in the top left corner of 30 by 30 tokens (:mod:`benchmarks.puzzles.arc.grids`).

        The output's padding has no label. The demonstrations are not in it: the puzzle's vector stands for them.
        """
        return self.encode_variants(problems, [0] * len(problems))

    def restore(self, input_ids: Int[Tensor, " l"], labels: Int[Tensor, " l"]) -> tuple[str, str]:
        """The test input and the output, wherever they lie: a row holds no demonstrations."""
        given, wanted = (_canvas(row.clamp(min=PADDING)) for row in (input_ids, labels))
        return to_text(lift(given)), to_text(lift(wanted))

    def decode(self, problem: Problem, tokens: Int[Tensor, " l"]) -> Answer:
        """The largest rectangle of colours in the top left corner, ``?`` where there is none."""
        grid = crop(_canvas(tokens))
        return Answer(NOTHING if grid is None else to_text(grid))

    def sample_symmetries(self, batch: int, generator: Generator) -> Symmetries:
        """Refused: a turn moves the cells of each grid by its own size, so it is no permutation of positions.

        The numbered variants are ARC's symmetries; :meth:`augment` draws from them for language models.
        """
        raise UserError(
            "the symmetries of ARC are no permutations of positions.",
            where=self.name,
            cure="Augment with numbered variants (augmentations), or switch it off (augment=false).",
        )

    # --- puzzles and their variants -------------------------------------------------------------

    def puzzle_of(self, problem: Problem) -> str:
        """Set and task: a test pair shares the vectors of its own demonstrations."""
        return problem.meta["puzzle"]

    def variants(self, problem: Problem, most: int) -> int:
        """At most so many as make the puzzle's known pairs look different (:mod:`benchmarks.puzzles.arc.variants`)."""
        return min(most, len(_variants_of(problem)))

    def encode_variants(
        self, problems: Sequence[Problem], variants: Sequence[int], generator: Generator | None = None
    ) -> tuple[Int[Tensor, "b l"], Int[Tensor, "b l"]]:
        """See :meth:`Task.encode_variants`.

        Args:
            generator: draws where the grids lie, input and output at the same place, anywhere that both fit. As in the
                published builder one pair of each puzzle stays in the corner: here each with that probability.
        """
        import torch

        canvases = np.zeros((2, len(problems), SIDE, SIDE), dtype=np.int64)
        draws = np.zeros((len(problems), 3)) if generator is None else _uniform((len(problems), 3), generator)
        for row, (problem, number) in enumerate(zip(problems, variants, strict=True)):
            puzzle = _variants_of(problem)
            variant = puzzle[number]
            given, wanted = (variant.apply(to_grid(text)) for text in (_asked(problem), problem.answer))
            top = left = 0
            if draws[row, 0] * puzzle.pairs >= 1:  # never without a generator
                room = SIDE + 1 - np.maximum(given.shape, wanted.shape)
                top, left = (draws[row, 1:] * room).astype(int).tolist()
            for canvas, grid in zip(canvases[:, row], (given, wanted), strict=True):
                lay(canvas, grid, top, left)
        input_ids, labels = torch.from_numpy(canvases.reshape(2, len(problems), self.positions))
        return input_ids, labels.masked_fill(labels == PADDING, IGNORE)

    def decode_variant(self, problem: Problem, variant: int, tokens: Int[Tensor, " l"]) -> Answer:
        grid = crop(_canvas(tokens))
        return Answer(NOTHING if grid is None else to_text(_variants_of(problem)[variant].undo(grid)))

    # --- text form ------------------------------------------------------------------------------

    def question_text(self, problem: Problem) -> str:
        """Demonstrations and test input in one line, up to the sign that the output follows."""
        return problem.question + GIVES

    def parse_answer(self, problem: Problem, text: str) -> Answer | None:
        """One grid, or as many as there are attempts; spaces around them aside nothing else."""
        tries = text.strip().split(OR)
        return Answer(OR.join(tries)) if len(tries) <= self.attempts and all(map(is_grid, tries)) else None

    def augment(self, problems: Sequence[Problem], generator: Generator) -> list[Problem]:
        """Each problem, demonstrations included, under one of its puzzle's variants, all equally likely."""
        moved = []
        for problem, draw in zip(problems, _uniform((len(problems),), generator), strict=True):
            puzzle = _variants_of(problem)
            variant = puzzle[int(draw * len(puzzle))]
            pairs = (pair.split(GIVES) for pair in problem.question.split(NEXT))
            question = NEXT.join(GIVES.join(_image(text, variant) for text in pair) for pair in pairs)
            moved.append(replace(problem, question=question, answer=_image(problem.answer, variant)))
        return moved

    # --- for people -----------------------------------------------------------------------------

    def render(self, problem: Problem, answer: Answer | None = None) -> str:
        """One block of lines per pair, the input left and the output, or the attempts, right."""
        blocks = [pair.split(GIVES) for pair in problem.question.split(NEXT)]
        blocks[-1] += [NOTHING] if answer is None else answer.text.split(OR)
        return "\n\n".join(_side_by_side(block) for block in blocks)


def _asked(problem: Problem) -> str:
    """The test input."""
    return problem.question.rpartition(NEXT)[2]


def _variants_of(problem: Problem) -> PuzzleVariants:
    return _known_variants(problem.meta["puzzle"], problem.question, problem.answer, problem.meta["split"])


@lru_cache(CACHED)
def _known_variants(puzzle: str, question: str, answer: str, split: Split) -> PuzzleVariants:
    """The same for all problems of a puzzle: only what training sees decides, never the answer to a test."""
    *shown, asked = question.split(NEXT)
    pairs = [(given, wanted) for given, _, wanted in (pair.partition(GIVES) for pair in shown)]
    if split == "train":
        pairs.append((asked, answer))
    return puzzle_variants(puzzle, tuple(sorted(pairs)))


def _image(text: str, variant: Variant) -> str:
    return to_text(variant.apply(to_grid(text)))


def _canvas(tokens: Int[Tensor, " l"]) -> Int[np.ndarray, "30 30"]:
    return tokens.reshape(SIDE, SIDE).cpu().numpy()


def _uniform(shape: tuple[int, ...], generator: Generator) -> np.ndarray:
    import torch

    return torch.rand(shape, generator=generator, device=generator.device, dtype=torch.float64).cpu().numpy()


def _share(label: str, text: str) -> float:
    """Share of right cells; 0 if the text is no grid of the label's shape."""
    if not is_grid(text) or _shape(text) != _shape(label):
        return 0.0
    return float(np.mean(to_grid(text) == to_grid(label)))


def _fault(label: str, text: str) -> str:
    if not is_grid(text):
        return "no grid could be read"
    if _shape(text) != _shape(label):
        return f"the grid is {_shape(text)} instead of {_shape(label)}"
    wrong = int(np.sum(to_grid(text) != to_grid(label)))
    return f"{wrong} of {to_grid(label).size} cells are wrong"


def _shape(text: str) -> str:
    return f"{text.count('/') + 1}x{len(text.split('/')[0])}"


def _side_by_side(texts: Sequence[str]) -> str:
    """Grids from left to right, their first rows joined by arrows."""
    grids = [text.split("/") for text in texts]
    lines = []
    for row in range(max(map(len, grids))):
        cells = [(grid[row] if row < len(grid) else "").ljust(max(map(len, grid))) for grid in grids]
        lines.append((" -> " if row == 0 else "    ").join(cells).rstrip())
    return "\n".join(lines)
