"""Where a policy starts that is not distilled in the same run: a finished run, a folder, a hub name, or the model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.errors import UserError
from benchmarks.language_models import ModelOptions
from benchmarks.problem import Problem
from benchmarks.records import RECORD, RunRecord
from benchmarks.task import Task
from benchmarks.training.budget import Budget, Meter
from cot_distill.language_model import from_scratch, load_language_model, load_pretrained
from cot_distill.sft_examples import completion_limit_for
from cot_distill.traces import has_teacher
from cot_distill.train import TrainedLanguageModel
from grpo.options import GRPOOptions

DEFAULT_MAX_NEW_TOKENS = 512  # TRL's longest completion, for a model that no trace of this kit taught how much to write
WHERE = "method.grpo.start"


def given_start(
    task: Task,
    problems: Sequence[Problem],
    options: GRPOOptions,
    model_options: ModelOptions,
    budget: Budget,
    seed: int,
) -> tuple[TrainedLanguageModel, bool]:
    """The model that ``options.start`` names, untrained here, and whether it is a pretrained one: not one of this kit's
    from scratch, whose tokens are characters.

    Raises:
        UserError: if it cannot be loaded, or is a run that did not learn to think about this task.
    """
    limit = options.max_new_tokens
    if options.start == "model":
        model, tokenizer = load_language_model(model_options, task, seed)
    else:
        folder = _model_folder(options.start, task)
        model, tokenizer = load_pretrained(folder, where=WHERE, quantize=model_options.quantize)
        if folder != options.start:  # a run, which knows how much it was taught to write
            limit = limit or model.generation_config.max_new_tokens
    pretrained = not from_scratch(tokenizer)
    if limit is None and not pretrained and has_teacher(task):
        limit = completion_limit_for(task, problems, tokenizer, "cot", options.distillation.max_length)
    return TrainedLanguageModel(model, tokenizer, Meter(budget), [], limit or DEFAULT_MAX_NEW_TOKENS), pretrained


def check_start(options: GRPOOptions, task: Task) -> None:
    """Refuse a start that cannot be loaded before anything trains.

    Raises:
        UserError: if the run is on another task or writes no thoughts, or the folder or hub name cannot be read.
    """
    if options.start in ("distill", "format", "model"):
        return
    from cot_distill.language_model import check_pretrained

    check_pretrained(_model_folder(options.start, task), where=WHERE)


def _model_folder(start: str, task: Task) -> str:
    """The text itself, or the folder of the weights where it is a finished run."""
    run = Path(start).expanduser()
    if not (run / RECORD).exists():
        return start
    record = RunRecord.load(run)
    base = record.config.get("base", record.method)
    if base not in ("cot", "grpo"):
        raise UserError(
            f"a run of '{record.method}' writes no thoughts.",
            where=f"{WHERE}={start}",
            cure="Give a run of cot or grpo.",
        )
    if record.task["family"] != task.family:
        raise UserError(
            f"it learned '{record.task['name']}', not {task.name}.",
            where=f"{WHERE}={start}",
            cure="Give a run on the same task.",
        )
    return str(run / "model")
