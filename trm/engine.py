"""torch.compile over the recursion: fewer, larger kernels, and on a GPU none that the host has to start one by one.

Only training is compiled: its shapes never change. What comes out differs from the eager recursion in the last digits,
so :mod:`trm.parity` holds for the eager one.
"""

from __future__ import annotations

import torch

from trm.modeling import TRMForPuzzles
from trm.options import Compile
from trm.recursion import Hidden, Latents


def compile_recursion(model: TRMForPuzzles, what: Compile) -> None:
    """Compile a part of the model, in place; the compiling itself happens at the first step."""
    if what == "network":
        for network in model.networks:
            network.compile(dynamic=False)
    elif what == "recursion":
        model.recur = torch.compile(model.recur, fullgraph=True, dynamic=False)  # type: ignore[method-assign]
    elif what == "cuda_graphs":
        replayed = torch.compile(model.recur, fullgraph=True, dynamic=False, mode="reduce-overhead")

        def recur(x: Hidden, y: Hidden, z: Hidden) -> Latents:
            torch.compiler.cudagraph_mark_step_begin()
            y, z = replayed(x, y, z)
            return y.clone(), z.clone()  # the next replay writes over a graph's own memory

        model.recur = recur  # type: ignore[method-assign]
