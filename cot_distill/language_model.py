"""The causal language model and its tokenizer: a small one from scratch, or any by path or hub name.

From scratch it has the shape of Qwen3 or Llama and one token per character of the task, so that nothing needs to be
downloaded. A pretrained model keeps its own tokenizer and, where it has one, its chat template.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import HfApi, constants
from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError
from huggingface_hub.utils import validate_repo_id
from tokenizers.models import WordLevel
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    set_seed,
)
from transformers.models.auto.tokenization_auto import get_tokenizer_config
from transformers.utils import is_bitsandbytes_available

from benchmarks.errors import UserError
from benchmarks.language_models import ModelOptions, register_architectures
from benchmarks.problem import Problem
from benchmarks.task import Task
from benchmarks.text_form import THINK, Style, framed_prompt, prompt_text, told
from cot_distill import traces
from cot_distill.from_scratch import EOS, PAD, UNKNOWN, character_backend, scratch_config

register_architectures()  # the autoregressive TRM is an architecture like any other from here on

PATIENCE = 10.0  # seconds in which the hub must answer


def character_tokenizer(alphabet: str) -> PreTrainedTokenizerFast:
    """One token per character of the task, and one each for the two think marks."""
    return PreTrainedTokenizerFast(
        tokenizer_object=character_backend(alphabet),
        pad_token=PAD,
        eos_token=EOS,
        unk_token=UNKNOWN,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


def load_tokenizer(options: ModelOptions, task: Task) -> PreTrainedTokenizerBase:
    """The pretrained model's tokenizer, or one token per character of the task."""
    if options.path is None:
        return character_tokenizer(traces.alphabet(task))
    return saved_tokenizer(options.path)


def load_language_model(
    options: ModelOptions, task: Task, seed: int
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The model in float32 with its tokenizer (padding on the left, for generation).

    Raises:
        UserError: if ``options.path`` cannot be loaded.
    """
    if options.path is not None:
        return load_pretrained(options.path, quantize=options.quantize)
    tokenizer = load_tokenizer(options, task)
    config = model_config(options, len(tokenizer))
    config.pad_token_id, config.eos_token_id, config.bos_token_id = (
        tokenizer.pad_token_id,
        tokenizer.eos_token_id,
        None,
    )
    set_seed(seed)
    return AutoModelForCausalLM.from_config(config, dtype=torch.float32), tokenizer


def model_config(options: ModelOptions, vocabulary_size: int) -> Any:
    """The transformers configuration of the model from scratch, or of the pretrained one."""
    if options.path is not None:
        return _load(AutoConfig.from_pretrained, options.path)
    return scratch_config(options, vocabulary_size)


def load_pretrained(
    path: str, where: str = "model.path", quantize: str = "none"
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A saved or hub model in float32 with its tokenizer.

    Args:
        where: the configuration key that names it.
        quantize: ``4bit`` (NF4) or ``8bit`` for the weights of its linear layers.

    Raises:
        UserError: if it cannot be loaded.
    """
    tokenizer = saved_tokenizer(path, where)
    extra = {} if quantize == "none" else {"quantization_config": _quantization(quantize)}
    return _load(AutoModelForCausalLM.from_pretrained, path, where, dtype=torch.float32, **extra), tokenizer


def check_pretrained(path: str, where: str = "model.path") -> None:
    """Refuse a model that cannot be loaded, from its configuration and tokenizer alone.

    Raises:
        UserError: as :func:`load_pretrained`.
    """
    saved_tokenizer(path, where)
    _load(AutoConfig.from_pretrained, path, where)


def _quantization(bits: str) -> BitsAndBytesConfig:
    if not is_bitsandbytes_available():
        raise UserError(
            "bitsandbytes is not installed.",
            where=f"model.quantize={bits}",
            cure="Install the extra: pip install 'reasoning_kit[quantize]', or leave model.quantize out.",
        )
    if bits == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.float32)


