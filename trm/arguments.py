"""The Trainer's arguments for a recursive model: what our options decide, and what a carry cannot live with."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from transformers import TrainingArguments

from benchmarks.errors import UserError
from benchmarks.training.budget import Budget
from benchmarks.training.trainer_options import checked_options
from trm.options import TRMOptions

# What TRMOptions and the budget decide; TrainingArguments may not contradict them.
DECIDED = {
    "learning_rate": "learning_rate",
    "weight_decay": "weight_decay",
    "warmup_steps": "warmup_steps",
    "max_grad_norm": "max_grad_norm",
    "lr_scheduler_type": "schedule",
    "per_device_train_batch_size": "batch_size",
    "auto_find_batch_size": "batch_size",
    "eval_strategy": "the experiment's milestones",
    "max_steps": "the budget",
    "num_train_epochs": "the budget",
    "output_dir": "the experiment's output folder",
    "seed": "the experiment's seed",
    "data_seed": "the experiment's seed",
    "optim": "optimizer",
    "adam_beta1": "the paper, 0.9",
    "adam_beta2": "the paper, 0.95",
    "adam_epsilon": "optimizer (adam_atan2 has none)",
    "bf16": "precision",
    "fp16": "precision",
}


def training_arguments(options: TRMOptions, budget: Budget, seed: int, output_dir: Path) -> TrainingArguments:
    """The Trainer's arguments: quiet, without checkpoints or reports unless ``options.trainer`` asks for them.

    Raises:
        UserError: if ``options.trainer`` has an unknown key or one that is decided elsewhere.
    """
    for key in checked_options(options.trainer, TrainingArguments, "trainer"):
        if key in DECIDED:
            raise UserError(f"'{key}' cannot be set here.", where="trainer", cure=f"It is set by {DECIDED[key]}.")
    accelerator = torch.accelerator.is_available() and not options.trainer.get("use_cpu", False)
    chosen: dict[str, Any] = {
        "accelerator_config": {"non_blocking": accelerator},
        "bf16": use_bfloat16(options.precision, accelerator),
        "dataloader_drop_last": True,
        "ddp_broadcast_buffers": False,  # puzzle vectors are buffers, equal in all processes without it
        "ddp_find_unused_parameters": False,
        "dataloader_pin_memory": accelerator,
        "disable_tqdm": True,
        "logging_nan_inf_filter": False,  # it looks at the loss at every step, which the host would wait for
        "logging_steps": 10,
        "remove_unused_columns": False,
        "report_to": "none",
        "save_strategy": "no",
        "use_cpu": not accelerator,
    }
    try:
        return TrainingArguments(
            **chosen
            | options.trainer
            | {
                "output_dir": str(output_dir),
                "seed": seed,
                "data_seed": seed,  # else the order depends on how many processes there are
                "per_device_train_batch_size": options.batch_size,
                "learning_rate": options.learning_rate,
                "weight_decay": options.weight_decay,
                "warmup_steps": options.warmup_steps,
                "max_grad_norm": options.max_grad_norm,
                "max_steps": math.ceil(budget.limit) if budget.unit == "steps" else 10**9,
            }
        )
    except (TypeError, ValueError) as error:
        raise UserError(f"TrainingArguments refused: {error}", where="trainer") from error


def use_bfloat16(precision: str, accelerator: bool) -> bool:
    """Whether matrix products run in bfloat16; ``auto`` asks the processor or the GPU."""
    if precision != "auto":
        return precision == "bfloat16"
    if accelerator:
        return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def check_arguments(args: TrainingArguments, problems: int) -> None:
    """Refuse what a carry across batches cannot live with.

    Raises:
        UserError: for nn.DataParallel, gradient accumulation, incomplete batches, or fewer problems than slots.
    """
    if args.n_gpu > 1:
        raise UserError(
            f"{args.n_gpu} GPUs are visible to one process; nn.DataParallel would mix up the carries.",
            cure="Start with `accelerate launch`, or show one GPU: CUDA_VISIBLE_DEVICES=0.",
        )
    if args.gradient_accumulation_steps != 1:
        raise UserError(
            "a recursive model takes one optimiser step per supervision step.",
            where="trainer.gradient_accumulation_steps",
            cure="Set it to 1 and choose the batch size instead.",
        )
    if not args.dataloader_drop_last:
        raise UserError(
            "the carry has as many slots as a batch, so every batch must be full.",
            where="trainer.dataloader_drop_last",
            cure="Set it to true.",
        )
    slots = args.per_device_train_batch_size * args.world_size
    if problems < slots:
        raise UserError(
            f"{problems} training problems do not fill a batch of {slots}.",
            where="batch_size",
            cure=f"Choose at most {problems}, or more training problems.",
        )
