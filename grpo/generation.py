"""vLLM as the generator of a policy's completions: TRL's two ways, and what keeps them from working here."""

from __future__ import annotations

import urllib.error
import urllib.request
from typing import Any

from benchmarks.errors import UserError
from cot_distill.generators.vllm import INSTALL
from grpo.options import GRPOOptions

WHERE = "method.grpo.vllm"
PATIENCE = 5.0  # seconds in which a server must answer


def vllm_arguments(options: GRPOOptions) -> dict[str, Any]:
    """TRL's options: ``colocate`` runs vLLM in the trainer's process and on its GPU, ``server`` asks one on a GPU of
    its own, to which the trainer sends the weights after each step."""
    return {} if options.vllm == "none" else {"use_vllm": True, "vllm_mode": options.vllm}


def check_vllm_generation(vllm: str, on_cpu: bool, installed: bool) -> None:
    """
    Raises:
        UserError: if vLLM cannot write for a trainer here.
    """
    if vllm == "none":
        return
    if on_cpu:
        raise UserError(
            "on a CPU vLLM cannot write for a trainer: it takes no new weights there (docs/vllm.md).",
            where=f"{WHERE}={vllm}",
            cure="Leave it at none: transformers writes.",
        )
    if not installed:
        raise UserError("vLLM is not installed.", where=f"{WHERE}={vllm}", cure=INSTALL)


def check_server(arguments: Any) -> None:
    """Ask for the server once, before anything trains: TRL would wait for it, minutes, after the start checkpoint.

    Args:
        arguments: TRL's, with ``vllm_server_base_url``, or ``vllm_server_host`` and ``vllm_server_port``.

    Raises:
        UserError: if none answers.
    """
    url = arguments.vllm_server_base_url or f"http://{arguments.vllm_server_host}:{arguments.vllm_server_port}"
    try:
        with urllib.request.urlopen(f"{url.rstrip('/')}/health", timeout=PATIENCE):
            return
    except (OSError, ValueError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise UserError(
            f"no vLLM server answers at {url} ({reason}).",
            where=f"{WHERE}=server",
            cure="Start one on another GPU: CUDA_VISIBLE_DEVICES=1 trl vllm-serve --model MODEL, the folder or hub "
            "name that training starts from; elsewhere: method.grpo.trainer.vllm_server_base_url=http://HOST:PORT.",
        ) from None
