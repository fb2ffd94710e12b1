"""Boards as strings and as token ids: token ``k`` is the ``k``-th character of a task's vocabulary, 0 is padding."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor


def to_tokens(boards: Sequence[str], positions: int, vocabulary: str) -> Int[Tensor, "b l"]:
    """Token ids of boards that all have ``positions`` characters, each of them in ``vocabulary``."""
    token = np.zeros(128, dtype=np.int64)
    token[[ord(char) for char in vocabulary]] = np.arange(1, len(vocabulary) + 1)
    characters = np.frombuffer("".join(boards).encode("ascii"), dtype=np.uint8)
    return torch.from_numpy(token[characters].reshape(len(boards), positions))


def to_board(tokens: Int[Tensor, " l"], vocabulary: str) -> str:
    """The string of token ids; whatever is no token of the vocabulary becomes ``?``."""
    return "".join(vocabulary[t - 1] if 1 <= t <= len(vocabulary) else "?" for t in tokens.tolist())


def problem_id(task_name: str, question: str) -> str:
    """An id that depends on the question alone, so that it is the same in every run."""
    return f"{task_name}/{hashlib.sha256(question.encode()).hexdigest()[:12]}"
