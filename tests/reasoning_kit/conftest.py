"""Synthetic but well-formed runs: 2 tasks x 5 methods x 3 seeds, with curves and a problem played step by step.

And real ones: every method on every family for two steps, trained once per session by the command line itself.
"""

from __future__ import annotations

import io
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Smoke, call, run_smoke

from benchmarks.evaluation import Prediction, Solution
from benchmarks.problem import Answer, Problem, Verdict
from benchmarks.records import RunRecord, save_predictions
from reasoning_kit.cli import main

ACCURACY = {
    "sudoku-4x4": {"direct": 0.31, "trm": 0.985, "answer_only": 0.22, "cot": 0.71, "grpo": 0.76},
    "arithmetic-mul-2x2": {"direct": 0.09, "trm": 0.79, "answer_only": 0.14, "cot": 0.8, "grpo": 0.83},
}
PARAMETERS = {"direct": 131_000, "trm": 131_000, "answer_only": 521_000, "cot": 521_000, "grpo": 521_000}
ANSWER_FLOPS = {"direct": 2.1e6, "trm": 2.4e8, "answer_only": 1.9e7, "cot": 1.6e8, "grpo": 1.55e8}
STEPS = {"direct": 1, "trm": 16, "answer_only": 1, "cot": 9, "grpo": 9}
NOTES = {
    "cot": ["Its traces are written by a program that knows how to solve the task: supervision beyond the answer."],
    "grpo": [
        "Its traces are written by a program that knows how to solve the task: supervision beyond the answer.",
        "Starts from the cot checkpoint of the same seed; that training is part of its budget.",
    ],
}
QUESTION = "+-----+-----+\n| . . | 3 . |\n| . 3 | . . |\n+-----+-----+\n| 1 . | . . |\n| . . | . 4 |\n+-----+-----+"
SOLVED = "+-----+-----+\n| 2 1 | 3 4 |\n| 4 3 | 1 2 |\n+-----+-----+\n| 1 4 | 2 3 |\n| 3 2 | 4 1 |\n+-----+-----+"
SOLVED = SOLVED.replace("| 3 2 | 4 1 |", "| 3 2 | 1 4 |").replace("| 4 3 | 1 2 |", "| 4 3 | 2 1 |")
SOLVED = SOLVED.replace("| 1 4 | 2 3 |", "| 1 4 | 3 2 |")


def _grid_steps(steps: int) -> list[dict[str, Any]]:
    """An answer that becomes right cell by cell."""
    asked = [i for i, (a, b) in enumerate(zip(QUESTION, SOLVED, strict=True)) if a != b]
    result = []
    for step in range(steps):
        text = list(SOLVED)
        for i in asked[int(len(asked) * (step + 1) / steps) :] if steps > 1 else asked[:5]:
            text[i] = "2" if SOLVED[i] != "2" else "3"
        correct = "".join(text) == SOLVED
        halting = 1 / (1 + math.exp(4 - 8 * step / max(steps - 1, 1)))
        result.append({"label": f"step {step + 1}", "text": "".join(text), "correct": correct})
        result[-1]["halting_probability"] = halting if steps > 1 else None
    return result


def _text_steps(task: str, method: str) -> list[dict[str, Any]]:
    grid = task.startswith("sudoku")
    pieces = ["<think>", "r2c3: 2 left", "r1c4: 4 & only 4", "r3c4 = 2", "r1c1 = 2", "r4c3 = 1", "check", "</think>"]
    if not grid:
        pieces = ["<think>", "27*4=108", "27*30=810", "108+810", "=918", "carry 1", "check", "</think>"]
    final = SOLVED if grid else "27*34 = 918"
    wrong = method == "answer_only"
    if wrong:
        final = final.replace("2", "3", 1) if grid else "27*34 = 928"
    trace = [] if wrong else [{"label": f"piece {i + 1}", "text": text} for i, text in enumerate(pieces)]
    steps: list[dict[str, Any]] = [{**s, "correct": None, "halting_probability": None} for s in trace]
    return [*steps, {"label": "answer", "text": final, "correct": not wrong, "halting_probability": None}]


def demo_of(task: str, method: str) -> dict[str, Any]:
    grid = task.startswith("sudoku")
    question, answer = (QUESTION, SOLVED) if grid else ("27*34 = ?", "27*34 = 918")
    if method in ("direct", "trm"):
        steps = _grid_steps(STEPS[method])
        if not grid:
            for i, step in enumerate(steps):
                step["text"] = answer if step["correct"] else f"27*34 = {900 + i}"
    else:
        steps = _text_steps(task, method)
    return {
        "id": f"{task}-test-0",
        "question": question,
        "answer": answer,
        "correct": steps[-1]["correct"],
        "steps": steps,
    }


