"""Mazes on square boards: find a shortest path from S to G. Generated with random walls, or read from Maze-Hard.

The label is the path that breadth-first search finds with neighbour order down, left, right, up, as in Maze-Hard.
Most mazes have many shortest paths: the measure ``exact`` also tests that tie-break, ``valid`` accepts any of them.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import ClassVar

from benchmarks.drawing import Draft
from benchmarks.errors import UserError
from benchmarks.files.csv_rows import Row, checked_rows
from benchmarks.grid_task import GridTask
from benchmarks.options import require, require_choice, require_whole
from benchmarks.problem import Answer, Measure, Problem, Verdict, problem_id
from benchmarks.puzzles.maze import paths
from benchmarks.puzzles.maze.paths import GOAL, OPEN, PATH, START, WALL
from benchmarks.shapes import Generator
from benchmarks.symmetries import Symmetries, to_device

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"  # names of rows and columns in traces
DOT = "."  # an open cell in text form, where spaces are easily lost


@dataclass(frozen=True)
class Maze(GridTask):
    """Shortest paths; ``wall_share`` and ``min_path`` shape generated mazes only.

    Rotations and reflections keep a label *a* shortest path, but not the one that the tie-break chooses. So by default
    they are symmetries of the task with the measure ``valid`` only; with ``exact`` there is none to augment with. The
    splits are disjoint up to them in all cases.

    Attributes:
        size: rows and columns, 3 to 52 (Maze-Hard: 30).
        wall_share: probability that a cell is a wall (Maze-Hard: 0.37 of the cells).
        min_path: cells on the shortest path at least, S and G included; ``None``: one and a half times ``size``.
        dihedral: whether to augment with the eight rotations and reflections. ``True``: as TRM's paper says for
            Maze-Hard, also where ``exact`` is measured; then seven of eight training labels follow another tie-break
            than the one that is tested, and so do the variants that vote. ``False``: never, as in the published
            commands, whose data set has it off unless asked for. ``None``: only where ``valid`` is measured.
    """

    size: int = 8
    wall_share: float = 0.35
    min_path: int | None = None
    measure: Measure = "exact"
    dihedral: bool | None = None

    family: ClassVar[str] = "maze"
    noun: ClassVar[str] = "mazes"

    def __post_init__(self) -> None:
        require_whole("size", self.size, 3, len(LETTERS))
        fits = isinstance(self.wall_share, int | float) and 0 <= self.wall_share <= 0.9
        require(fits, "wall_share", "from 0 to 0.9, for example 0.35", self.wall_share)
        require_whole("min_path", self.min_path, 2, self.positions, or_null=True)
        require_choice("dihedral", self.dihedral, (True, False, None))
        super().__post_init__()

    @property
    def name(self) -> str:
        walls = "" if self.wall_share == Maze.wall_share else f"-{self.wall_share:g}walls"
        path = "" if self.min_path is None else f"-{self.min_path}path"
        return f"maze-{self.size}x{self.size}{walls}{path}"

    @property
    def positions(self) -> int:
        return self.size * self.size

    @property
    def vocabulary(self) -> str:
        """Tokens 1 wall, 2 open, 3 S, 4 G, 5 path; every position has a label, as in TRM."""
        return WALL + OPEN + START + GOAL + PATH

    @property
    def alphabet(self) -> str:
        """Question characters, moves, the letters of rows and columns, and the sign in the middle of a trace."""
        return "".join(dict.fromkeys(WALL + DOT + START + GOAL + paths.ORDER + LETTERS[: self.size] + "|"))

    @property
    def instructions(self) -> str:
        return (
            f"This is a maze of {self.size} rows and {self.size} columns, written row by row without line breaks: "
            f"{WALL} is a wall, {DOT} is open. Find a shortest path from {START} to {GOAL} that goes down, left, right "
            "or up from cell to cell. Answer with its moves as the letters D, L, R and U, for example DDRRU."
        )

    # --- problems -------------------------------------------------------------------------------

    @property
    def more_problems(self) -> str:
        return "Ask for fewer, use a larger size, lower min_path, or bring wall_share nearer to 0.35."

    def draw(self, rng: random.Random) -> Draft | None:
        """Random walls, S anywhere, G anywhere far enough; ``None`` if no cell is."""
        least = self.size * 3 // 2 if self.min_path is None else self.min_path
        board = [WALL if rng.random() < self.wall_share else OPEN for _ in range(self.positions)]
        start = rng.randrange(self.positions)
        board[start] = START

        # Steps from S to every cell that can be reached.
        steps = {start: 0}
        for cell, (before, _) in paths.search(self.size, "".join(board), start).items():
            steps[cell] = steps[before] + 1
        far = [cell for cell, distance in steps.items() if distance >= max(least - 1, 1)]
        if not far:
            return None

        board[rng.choice(far)] = GOAL
        question = "".join(board)
        return Draft(question, self._orbit(question), lambda: self._problem(question))

    def _problem(self, question: str) -> Problem:
        """A checked question with its label."""
        moves = paths.shortest_moves(self.size, question)
        answer = paths.draw_path(self.size, question, moves)
        assert answer is not None
        return Problem(
            problem_id(f"maze-{self.size}x{self.size}", question),
            question,
            answer,
            self._orbit(question),
            {"path": len(moves) + 1},
        )

    def _orbit(self, question: str) -> str:
        return sha256(paths.smallest_image(self.size, question).encode()).hexdigest()[:16]

    def parse_question(self, text: str) -> Problem:
        """A typed maze: rows on lines of their own or separated by ``/``, or all in one; ``.`` or a space is open."""
        where = f"the maze of size {self.size}"
        rows = [row for row in text.replace("\r", "").replace("/", "\n").replace(DOT, OPEN).split("\n") if row]
        board = "".join(rows)
        if len(rows) > 1:
            for number, row in enumerate(rows, start=1):
                if len(row) != self.size or len(rows) != self.size:
                    raise UserError(
                        f"row {number} of {len(rows)} has {len(row)} cells; it takes {self.size} rows of {self.size}.",
                        where=where,
                        cure=f"Use a task with size={len(rows)}, or write open cells as . so that none gets lost.",
                    )
        if fault := self._question_fault(board):
            raise UserError(f"{fault}.", where=where, cure="Correct it; write open cells as . so that none gets lost.")
        return self._problem(board)

    def _question_fault(self, board: str) -> str:
        """What is wrong with a question, in words; empty if it is a maze with a path."""
        if len(board) != self.positions:
            return f"there are {len(board)} cells instead of {self.positions}"
        for cell, char in enumerate(board):
            if char not in WALL + OPEN + START + GOAL:
                return f"'{char}' in {self._place(cell)} is neither # nor a space nor S nor G"
        for char in (START, GOAL):
            if board.count(char) != 1:
                return f"there are {board.count(char)} cells {char} instead of one"
        return "" if paths.shortest_moves(self.size, board) else "no path leads from S to G"

    def _place(self, cell: int) -> str:
        return f"row {cell // self.size + 1}, column {cell % self.size + 1}"

    def read(self, path: str | Path, limit: int | None = None, seed: int = 0) -> list[Problem]:
        """Mazes of a file or data set in the form of Maze-Hard (:mod:`benchmarks.files.csv_rows`), fully checked.

        The label is the row's answer. Any shortest path is accepted there, also one with another tie-break.
        """
        return [
            Problem(
                f"{Path(path).name}:{row.line}",
                row.question,
                row.answer,
                self._orbit(row.question),
                {
                    "path": row.answer.count(PATH) + 2,
                    "source": row.source,
                    "rating": row.rating,
                    "line": row.line,
                },
            )
            for row in checked_rows(path, limit, seed, self._checked)
        ]

    def _checked(self, row: Row) -> Row:
        """The row itself, if the question is a maze of this size and the answer one of its shortest paths."""
        for column, text in (("question", row.question), ("answer", row.answer)):
            if len(text) != self.positions:
                side = round(len(text) ** 0.5)
                square = side * side == len(text) and 3 <= side <= len(LETTERS)
                raise UserError(
                    f"the {column} has {len(text)} characters instead of {self.positions}.",
                    where=row.where,
                    cure=f"Use the task with size={side}." if square else "Restore the row; its spaces matter.",
                )
        if fault := self._question_fault(row.question):
            raise UserError(f"{fault}.", where=row.where, cure="Correct the question or remove the row.")
        if fault := paths.path_fault(self.size, row.question, row.answer):
            raise UserError(
                f"the answer is no shortest path: {fault}.", where=row.where, cure="Correct it or remove the row."
            )
        return row

    # --- judging --------------------------------------------------------------------------------

    def verify(self, problem: Problem, answer: Answer | None) -> Verdict:
        """Exact: the labelled path; valid: any shortest path, nothing else changed.

        The score is the number of ``o`` cells that label and answer share, divided by the number that either has
        (so a copy of the question scores 0).
        """
        if answer is None:
            return Verdict.wrong("no answer could be read")
        text = answer.text
        if len(text) != self.positions:
            return Verdict.wrong(f"the answer has {len(text)} cells instead of {self.positions}")

        # Cells marked o, in the label and in the answer.
        exact = text == problem.answer
        labelled = {cell for cell, char in enumerate(problem.answer) if char == PATH}
        marked = {cell for cell, char in enumerate(text) if char == PATH}
        either = labelled | marked
        score = len(labelled & marked) / len(either) if either else float(exact)
        fault = paths.path_fault(self.size, problem.question, text)
        return self.verdict(
            exact, fault, score, "a shortest path, but not the labelled one (ties go down, left, right, up)"
        )

    # --- grid form ------------------------------------------------------------------------------

    def sample_symmetries(self, batch: int, generator: Generator) -> Symmetries:
        """Uniform over the eight rotations and reflections, or only the identity: ``dihedral`` decides."""
        import torch

        if not (self.measure == "valid" if self.dihedral is None else self.dihedral):
            return Symmetries.identity(batch, self.positions, self.vocabulary_size, generator.device)
        maps = to_device(torch.from_numpy(paths.symmetries(self.size)), generator.device)
        chosen = torch.randint(len(maps), (batch,), generator=generator, device=generator.device)
        tokens = torch.arange(self.vocabulary_size, device=generator.device).expand(batch, -1)
        return Symmetries(maps[chosen], tokens)

    # --- text form ------------------------------------------------------------------------------

    def question_text(self, problem: Problem) -> str:
        """The rows one after another, an open cell as a dot."""
        return problem.question.replace(OPEN, DOT)

    def answer_text(self, problem: Problem) -> str:
        """The labelled path as moves, for example ``DDRRU``."""
        found = paths.search(self.size, problem.answer, problem.answer.index(START), walls=WALL + OPEN)
        return paths.moves_to(found, problem.answer.index(GOAL))

    def parse_answer(self, problem: Problem, text: str) -> Answer | None:
        """Moves from S to G, spaces around them aside; ``None`` if they are no path (it may be longer than need be)."""
        moves = text.strip()
        if not moves or not set(moves) <= set(paths.ORDER):
            return None
        board = paths.draw_path(self.size, problem.question, moves)
        return None if board is None else Answer(board)

    # --- for people -----------------------------------------------------------------------------

    def render(self, problem: Problem, answer: Answer | None = None) -> str:
        """One line per row; open cells are dots."""
        board = problem.question if answer is None else answer.text
        return "\n".join(paths.rows_of(self.size, board.replace(OPEN, DOT)))
