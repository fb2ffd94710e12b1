"""The options of a run as TRL's own arguments; what TRL does not know or refuses is reported before anything trains."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import torch
from trl import GRPOConfig, RLOOConfig

from benchmarks.errors import UserError
from benchmarks.training.trainer_options import checked_options
from cot_distill.train import common_arguments
from grpo.generation import check_server, check_vllm_generation, vllm_arguments
from grpo.options import ESTIMATORS, GRPOOptions


def arguments_of(
    options: GRPOOptions, output_dir: Path, seed: int, completion_limit: int, rate: float
) -> GRPOConfig | RLOOConfig:
    """TRL's arguments.

    Args:
        completion_limit: completion, in tokens.
        rate: learning rate.

    Raises:
        UserError: if TRL does not know an option, or refuses its value.
    """
    config = RLOOConfig if options.algorithm == "rloo" else GRPOConfig
    own = checked_options(options.trainer, config, "method.grpo.trainer")

    # What the kit sets, then what only GRPO has, then what the user gave for TRL itself.
    values = {
        **common_arguments(options, output_dir, seed),
        "learning_rate": rate,
        "num_generations": options.num_generations,
        "beta": options.beta,
        "epsilon": options.epsilon,
        "epsilon_high": options.high,
        "temperature": options.temperature,
        "shuffle_dataset": options.curriculum == "none",
        "max_completion_length": completion_limit,
        "logging_steps": 1,
        **({} if config is RLOOConfig else _of_grpo(options)),
        **vllm_arguments(options),
        **own,
    }
    try:
        arguments = config(**values)
    except (ValueError, TypeError) as error:
        raise UserError(
            f"TRL refuses these options: {error}", where="method.grpo.trainer", cure="Change what it names."
        ) from None

    # What TRL would accept, and what would fail or wait only when everything before is trained.
    check_vllm_generation(options.vllm, not torch.cuda.is_available(), find_spec("vllm") is not None)
    if options.vllm == "server":
        check_server(arguments)
    if options.resample and arguments.world_size > 1:
        raise UserError(
            f"groups are drawn again in one process only, here are {arguments.world_size}.",
            where="method.grpo.resample",
            cure="Start one process, or give 0.",
        )
    if options.algorithm == "ppo" and arguments.world_size > 1:
        raise UserError(
            f"the value model is trained in one process only, here are {arguments.world_size}.",
            where="method.grpo.algorithm",
            cure="Start one process, or take grpo or rloo.",
        )
    return arguments


def _of_grpo(options: GRPOOptions) -> dict[str, object]:
    """What TRL's GRPO trainer alone has."""
    return {
        "use_bias_correction_kl": ESTIMATORS[options.kl_estimator],
        "loss_type": options.loss_type,
        "importance_sampling_level": options.importance_sampling_level,
        "scale_rewards": options.scale_rewards,
    }
