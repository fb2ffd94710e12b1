"""Generation: one form for everything that writes completions, whether transformers, vLLM or a server does it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

Message = dict[str, str]  # role and content of a chat
Prompt = list[int] | list[Message]  # token ids for a model that is loaded here, a chat for one that is served


@dataclass(frozen=True)
class Sampling:
    """How completions are drawn.

    Attributes:
        samples: completions of each prompt.
        temperature: 0 is greedy.
        top_p: nucleus sampling keeps the most likely tokens that together have this probability.
        max_new_tokens: of each completion; ``None``: whatever the context holds.
        seed: of the draws.
    """

    samples: int = 1
    temperature: float = 0.0
    top_p: float = 1.0
    max_new_tokens: int | None = None
    seed: int = 0


@dataclass(frozen=True)
class Completion:
    """One text that a model wrote.

    Attributes:
        text: without special tokens, the two think marks aside.
        tokens: written, the end token included; ``None`` where a server does not tell.
        prompt_tokens: read; ``None`` where a server does not tell.
        finished: the model ended it; otherwise it was cut by ``max_new_tokens``.
        ids: the tokens, where they are known.
        depth: mean supervision steps of a token, by a model that refines each before it is written.
        thought: what a server gives apart from the text as the model's reasoning.
    """

    text: str
    tokens: int | None
    prompt_tokens: int | None
    finished: bool
    ids: tuple[int, ...] = ()
    thought: str = ""
    depth: float | None = None


@runtime_checkable
class Generator(Protocol):
    """Anything that writes completions."""

    def generate(
        self,
        prompts: Sequence[Prompt],
        sampling: Sampling,
        on_result: Callable[[int, list[Completion]], None],
    ) -> None:
        """Write ``sampling.samples`` completions of each prompt.

        Args:
            on_result: gets the number of a prompt and all its completions as soon as they are there, in any order, so
                that what is done is kept when the rest is stopped.
        """
        ...
