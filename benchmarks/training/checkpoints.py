"""Checkpoints that survive a crash, for every trainer: written beside their place, checked before they are used.

A checkpoint is written into a hidden folder; when all processes are done, every file is brought to the disk, a
manifest with their sizes and SHA-256 is written last, and one rename makes it ``checkpoint-N``. What carries that name
and agrees with its manifest is whole; anything else is passed over for the one before it. The files themselves are
those of transformers (weights, optimiser, scheduler, random states, log), and ``progress-P.pt`` of every process P.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import broadcast_object_list
from transformers import TrainerCallback, TrainerState
from transformers.trainer_utils import SaveStrategy, TrainOutput, rotate_checkpoints
from transformers.utils import logging as transformers_logging

from benchmarks.compute import Cost
from benchmarks.errors import UserError
from benchmarks.training.budget import Meter
from benchmarks.training.saving import STOPPED, Checkpoints

MANIFEST = "manifest.json"
SAVING, REPLACED, BROKEN, ASIDE = ".saving", ".replaced-", ".broken-", ".aside-"
KEPT = 2  # so that a newest one that is broken has one before it
LOG_WINDOW = ("_tr_loss", "_total_loss_scalar", "_globalstep_last_logged")  # of transformers' Trainer


# --- files ------------------------------------------------------------------------------------------


def seal(folder: Path, step: int, processes: int) -> None:
    """Bring every file to the disk, then write the manifest.

    Args:
        processes: that wrote it; as many must resume from it.
    """
    files = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST):
        with path.open("rb") as file:
            os.fsync(file.fileno())
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        files[str(path.relative_to(folder))] = {"bytes": path.stat().st_size, "sha256": digest}
    content = {"step": step, "processes": processes, "files": files}
    with (folder / MANIFEST).open("w") as manifest:
        json.dump(content | {"sha256": _digest(content)}, manifest, indent=1)
        manifest.flush()
        os.fsync(manifest.fileno())
    for inner in [folder, *(path for path in folder.rglob("*") if path.is_dir())]:
        _sync_folder(inner)


def defect(folder: Path) -> str | None:
    """What is wrong with a checkpoint: a file missing, cut short or changed. ``None`` if it is whole."""
    try:
        content = json.loads((folder / MANIFEST).read_bytes())
        if content.pop("sha256") != _digest(content) or content["step"] != step_of(folder):
            return f"{MANIFEST} was changed"
    except FileNotFoundError:
        return f"it has no {MANIFEST}"
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return f"{MANIFEST} cannot be read"
    for name, expected in content["files"].items():
        try:
            size = (folder / name).stat().st_size
            if size != expected["bytes"]:
                return f"{name} has {size:,} bytes instead of {expected['bytes']:,}"
            with (folder / name).open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != expected["sha256"]:
                    return f"the bytes of {name} have changed"
        except FileNotFoundError:
            return f"{name} is missing"
        except OSError as error:
            return f"{name} cannot be read ({error.strerror})"
    if not any(name.startswith("progress-") for name in content["files"]):
        return "it holds weights only (save_only_model)"
    return None


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.rsplit("-", 1)[1])


def checkpoints_in(folder: Path) -> list[Path]:
    """Everything called like a checkpoint, the newest first."""
    found = [path for path in folder.glob("checkpoint-*") if path.is_dir() and path.name[11:].isdecimal()]
    return sorted(found, key=step_of, reverse=True)


def newest(folder: Path, tell: Callable[[str], None]) -> Path | None:
    """The newest whole checkpoint. Broken ones that are newer get a hidden name, and ``tell`` hears of each."""
    broken, whole = [], None
    for path in checkpoints_in(folder):
        flaw = defect(path)
        if flaw is None:
            whole = path
            break
        broken.append((path, flaw))
    then = f"{whole.name} before it is used" if whole else "there is none before it, so training starts anew"
    for path, flaw in broken:
        hidden = _free(path.with_name(f"{BROKEN}{path.name}"))
        path.rename(hidden)
        tell(f"{path} is not whole: {flaw}; {then}. It is now {hidden.name}.")
    return whole


def clear(folder: Path, keep_checkpoints: bool) -> None:
    """Remove what a finished training needs no more.

    Args:
        keep_checkpoints: only what is left of broken and unfinished ones goes.
    """
    leftovers = [path for path in folder.glob(".*") if path.name.startswith((SAVING, REPLACED, BROKEN))]
    for path in leftovers + ([] if keep_checkpoints else checkpoints_in(folder)):
        shutil.rmtree(path, ignore_errors=True)


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _free(path: Path) -> Path:
    """The path, with a number where it is taken."""
    candidate, number = path, 1
    while candidate.exists():
        candidate, number = path.with_name(f"{path.name}.{number}"), number + 1
    return candidate


@contextmanager
def _no_progress_bar() -> Iterator[None]:
    """Writing weights shows a bar of its own."""
    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            transformers_logging.enable_progress_bar()


# --- trainers ---------------------------------------------------------------------------------------


class CheckpointCallback(TrainerCallback):
    """Asks for a checkpoint by the clock, after the last step, and when the process shall stop."""

    def __init__(self, meter: Meter, options: Checkpoints, processes: int) -> None:
        self.meter, self.options, self.processes = meter, options, processes
        self.saved_at, self.saved_step, self.ask_at = time.monotonic(), 0, 0

    def on_train_begin(self, args, state, control, **_):
        self._restart(state.global_step)

    def on_save(self, args, state, control, **_):
        self._restart(state.global_step)

    def on_step_end(self, args, state, control, **_):
        by_the_clock = args.save_strategy == SaveStrategy.NO and self._due(state.global_step)
        if by_the_clock or self.meter.progress >= 1 or self.options.stop():
            control.should_save = True
        return control

    def _restart(self, step: int) -> None:
        self.saved_at, self.saved_step, self.ask_at = time.monotonic(), step, step + 1

    def _due(self, step: int) -> bool:
        """Several processes go by the first one's clock, about twenty times per interval: asking makes them wait."""
        waited, interval = time.monotonic() - self.saved_at, 60 * self.options.minutes
        if self.processes == 1:
            return waited >= interval
        if step < self.ask_at:
            return False
        pace = max(waited, 1e-3) / max(step - self.saved_step, 1)
        answer = broadcast_object_list([waited >= interval, step + max(1, int(interval / pace / 20))])
        self.ask_at = answer[1]
        return answer[0]


