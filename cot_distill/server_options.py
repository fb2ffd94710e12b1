"""What a user can set for models that are only asked, not trained: the method ``prompted`` and the teacher. Light."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from benchmarks.errors import UserError

LOCAL_SERVER = "http://localhost:8000/v1"  # where vLLM and `transformers serve` listen unless told otherwise
NOT_DECIDING = {"base_url", "api_key_env", "concurrency", "timeout", "attempts", "batch_size", "parameters"}


@dataclass(frozen=True)
class PromptedOptions:
    """Options of ``method.prompted``: a pretrained model behind an OpenAI-compatible server, as it is.

    Attributes:
        base_url: of the server, up to ``/v1``.
        model: its name there; without one no run starts.
        api_key_env: name of the environment variable that holds the key; a server of one's own needs none.
        shots: training problems that are shown solved before the question.
        samples: answers to each problem; the majority decides.
        temperature: 0 is greedy.
        top_p: nucleus sampling.
        max_new_tokens: of each answer; ``None``: what the server allows.
        concurrency: requests at the same time.
        timeout: seconds until a request counts as lost.
        attempts: how often a request is made again after no connection, overload, or a reply that cannot be used.
        parameters: active ones of the model, to price an answer at 2 x parameters x tokens; ``None``: no price.
    """

    base_url: str = LOCAL_SERVER
    model: str | None = None
    api_key_env: str = "OPENAI_API_KEY"
    shots: int = 0
    samples: int = 1
    temperature: float = 0.0
    top_p: float = 1.0
    max_new_tokens: int | None = 2048
    concurrency: int = 8
    timeout: float = 600.0
    attempts: int = 4
    parameters: float | None = None

    def __post_init__(self) -> None:
        check_asking(self)
        check_url(self.base_url)


@dataclass(frozen=True)
class TeacherOptions:
    """Options of ``reasoning-kit teach``, written ``teacher.KEY=VALUE``; as :class:`PromptedOptions` where they share.

    Attributes:
        model: a name at ``base_url``; without ``base_url`` the folder of a finished run of this kit, or a folder or
            hub name of a pretrained model.
        base_url: of a server, up to ``/v1``; ``None``: the model is loaded here.
        api_key_env, shots, temperature, top_p, concurrency, timeout, attempts, parameters: as in
            :class:`PromptedOptions`.
        engine: what generates with a model that is loaded here.
        samples: traces that are tried for each problem.
        max_new_tokens: of each trace; ``None``: what a run of this kit was trained for, what a server allows.
        batch_size: prompts at once, for a model that is loaded here.
        seed: of the draws.
    """

    model: str | None = None
    base_url: str | None = None
    engine: Literal["transformers", "vllm"] = "transformers"
    api_key_env: str = "OPENAI_API_KEY"
    shots: int = 0
    samples: int = 8
    temperature: float = 1.0
    top_p: float = 1.0
    max_new_tokens: int | None = None
    batch_size: int = 32
    concurrency: int = 8
    timeout: float = 600.0
    attempts: int = 4
    parameters: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        check_asking(self)
        if self.base_url is not None:
            check_url(self.base_url)
        if not self.model:
            raise UserError(
                "which model shall teach?",
                where="model",
                cure="Name one: a name at teacher.base_url, a finished run's folder, or a pretrained model.",
            )


def check_url(url: str) -> None:
    """
    Raises:
        UserError: if it is no address of a server.
    """
    if not url.startswith(("http://", "https://")) or url[-3:] == "://":
        raise UserError(f"'{url}' is no address.", where="base_url", cure=f"Write it like {LOCAL_SERVER}.")


def check_asking(options: PromptedOptions | TeacherOptions) -> None:
    """
    Raises:
        UserError: naming the first impossible value.
    """
    least: dict[str, float] = {"samples": 1, "concurrency": 1, "attempts": 0, "shots": 0, "max_new_tokens": 1}
    least |= {"batch_size": 1, "seed": 0}
    for key, lowest in least.items():
        value = getattr(options, key, None)
        if value is not None and value < lowest:
            raise UserError(f"{value} is too small.", where=key, cure=f"Give {lowest} or more.")
    if not 0 < options.timeout < math.inf:
        raise UserError(f"{options.timeout} is no time-out.", where="timeout", cure="Give seconds, such as 600.")
    if not 0 <= options.temperature < math.inf:
        raise UserError(f"{options.temperature} is no temperature.", where="temperature", cure="Give 0 or more.")
    if not 0 < options.top_p <= 1:
        raise UserError(f"{options.top_p} is no share.", where="top_p", cure="Give a number above 0, up to 1.")
    if options.parameters is not None and not 0 < options.parameters < math.inf:
        raise UserError(f"{options.parameters} is no count.", where="parameters", cure="Give for example 7e9.")
    if options.samples > 1 and options.temperature == 0:
        raise UserError(
            f"{options.samples} greedy samples are all the same.",
            where="temperature",
            cure="Give a temperature such as 0.7, or samples=1.",
        )


def deciding(options: dict[str, Any]) -> dict[str, Any]:
    """The options that decide what a model writes; the others may change when a stopped command goes on."""
    return {key: value for key, value in options.items() if key not in NOT_DECIDING}
