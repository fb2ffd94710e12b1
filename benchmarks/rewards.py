"""Reward functions for TRL: a task's verifier, and beside it what only shapes (form, length, partial credit).

Rewards train; they are never reported as accuracy. A reward that raises, or whose value is no finite number, is worth 0
for that completion, is counted, and leaves the completion in a file (:class:`Guarded`): training goes on.
"""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.problem import Problem, Verdict
from benchmarks.task import Task
from benchmarks.text_form import END_THINK, THINK, Style, read_completion

logger = logging.getLogger(__name__)

Reward = Callable[..., Sequence[float | None]]  # TRL's form: one value per completion; None: does not apply

OVERLONG_SHARE = 0.2  # DAPO (arXiv 2503.14476, equation 13): 4,096 of 20,480 tokens
KEPT = 10_000  # failures in the file; all are counted


def verifier_reward(task: Task, problems: Sequence[Problem], style: Style) -> Callable[..., list[float]]:
    """Reward 1 for a completion whose answer is correct, else 0.

    Args:
        problems: all that can be asked; the function finds them by the column ``id`` of its rows.
    """
    known = {problem.id: problem for problem in problems}

    def correct(completions: list[str], id: list[str], **_: Any) -> list[float]:
        asked = [known[name] for name in id]
        return [float(verdict.correct) for verdict in judge(task, asked, completions, style)]

    return correct


def judge(task: Task, problems: Sequence[Problem], completions: Sequence[str], style: Style) -> list[Verdict]:
    """The verdict on each completion of its problem, in order; several at a time where the family's verifier waits for
    processes (:attr:`benchmarks.task.Task.concurrent`).

    Raises:
        ValueError: if there are not as many completions as problems.
    """

    def verdict(problem: Problem, text: str) -> Verdict:
        return task.verify(problem, read_completion(task, problem, text, style))

    pairs = list(zip(problems, completions, strict=True))
    if not task.concurrent or len(pairs) < 2:
        return [verdict(*pair) for pair in pairs]
    with ThreadPoolExecutor(min(len(pairs), _at_a_time()), thread_name_prefix="verdict") as threads:
        return list(threads.map(lambda pair: verdict(*pair), pairs))


def _at_a_time() -> int:
    """Two for each core that this process may use: one runs while the other's process starts or ends."""
    return 2 * (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def score_reward(task: Task, problems: Sequence[Problem], style: Style) -> Callable[..., list[float]]:
    """Partial credit: the share of the answer that agrees with the label (:attr:`benchmarks.problem.Verdict.score`)."""
    known = {problem.id: problem for problem in problems}

    def score(completions: list[str], id: list[str], **_: Any) -> list[float]:
        asked = [known[name] for name in id]
        return [verdict.score for verdict in judge(task, asked, completions, style)]

    return score


def format_reward(task: Task, problems: Sequence[Problem], style: Style) -> Callable[..., list[float]]:
    """Reward 1 for an answer in readable form, right or wrong, else 0; with a chain of thought it must stand behind a
    thought that is not empty and ends once."""
    known = {problem.id: problem for problem in problems}

    def formed(problem: Problem, text: str) -> bool:
        if style == "cot":
            thought = text.partition(END_THINK)[0]
            if THINK in text or not thought.strip():
                return False
        return read_completion(task, problem, text, style) is not None

    def format(completions: list[str], id: list[str], **_: Any) -> list[float]:
        return [float(formed(known[name], text)) for text, name in zip(completions, id, strict=True)]

    return format


def overlong_reward(longest: int, share: float = OVERLONG_SHARE) -> Callable[..., list[float]]:
    """DAPO's soft punishment of length: 0 up to ``(1 - share) longest`` tokens, then linear down to -1 at ``longest``.

    Args:
        longest: tokens after which a completion is cut.
    """
    free = (1 - share) * longest

    def length(completion_ids: list[list[int]], **_: Any) -> list[float]:
        return [-min(1.0, max(0.0, len(ids) - free) / (longest - free)) for ids in completion_ids]

    return length


class Guarded:
    """A reward function that cannot stop training.

    Args:
        name: by which its values are logged.
        reward: called with whole batches; after an error once more with each completion by itself, so that only those
            that it cannot judge are failures.
        file: JSON lines with the completions that it failed on, for inspection.
    """

    def __init__(self, name: str, reward: Reward, file: Path) -> None:
        self.__name__, self.reward, self.file = name, reward, file
        self.failures, self._taken = 0, 0

    def __call__(self, completions: list[str], **columns: Any) -> list[float | None]:
        count = len(completions)
        try:
            values = list(self.reward(completions=completions, **columns))
            if len(values) != count:
                raise ValueError(f"{len(values)} rewards for {count} completions")
        except Exception:
            return [self._alone(i, completions[i], _row(columns, i, count)) for i in range(count)]
        return [self._number(v, completions[i], _row(columns, i, count)) for i, v in enumerate(values)]

    def take(self) -> int:
        """Failures since it was last asked."""
        new, self._taken = self.failures - self._taken, self.failures
        return new

    def _alone(self, index: int, completion: str, row: Mapping[str, Any]) -> float | None:
        try:
            values = list(self.reward(completions=[completion], **row))
            if len(values) != 1:
                raise ValueError(f"{len(values)} rewards for 1 completion")
        except Exception as error:
            return self._failed(f"{type(error).__name__}: {error}", completion, row)
        return self._number(values[0], completion, row)

    def _number(self, value: Any, completion: str, row: Mapping[str, Any]) -> float | None:
        if value is None:
            return None
        try:
            number = float(value)
        except (TypeError, ValueError):
            return self._failed(f"the reward must be a number, not {value!r}", completion, row)
        return number if math.isfinite(number) else self._failed(f"the reward is {number}", completion, row)

    def _failed(self, why: str, completion: str, row: Mapping[str, Any]) -> float:
        self.failures += 1
        if self.failures == 1:
            logger.warning("the reward '%s' failed (%s); such completions are in %s.", self.__name__, why, self.file)
        if self.failures <= KEPT:
            state = row.get("trainer_state")
            line = {
                "reward": self.__name__,
                "step": None if state is None else state.global_step,
                "why": why,
                **{key: row[key][0] for key in ("id", "prompts") if key in row},
                "completion": completion,
            }
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with self.file.open("a") as file:
                file.write(json.dumps(line) + "\n")
        return 0.0


def _row(columns: Mapping[str, Any], index: int, count: int) -> dict[str, Any]:
    """The columns of one completion; what is no column (the trainer's state) stays as it is."""
    return {
        key: value[index : index + 1] if isinstance(value, list) and len(value) == count else value
        for key, value in columns.items()
    }
