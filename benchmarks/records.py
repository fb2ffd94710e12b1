"""What a run leaves behind: ``record.json`` (everything about it) and ``predictions.parquet`` (one row per problem).

The report is a pure function of these two files.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from benchmarks.errors import UserError
from benchmarks.evaluation import Prediction

RECORD, PREDICTIONS = "record.json", "predictions.parquet"
SCHEMA = 1


@dataclass
class RunRecord:
    """One method trained on one task with one seed.

    Attributes:
        task: ``name, family, measure``.
        method: the name of its row: ``direct, trm, answer_only, cot, grpo``, or a variant of one of them, which is
            ``config["base"]``; ``config["label"]`` is its name for readers. Records without them are of the five.
        seed: of weights, order and augmentation; the problems have a seed of their own in ``config``.
        config: the resolved configuration of this run; ``fingerprint`` is its hash.
        data: ``fingerprint, train, test, train_orbits, test_orbits, source``.
        budget: ``unit, limit``.
        parameters: ``None`` for a served model of unknown size.
        training: :class:`benchmarks.compute.Cost` as a dict, the start checkpoint's share included.
        peak_memory_bytes: largest resident size of the process.
        energy_joules: of the GPU, where NVML answers.
        metrics: name -> ``{"value", "low", "high", "problems", "clusters", "interval"}``; always ``accuracy``,
            ``exact``, ``valid``; then with only ``value``: the means ``flops_per_answer, seconds_per_answer,
            steps_per_answer, tokens_per_answer``, for language models the throughput ``tokens_per_second``, and
            ``oracle`` (:class:`benchmarks.evaluation.Evaluation`). FLOPs that nobody knows are ``None``.
        curve: accuracy during training: ``{"flops", "seconds", "examples", "accuracy", "problems"}``.
        scaling: accuracy against compute per answer: :class:`benchmarks.evaluation.ScalingPoint` as dicts.
        notes: where this method could not be matched with the others, in words for the reader.
        demo: one test problem solved step by step: ``{"id", "question", "answer", "correct", "steps": [{"label",
            "text", "correct", "halting_probability"}]}``; texts are monospaced.
        diagnostics: what only this method has (GRPO: start accuracy, zero-variance groups).
    """

    task: dict[str, Any]
    method: str
    seed: int
    config: dict[str, Any]
    fingerprint: str
    data: dict[str, Any]
    budget: dict[str, Any]
    parameters: int | None
    training: dict[str, float]
    metrics: dict[str, dict[str, Any]]
    curve: list[dict[str, float]]
    scaling: list[dict[str, Any]]
    notes: list[str]
    demo: dict[str, Any]
    diagnostics: dict[str, Any]
    versions: dict[str, str]
    hardware: dict[str, Any]
    git: dict[str, Any]
    peak_memory_bytes: int
    energy_joules: float | None = None
    started: str = ""
    schema: int = SCHEMA
    loss: list[dict[str, float]] = field(default_factory=list)

    def save(self, folder: Path) -> None:
        write_atomically(folder / RECORD, json.dumps(asdict(self), indent=1))

    @classmethod
    def load(cls, folder: Path) -> RunRecord:
        """Raises UserError if the record is missing, torn, or of another schema."""
        path = folder / RECORD
        try:
            raw = json.loads(path.read_text())
            known = {f.name for f in fields(cls)}
            if not isinstance(raw, dict):
                raise TypeError("no mapping")
            if raw.get("schema") != SCHEMA or not set(raw) <= known:
                raise UserError(
                    f"a record of schema {raw.get('schema')}, this version reads {SCHEMA}.",
                    where=str(path),
                    cure="Run it again into another folder.",
                )
            return cls(**raw)
        except FileNotFoundError:
            raise UserError(
                "no finished run here.", where=str(folder), cure="Give a folder with record.json."
            ) from None
        except (OSError, ValueError, TypeError) as error:
            raise UserError(
                f"not a readable record ({error}).", where=str(path), cure="Delete it and run again."
            ) from None


def write_atomically(path: Path, text: str) -> None:
    """Write beside the target and rename, so that a stopped run leaves the old file or the new one, never half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_text(text)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def save_predictions(folder: Path, predictions: Sequence[Prediction]) -> None:
    """One row per problem: what was asked, answered, judged and paid."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [
        {
            "id": p.problem.id,
            "orbit": p.problem.orbit,
            "question": p.problem.question,
            "label": p.problem.answer,
            "answer": p.solution.answer.text if p.solution.answer else None,
            "correct": p.verdict.correct,
            "exact": p.verdict.exact,
            "valid": p.verdict.valid,
            "score": p.verdict.score,
            "reason": p.verdict.reason,
            "steps": p.solution.steps,
            "tokens": p.solution.tokens,
            "flops": p.solution.flops,
            "seconds": p.solution.seconds,
            "text": p.solution.text,
        }
        for p in predictions
    ]
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".{PREDICTIONS}"
    pq.write_table(pa.Table.from_pylist(rows), partial)
    os.replace(partial, folder / PREDICTIONS)


def load_predictions(folder: Path) -> list[dict[str, Any]]:
    """The rows of ``predictions.parquet``.

    Raises:
        UserError: if the file is missing or broken.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / PREDICTIONS
    try:
        return pq.read_table(path).to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"no readable predictions ({error}).", where=str(path), cure="Run it again.") from None
