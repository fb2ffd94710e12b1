"""What a results folder holds already: runs that belong to the comparison stay, others are refused or moved aside.

A run without a record is unfinished: it goes on from its checkpoints if they are of this very run.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.errors import UserError
from benchmarks.method import TRAINER
from benchmarks.records import RECORD, RunRecord, write_atomically
from reasoning_kit.config.spec import RunSpec, is_same_run

UNFINISHED = "unfinished.json"


def is_finished(spec: RunSpec, folder: Path) -> bool:
    """Whether ``folder`` holds this very run, and its record."""
    return (folder / RECORD).exists() and is_same_run(RunRecord.load(folder), spec)


def resolve(specs: Sequence[RunSpec], problems: Mapping[str, str], out: Path, fresh: bool) -> list[Path]:
    """Make sure that every finished run in ``out`` can stand in one report with ``specs``.

    Args:
        problems: fingerprint of the problems of each task.
        fresh: move the others aside, under a hidden name beside their place.

    Returns:
        where the moved ones are now.

    Raises:
        UserError: without ``fresh``, for the first run of another configuration, on other problems, or unreadable.
    """
    wanted = {out / spec.folder: spec for spec in specs}
    strangers = []
    for task, expected in problems.items():
        for path in sorted((out / task).glob(f"*/seed-*/{RECORD}")):
            try:
                _check(path.parent, expected, wanted)
            except UserError:
                if not fresh:
                    raise
                strangers.append(path.parent)
    return [_move_aside(folder) for folder in strangers]


def _check(folder: Path, problems: str, wanted: Mapping[Path, RunSpec]) -> None:
    record = RunRecord.load(folder)
    spec = wanted.get(folder)
    if spec is not None and not is_same_run(record, spec):
        what = "holds a run of another configuration."
    elif record.data["fingerprint"] != problems:
        what = "holds a run on other problems, with which a new one cannot be compared."
    else:
        return
    raise UserError(what, where=str(folder), cure="Give another folder with --out, or --fresh to move it aside.")


def _move_aside(folder: Path) -> Path:
    target = folder.with_name(f".{folder.name}-{time.strftime('%Y%m%d-%H%M%S')}")
    shutil.move(folder, target)
    return target


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass
class Unfinished:
    """What a run without a record has to remember, kept beside its checkpoints.

    Attributes:
        fingerprint, problems: of the run and of its problems; with other ones its checkpoints are of no use.
        started: when its first attempt began.
        curve, notes: as in :class:`benchmarks.records.RunRecord`, so far.
    """

    fingerprint: str
    problems: str
    started: str = field(default_factory=_now)
    curve: list[dict[str, float]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def save(self, run: Path) -> None:
        write_atomically(run / TRAINER / UNFINISHED, json.dumps(asdict(self), indent=1))

    @classmethod
    def load(cls, run: Path) -> Unfinished | None:
        """``None`` if there is none, or none that can be read."""
        try:
            return cls(**json.loads((run / TRAINER / UNFINISHED).read_text()))
        except (OSError, ValueError, TypeError):
            return None


def resume_or_start(
    run: Path, fingerprint: str, problems: str, resume: bool, tell: Callable[[str], None]
) -> Unfinished:
    """The unfinished run in the folder ``run``, if it is this very one, or else a new one.

    Args:
        resume: without it, a new one in any case.
        tell: hears where checkpoints are that are not used: under a hidden name beside their place.
    """
    left = Unfinished.load(run)
    mine = left is not None and (left.fingerprint, left.problems) == (fingerprint, problems)
    if left is not None and mine and resume:
        return left
    if any((run / TRAINER).glob("**/checkpoint-*")):
        why = "not used, as asked" if mine else "of another configuration or other problems"
        moved = _move_aside(run / TRAINER)
        tell(f"the checkpoints of an unfinished run are {why}: they are now in {moved}, and training starts anew.")
    return Unfinished(fingerprint, problems)
