"""torch.compile over the recursion: fewer, larger kernels, and on a GPU none that the host has to start one by one.

Only training is compiled, whose shapes never change; a solver's batch shrinks and grows. What comes out differs from
the eager recursion in the last digits, so :mod:`trm.parity` holds for the eager one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch

from trm.cpu_matmul import mixed_precision
from trm.modeling import TRMForPuzzles
from trm.options import Compile
from trm.recursion import Hidden, Latent, Latents

Recursion = Callable[[Hidden, Hidden, Latent], Latents]


def compile_recursion(model: TRMForPuzzles, what: Compile) -> None:
    """Let the model train with compiled parts; the compiling itself happens at the first step."""
    if what == "off":
        return
    eager: Recursion = model.recur
    compiled = _compiled(model, what)

    def recur(x: Hidden, y: Hidden, z: Latent) -> Latents:
        if not torch.is_grad_enabled():
            return eager(x, y, z)
        if mixed_precision(x):
            # States as precise as the products, as in the published code: less memory to move. Eager code would pay
            # for it with a conversion in each norm.
            x, y, z = (h.to(torch.get_autocast_dtype(x.device.type)) for h in (x, y, z))
        y, z = compiled(x, y, z)
        return y.float(), z.float()

    model.recur = recur  # type: ignore[method-assign,assignment]


def _compiled(model: TRMForPuzzles, what: Compile) -> Recursion:
    if what == "network":
        return partial(model.recur, networks=[torch.compile(network, dynamic=False) for network in model.networks])
    if what == "recursion":
        return torch.compile(model.recur, fullgraph=True, dynamic=False)
    replayed = torch.compile(model.recur, fullgraph=True, dynamic=False, mode="reduce-overhead")

    def recur(x: Hidden, y: Hidden, z: Latent) -> Latents:
        torch.compiler.cudagraph_mark_step_begin()
        y, z = replayed(x, y, z)
        return y.clone(), z.clone()  # the next replay writes over a graph's own memory

    return recur
