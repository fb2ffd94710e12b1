"""What a results folder holds already: runs that belong to the comparison stay, others are refused or moved aside."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.errors import UserError
from benchmarks.records import RECORD, RunRecord
from reasoning_kit.config import RunSpec, fingerprint


def is_finished(spec: RunSpec, folder: Path) -> bool:
    """Whether ``folder`` holds this very run. One without a record never finished and has nothing to lose."""
    return (folder / RECORD).exists() and RunRecord.load(folder).fingerprint == fingerprint(spec)


def settle(specs: Sequence[RunSpec], problems: Mapping[str, str], out: Path, fresh: bool) -> list[Path]:
    """Make sure that every finished run in ``out`` can stand in one report with ``specs``.

    Args:
        problems: fingerprint of the problems of each task.
        fresh: move the others aside, under a hidden name beside their place.

    Returns:
        where the moved ones are now.

    Raises:
        UserError: without ``fresh``, for the first run of another configuration, on other problems, or unreadable.
    """
    wanted = {out / spec.folder: fingerprint(spec) for spec in specs}
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


def _check(folder: Path, problems: str, wanted: Mapping[Path, str]) -> None:
    record = RunRecord.load(folder)
    if wanted.get(folder, record.fingerprint) != record.fingerprint:
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
