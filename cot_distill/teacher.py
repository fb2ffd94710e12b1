"""A language model teaches: many traces of each training problem, kept only where the verifier accepts the answer.

Rejection sampling, as in STaR (arXiv 2203.14465) and RFT (arXiv 2308.01825). Wrong traces stay in the file with their
reason, for inspection, and are never learned.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from benchmarks.errors import UserError
from benchmarks.problem import Answer, Problem
from benchmarks.records import write_atomically
from benchmarks.splits import Splits
from benchmarks.statistics import pass_at_k
from benchmarks.task import Task
from benchmarks.text_form import END_THINK, THINK, completion_text
from cot_distill.generators.base import Completion, Sampling
from cot_distill.generators.server import ServerError, alike
from cot_distill.sample_log import Row, SampleLog, read_rows
from cot_distill.server_options import TeacherOptions, deciding
from cot_distill.teacher_sources import Source, open_source

logger = logging.getLogger(__name__)

TRACES, SUMMARY = "traces.jsonl", "teacher.json"
NO_ANSWER, NO_THOUGHT, MARKS = "no answer could be read", "no thought before the answer", "think marks in the thought"
OnProgress = Callable[[int, int], None]


def teach(
    task: Task,
    problems: Sequence[Problem],
    options: TeacherOptions,
    folder: Path,
    fresh: bool = False,
    on_progress: OnProgress = lambda written, accepted: None,
    tell: Callable[[str], None] = logger.warning,
) -> dict[str, Any]:
    """Write ``samples`` traces of every problem into ``folder``, those that are there already left out.

    Args:
        problems: of the training split.
        fresh: move traces of another configuration aside instead of refusing them.
        on_progress: gets how many traces there are and how many of them are right, whenever some are written.
        tell: hears what happened to lines or files.

    Returns:
        the summary, which is also in ``teacher.json``: acceptance per sample and per problem, pass@k, failures, tokens,
        seconds, FLOPs (``None`` where the server does not tell), configuration.

    Raises:
        UserError: if the model cannot be asked or loaded, or the folder holds another configuration.
    """
    configuration = {"task": task.name, "problems": Splits(list(problems), []).fingerprint}
    configuration |= deciding(asdict(options)) | {"served": options.base_url is not None}
    started, before = time.perf_counter(), _seconds_before(folder)
    ids = [problem.id for problem in problems]
    failed: dict[int, str] = {}
    with SampleLog(folder / TRACES, configuration, fresh, tell) as log:
        missing = log.missing(ids, options.samples)
        if len(log.rows) == 0:
            before = 0.0

        def summary() -> dict[str, Any]:
            found = summarise(task, list(log.rows.values()), len(problems), options.samples, failed)
            found["seconds"] = before + time.perf_counter() - started
            return {**found, "base_url": options.base_url, "configuration": configuration}

        try:
            if missing:
                failed = _ask_for(task, problems, missing, options, log, on_progress)
        except ServerError as error:
            raise error.with_saved(len(log.rows), log.path) from None
        finally:  # whatever stops it, the summary is that of the file
            write_atomically(folder / SUMMARY, json.dumps(found := summary(), indent=1))
    texts: dict[str, list[str]] = defaultdict(list)
    for row in log.rows.values():
        texts[row["id"]].append(row["trace"])
    if warning := alike(texts.values(), options.temperature):
        tell(warning)
    return found


def _ask_for(
    task: Task,
    problems: Sequence[Problem],
    missing: Sequence[tuple[int, int]],
    options: TeacherOptions,
    log: SampleLog,
    on_progress: OnProgress,
) -> dict[int, str]:
    """Ask for the missing samples; every one is judged and saved as it comes."""
    source = open_source(task, problems, options)
    prompts = {index: source.prompt(problems[index]) for index, _ in missing}
    accepted = sum(is_accepted(row) for row in log.rows.values())

    def keep(replies: Sequence[tuple[int, Completion]]) -> None:
        nonlocal accepted
        rows = []
        for number, completion in replies:
            index, sample = missing[number]
            rows.append(judged(task, problems[index], sample, completion, source, str(options.model)))
        log.append(rows)
        accepted += sum(is_accepted(row) for row in rows)
        on_progress(len(log.rows), accepted)

    sampling = Sampling(1, options.temperature, options.top_p, source.max_new_tokens, options.seed)
    on_progress(len(log.rows), accepted)
    return source.ask([(prompts[index], sample) for index, sample in missing], sampling, keep, bool(log.rows))


def judged(task: Task, problem: Problem, sample: int, completion: Completion, source: Source, model: str) -> Row:
    """One line of ``traces.jsonl``. ``reason`` says why a trace is of no use; it is empty for those to learn."""
    trace, answer = source.read(problem, completion)
    verdict = task.verify(problem, answer)
    flops = source.price(completion)
    reason = verdict.reason
    if answer is None:
        reason = NO_ANSWER if completion.finished else f"{NO_ANSWER}: cut by max_new_tokens"
    elif verdict.correct:
        reason = _unfit(trace)
    return {
        "id": problem.id,
        "sample": sample,
        "question": problem.question,
        "answer": answer.text if answer is not None else None,
        "trace": trace,
        "correct": verdict.correct,
        "reason": reason,
        "tokens": completion.tokens,
        "prompt_tokens": completion.prompt_tokens,
        "flops": None if math.isnan(flops) else flops,
        "finished": completion.finished,
        "model": model,
    }


def _unfit(trace: str) -> str:
    """Why a trace that leads to a right answer cannot be learned; empty where it can."""
    if not trace.strip():
        return NO_THOUGHT
    return MARKS if THINK in trace or END_THINK in trace else ""


def is_accepted(row: Mapping[str, Any]) -> bool:
    return bool(row["correct"]) and not row["reason"]


def summarise(
    task: Task, rows: Sequence[Row], problems: int, samples: int, failed: Mapping[int, str]
) -> dict[str, Any]:
    """What came of it, in numbers; shares are ``None`` where nothing was written."""
    right: dict[str, list[bool]] = defaultdict(list)
    for row in rows:
        right[row["id"]].append(is_accepted(row))
    whole = [(len(flags), sum(flags)) for flags in right.values() if len(flags) >= samples]
    ks = sorted({*(2**i for i in range(samples.bit_length()) if 2**i <= samples), samples})
    wrong = Counter(_kind(row) for row in rows if not is_accepted(row))
    return {
        "task": task.name,
        "problems": problems,
        "asked": problems * samples,
        "written": len(rows),
        "accepted": sum(map(sum, right.values())),
        "acceptance_per_sample": _share(sum(map(sum, right.values())), len(rows)),
        "acceptance_per_problem": _share(sum(map(any, right.values())), len(right)),
        "pass_at_k": {k: math.fsum(pass_at_k(n, c, k) for n, c in whole) / len(whole) for k in ks} if whole else {},
        "rejected": dict(wrong.most_common()),
        "failed": dict(Counter(failed.values()).most_common()),
        "different": len({(row["id"], row["trace"]) for row in rows if is_accepted(row)}),
        "tokens": _total(rows, "tokens"),
        "prompt_tokens": _total(rows, "prompt_tokens"),
        "flops": _total(rows, "flops"),
    }


def _kind(row: Row) -> str:
    return row["reason"] if row["correct"] or row["answer"] is None else "wrong answer"


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _total(rows: Sequence[Row], key: str) -> float | None:
    """``None`` where one of them is not known."""
    values = [row[key] for row in rows]
    return None if None in values else sum(values)


def summary_of(folder: Path) -> dict[str, Any]:
    """What :func:`teach` left in ``teacher.json``.

    Raises:
        UserError: if it is missing or broken.
    """
    path = folder / SUMMARY
    try:
        found = json.loads(path.read_text())
        if not {"configuration", "acceptance_per_sample", "flops", "seconds"} <= set(found):
            raise ValueError("not all of its keys are there")
    except (OSError, ValueError, TypeError) as error:
        raise UserError(
            f"cannot be read ({error}).",
            where=str(path),
            cure="Give a folder that reasoning-kit teach wrote; the same command writes this file again.",
        ) from None
    return dict(found)


def _seconds_before(folder: Path) -> float:
    """What earlier commands on this folder took."""
    try:
        return float(summary_of(folder)["seconds"])
    except UserError:
        return 0.0


def read_traces(folder: Path, task: Task, problems: Sequence[Problem]) -> dict[str, dict[str, Answer]]:
    """The different accepted traces of each problem, by its id, with their answers; each is verified again.

    What is left out because it belongs to no problem here is reported as a warning.

    Raises:
        UserError: if the file is missing or broken, an accepted line does not fit its problem, or nothing is left.
    """
    path = folder / TRACES
    _, rows = read_rows(path)
    known = {problem.id: problem for problem in problems}
    found: dict[str, dict[str, Answer]] = defaultdict(dict)
    foreign = 0
    for number, row in enumerate(rows, start=2):
        try:
            if not is_accepted(row):
                continue
            problem = known.get(row["id"])
            if problem is None:
                foreign += 1
                continue
            why = _misfit(task, problem, row)
        except (KeyError, TypeError, AttributeError) as error:
            raise _wrong_line(path, number, f"{type(error).__name__}: {error}") from None
        if why:
            raise _wrong_line(path, number, why)
        found[problem.id].setdefault(row["trace"], Answer(row["answer"]))
    if foreign:
        logger.warning("%s: %d accepted traces are of problems that are not trained on here.", path, foreign)
    if not found:
        raise UserError(
            f"no accepted trace of any of the {len(problems)} training problems among {len(rows)}.",
            where=str(path),
            cure="Give a folder whose traces are of this task and these problems, or a better teacher.",
        )
    return dict(found)


def _misfit(task: Task, problem: Problem, row: Row) -> str:
    """Why an accepted line contradicts its problem; empty where it does not."""
    if row["question"] != problem.question:
        return f"another question than {problem.id}'s"
    if not isinstance(row["answer"], str):
        return "it has no answer"
    verdict = task.verify(problem, Answer(row["answer"]))
    return _unfit(row["trace"]) if verdict.correct else f"the answer is not right: {verdict.reason}"


def _wrong_line(path: Path, number: int, why: str) -> UserError:
    return UserError(
        f"an accepted trace that does not fit ({why}).",
        where=f"{path}:{number}",
        cure="The traces are of another task or were changed: teach again into another folder.",
    )


def taught_by(folder: Path, task: Task, problems: Sequence[Problem]) -> Callable[[Problem], Sequence[str]]:
    """The completions to learn for a problem, each of its accepted traces with the answer that it leads to: where many
    answers are right, it need not be the labelled one.

    Raises:
        UserError: as :func:`read_traces` and :func:`summary_of`, which is wanted when training is over; the function
            itself raises ValueError for a problem without a trace.
    """
    summary_of(folder)
    traces = read_traces(folder, task, problems)

    def completions(problem: Problem) -> list[str]:
        if problem.id not in traces:
            raise ValueError("its teacher has no right trace of it")
        taught = traces[problem.id].items()
        return [completion_text(task, replace(problem, answer=answer.text), trace) for trace, answer in taught]

    return completions