class ResumableTrainerMixin:
    """For ``class MyTrainer(ResumableTrainerMixin, Trainer)``: whole checkpoints, and going on from the newest.

    A subclass adds what only it has in :meth:`save_own_state` and :meth:`load_own_state`. All processes must see one
    file system.
    """

    meter: Meter
    checkpoints: Checkpoints = Checkpoints()
    _saving = False
    _tr_loss: torch.Tensor  # of transformers' Trainer

    def train(self, resume_from_checkpoint: str | bool | None = None, **kwargs: Any) -> Any:
        """As in transformers; ``checkpoints.resume`` or ``True`` goes on from the newest whole checkpoint.

        Raises:
            UserError: if a checkpoint that was named is not whole, or was written by another number of processes.
        """
        trainer: Any = self
        with self.meter.paused():
            start = self._start(resume_from_checkpoint or trainer.args.resume_from_checkpoint)
        trainer.remove_callback(CheckpointCallback)
        if self.checkpoints.minutes > 0:
            trainer.add_callback(CheckpointCallback(self.meter, self.checkpoints, trainer.args.world_size))
        if start is None:
            return super().train(**kwargs)  # type: ignore[misc]  # the Trainer behind the mixin
        spent = Cost(**self._progress(start)["spent"])
        self.checkpoints.on_resume(spent)
        if getattr(spent, self.meter.budget.unit) < self.meter.budget.limit:
            return super().train(resume_from_checkpoint=str(start), **kwargs)  # type: ignore[misc]
        # Saved after the last step: another one would be one too many.
        trainer._load_from_checkpoint(str(start))
        trainer.state = TrainerState.load_from_json(str(start / "trainer_state.json"))
        self.load_own_state(start)
        return TrainOutput(trainer.state.global_step, float("nan"), {})

    def save_own_state(self, folder: Path) -> None:
        """Called in every process, after the optimiser is saved and before the meter is."""

    def load_own_state(self, folder: Path) -> None:
        """Called in every process, before the optimiser is loaded."""
        self.meter.restore(Cost(**self._progress(folder)["spent"]))

    # --- where to start -------------------------------------------------------------------------

    def _start(self, wanted: str | bool | None) -> Path | None:
        """The first process looks, the others follow. What is left of later steps is out of the way afterwards."""
        trainer: Any = self
        answer: list[Path | None] = [None]
        if trainer.is_world_process_zero():
            answer = [self._choose(Path(trainer.args.output_dir), wanted)]
        if trainer.args.world_size > 1:
            answer = broadcast_object_list(answer)
        return answer[0]

    def _choose(self, folder: Path, wanted: str | bool | None) -> Path | None:
        for leftover in (folder / SAVING, *folder.glob(f"{REPLACED}*")):
            shutil.rmtree(leftover, ignore_errors=True)
        if isinstance(wanted, str):
            start: Path | None = Path(wanted)
            if flaw := defect(Path(wanted)):
                raise UserError(f"this checkpoint is not whole: {flaw}.", where=wanted, cure="Name another one.")
        else:
            start = newest(folder, self.checkpoints.tell) if wanted or self.checkpoints.resume else None
        if start is not None:
            self._check_processes(start)
        args: Any = self.args  # type: ignore[attr-defined]
        if self.checkpoints.minutes > 0 or args.save_strategy != SaveStrategy.NO:
            self._set_aside(folder, 0 if start is None else step_of(start))
        return start

    def _check_processes(self, start: Path) -> None:
        trainer: Any = self
        wrote = json.loads((start / MANIFEST).read_text())["processes"]
        if wrote != trainer.args.world_size:
            raise UserError(
                f"the checkpoint was written by {wrote} process(es), here are {trainer.args.world_size}.",
                where=str(start),
                cure="Start as many, or start anew.",
            )

    def _set_aside(self, folder: Path, step: int) -> None:
        """Checkpoints of later steps are of another run: in their place they would be taken for this one's."""
        later = [path for path in checkpoints_in(folder) if step_of(path) > step]
        if not later:
            return
        aside = _free(folder / f"{ASIDE}{time.strftime('%Y%m%d-%H%M%S')}")
        aside.mkdir()
        for path in later:
            path.rename(aside / path.name)
        self.checkpoints.tell(f"{len(later)} checkpoint(s) of another run are now in {aside}.")

    def _progress(self, checkpoint: Path) -> dict[str, Any]:
        args: Any = self.args  # type: ignore[attr-defined]
        return torch.load(checkpoint / f"progress-{args.process_index}.pt", map_location="cpu", weights_only=True)

    # --- transformers' hooks --------------------------------------------------------------------

    def _get_output_dir(self, trial: Any) -> str:
        place = super()._get_output_dir(trial)  # type: ignore[misc]
        return os.path.join(place, SAVING) if self._saving else place

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        trainer: Any = self
        with self.meter.paused(), _no_progress_bar():
            self._saving = True
            try:
                super()._save_checkpoint(model, trial)  # type: ignore[misc]
            finally:
                self._saving = False
            trainer.accelerator.wait_for_everyone()
            place = Path(self._get_output_dir(trial)) / f"checkpoint-{trainer.state.global_step}"
            if trainer.is_world_process_zero():
                self._put_in_place(place)
            trainer.accelerator.wait_for_everyone()
            if trainer.args.push_to_hub:
                super()._push_from_checkpoint(str(place))  # type: ignore[misc]
        if self.checkpoints.stop():
            raise SystemExit(STOPPED)

    def _put_in_place(self, place: Path) -> None:
        args: Any = self.args  # type: ignore[attr-defined]
        written = place.parent / SAVING / place.name
        seal(written, step_of(place), args.world_size)
        if place.exists():
            place.rename(_free(place.with_name(f"{REPLACED}{place.name}")))
        os.replace(written, place)
        _sync_folder(place.parent)
        for leftover in (written.parent, *place.parent.glob(f"{REPLACED}*")):
            shutil.rmtree(leftover, ignore_errors=True)
        limit = args.save_total_limit
        if limit is None and args.save_strategy == SaveStrategy.NO:
            limit = KEPT
        rotate_checkpoints(str(place.parent), limit)

    def _push_from_checkpoint(self, folder: str) -> None:
        """Not from the hidden folder, which is renamed while the hub's client still reads it."""

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        trainer: Any = self
        super()._save_optimizer_and_scheduler(output_dir)  # type: ignore[misc]
        folder = Path(output_dir)
        folder.mkdir(parents=True, exist_ok=True)  # every process writes; another may not be there yet
        self.save_own_state(folder)
        # The log's next entry is a mean since the last one, which transformers forgets.
        window = {name: getattr(trainer, name) for name in LOG_WINDOW}
        state = {"spent": self.meter.spent.to_dict(), "window": window}
        torch.save(state, folder / f"progress-{trainer.args.process_index}.pt")

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            self.load_own_state(Path(checkpoint))
        super()._load_optimizer_and_scheduler(checkpoint)  # type: ignore[misc]

    def _load_rng_state(self, checkpoint: str | None) -> None:
        """Transformers calls it last, after it has emptied the log's window."""
        super()._load_rng_state(checkpoint)  # type: ignore[misc]
        if checkpoint is not None:
            window = self._progress(Path(checkpoint))["window"]
            window["_tr_loss"] = window["_tr_loss"].to(self._tr_loss.device)
            for name, value in window.items():
                setattr(self, name, value)
