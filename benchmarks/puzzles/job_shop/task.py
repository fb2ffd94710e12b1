"""Job-shop scheduling: who starts when, so that every job is done by the earliest deadline that can be met.

Each job visits each machine once, in an order of its own; a machine does one operation at a time, without a break.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import ClassVar, Literal

from benchmarks.drawing import Draft
from benchmarks.errors import UserError
from benchmarks.grid_task import GridTask
from benchmarks.options import require_choice, require_whole
from benchmarks.problem import Answer, Measure, Problem, Verdict, problem_id
from benchmarks.puzzles.job_shop import rules
from benchmarks.puzzles.job_shop.rules import MACHINES, Shop
from benchmarks.puzzles.job_shop.search import filled, has_one_schedule, search, shortest
from benchmarks.shapes import Generator
from benchmarks.symmetries import Symmetries, permutations

NUMBERS = "0123456789abcdefghijklmnopqrstuvwxyz"  # one character and one token for each time and duration
BLANK = "."  # a start in the question
LARGEST = 4  # jobs and machines


@dataclass(frozen=True)
class JobShop(GridTask):
    """Schedules that meet the earliest possible deadline, which the question gives.

    A question is, job by job, the machines (``A`` to ``D``), then the durations, the deadline, and blanks for the
    starts; an answer is the starts. The label is the schedule that settles, in reading order, each two operations of
    one machine in favour of the job with the lower number where a schedule then still meets the deadline, and starts
    every operation as early as these orders allow.

    The symmetries are the permutations of the jobs and the renamings of the machines. Permuting the jobs keeps a label
    *a* schedule, but with ``answers=many`` perhaps not the one that the tie-break chooses: with ``measure=exact`` only
    the machines are renamed there. Running time backwards maps schedules onto schedules too, but changes start times
    as no renaming of tokens can, so it is not drawn; the splits are disjoint up to it nevertheless.

    Attributes:
        jobs: 2 to 4.
        machines: 2 to 4.
        longest: the longest duration, 1 to 9.
        horizon: the latest deadline, up to 35; shops that take longer are not drawn.
        answers: ``unique``: exactly one tuple of start times (in whole numbers) meets the deadline, so no operation
            can start later either; ``many``: at least two do.
    """

    jobs: int = 3
    machines: int = 2
    longest: int = 4
    horizon: int = 9
    answers: Literal["unique", "many"] = "unique"
    measure: Measure = "valid"

    family: ClassVar[str] = "job-shop"
    noun: ClassVar[str] = "shops"
    patience: ClassVar[int] = 5_000

    def __post_init__(self) -> None:
        require_whole("jobs", self.jobs, 2, LARGEST)
        require_whole("machines", self.machines, 2, LARGEST)
        require_whole("longest", self.longest, 1, 9)
        require_whole("horizon", self.horizon, max(self.jobs, self.machines), len(NUMBERS) - 1)
        require_choice("answers", self.answers, ("unique", "many"))
        super().__post_init__()

    @property
    def name(self) -> str:
        longest = "" if self.longest == JobShop.longest else f"-{self.longest}long"
        horizon = "" if self.horizon == JobShop.horizon else f"-{self.horizon}late"
        return f"{self._size}{longest}{horizon}{'-many' if self.answers == 'many' else ''}"

    @property
    def _size(self) -> str:
        return f"job-shop-{self.jobs}x{self.machines}"

    @property
    def _operations(self) -> int:
        return self.jobs * self.machines

    @property
    def positions(self) -> int:
        return 3 * self._operations + 1

    @property
    def vocabulary(self) -> str:
        """Token 1 blank, then the machines, then the numbers from 0 to ``horizon``, for durations and times alike."""
        return BLANK + MACHINES[: self.machines] + NUMBERS[: self.horizon + 1]

    @property
    def alphabet(self) -> str:
        """Decimal digits, machines, the signs of question and answer, and those of the traces."""
        return "0123456789" + MACHINES[: self.machines] + "/=;?!"

    @property
    def instructions(self) -> str:
        zero = "0" * self.width
        return (
            "This is a job shop. Each job, separated by /, lists its operations in their order: a machine and how long "
            "it takes. A machine does one operation at a time, without a break, and a job goes on when its operation "
            "before is done. Find start times so that all jobs are done by the deadline, the number behind =. Answer "
            f"with the start of every operation in the order of the question, {self.width} digit(s) each, jobs "
            f"separated by /, for example {'/'.join([zero * self.machines] * self.jobs)}."
        )

    # --- problems -------------------------------------------------------------------------------

    @property
    def more_problems(self) -> str:
        return "Ask for fewer, or raise jobs, machines, longest or horizon."

    def draw(self, rng: random.Random) -> Draft | None:
        """Random orders and durations; ``None`` where the deadline is too late, no job has to wait for a machine, or
        there are more or fewer schedules than ``answers`` says.

        Few random shops have one schedule. So where one is wanted, operations are lengthened into idle time; to leave
        room for that below ``longest``, many are drawn shorter.
        """
        most = rng.randint(1, self.longest) if self.answers == "unique" else self.longest
        machine: list[int] = []
        for _ in range(self.jobs):
            machine += rng.sample(range(self.machines), self.machines)
        shop = Shop(self.machines, tuple(machine), tuple(rng.randint(1, most) for _ in machine))

        found = shortest(shop, self.horizon)
        if found is None:
            return None
        deadline, starts = found
        if self.answers == "unique":
            shop = filled(shop, deadline, starts)
        if max(shop.duration) > self.longest or not rules.has_waits(shop, starts):
            return None
        if has_one_schedule(shop, deadline) != (self.answers == "unique"):
            return None
        return Draft.of(self._problem(shop, deadline, starts))

    def _problem(self, shop: Shop, deadline: int, starts: Sequence[int]) -> Problem:
        """A checked shop with its label."""
        machines = "".join(MACHINES[machine] for machine in shop.machine)
        question = machines + _numbers((*shop.duration, deadline)) + BLANK * self._operations
        guesses = 0
        for step in search(shop, deadline):
            guesses += step.kind == "guess"
            if step.kind == "solved":
                break
        return Problem(
            problem_id(self._size, question),
            question,
            _numbers(starts),
            sha256(rules.canonical_form(shop).encode()).hexdigest()[:16],
            {"deadline": deadline, "guesses": guesses},
        )

    def read_question(self, question: str) -> tuple[Shop, int]:
        """The shop and the deadline of a canonical question."""
        count = self._operations
        machine = tuple(map(MACHINES.index, question[:count]))
        *duration, deadline = map(NUMBERS.index, question[count : 2 * count + 1])
        return Shop(self.machines, machine, tuple(duration)), deadline

    def parse_question(self, text: str) -> Problem:
        """A typed shop such as ``A3B1/B2A4``: a job per line or separated by ``/``, each operation as its machine and
        its duration; ``=8`` at the end, the deadline, may be left out. Spaces mean nothing."""
        where = f"the {self._size} shop"
        jobs, equals, typed = "".join(text.strip().replace("\n", "/").split()).upper().partition("=")
        shop = self._typed_shop(jobs.strip("/").split("/"), where)
        found = shortest(shop, self.horizon)
        if found is None:
            raise UserError(
                f"no schedule ends by {self.horizon}, the latest deadline of the task.",
                where=where,
                cure="Shorten operations, or use a task with a larger horizon.",
            )
        deadline, starts = found
        if equals and typed.lstrip("0") != str(deadline):
            raise UserError(
                f"the deadline is '{typed}', but the earliest that can be met is {deadline}.",
                where=where,
                cure=f"Write ={deadline}, or leave the deadline out.",
            )
        if self.answers == "unique" and not has_one_schedule(shop, deadline):
            raise UserError(
                f"it has more than one schedule that ends by {deadline}.",
                where=where,
                cure="Lengthen an operation that has room to move, or use a task with answers=many.",
            )
        return self._problem(shop, deadline, starts)

    def _typed_shop(self, jobs: list[str], where: str) -> Shop:
        letters = MACHINES[: self.machines]
        example = "/".join("".join(f"{letter}1" for letter in letters) for _ in range(self.jobs))
        if len(jobs) != self.jobs:
            raise UserError(
                f"there are {len(jobs)} jobs instead of {self.jobs}.",
                where=where,
                cure=f"Write it like {example}, or use a task with jobs={len(jobs)}.",
            )
        for number, job in enumerate(jobs, start=1):
            for at, char in enumerate(job):
                allowed = "123456789"[: self.longest] if at % 2 else letters
                if char not in allowed:
                    raise UserError(
                        f"'{char}' stands where one of {', '.join(allowed)} is expected.",
                        where=f"{where}, job {number}",
                        cure=f"Write machine and duration of each operation, like {example}.",
                    )
            if len(job) != 2 * self.machines or set(job[::2]) != set(letters):
                raise UserError(
                    f"'{job}' does not visit each of {', '.join(letters)} once.",
                    where=f"{where}, job {number}",
                    cure=f"Write machine and duration of each operation, like {example}.",
                )
        row = "".join(jobs)
        return Shop(self.machines, tuple(map(MACHINES.index, row[::2])), tuple(map(int, row[1::2])))

    # --- judging --------------------------------------------------------------------------------

    def verify(self, problem: Problem, answer: Answer | None) -> Verdict:
        """Exact: the labelled start times; valid: any schedule that meets the deadline.

        The score is the share of the start times that equal the label's.
        """
        if answer is None:
            return Verdict.wrong("no answer could be read")
        text = answer.text
        if len(text) != self._operations:
            return Verdict.wrong(f"the answer has {len(text)} start times instead of {self._operations}")

        score = sum(a == b for a, b in zip(text, problem.answer, strict=True)) / self._operations
        shop, deadline = self.read_question(problem.question)
        for operation, char in enumerate(text):
            if char not in NUMBERS:
                return Verdict.wrong(f"{shop.name_of(operation)} starts at '{char}', no time", score)

        fault = rules.fault(shop, deadline, [NUMBERS.index(char) for char in text])
        exact = text == problem.answer
        return self.verdict(exact, fault, score, "a schedule that meets the deadline, but not the labelled one")

    # --- grid form ------------------------------------------------------------------------------

    @property
    def answer_cells(self) -> slice:
        """The starts, at the end."""
        return slice(-self._operations, None)

    def answer_row(self, answer: str) -> str:
        return answer

    def read_answer_row(self, row: str) -> str:
        return row

    def sample_symmetries(self, batch: int, generator: Generator) -> Symmetries:
        """Uniform over the permutations of the jobs and the renamings of the machines; the jobs stay where there are
        many answers and ``exact`` is measured."""
        import torch

        # Jobs [b, jobs] move with all that belongs to them: machines, durations and starts.
        count, device = self._operations, generator.device
        if self.answers == "many" and self.measure == "exact":
            jobs = torch.arange(self.jobs, device=device).expand(batch, -1)
        else:
            jobs = permutations(batch, self.jobs, generator)
        cells = (jobs[:, :, None] * self.machines + torch.arange(self.machines, device=device)).flatten(1)
        deadline = torch.full((batch, 1), 2 * count, device=device)

        # Tokens [b, v]: only the machines are renamed.
        tokens = torch.arange(self.vocabulary_size, device=device).repeat(batch, 1)
        first = 1 + self.vocabulary.index(MACHINES[0])
        tokens[:, first : first + self.machines] = first + permutations(batch, self.machines, generator)
        return Symmetries(torch.cat([cells, cells + count, deadline, cells + 2 * count + 1], dim=1), tokens)

    # --- text form ------------------------------------------------------------------------------

    @property
    def width(self) -> int:
        """Decimal digits of a time in text form."""
        return len(str(self.horizon))

    def question_text(self, problem: Problem) -> str:
        """For example ``A3B1/B2A4=7``; the deadline has as many digits as the horizon."""
        shop, deadline = self.read_question(problem.question)
        jobs = ("".join(f"{MACHINES[machine]}{duration}" for machine, duration in row) for row in shop.rows)
        return f"{'/'.join(jobs)}={deadline:0{self.width}d}"

    def answer_text(self, problem: Problem) -> str:
        """The labelled start times job by job, for example ``03/03`` or, with two digits each, ``0003/0003``."""
        times = [f"{NUMBERS.index(char):0{self.width}d}" for char in problem.answer]
        return "/".join("".join(times[at : at + self.machines]) for at in range(0, len(times), self.machines))

    def parse_answer(self, problem: Problem, text: str) -> Answer | None:
        """Exactly the form of :meth:`answer_text`, spaces around it aside; no time is later than the horizon."""
        jobs = text.strip().split("/")
        digits = "".join(jobs)
        if [len(job) for job in jobs] != [self.width * self.machines] * self.jobs or not set(digits) <= set(
            NUMBERS[:10]
        ):
            return None
        times = [int(digits[at : at + self.width]) for at in range(0, len(digits), self.width)]
        return None if max(times) > self.horizon else Answer(_numbers(times))

    # --- for people -----------------------------------------------------------------------------

    def render(self, problem: Problem, answer: Answer | None = None) -> str:
        """A line per job; an answer adds each start, and a line per machine that shows when it does which job.

        ``*``: two jobs at once; ``|``: the deadline.
        """
        shop, deadline = self.read_question(problem.question)
        starts = "" if answer is None else answer.text.ljust(self._operations, "?")
        lines = [f"deadline {deadline}"]
        for job in range(self.jobs):
            shown = []
            for operation in range(job * self.machines, (job + 1) * self.machines):
                begin = f" from {_number(starts[operation])}" if starts else ""
                shown.append(f"{MACHINES[shop.machine[operation]]} {shop.duration[operation]}{begin}")
            lines.append(f"job {job + 1}: " + ", ".join(shown))
        return "\n".join(lines + (_chart(shop, deadline, starts) if starts else []))


def _chart(shop: Shop, deadline: int, starts: str) -> list[str]:
    """Per machine, which job it does in each unit of time; a start that is no number is left out."""
    ends = [NUMBERS.find(char) + duration for char, duration in zip(starts, shop.duration, strict=False)]
    rows = [["."] * max(deadline, *ends) for _ in range(shop.machines)]
    for operation, machine in enumerate(shop.machine):
        if (start := NUMBERS.find(starts[operation])) >= 0:
            for time in range(start, ends[operation]):
                busy = rows[machine][time] != "."
                rows[machine][time] = "*" if busy else str(operation // shop.machines + 1)
    return [f"{MACHINES[m]} {''.join(row[:deadline])}|{''.join(row[deadline:])}".rstrip() for m, row in enumerate(rows)]


def _numbers(values: Sequence[int]) -> str:
    return "".join(NUMBERS[value] for value in values)


def _number(char: str) -> str:
    """A number for people: decimal; ``?`` for what is none."""
    return str(NUMBERS.index(char)) if char in NUMBERS else "?"