def saved_tokenizer(path: str, where: str = "model.path") -> PreTrainedTokenizerBase:
    """The tokenizer of a saved or hub model, padding on the left.

    Raises:
        UserError: as :func:`load_pretrained`.
    """
    return _load(_saved_tokenizer, path, where)


def _saved_tokenizer(path: str, **arguments: Any) -> PreTrainedTokenizerBase:
    """A tokenizer as it was saved: ``AutoTokenizer`` takes a ``qwen2`` model's for Qwen's own, whatever was saved."""
    saved_as = get_tokenizer_config(path, **arguments).get("tokenizer_class")
    generic = saved_as in ("TokenizersBackend", "PreTrainedTokenizerFast")
    load = (PreTrainedTokenizerFast if generic else AutoTokenizer).from_pretrained
    tokenizer = load(path, padding_side="left", **arguments)
    if tokenizer.eos_token_id is None:
        raise ValueError("its tokenizer has no end token, so no answer would ever end")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def _load(load: Callable[..., Any], path: str, where: str = "model.path", **arguments: Any) -> Any:
    trouble = None if Path(path).is_dir() else _trouble(path, f"{where}={path}")
    if trouble is not None:  # then only the cache can help
        arguments["local_files_only"] = True
    try:
        return load(path, **arguments)
    except (OSError, ValueError) as error:
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        raise trouble or UserError(
            f"no causal language model could be loaded ({first_line})",
            where=f"{where}={path}",
            cure=f"Check the {'folder' if Path(path).is_dir() else 'hub name'}, or give a folder that "
            "save_pretrained wrote.",
        ) from None


@lru_cache
def _trouble(path: str, where: str) -> UserError | None:
    """What keeps a model from being fetched from the hub, asked with one quick question: transformers itself would
    try again for more than a minute."""
    try:
        validate_repo_id(path)
        if constants.HF_HUB_OFFLINE:
            return UserError(
                "HF_HUB_OFFLINE is set, and there is no copy of it in the cache.",
                where=where,
                cure="Unset it and load the model once with internet access, or give a folder that save_pretrained "
                "wrote.",
            )
        HfApi().model_info(path, timeout=PATIENCE)
    except (HFValidationError, RepositoryNotFoundError):
        return UserError(
            f"there is neither a folder '{path}' here nor an open model of that name on the hub.",
            where=where,
            cure="Check the folder, which save_pretrained wrote, or the name; for a model that is private or gated, "
            "log in with `hf auth login`.",
        )
    except Exception as error:  # whatever the network answers
        return UserError(
            f"the hub cannot be reached ({type(error).__name__}), and there is no copy of '{path}' in the cache.",
            where=where,
            cure="Load it once with internet access, or give a folder that save_pretrained wrote.",
        )
    return None


def from_scratch(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether it is a :func:`character_tokenizer`: its model knows nothing but what this kit taught it."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    return backend is not None and isinstance(backend.model, WordLevel)


def render_prompt(
    tokenizer: PreTrainedTokenizerBase, task: Task, problem: Problem, style: Style, pauses: int = 0
) -> str:
    """The prompt as text, the one that training, rewards, teachers and solvers share.

    A model from scratch reads the bare question. A pretrained one is told the task and the form of the answer: in its
    chat template, or where it has none in a plain frame (in the spirit of R1-Zero's, arXiv 2501.12948, table 1).
    """
    if from_scratch(tokenizer):
        return prompt_text(task, problem, style, pauses)
    if not tokenizer.chat_template:
        return framed_prompt(task, problem, style, pauses)
    question = f"{told(task, style)}\n\n{task.question_text(problem)}"
    chat = tokenizer.apply_chat_template(
        [{"role": "user", "content": question}], tokenize=False, add_generation_prompt=True
    )
    opening = prompt_text(task, problem, style, pauses).removeprefix(task.question_text(problem))
    return str(chat).removesuffix(THINK).removesuffix(THINK + "\n") + opening
