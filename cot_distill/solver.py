"""A causal language model answers problems: greedily, by the vote of many samples, or within a budget of thought.

An answer's price is that of its own prompt and its own tokens against a key-value cache: the padding that a batch adds
is not charged, the prompt once for all samples of a problem.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from peft import PeftModel
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from benchmarks.compute import language_model_price
from benchmarks.evaluation import BATCH_SIZE, Solution, Step
from benchmarks.problem import Answer, Problem
from benchmarks.task import Task
from benchmarks.text_form import END_THINK, Style, completion_text, read_completion
from cot_distill.generators.base import Completion, Generator, Sampling
from cot_distill.generators.transformers import TransformersGenerator
from cot_distill.language_model import render_prompt
from cot_distill.options import SolverOptions
from cot_distill.traces import trace_steps
from cot_distill.votes import by_vote

TOO_LONG = "[the prompt of {} tokens leaves no room in the context of {}]"


class CausalLMSolver:
    """Implements :class:`benchmarks.evaluation.Solver`.

    Args:
        max_new_tokens: a completion that does not end within it is judged as far as it got.
        options: the generator, samples and votes, and the budget of thought.
        weights: folder of the saved model, for generators that load it themselves; without it transformers writes.
    """

    def __init__(
        self,
        model: PreTrainedModel | PeftModel,
        tokenizer: PreTrainedTokenizerBase,
        task: Task,
        style: Style,
        max_new_tokens: int,
        options: SolverOptions | None = None,
        weights: Path | None = None,
    ) -> None:
        self.model, self.tokenizer, self.task, self.style = model, tokenizer, task, style
        self.max_new_tokens, self.options = max_new_tokens, options or SolverOptions()
        self.weights = weights
        self._loaded: Generator | None = None
        self.shape: Any = language_model_price(model.config)
        self.end_think: list[int] = tokenizer(END_THINK, add_special_tokens=False)["input_ids"]

    def solve(
        self,
        problems: Sequence[Problem],
        batch_size: int = BATCH_SIZE,
        on_progress: Callable[[int], None] | None = None,
    ) -> list[Solution]:
        context = self.model.config.max_position_embeddings
        prompts = self.prompts(problems)
        fitting = [i for i, prompt in enumerate(prompts) if len(prompt) < context]
        found: dict[int, list[Completion]] = {}

        def keep(number: int, completions: list[Completion]) -> None:
            found[fitting[number]] = completions
            if on_progress is not None:
                on_progress(len(found))

        self.complete([problems[i] for i in fitting], [prompts[i] for i in fitting], batch_size, keep)
        return [
            self._solution(problem, found[i]) if i in found else _without_room(len(prompts[i]), context)
            for i, problem in enumerate(problems)
        ]

    def prompts(self, problems: Sequence[Problem]) -> list[list[int]]:
        """Token ids, up to the think token."""
        if not problems:
            return []
        texts = [
            render_prompt(self.tokenizer, self.task, problem, self.style, self.options.pauses) for problem in problems
        ]
        return self.tokenizer(texts, add_special_tokens=False)["input_ids"]

    def complete(
        self,
        problems: Sequence[Problem],
        prompts: Sequence[list[int]],
        batch_size: int,
        on_result: Callable[[int, list[Completion]], None],
    ) -> None:
        """Samples of every problem, each thought within the budget; ``on_result`` gets them problem by problem."""
        options = self.options
        budget = options.token_budget if self.style == "cot" else None
        longest = self.max_new_tokens if budget is None else budget
        sampling = Sampling(options.samples, options.temperature, options.top_p, longest)
        generator = self._generator(batch_size)
        if budget is None:
            generator.generate(list(prompts), sampling, on_result)
            return
        thoughts: dict[int, list[Completion]] = {}
        if budget:
            generator.generate(list(prompts), sampling, thoughts.__setitem__)
        else:
            thoughts = {i: [Completion("", 0, len(p), False)] * options.samples for i, p in enumerate(prompts)}
        self.force_answers(problems, prompts, thoughts, batch_size, on_result)

    def _generator(self, batch_size: int) -> Generator:
        if self.options.generator == "vllm" and self.weights is not None:
            from cot_distill.generators.vllm import VLLMGenerator

            self._loaded = self._loaded or VLLMGenerator(str(self.weights))
            return self._loaded
        return TransformersGenerator(self.model, self.tokenizer, batch_size)

    def force_answers(
        self,
        problems: Sequence[Problem],
        prompts: Sequence[list[int]],
        thoughts: dict[int, list[Completion]],
        batch_size: int,
        on_result: Callable[[int, list[Completion]], None],
    ) -> None:
        """Let every completion that did not end go on to its answer, its thought ended for it where it is open."""
        if not thoughts:
            return
        context = self.model.config.max_position_embeddings
        # Completions, as (problem, sample), that have not ended and leave at least one token of the context.
        open_ones = []
        for i, completions in thoughts.items():
            for k, completion in enumerate(completions):
                if not completion.finished and len(prompts[i]) + len(self._thought(completion)) < context:
                    open_ones.append((i, k))
        starts = [self._thought(thoughts[i][k]) for i, k in open_ones]
        room = Sampling(max_new_tokens=self._answer_room(problems))
        answered: list[Completion | None] = [None] * len(open_ones)
        self._generator(batch_size).generate(
            [prompts[i] + start for (i, _), start in zip(open_ones, starts, strict=True)],
            room,
            lambda number, completions: answered.__setitem__(number, completions[0]),
        )
        for (i, k), start, answer in zip(open_ones, starts, answered, strict=True):
            assert answer is not None
            ids = (*start, *answer.ids)
            text = str(self.tokenizer.decode(list(ids), skip_special_tokens=True))
            thoughts[i][k] = Completion(text, len(ids), len(prompts[i]), answer.finished, ids)
        for i, completions in thoughts.items():
            on_result(i, completions)

    def thought_tokens(self, completion: Completion) -> int:
        """Tokens before the end of the thought; all, where it does not end."""
        thought, end, _ = completion.text.partition(END_THINK)
        if not end:
            return len(completion.ids)
        at = range(len(completion.ids) - len(self.end_think) + 1)
        marks = (i for i in at if list(completion.ids[i : i + len(self.end_think)]) == self.end_think)
        return next(marks, len(self.tokenizer(thought, add_special_tokens=False)["input_ids"]))

    def shortened(self, completion: Completion, budget: int) -> Completion:
        """As if the model had only been given ``budget`` tokens."""
        ids = completion.ids[:budget]
        text = str(self.tokenizer.decode(list(ids), skip_special_tokens=True))
        return Completion(text, len(ids), completion.prompt_tokens, False, ids)

    def _thought(self, completion: Completion) -> list[int]:
        """What was written, with the end of the thought behind it where it is missing."""
        ids = list(completion.ids)
        return ids if END_THINK in completion.text else ids + self.end_think

    def _answer_room(self, problems: Sequence[Problem]) -> int:
        """Tokens of the longest answer's form, with the end token."""
        texts = [completion_text(self.task, problem, None) for problem in problems]
        return max(len(ids) for ids in self.tokenizer(texts, add_special_tokens=False)["input_ids"]) + 1

    def read(self, problem: Problem, completion: Completion) -> Answer | None:
        return read_completion(self.task, problem, completion.text, self.style)

    def price(self, completions: Sequence[Completion]) -> float:
        """FLOPs of all samples of one problem: one prefill, then each sample's tokens."""
        prompt = completions[0].prompt_tokens or 0
        whole = [
            self.shape.generation(1, prompt, c.tokens or 0, *([] if c.depth is None else [c.depth]))
            for c in completions
        ]
        return sum(whole) - (len(completions) - 1) * self.shape.generation(1, prompt, 0)

    def _solution(self, problem: Problem, completions: list[Completion]) -> Solution:
        answers = [self.read(problem, completion) for completion in completions]
        tokens = sum(c.tokens or 0 for c in completions)
        first = completions[0]
        solution = Solution(
            answer=answers[0],
            flops=self.price(completions),
            seconds=0.0,  # the evaluation divides its time by the number of problems
            steps=tokens,
            tokens=tokens,
            text=first.text,
            trajectory=(*self._thoughts(first.text), Step("answer", first.text.rpartition(END_THINK)[2], answers[0])),
        )
        if len(completions) == 1:
            return solution
        prices = [self.price(completions[: k + 1]) for k in range(len(completions))]
        return by_vote(solution, self.task, [c.text for c in completions], answers, prices)

    def _thoughts(self, text: str) -> list[Step]:
        trace, end, _ = text.partition(END_THINK)
        if not end or not trace:
            return []
        return [Step(f"thought {i}", step) for i, step in enumerate(trace_steps(self.task, trace), start=1)]


def _without_room(prompt: int, context: int) -> Solution:
    return Solution(answer=None, flops=0.0, seconds=0.0, steps=0, text=TOO_LONG.format(prompt, context))
