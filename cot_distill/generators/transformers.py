"""Generation by transformers, for a model that is loaded in this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from peft import PeftModel
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from benchmarks.evaluation import batched
from cot_distill.generators.base import Completion, Prompt, Sampling


class TransformersGenerator:
    """Implements :class:`cot_distill.generators.base.Generator`.

    What a model's own ``generation_config`` would add (top-k, repetition penalty) is off: all models are asked in the
    same way.

    Args:
        tokenizer: pads on the left.
        batch_size: completions that are written at once.
    """

    def __init__(
        self, model: PreTrainedModel | PeftModel, tokenizer: PreTrainedTokenizerBase, batch_size: int = 128
    ) -> None:
        inner: Any = getattr(model, "get_base_model", lambda: model)()  # LoRA's layers are inside it
        self.model: PreTrainedModel = inner
        self.tokenizer, self.batch_size = tokenizer, batch_size
        ends = self.model.generation_config.eos_token_id  # chat models have several
        own = ends if isinstance(ends, list) else [] if ends is None else [ends]
        self.ends: list[int] = list(dict.fromkeys([tokenizer.eos_token_id, *own]))

    @torch.no_grad()
    def generate(
        self,
        prompts: Sequence[Prompt],
        sampling: Sampling,
        on_result: Callable[[int, list[Completion]], None],
    ) -> None:
        if not prompts:
            return
        ids = [chat_ids(self.tokenizer, prompt) for prompt in prompts]
        was_training, own = self.model.training, self.model.generation_config
        self.model.eval()
        device = self.model.device
        try:
            with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
                torch.manual_seed(sampling.seed)
                if hasattr(self.model, "write"):  # it batches by itself
                    self._written(ids, sampling, on_result)
                    return
                for numbers in batched(range(len(ids)), max(1, self.batch_size // sampling.samples)):
                    written = self._write([ids[number] for number in numbers], sampling)
                    for number, completions in zip(numbers, written, strict=True):
                        on_result(number, completions)
        finally:
            self.model.train(was_training)
            self.model.generation_config = own

    def _settings(self, sampling: Sampling, longest_prompt: int) -> GenerationConfig:
        drawn = {"temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0}
        room = self.model.config.max_position_embeddings - longest_prompt
        return GenerationConfig(
            max_new_tokens=max(1, min(sampling.max_new_tokens or room, room)),
            num_return_sequences=sampling.samples,
            do_sample=sampling.temperature > 0,
            pad_token_id=self.tokenizer.pad_token_id,
            eos_token_id=self.ends,
            **(drawn if sampling.temperature > 0 else {}),
        )

    def _write(self, ids: list[list[int]], sampling: Sampling) -> list[list[Completion]]:
        longest, pad = max(map(len, ids)), self.tokenizer.pad_token_id
        # As an argument, transformers would fill its default values from the model's own.
        self.model.generation_config = self._settings(sampling, longest)
        output = self.model.generate(  # type: ignore[operator]
            input_ids=torch.tensor([[pad] * (longest - len(row)) + row for row in ids], device=self.model.device),
            attention_mask=torch.tensor(
                [[0] * (longest - len(row)) + [1] * len(row) for row in ids], device=self.model.device
            ),
        )
        written, samples = output[:, longest:].tolist(), sampling.samples
        return [
            [self._completion(len(ids[i]), new) for new in written[i * samples : (i + 1) * samples]]
            for i in range(len(ids))
        ]

    def _written(
        self, ids: list[list[int]], sampling: Sampling, on_result: Callable[[int, list[Completion]], None]
    ) -> None:
        """All prompts by a model that has a decoding engine of its own."""
        found: dict[int, dict[int, Completion]] = {}
        model: Any = self.model

        def keep(index: int, new: list[int], steps: list[int]) -> None:
            number = index // sampling.samples
            completion = self._completion(len(ids[number]), new)
            depth = sum(steps) / len(steps)
            samples = found.setdefault(number, {})
            samples[index] = replace(completion, depth=depth)
            if len(samples) == sampling.samples:  # in their own order, whichever was done first
                on_result(number, [samples[each] for each in sorted(samples)])
                del found[number]

        prompts: list[list[int]] = []
        for row in ids:
            prompts += [row] * sampling.samples
        model.write(
            prompts,
            self.ends,
            self.batch_size,
            keep,
            max_new_tokens=sampling.max_new_tokens or model.config.max_position_embeddings,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            seed=sampling.seed,
        )

    def _completion(self, prompt: int, new: list[int]) -> Completion:
        """Up to its end token: what a batch appends until its longest completion ends is padding."""
        end = next((at for at, token in enumerate(new) if token in self.ends), None)
        finished = end is not None
        ids = new if end is None else new[: end + 1]
        text = str(self.tokenizer.decode(ids, skip_special_tokens=True))
        return Completion(text, len(ids), prompt, finished, tuple(ids))


def chat_ids(tokenizer: PreTrainedTokenizerBase, prompt: Prompt) -> list[int]:
    """The token ids of a prompt; a chat goes through the tokenizer's template."""
    if not prompt or isinstance(prompt[0], int):
        return list(prompt)  # type: ignore[arg-type]
    chat: Any = prompt
    return list(tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False))
