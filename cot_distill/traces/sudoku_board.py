"""The board on which Sudoku traces are replayed: it knows what follows from it, and nothing of the solver."""

from __future__ import annotations

from benchmarks.puzzles.sudoku.rules import EMPTY, units, units_of

LETTERS = "abcdefghi"


def name(size: int, cell: int) -> str:
    """Row letter and column letter, as traces write them."""
    return LETTERS[cell // size] + LETTERS[cell % size]


def cell_of(size: int, written: str) -> int:
    """The inverse of :func:`name`."""
    return LETTERS.index(written[0]) * size + LETTERS.index(written[1])


class Board:
    """Filled digits (0: empty), digits used per unit, and digits struck per cell by retractions; bit d is digit d."""

    def __init__(self, size: int, digits: list[int], used: list[int], struck: list[int], clash: bool = False) -> None:
        self.size, self.digits, self.used, self.struck = size, digits, used, struck
        self.clash = clash  # a unit holds a digit twice
        self.all = (1 << (size + 1)) - 2
        self.of, self.units = units_of(size), units(size)

    @classmethod
    def of_question(cls, size: int, question: str) -> Board:
        board = cls(size, [0] * size**2, [0] * (3 * size), [0] * size**2)
        for cell, char in enumerate(question):
            if char != EMPTY:
                board.fill(cell, int(char))
        return board

    def copy(self) -> Board:
        return Board(self.size, self.digits.copy(), self.used.copy(), self.struck.copy(), self.clash)

    @property
    def text(self) -> str:
        """Row by row, as questions and answers are written."""
        return "".join(str(digit) if digit else EMPTY for digit in self.digits)

    @property
    def open_cells(self) -> list[int]:
        return [cell for cell, digit in enumerate(self.digits) if not digit]

    def fill(self, cell: int, digit: int) -> None:
        self.digits[cell] = digit
        for unit in self.of[cell]:
            self.clash |= bool(self.used[unit] & 1 << digit)
            self.used[unit] |= 1 << digit

    def candidates(self, cell: int) -> int:
        if self.digits[cell]:
            return 0
        row, column, box = self.of[cell]
        return self.all & ~(self.used[row] | self.used[column] | self.used[box] | self.struck[cell])

    def naked(self, cell: int) -> int:
        """The cell's only candidate; 0 if it has none or several."""
        options = self.candidates(cell)
        return 0 if options & (options - 1) else max(options.bit_length() - 1, 0)

    def follows(self, cell: int, digit: int) -> bool:
        """Whether ``digit``, a candidate, is the cell's only one, or has no other place in one of its units."""
        bit = 1 << digit
        if self.candidates(cell) == bit:
            return True
        return any(
            not any(self.candidates(other) & bit for other in self.units[unit] if other != cell)
            for unit in self.of[cell]
        )

    def single(self, cell: int) -> int:
        """The first digit that follows for the cell; 0 if none does."""
        options = self.candidates(cell)
        digits = (digit for digit in range(1, self.size + 1) if options & 1 << digit)
        return next((digit for digit in digits if self.follows(cell, digit)), 0)

    def contradiction(self) -> bool:
        """Whether a digit stands twice in a unit, an empty cell has no candidate, or a unit no place for a digit."""
        options = [self.candidates(cell) for cell in range(self.size**2)]
        if self.clash or any(not digit and not option for digit, option in zip(self.digits, options, strict=True)):
            return True
        for number, unit in enumerate(self.units):
            places = self.used[number]
            for cell in unit:
                places |= options[cell]
            if places != self.all:
                return True
        return False


class Replay:
    """A board with the guesses that stand on it; its changes are refused where they do not follow."""

    def __init__(self, size: int, question: str) -> None:
        self.board = Board.of_question(size, question)
        self._guesses: list[tuple[int, int, Board]] = []

    def guess(self, cell: int, digit: int) -> None:
        """Assume a candidate.

        Raises:
            ValueError: if it is none.
        """
        self.require_candidate(cell, digit)
        self._guesses.append((cell, digit, self.board.copy()))
        self.board.fill(cell, digit)

    def retract(self, cell: int, digit: int) -> None:
        """Undo the newest guess and all since, and strike its digit from its cell.

        Raises:
            ValueError: if it is not that guess, or nothing speaks against it.
        """
        if not self._guesses or self._guesses[-1][:2] != (cell, digit):
            raise ValueError(f"{self.what(cell, digit)} is retracted, but is not the newest standing guess")
        if not self.board.contradiction():
            raise ValueError(f"{self.what(cell, digit)} is retracted without a contradiction")
        _, _, self.board = self._guesses.pop()
        self.board.struck[cell] |= 1 << digit

    def require_candidate(self, cell: int, digit: int) -> None:
        if not self.board.candidates(cell) & 1 << digit:
            raise ValueError(f"{self.what(cell, digit)} is no candidate")

    def what(self, cell: int, digit: int) -> str:
        """For messages; people count from 1."""
        return f"{digit} in row {cell // self.board.size + 1}, column {cell % self.board.size + 1}"

    def require_end(self, answer: str) -> None:
        if self.board.text != answer:
            raise ValueError(f"the trace ends with {self.board.text}, the label is {answer}")


def best_guess(board: Board) -> tuple[int, int]:
    """The first open cell with fewest candidates, and the lowest of them."""
    cell = min(board.open_cells, key=lambda c: board.candidates(c).bit_count())
    options = board.candidates(cell)
    return cell, (options & -options).bit_length() - 1
