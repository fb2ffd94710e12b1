"""Who teaches: a model behind a server, a pretrained one that is loaded here, or a finished run of this kit.

Each is asked in its own way (a run as it was trained, the others by a prompt) and read in its own way; all give a
thought and an answer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.errors import UserError
from benchmarks.problem import Answer, Problem
from benchmarks.records import RECORD, RunRecord
from benchmarks.task import Task
from benchmarks.text_form import END_THINK, read_completion
from cot_distill.generators.base import Completion, Generator, Prompt, Sampling
from cot_distill.generators.server import connect, price
from cot_distill.prompting import choose_shots, messages, read_answer, read_thought
from cot_distill.server_options import TeacherOptions

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TOKENS = 1024  # of a trace by a pretrained model that is loaded here, unless told
OnReplies = Callable[[Sequence[tuple[int, Completion]]], None]


@dataclass(frozen=True)
class Source:
    """A model that can be asked.

    Attributes:
        prompt: how one problem is asked.
        read: the thought and the answer in what it wrote.
        price: FLOPs of one completion; NaN where they are not known.
        max_new_tokens: of each completion.
        ask: gives a completion for each prompt and number of its sample, through a callback as soon as they are there;
            the last argument says whether it has answered before. Returns why requests were given up, by number.
    """

    prompt: Callable[[Problem], Prompt]
    read: Callable[[Problem, Completion], tuple[str, Answer | None]]
    price: Callable[[Completion], float]
    max_new_tokens: int | None
    ask: Callable[[Sequence[tuple[Prompt, int]], Sampling, OnReplies, bool], dict[int, str]]


def open_source(task: Task, problems: Sequence[Problem], options: TeacherOptions) -> Source:
    """The model that the options name, ready to write.

    Args:
        problems: of the training split, from which solved examples are taken.

    Raises:
        UserError: if it cannot be loaded, or cannot teach this task.
    """
    assert options.model is not None, "TeacherOptions checks it"
    folder = Path(options.model).expanduser()
    if options.base_url is not None:
        return _served(task, problems, options)
    if (folder / RECORD).exists():
        return _finished_run(task, folder, options)
    return _pretrained(task, problems, options)


def _prompted(task: Task, problems: Sequence[Problem], shots: int) -> Callable[[Problem], Prompt]:
    """The chat for a problem; a solved example is never the problem itself."""
    examples = choose_shots(task, problems, shots + 1) if shots else []

    def prompt(problem: Problem) -> Prompt:
        others = [example for example in examples if example.id != problem.id]
        return messages(task, problem, others[:shots])

    return prompt


def _read_prompted(task: Task) -> Callable[[Problem, Completion], tuple[str, Answer | None]]:
    return lambda problem, completion: (read_thought(completion), read_answer(task, problem, completion))


def _served(task: Task, problems: Sequence[Problem], options: TeacherOptions) -> Source:
    server = connect(options, "teacher")
    return Source(
        prompt=_prompted(task, problems, options.shots),
        read=_read_prompted(task),
        price=lambda completion: price(options.parameters, [completion]),
        max_new_tokens=options.max_new_tokens,
        ask=lambda requests, sampling, keep, works: server.ask(
            requests, sampling, lambda number, completion, _: keep([(number, completion)]), works
        ),
    )


def _pretrained(task: Task, problems: Sequence[Problem], options: TeacherOptions) -> Source:
    generator, tokenizer, config = _load(str(options.model), options)
    chat = _prompted(task, problems, options.shots)

    def prompt(problem: Problem) -> Prompt:
        asked = chat(problem)
        if tokenizer.chat_template:
            return asked
        text = "\n\n".join(turn["content"] for turn in asked if isinstance(turn, dict)) + "\n\n"
        return list(tokenizer(text)["input_ids"])

    return Source(
        prompt=prompt,
        read=_read_prompted(task),
        price=_price_of(config),
        max_new_tokens=options.max_new_tokens or TOKENS,
        ask=lambda requests, sampling, keep, _: _ask(generator, requests, sampling, keep),
    )


def _finished_run(task: Task, folder: Path, options: TeacherOptions) -> Source:
    record = RunRecord.load(folder)
    base = record.config.get("base", record.method)
    if base not in ("cot", "grpo"):
        raise UserError(
            f"a run of '{record.method}' writes no thoughts.",
            where=f"teacher.model={folder}",
            cure="Give a run of cot or grpo (or a variant); for a served model, teacher.base_url.",
        )
    if record.task["family"] != task.family:
        raise UserError(
            f"it learned '{record.task['name']}', not {task.name}.",
            where=f"teacher.model={folder}",
            cure="Give a run on the same task.",
        )
    model = folder / "model"
    limit = options.max_new_tokens or _trained_length(model)
    return own_model(task, *_load(str(model), options), limit, f"teacher.model={folder}")


def own_model(
    task: Task, generator: Generator, tokenizer: PreTrainedTokenizerBase, config: Any, limit: int | None, where: str
) -> Source:
    """A model that this kit trained on the task: asked and read as in its training.

    Args:
        limit: tokens of a completion.
        where: what names the model, for messages.
    """
    from cot_distill.language_model import render_prompt

    def prompt(problem: Problem) -> Prompt:
        ids = list(tokenizer(render_prompt(tokenizer, task, problem, "cot"), add_special_tokens=False)["input_ids"])
        if tokenizer.unk_token_id is not None and tokenizer.unk_token_id in ids:
            raise UserError(
                f"it has no tokens for all of '{task.question_text(problem)}'.",
                where=where,
                cure="Give a run on the same task.",
            )
        return ids

    def read(problem: Problem, completion: Completion) -> tuple[str, Answer | None]:
        thought = completion.text.partition(END_THINK)[0]
        return thought, read_completion(task, problem, completion.text, "cot")

    return Source(
        prompt=prompt,
        read=read,
        price=_price_of(config),
        max_new_tokens=limit,
        ask=lambda requests, sampling, keep, _: _ask(generator, requests, sampling, keep),
    )


def _trained_length(model: Path) -> int | None:
    """The longest completion that a run of this kit gives its model."""
    from transformers import GenerationConfig

    return GenerationConfig.from_pretrained(model).max_new_tokens


def _load(path: str, options: TeacherOptions) -> tuple[Generator, PreTrainedTokenizerBase, Any]:
    """A generator with its tokenizer and its model's configuration."""
    from benchmarks.language_models import ModelOptions
    from cot_distill.language_model import load_pretrained, model_config

    if options.engine == "vllm":
        from cot_distill.generators.vllm import VLLMGenerator

        writer = VLLMGenerator(path)
        return writer, writer.tokenizer, model_config(ModelOptions(path=path), len(writer.tokenizer))
    from cot_distill.generators.transformers import TransformersGenerator

    model, tokenizer = load_pretrained(path, where="teacher.model")
    return TransformersGenerator(model, tokenizer, options.batch_size), tokenizer, model.config


