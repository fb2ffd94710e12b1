"""Options that are handed through to a trainer's argument class, with a hint where a name is wrong."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.errors import UserError, did_you_mean


def checked_options(options: Mapping[str, Any], arguments_class: type, where: str) -> dict[str, Any]:
    """The options as keyword arguments of ``arguments_class`` (TrainingArguments, SFTConfig, GRPOConfig).

    Raises:
        UserError: naming an unknown option, where it stands and the nearest right one.
    """
    known = set(inspect.signature(arguments_class).parameters)
    for key in options:
        if key not in known:
            raise UserError(
                f"{arguments_class.__name__} has no option '{key}'.", where=where, cure=did_you_mean(key, known)
            )
    return dict(options)


def try_arguments(build: Callable[[], Any], where: str) -> None:
    """Let the library try the values of its own options, and look up what a trainer would only look up when it starts.

    Args:
        build: makes the library's arguments (``SFTConfig``, ``GRPOConfig``, ``TrainingArguments``).
        where: the options stand, for messages.

    Raises:
        UserError: if a value is refused, a tracker of ``report_to`` is unknown or not installed, or evaluation is asked
            for, which the budget's milestones do.
    """
    from transformers.integrations import get_reporting_integration_callbacks

    try:
        arguments = build()
        get_reporting_integration_callbacks(arguments.report_to)
    except UserError:
        raise
    except (TypeError, ValueError, ImportError, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"the library refuses this: {reason}", where=where, cure="Correct the option.") from None
    if str(getattr(arguments.eval_strategy, "value", arguments.eval_strategy)) != "no":
        raise UserError(
            "eval_strategy must be 'no': accuracy is measured at the milestones of the budget.",
            where=f"{where}.eval_strategy",
            cure="Leave it out, and set evaluation.milestones.",
        )
