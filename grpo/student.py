"""RL first, then distillation: the policy that GRPO trained writes traces, and a student learns those that are right.

DeepSeek-R1 (arXiv 2501.12948, section 2.4) makes its small models in this way. Here all of it comes from one budget:
the policy with its start checkpoint, the writing of traces, right or wrong, and the student's training. Traces stand in
the form of ``reasoning-kit teach``, so that others can learn from them too.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from trl import SFTConfig

from benchmarks.compute import Cost, language_model_price
from benchmarks.errors import UserError
from benchmarks.evaluation import batched
from benchmarks.language_models import ModelOptions
from benchmarks.method import TrainingRun
from benchmarks.records import write_atomically
from benchmarks.splits import Splits
from benchmarks.task import Task
from benchmarks.training.budget import Meter
from benchmarks.training.saving import STOPPED
from benchmarks.training.trainer_options import checked_options
from cot_distill.generators.base import Completion, Sampling
from cot_distill.generators.transformers import TransformersGenerator
from cot_distill.language_model import load_tokenizer, model_config
from cot_distill.sample_log import Row, SampleLog, set_aside
from cot_distill.teacher import SUMMARY, TRACES, judged, summarise
from cot_distill.teacher_sources import own_model
from cot_distill.train import TrainedLanguageModel
from cot_distill.train import train as distill
from grpo.options import GRPOOptions
from grpo.train import TrainedPolicy
from grpo.train import train as train_policy

POLICY, WRITTEN, STUDENT = "policy", "traces", "pupil"  # folders of a run; the first and the last also of its trainer
WHERE = "method.grpo.pupil"


@dataclass(kw_only=True)
class TaughtStudent(TrainedLanguageModel):
    """A student; its meter holds what the whole run spent.

    Attributes:
        policy: its teacher, whose model is on the CPU.
        teaching: what came of the writing, as ``teacher.json`` has it.
        costs: of each phase: ``policy``, ``writing``, ``pupil``.
    """

    policy: TrainedPolicy
    teaching: dict[str, Any]
    costs: dict[str, Cost]


def train(run: TrainingRun[GRPOOptions]) -> TaughtStudent:
    """Train a policy, let it write, and train a student, until the budget is spent.

    Milestones before the policy's share ends are of the policy, those in the student's training of the student; while
    traces are written there is nothing to measure. The phases ``start`` and ``policy`` are announced. ``run.keep``
    gets ``policy``, the policy's weights, and ``traces``. What is written goes to the disk batch by batch, and is
    charged as it was when a stopped run goes on.

    Raises:
        UserError: as :func:`grpo.train.train`; if the student's model cannot be loaded, or the verifier accepts
            nothing that the policy writes.
    """
    options, own, keep = run.options, run.options.pupil, run.keep
    if keep is None:
        raise ValueError("a run that teaches a student must have a folder to keep what its policy writes")
    student_model = checked_student(run.task, options, run.model)

    # Phase 1: the policy.
    policy = train_policy(run.phase(POLICY, own.policy_share))
    run.ended("policy", policy.solver(run.task, "cot"))
    policy.model.generation_config.max_new_tokens = policy.max_new_tokens
    policy.model.save_pretrained(keep / POLICY)
    policy.tokenizer.save_pretrained(keep / POLICY)

    # Phase 2: it writes, within its share of the budget.
    def written(spent: Cost) -> None:
        if run.on_progress is not None:
            run.on_progress(policy.meter.spent + spent)
        if run.checkpoints.stop():
            raise SystemExit(STOPPED)

    teaching, writing = write(replace(run, budget=run.budget.share(own.writing_share)), policy, written)
    if not teaching["accepted"]:
        raise UserError(
            f"the verifier accepted none of the {teaching['written']} traces that the policy wrote.",
            where=WHERE,
            cure="A policy that solves nothing teaches nothing: give it more of the budget (policy_share), a larger "
            "budget, or a better start (method.grpo.start).",
        )

    # Phase 3: the student, from what is left.
    policy.model.to("cpu")  # type: ignore[arg-type]  # room for the student
    before = policy.meter.spent + writing
    distillation = replace(own.distillation, traces=str(keep / WRITTEN), solver=options.solver)
    last = run.rest(
        before, options=distillation, model=student_model, folder=run.folder / STUDENT, test_prompts=lambda: ()
    )
    taught = distill(last, "cot")
    return TaughtStudent(
        model=taught.model,
        tokenizer=taught.tokenizer,
        meter=Meter(run.budget, before + taught.meter.spent),
        losses=[*policy.losses, *taught.losses],
        max_new_tokens=taught.max_new_tokens,
        warnings=taught.warnings,
        solving=options.solver,
        policy=policy,
        teaching=teaching,
        costs={"policy": policy.meter.spent, "writing": writing, "pupil": taught.meter.spent},
    )


def checked_student(task: Task, options: GRPOOptions, model_options: ModelOptions) -> ModelOptions:
    """The student's model; what would fail late fails now.

    Raises:
        UserError: naming the option.
    """
    student_model = options.pupil.model.over(model_options, "method.grpo.pupil.model")
    checked_options(options.pupil.distillation.trainer, SFTConfig, f"{WHERE}.distillation.trainer")
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        raise UserError("traces are written in one process only.", where=WHERE, cure="Start one process.")
    try:
        model_config(student_model, len(load_tokenizer(student_model, task)))
    except UserError as error:
        raise UserError(error.what, where=f"{WHERE}.model.path={student_model.path}", cure=error.cure) from None
    return student_model


def write(
    run: TrainingRun[GRPOOptions],
    policy: TrainedLanguageModel,
    on_batch: Callable[[Cost], None] = lambda spent: None,
) -> tuple[dict[str, Any], Cost]:
    """Traces of the problems, in an order drawn by the seed, until all samples are there or the budget is spent.

    A batch is generated until its longest completion ends, and all of that is charged, to its rows in equal parts.
    Batches that are on the disk already are not written again, but charged.

    Args:
        run: its ``keep`` holds the policy's weights, and gets ``traces/traces.jsonl`` and ``traces/teacher.json``.
        on_batch: gets what is spent so far.

    Returns:
        the content of ``teacher.json``, and what all of it cost.
    """
    assert run.keep is not None
    task, problems, options, checkpoints = run.task, run.problems, run.options, run.checkpoints
    folder, samples = run.keep / WRITTEN, options.pupil.samples
    configuration = _configuration(run, policy)
    generator = TransformersGenerator(policy.model, policy.tokenizer, options.batch_size)
    source = own_model(task, generator, policy.tokenizer, policy.model.config, policy.max_new_tokens, WHERE)
    shape = language_model_price(policy.model.config)
    meter = Meter(run.budget)
    if not checkpoints.resume and (folder / TRACES).exists():
        checkpoints.tell(f"traces of an earlier attempt are now in {set_aside(folder / TRACES)}.")

    def ask(part: Sequence[int], sample: int, number: int) -> list[Row]:
        started, replies = time.perf_counter(), dict[int, Completion]()
        requests = [(source.prompt(problems[index]), sample) for index in part]
        sampling = Sampling(1, configuration["temperature"], 1.0, source.max_new_tokens, run.seed + 1000 * number)
        source.ask(requests, sampling, replies.update, True)
        rows = [judged(task, problems[i], sample, replies[at], source, POLICY) for at, i in enumerate(part)]
        prompt = max(reply.prompt_tokens or 0 for reply in replies.values())
        longest = max(reply.tokens or 0 for reply in replies.values())
        share = {"flops": shape.generation(1, prompt, longest), "positions": prompt + longest}
        share["seconds"] = (time.perf_counter() - started) / len(rows)
        return [row | share for row in rows]

    with SampleLog(folder / TRACES, configuration, fresh=True, tell=checkpoints.tell) as log:
        if log.rows:
            checkpoints.tell(f"{len(log.rows)} traces are on the disk already: they are charged, not written again.")
        for number, (sample, part) in enumerate(_batches(len(problems), samples, options.batch_size, run.seed)):
            if meter.progress >= 1:
                break
            keys = [(problems[index].id, sample) for index in part]
            if not all(key in log.rows for key in keys):  # a batch of which only some is on the disk is drawn again
                rows = ask(part, sample, number)
                log.append([row for row, key in zip(rows, keys, strict=True) if key not in log.rows])
            meter.add(_cost([log.rows[key] for key in keys]))
            on_batch(meter.spent)
        rows = list(log.rows.values())
    found = summarise(task, rows, len(problems), samples, {})
    found |= {"seconds": meter.spent.seconds, "base_url": None, "configuration": configuration}
    write_atomically(folder / SUMMARY, json.dumps(found, indent=1))
    return found, meter.spent


def _configuration(run: TrainingRun[GRPOOptions], policy: TrainedLanguageModel) -> dict[str, Any]:
    """Everything that decides what the policy writes: traces of another configuration are not this run's."""
    assert run.keep is not None
    options = run.options
    own = options.pupil.temperature
    return {
        "task": run.task.name,
        "problems": Splits(list(run.problems), []).fingerprint,
        "model": f"the policy of this run ({_weights(run.keep / POLICY)})",  # another policy's traces are not its own
        "temperature": options.temperature if own is None else own,
        "max_new_tokens": policy.max_new_tokens,
        "batch_size": options.batch_size,
        "seed": run.seed,
    }


def _batches(problems: int, samples: int, size: int, seed: int) -> Iterator[tuple[int, Sequence[int]]]:
    """Number of the sample, and problems; one trace of every problem comes before the second of any."""
    order = torch.randperm(problems, generator=torch.Generator().manual_seed(seed)).tolist()
    for sample in range(samples):
        for part in batched(order, size):
            yield sample, part


def _cost(rows: Sequence[Row]) -> Cost:
    return Cost(
        flops=math.fsum(row["flops"] for row in rows),
        seconds=math.fsum(row["seconds"] for row in rows),
        examples=len(rows),
        tokens=sum(row["positions"] for row in rows),
    )


def _weights(folder: Path) -> str:
    """A fingerprint of the weights in a folder."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]
