"""How long a few typical problems are in tokens: what prices of language models depend on."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import fmean
from typing import TYPE_CHECKING, Any

from benchmarks.compute import LanguageModelPrice
from benchmarks.method import Setting
from cot_distill.options import SFTOptions

if TYPE_CHECKING:
    from benchmarks.text_form import Style
else:
    Style = str

TYPICAL = 60  # problems of training and of the test that lengths are taken from


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
    import torch
    from transformers import AutoModelForCausalLM

    from benchmarks.compute import language_model_price
    from cot_distill.language_model import load_tokenizer, model_config
    from cot_distill.sft_examples import IGNORE, Skipped, programmatic, tokenized

    task, pauses = setting.task, sft.solver.pauses
    tokenizer = load_tokenizer(setting.model, task)
    configuration = model_config(setting.model, len(tokenizer))
    with torch.device("meta"):
        parameters = AutoModelForCausalLM.from_config(configuration).num_parameters()

    if setting.few_splits is None:
        raise ValueError("a setting that is priced must say where the problems come from")
    splits = setting.few_splits(TYPICAL)
    teach = programmatic(task, taught, sft.trace)
    rows = list(tokenized(task, splits.train, tokenizer, style, teach, Skipped(), pauses))
    # Test problems may be longer; where nobody can say what their answers look like, they are taken for typical.
    asked = list(tokenized(task, splits.test, tokenizer, style, teach, Skipped(), pauses)) or rows
    answers = []
    for row in asked:
        prompt = row["labels"].count(IGNORE)
        answers.append((prompt, len(row["labels"]) - prompt))
    return (
        language_model_price(configuration),
        parameters,
        Lengths(
            row=max(len(row["input_ids"]) for row in rows),
            prompt=max(row["labels"].count(IGNORE) for row in rows),
            answers=answers,
        ),
    )
