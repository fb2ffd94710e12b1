"""How a recursive model thinks: one small network improves a latent z, then the answer y, again and again.

Paper: arXiv 2510.04871, section 4 and figure 3. ``net`` is any map of [b, l, d] onto itself.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

Hidden = Float[Tensor, "b l d"]
Latents = tuple[Hidden, Hidden]  # y, the embedded answer, and z, the latent


def latent_recursion(net: Callable[[Hidden], Hidden], x: Hidden, y: Hidden, z: Hidden, n: int) -> Latents:
    """One round: n times z <- f(z + (y + x)), then y <- f(y + z); inputs are added."""
    question = y + x
    for _ in range(n):
        z = net(z + question)
    return net(y + z), z


def deep_recursion(net: Callable[[Hidden], Hidden], x: Hidden, y: Hidden, z: Hidden, n: int, T: int) -> Latents:
    """T rounds, of which only the last carries a gradient (section 4.1: no fixed point is assumed)."""
    with torch.no_grad():
        for _ in range(T - 1):
            y, z = latent_recursion(net, x, y, z, n)
    return latent_recursion(net, x, y, z, n)


def direct(net: Callable[[Hidden], Hidden], x: Hidden) -> Hidden:
    """The papers' baseline "direct prediction": y = f(x), once."""
    return net(x)