def make_run(
    root: Path, task: str, method: str, seed: int, /, problems: int = 120, accuracy: float | None = None, **changes: Any
) -> RunRecord:
    """Write one run below ``root`` as the experiment does; ``changes`` replace fields of its record.

    A variant needs ``config={"base": ...}`` and its accuracy.
    """
    target = ACCURACY[task][method] if accuracy is None else accuracy
    generator = np.random.default_rng([seed, sum(map(ord, task + method))])
    kind = changes.get("config", {}).get("base", method)
    hard = np.random.default_rng(0).random(problems)  # the same problems are hard for every method
    right = 0.6 * hard + 0.4 * generator.random(problems) < np.clip(target + generator.normal(0, 0.015), 0, 1)
    flops, answer_flops = 1.1e12 * generator.uniform(0.99, 1.01), ANSWER_FLOPS[kind]
    predictions = [
        Prediction(
            Problem(f"{task}-test-{i}", f"q{i}", f"a{i}", orbit=f"o{i}"),
            Solution(Answer(f"a{i}" if ok else "?"), flops=answer_flops, seconds=0.002, steps=STEPS[kind]),
            Verdict(bool(ok), bool(ok), bool(ok), float(ok)),
        )
        for i, ok in enumerate(right)
    ]
    value = float(right.mean())
    shares = [0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 1.0]
    fields: dict[str, Any] = {
        "task": {"name": task, "family": task.split("-")[0], "measure": "exact"},
        "method": method,
        "seed": seed,
        "config": {"method": {"name": method, "learning_rate": 0.002}, "text": "<b>not markup</b>"},
        "fingerprint": f"{seed:02d}ab34ef",
        "data": {"fingerprint": f"data-of-{task}", "train": 1000, "test": problems, "source": "generated"},
        "budget": {"unit": "flops", "limit": 1.1e12},
        "parameters": PARAMETERS[kind],
        "training": {"flops": flops, "seconds": 95.0 + seed, "examples": 64000, "tokens": 10**6, "steps": 900},
        "metrics": {name: {"value": value} for name in ("accuracy", "exact", "valid")}
        | {"flops_per_answer": {"value": answer_flops}, "seconds_per_answer": {"value": 0.002}}
        | {"steps_per_answer": {"value": STEPS[kind]}}
        | {"tokens_per_answer": {"value": 0 if kind in ("direct", "trm") else 41.5}},
        "curve": [
            {"flops": flops * s, "seconds": 95 * s, "examples": 64000 * s, "accuracy": value * s**0.4, "problems": 64}
            for s in shares
        ],
        "scaling": [
            {"label": f"{k + 1} steps", "flops_per_answer": answer_flops * (k + 1) / STEPS["trm"], "problems": problems}
            | {"accuracy": value * (1 - 0.75 * math.exp(-k / 3))}
            for k in range(STEPS["trm"])
        ]
        if kind == "trm"
        else [{"label": "whole answer", "flops_per_answer": answer_flops, "accuracy": value, "problems": problems}],
        "notes": NOTES.get(kind, []),
        "demo": demo_of(task, kind),
        "diagnostics": {"start_accuracy": 0.45} if kind == "grpo" else {},
        "versions": {"torch": "2.13.0", "transformers": "5.16.0"},
        "hardware": {"cpu": "2 cores", "gpu": None},
        "git": {"revision": "d231158", "dirty": False},
        "peak_memory_bytes": 734_003_200,
        "started": f"2026-01-0{seed + 1}T10:00:00",
    }
    record = RunRecord(**(fields | changes))
    folder = root / task / method / f"seed-{seed}"
    save_predictions(folder, predictions)
    record.save(folder)
    return record


@pytest.fixture(scope="session")
def comparison_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2 tasks x 5 methods x 3 seeds."""
    root = tmp_path_factory.mktemp("comparison")
    for task, methods in ACCURACY.items():
        for method in methods:
            for seed in range(3):
                make_run(root, task, method, seed)
    return root


@pytest.fixture(scope="session")
def run_factory():
    return make_run


# --- real runs, see command_line.py -----------------------------------------------------------------


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The published data sets."""
    folder = Path(os.environ.get("REASONING_KIT_DATA", Path(__file__).parents[3] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no data sets at {folder}: set REASONING_KIT_DATA to the folder that holds sudoku_extreme/")
    return folder


@pytest.fixture(scope="session")
def program() -> Callable[..., subprocess.CompletedProcess[str]]:
    return call


@pytest.fixture
def said(monkeypatch, capsys, tmp_path) -> Callable[..., str]:
    """What a command prints that ends with ``code``, run in this process from ``tmp_path``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("REASONING_KIT_DATA", raising=False)

    def run(*words: object, code: int = 0, stdin: str = "", columns: int = 200) -> str:
        monkeypatch.setattr(sys, "argv", ["reasoning-kit", *map(str, words)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        monkeypatch.setenv("COLUMNS", str(columns))
        with pytest.raises(SystemExit) as ending:
            main()
        out, err = capsys.readouterr()
        assert ending.value.code == code, err
        assert bool(err) == bool(code), err
        return err if code else out

    return run


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Smoke:
    """Five methods, three families, two steps each."""
    return run_smoke(tmp_path_factory.mktemp("here"))
