"""How a recursive model thinks: one small network improves a latent z, then the answer y, again and again.

Paper: arXiv 2510.04871, section 4 and figure 3. A *round* takes the embedded question x and the latents (y, z) and
returns better ones; the variants of the paper differ in nothing but their round. ``f_z`` and ``f_y`` are maps of
[b, l, d] onto itself, the same one unless the paper's f_L and f_H are kept apart.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

Hidden = Float[Tensor, "b l d"]
Latent = Float[Tensor, "b l dz"]  # dz = d, but n d in multi_scale
Latents = tuple[Hidden, Latent]  # y, the embedded answer, and z, the latent
Net = Callable[[Hidden], Hidden]
Round = Callable[[Hidden, Hidden, Latent], Latents]  # x, y, z -> y, z


def latent_recursion(x: Hidden, y: Hidden, z: Hidden, *, f_z: Net, f_y: Net, n: int, tracked: int) -> Latents:
    """TRM and HRM: n times z <- f_z(z + (y + x)), then y <- f_y(y + z); inputs are added.

    Gradients flow through the last ``tracked`` of the n + 1 evaluations: n + 1 in TRM, 2 in HRM (the 1-step gradient).
    """
    question = y + x
    for i in range(n):
        with torch.set_grad_enabled(torch.is_grad_enabled() and i > n - tracked):
            z = f_z(z + question)
    return f_y(y + z), z


def single_z(x: Hidden, y: Hidden, z: Hidden, *, f_z: Net, f_y: Net, n: int, tracked: int) -> Latents:
    """One latent that is the answer too (figure 4): n + 1 times z <- f(z + x), and y = z."""
    for i in range(n + 1):
        with torch.set_grad_enabled(torch.is_grad_enabled() and i > n - tracked):
            z = f_z(z + x)
    return z, z


def multi_scale(x: Hidden, y: Hidden, z: Latent, *, f_z: Net, f_y: Net, n: int, **_: int) -> Latents:
    """A latent for each of the n updates (figure 5): z_i <- f(x + y + sum_j z_j) for i = 1..n, y <- f(y + sum_j z_j).

    All z_i are kept side by side in the last axis, so that a carry has the same form as elsewhere.
    """
    scales = list(z.chunk(n, dim=-1))
    question = y + x
    for i in range(n):
        scales[i] = f_z(question + torch.stack(scales).sum(0))
    return f_y(y + torch.stack(scales).sum(0)), torch.cat(scales, dim=-1)


def fixed_point(x: Hidden, y: Hidden, z: Hidden, *, f_z: Net, f_y: Net, n: int, **_: int) -> Latents:
    """z near the fixed point z = f_z(z + y + x) (section 6, after deep equilibrium models), then y <- f_y(y + z).

    Anderson iteration (scipy, on the host) makes n - 1 evaluations without gradient; one more carries the gradient,
    which is the 1-step approximation that a fixed point would justify. The mixing weights are shared by the batch.
    """
    question = y + x
    with torch.no_grad():
        z = anderson_iteration(lambda h: f_z(h + question), z, n - 1)
    z = f_z(z + question)
    return f_y(y + z), z


def anderson_iteration(
    f: Callable[[Tensor], Tensor], z: Float[Tensor, "*b d"], evaluations: int
) -> Float[Tensor, "*b d"]:
    """An approximate fixed point of f after so many evaluations, of the shape of z, whatever that is."""
    from scipy.optimize import anderson  # takes a while to load, and one recursion alone needs it

    last = z

    def residual(flat: np.ndarray) -> np.ndarray:
        nonlocal last
        h = torch.from_numpy(flat).to(z).view_as(z)
        last = f(h).to(z)
        return (last - h).double().flatten().cpu().numpy()

    start = z.double().flatten().cpu().numpy()
    # One evaluation at the start, then one an iteration; fewer only if the residual is exactly 0.
    anderson(residual, start, iter=evaluations - 1, M=5, w0=1e-4, alpha=1.0, line_search=None)
    return last


def deep_recursion(one_round: Round, x: Hidden, y: Hidden, z: Latent, T: int) -> Latents:
    """T rounds, of which only the last carries a gradient (section 4.1: no fixed point is assumed)."""
    with torch.no_grad():
        for _ in range(T - 1):
            y, z = one_round(x, y, z)
    return one_round(x, y, z)


def direct(x: Hidden, y: Hidden, z: Hidden, *, f_z: Net, f_y: Net, n: int, tracked: int) -> Latents:
    """The papers' baseline "direct prediction": y = f(x), once."""
    return f_y(x), z


ROUNDS: dict[str, Callable[..., Latents]] = {
    "trm": latent_recursion,
    "direct": direct,
    "single_z": single_z,
    "multi_scale": multi_scale,
    "fixed_point": fixed_point,
}


def build_round(recursion: str, f_z: Net, f_y: Net, n: int, tracked: int) -> Round:
    """The round of a recursion by name."""
    return partial(ROUNDS[recursion], f_z=f_z, f_y=f_y, n=n, tracked=tracked)
