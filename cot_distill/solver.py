"""A causal language model answers problems: greedy generation, its thinking kept, every token priced."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from benchmarks.compute import CausalLMShape
from benchmarks.evaluation import BATCH_SIZE, Solution, Step, batched
from benchmarks.problem import Problem
from benchmarks.task import Task
from benchmarks.text_form import END_THINK, Style, read_completion
from cot_distill.language_model import render_prompt
from cot_distill.traces import trace_steps


class CausalLMSolver:
    """Implements :class:`benchmarks.evaluation.Solver`.

    Args:
        max_new_tokens: a completion that does not end within it is judged as far as it got.

    An answer's price is that of its own prompt and its own tokens against a key-value cache; the padding that a
    batch adds is not charged.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        task: Task,
        style: Style,
        max_new_tokens: int,
    ) -> None:
        self.model, self.tokenizer, self.task, self.style = model, tokenizer, task, style
        self.max_new_tokens = max_new_tokens
        self.shape = CausalLMShape.of(model.config)

    @torch.no_grad()
    def solve(
        self,
        problems: Sequence[Problem],
        batch_size: int = BATCH_SIZE,
        on_progress: Callable[[int], None] | None = None,
    ) -> list[Solution]:
        solutions: list[Solution] = []
        for batch in batched(problems, batch_size):
            started = time.perf_counter()
            solved = self._solve_batch(batch)
            seconds = (time.perf_counter() - started) / len(batch)
            solutions += [replace(solution, seconds=seconds) for solution in solved]
            if on_progress is not None:
                on_progress(len(solutions))
        return solutions

    def _solve_batch(self, problems: Sequence[Problem]) -> list[Solution]:
        prompts = [render_prompt(self.tokenizer, self.task, problem, self.style) for problem in problems]
        inputs = self.tokenizer(prompts, return_tensors="pt", padding=True, add_special_tokens=False)
        inputs = inputs.to(self.model.device)
        was_training = self.model.training
        self.model.eval()
        generate: Any = self.model.generate  # typed as a tensor by torch's __getattr__
        output = generate(
            input_ids=inputs["input_ids"],
            attention_mask=inputs["attention_mask"],
            max_new_tokens=self.max_new_tokens,
            do_sample=False,
            pad_token_id=self.tokenizer.pad_token_id,
            eos_token_id=self.tokenizer.eos_token_id,
        )
        self.model.train(was_training)
        new_tokens = output[:, inputs["input_ids"].shape[1] :]
        prompt_lengths = inputs["attention_mask"].sum(1).tolist()
        return [
            self._solution(problem, prompt, new)
            for problem, prompt, new in zip(problems, prompt_lengths, new_tokens, strict=True)
        ]

    def _solution(self, problem: Problem, prompt_length: int, new: torch.Tensor) -> Solution:
        ends = (new == self.tokenizer.eos_token_id).nonzero()
        length = int(ends[0]) + 1 if len(ends) else len(new)
        text = str(self.tokenizer.decode(new[:length], skip_special_tokens=True))
        answer = read_completion(self.task, problem, text, self.style)
        return Solution(
            answer=answer,
            flops=self.shape.generation(1, prompt_length, length),
            seconds=0.0,  # the batch's time is divided when it is done
            steps=length,
            tokens=length,
            text=text,
            trajectory=(*self._thoughts(text), Step("answer", text.rpartition(END_THINK)[2], answer)),
        )

    def _thoughts(self, text: str) -> list[Step]:
        trace, end, _ = text.partition(END_THINK)
        if not end or not trace:
            return []
        return [Step(f"thought {i}", step) for i, step in enumerate(trace_steps(self.task, trace), start=1)]
