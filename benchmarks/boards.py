"""Boards as strings and as token ids: token ``k`` is the ``k``-th character of a task's vocabulary, 0 is padding."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.shapes import Int, Tensor


def to_tokens(boards: Sequence[str], positions: int, vocabulary: str) -> Int[Tensor, "b l"]:
    """Token ids of boards that all have ``positions`` characters, each of them in ``vocabulary``."""
    import numpy as np
    import torch

    # A table from code points to tokens; ASCII always has a place in it.
    symbols = [ord(char) for char in vocabulary]
    token = np.zeros(max(127, *symbols) + 1, dtype=np.int64)
    token[symbols] = np.arange(1, len(vocabulary) + 1)

    characters = np.frombuffer("".join(boards).encode("utf-32-le"), dtype="<u4")
    return torch.from_numpy(token[characters].reshape(len(boards), positions))


def to_board(tokens: Int[Tensor, " l"], vocabulary: str) -> str:
    """The string of token ids; whatever is no token of the vocabulary becomes ``?``."""
    return "".join(vocabulary[t - 1] if 1 <= t <= len(vocabulary) else "?" for t in tokens.tolist())
