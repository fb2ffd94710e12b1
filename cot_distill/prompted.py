"""A pretrained model behind a server answers problems as it is: prompted, sampled, the majority decides.

Its answers go to a file as they come; what is in the file is not asked again.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.evaluation import BATCH_SIZE, Solution, Step
from benchmarks.problem import Answer, Problem
from benchmarks.task import Task
from cot_distill.generators.base import Completion, Sampling
from cot_distill.generators.server import ServerError, alike, connect, price
from cot_distill.prompting import messages, read_answer, read_thought
from cot_distill.sample_log import SampleLog, set_aside
from cot_distill.server_options import PromptedOptions, deciding
from cot_distill.votes import by_vote, majority

logger = logging.getLogger(__name__)


class PromptedSolver:
    """Implements :class:`benchmarks.evaluation.Solver`.

    Args:
        shots: solved problems to show.
        where: of the options in the configuration, for messages.
        log: file of the answers; ``None``: none is kept.

    Attributes:
        notes: what a reader must know, problems included for which the server gave nothing usable.
    """

    def __init__(
        self,
        task: Task,
        options: PromptedOptions,
        shots: Sequence[Problem] = (),
        seed: int = 0,
        where: str = "method.prompted",
        log: Callable[[], SampleLog] | None = None,
    ) -> None:
        self.task, self.options, self.shots, self.log = task, options, shots, log
        self.server = connect(options, where)
        self.sampling = Sampling(1, options.temperature, options.top_p, options.max_new_tokens, seed)
        self.notes = [
            f"A pretrained model ({options.model}) behind {options.base_url}: knowledge from outside that is not in "
            "the budget, and no training here."
        ]

    def solve(
        self,
        problems: Sequence[Problem],
        batch_size: int = BATCH_SIZE,
        on_progress: Callable[[int], None] | None = None,
    ) -> list[Solution]:
        """Ask for all problems, ``concurrency`` requests at a time whatever ``batch_size`` is.

        Raises:
            UserError: if the server is of no use; what it answered is in the file.
        """
        if self.log is None:
            return self._solve(problems, None, on_progress)
        with self.log() as log:
            return self._solve(problems, log, on_progress)

    def _solve(
        self, problems: Sequence[Problem], log: SampleLog | None, on_progress: Callable[[int], None] | None
    ) -> list[Solution]:
        samples = range(self.options.samples)
        rows = {} if log is None else dict(log.rows)
        missing = []
        for index, problem in enumerate(problems):
            missing += [(index, sample) for sample in samples if (problem.id, sample) not in rows]
        left = Counter(i for i, _ in missing)
        prompts = {i: messages(self.task, problems[i], self.shots) for i in left}

        def on_reply(number: int, completion: Completion, seconds: float) -> None:
            index, sample = missing[number]
            row = to_row(problems[index], sample, completion, seconds)
            if log is not None:
                log.append([row])
            rows[problems[index].id, sample] = row
            left[index] -= 1
            if on_progress is not None and not left[index]:
                on_progress(len(problems) - sum(count > 0 for count in left.values()))

        try:
            failed = self.server.ask([(prompts[i], s) for i, s in missing], self.sampling, on_reply, works=bool(rows))
        except ServerError as error:
            raise error if log is None else error.with_saved(len(log.rows), log.path) from None
        self._tell(failed, len(problems) * len(samples))
        texts = [[rows[p.id, s]["text"] for s in samples if (p.id, s) in rows] for p in problems]
        if warning := alike(texts, self.options.temperature):
            self.notes.append(warning)
        busy = max(1, min(self.options.concurrency, len(problems) * len(samples)))
        return [self._solution(p, [rows[p.id, s] for s in samples if (p.id, s) in rows], busy) for p in problems]

    def _tell(self, failed: dict[int, str], asked: int) -> None:
        if failed:
            why = Counter(failed.values()).most_common(1)[0][0]
            note = f"{len(failed)} of {asked} requests got no usable reply and count as no answer; most often: {why}"
            logger.warning(note)
            self.notes.append(note)

    def _solution(self, problem: Problem, rows: Sequence[dict[str, Any]], busy: int) -> Solution:
        """The majority's answer; of samples that were given up nothing is known, and they do not vote."""
        completions = [to_completion(row) for row in rows]
        answers = [read_answer(self.task, problem, completion) for completion in completions]
        known = [completion.tokens for completion in completions if completion.tokens is not None]
        tokens = sum(known) if len(known) == len(completions) else 0  # 0: the server does not tell, shown as a dash
        solution = Solution(
            answer=majority(self.task, answers),
            flops=self._price(completions),
            seconds=sum(row["seconds"] for row in rows) / busy,
            steps=tokens,
            tokens=tokens,
            text="\n".join(completion.text for completion in completions),
            trajectory=_thinking(completions[0], answers[0]) if completions else (Step("answer", ""),),
        )
        if len(completions) < 2:
            return solution
        prices = [self._price(completions[: k + 1]) for k in range(len(completions))]
        return by_vote(solution, self.task, [completion.text for completion in completions], answers, prices)

    def _price(self, completions: Sequence[Completion]) -> float:
        return price(self.options.parameters, completions) if completions else math.nan


def _thinking(completion: Completion, answer: Answer | None) -> tuple[Step, ...]:
    """The thought line by line, then the answer."""
    lines = read_thought(completion).splitlines(keepends=True)
    thoughts = [Step(f"thought {i}", line) for i, line in enumerate(lines, start=1)]
    return (*thoughts, Step("answer", completion.text.rpartition("\n")[2], answer))


def to_row(problem: Problem, sample: int, completion: Completion, seconds: float) -> dict[str, Any]:
    return {
        "id": problem.id,
        "sample": sample,
        "text": completion.text,
        "thought": completion.thought,
        "tokens": completion.tokens,
        "prompt_tokens": completion.prompt_tokens,
        "finished": completion.finished,
        "seconds": round(seconds, 4),
    }


def to_completion(row: dict[str, Any]) -> Completion:
    return Completion(row["text"], row["tokens"], row["prompt_tokens"], row["finished"], thought=row["thought"])


def keep_answers(
    path: Path, options: PromptedOptions, seed: int, problems: str, resume: bool, tell: Callable[[str], None]
) -> Callable[[], SampleLog]:
    """The file that a solver writes its answers to, opened when it solves.

    Args:
        problems: fingerprint of the problems.
        resume: go on from what is there; otherwise, and where it is of another configuration, it is moved aside.
    """
    configuration = {"problems": problems, "seed": seed, **deciding(asdict(options))}
    if not resume and path.exists():
        tell(f"the answers of an unfinished run are not used, as asked: they are now in {set_aside(path)}.")
    return lambda: SampleLog(path, configuration, fresh=True, tell=tell)
