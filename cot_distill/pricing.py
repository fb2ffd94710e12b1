"""What a language model costs on a task: its price list, its parameters, and how long a few problems are.

Light for a model from scratch without settings of its own: neither torch nor transformers is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

from benchmarks.compute import CausalLMShape, LanguageModelPrice, language_model_price
from benchmarks.language_models import ModelOptions
from benchmarks.method import Setting
from benchmarks.problem import Problem
from benchmarks.task import Task
from cot_distill.options import SFTOptions

if TYPE_CHECKING:
    from benchmarks.text_form import Style
    from cot_distill.sft_examples import Teacher

TYPICAL = 60  # problems of training and of the test that lengths are taken from

Pairs = list[tuple[int, int]]  # tokens of a prompt and of its completion


class Lengths:
    """How long a few typical problems are, in tokens.

    Attributes:
        row: the longest prompt with its completion, of the training problems.
        prompt: the longest prompt of the training problems.
        answers: prompt and completion of each test problem.
    """

    def __init__(self, row: int, prompt: int, answers: Iterable[tuple[int, int]]) -> None:
        self.row, self.prompt, self.answers = row, prompt, list(answers)

    def per_answer(self, shape: LanguageModelPrice, samples: int) -> float:
        """Mean FLOPs of all samples of a problem, each at full depth; the prompt is read once."""
        prices = []
        for prompt, new in self.answers:
            read = shape.generation(1, prompt, 0)
            prices.append(read + samples * (shape.generation(1, prompt, new) - read))
        return fmean(prices)


def typical_lengths(
    setting: Setting[Any], style: Style, taught: Style, sft: SFTOptions
) -> tuple[LanguageModelPrice, int, Lengths]:
    """The price list and the parameters of the model, and how long a few problems are.

    Args:
        style: in which the model answers.
        taught: in which the programmatic teacher gives lengths, where nobody knows the model's own thoughts.
        sft: names the teacher's style, and how many filler tokens there are.
    """
    from cot_distill.sft_examples import programmatic

    task = setting.task
    count = from_scratch if setting.model.path is None else pretrained
    price, parameters, measure = count(setting.model, task, style, sft.solver.pauses)

    if setting.few_splits is None:
        raise ValueError("a setting that is priced must say where the problems come from")
    splits = setting.few_splits(TYPICAL)
    teach = programmatic(task, taught, sft.trace)
    rows = measure(splits.train, teach)
    # Test problems may be longer; where nobody can say what their answers look like, they are taken for typical.
    asked = measure(splits.test, teach) or rows
    return (
        price,
        parameters,
        Lengths(
            row=max(prompt + completion for prompt, completion in rows),
            prompt=max(prompt for prompt, _ in rows),
            answers=asked,
        ),
    )


Measure = Callable[[Sequence[Problem], "Teacher"], Pairs]


def from_scratch(model: ModelOptions, task: Task, style: Style, pauses: int) -> tuple[LanguageModelPrice, int, Measure]:
    """Price, parameters and lengths of a model that reads characters."""
    from benchmarks.text_form import prompt_text
    from cot_distill.from_scratch import EOS, character_backend
    from cot_distill.sft_examples import Skipped, completions

    tokenizer = character_backend(task.alphabet)

    def measure(problems: Sequence[Problem], teach: Teacher) -> Pairs:
        found = []
        for problem, texts in completions(problems, teach, Skipped()):
            prompt = tokenizer.encode(prompt_text(task, problem, style, pauses))
            found += [(len(prompt.ids), len(tokenizer.encode(text + EOS).ids)) for text in texts]
        return found

    return *price_and_parameters(model, tokenizer.get_vocab_size()), measure


def price_and_parameters(model: ModelOptions, vocabulary: int) -> tuple[LanguageModelPrice, int]:
    """Of a model from scratch: by formula, or for settings that formulas do not know from a model without numbers."""
    if not model.settings and model.architecture != "autoregressive_trm":
        shape = CausalLMShape(
            width=model.width,
            layers=model.layers,
            heads=model.heads,
            key_value_heads=model.key_value_heads,
            head_size=model.width // model.heads,
            inner=model.inner,
            vocabulary=vocabulary,
        )
        return shape, shape.parameters(model.architecture)

    from cot_distill.from_scratch import scratch_config

    configuration = scratch_config(model, vocabulary)
    price: Any = language_model_price(configuration)
    if model.architecture == "autoregressive_trm":
        return price, price.parameters()
    return price, built_parameters(configuration)


def pretrained(model: ModelOptions, task: Task, style: Style, pauses: int) -> tuple[LanguageModelPrice, int, Measure]:
    """Price, parameters and lengths of a model that brings its own tokenizer."""
    from cot_distill.language_model import load_tokenizer, model_config
    from cot_distill.sft_examples import IGNORE, Skipped, tokenized

    tokenizer = load_tokenizer(model, task)
    configuration = model_config(model, len(tokenizer))

    def measure(problems: Sequence[Problem], teach: Teacher) -> Pairs:
        found = []
        for row in tokenized(task, problems, tokenizer, style, teach, Skipped(), pauses):
            prompt = row["labels"].count(IGNORE)
            found.append((prompt, len(row["labels"]) - prompt))
        return found

    return language_model_price(configuration), built_parameters(configuration), measure


def built_parameters(configuration: Any) -> int:
    """Counted on the model itself, on the meta device."""
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        count: int = AutoModelForCausalLM.from_config(configuration).num_parameters()
    return count
