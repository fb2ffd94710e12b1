"""All finished runs below a folder, compared task by task."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path

from benchmarks.errors import UserError
from benchmarks.records import RECORD, RunRecord, load_predictions
from reasoning_kit.comparison.claims import JudgedClaim, judge, load_claims
from reasoning_kit.comparison.rows import Run
from reasoning_kit.comparison.task import TaskComparison, compare_task


@dataclass(frozen=True)
class Comparison:
    directory: Path
    tasks: tuple[TaskComparison, ...]

    @property
    def claims(self) -> tuple[JudgedClaim, ...]:
        """Those of ``configs/claims`` whose methods ran."""
        return tuple(chain.from_iterable(self._judged.values()))

    @property
    def claims_title(self) -> str:
        """What stands above them."""
        return "; ".join(self._judged)

    @cached_property
    def _judged(self) -> dict[str, tuple[JudgedClaim, ...]]:
        """By the title of their file; without files whose methods did not run."""
        found = {each.title: judge(each.claims, self.tasks) for each in load_claims()}
        return {title: judged for title, judged in found.items() if judged}


def load_comparison(directory: Path) -> Comparison:
    """Everything below ``directory``, in whatever folders its runs lie; hidden ones hold what was moved aside.

    Raises:
        UserError: if there is no record, one cannot be read, or runs of one task answered different problems.
    """
    by_task: dict[str, list[Run]] = defaultdict(list)
    for path in sorted(directory.glob(f"**/{RECORD}")):
        if any(part.startswith(".") for part in path.relative_to(directory).parts):
            continue
        record = RunRecord.load(path.parent)
        rows = {row["id"]: row for row in load_predictions(path.parent)}
        by_task[record.task["name"]].append(Run(path.parent, record, rows))
    if not by_task:
        raise UserError(
            "no finished run here.", where=str(directory), cure="Run `reasoning-kit compare` first, or name its folder."
        )
    return Comparison(directory, tuple(compare_task(runs) for _, runs in sorted(by_task.items())))