def _price_of(config: Any) -> Callable[[Completion], float]:
    """By the price list, where it knows the architecture."""
    from benchmarks.compute import language_model_price

    try:
        shape = language_model_price(config)
    except (AttributeError, TypeError):
        return lambda completion: math.nan
    return lambda completion: shape.generation(1, completion.prompt_tokens or 0, completion.tokens or 0)


def _ask(
    generator: Generator, requests: Sequence[tuple[Prompt, int]], sampling: Sampling, on_replies: OnReplies
) -> dict[int, str]:
    """All samples of a prompt in one go, as a local generator likes it."""
    prompts = [list(numbers) for _, numbers in groupby(range(len(requests)), key=lambda n: id(requests[n][0]))]
    kinds = sorted({(requests[numbers[0]][1], len(numbers)) for numbers in prompts})
    for first, count in kinds:  # more than one only where a stopped command goes on
        same = [numbers for numbers in prompts if (requests[numbers[0]][1], len(numbers)) == (first, count)]

        def keep(i: int, completions: list[Completion], same: list[list[int]] = same) -> None:
            on_replies(list(zip(same[i], completions, strict=True)))

        # what is drawn later must not repeat what an earlier command drew for the same prompt
        seed = sampling.seed + 1_000_003 * first
        asked = [requests[numbers[0]][0] for numbers in same]
        generator.generate(asked, replace(sampling, samples=count, seed=seed), keep)
    return {}
