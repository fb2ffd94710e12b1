"""How fast this machine multiplies matrices of the shapes that the recursion needs: the yardstick of utilisation."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

import torch

from trm.configuration import TRMConfig
from trm.cpu_matmul import product

REPEATS = 5  # at least, after a first one
CALLS = 10  # that a GPU is given at once, so that starting one does not count


@dataclass(frozen=True)
class Product:
    """One matrix product of the network: ``[rows, inner] x [inner, columns]``.

    Attributes:
        flops_per_second: of the fastest repeat of the fastest way: torch's product with the second matrix in either
            layout, or :func:`trm.cpu_matmul.product`.
    """

    name: str
    precision: str
    rows: int
    inner: int
    columns: int
    flops_per_second: float


@dataclass(frozen=True)
class MatmulRate:
    """
    Attributes:
        products: of one layer of the network.
    """

    products: list[Product]

    @property
    def flops_per_second(self) -> float:
        """Of the fastest product: utilisation against it can only look worse than against the others."""
        return max(product.flops_per_second for product in self.products)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"flops_per_second": self.flops_per_second}


def shapes(config: TRMConfig, batch: int) -> list[tuple[str, int, int, int]]:
    """Name, rows, inner and columns of the SwiGLUs' products, a whole batch at once."""
    found = []
    sides = [("width", config.width, config.length)]
    if config.mixer == "mlp":
        sides.append(("positions", config.length, config.width))
    for name, side, others in sides:
        inner = config.inner_size(side)
        found += [
            (f"gate and up over {name}", batch * others, side, 2 * inner),
            (f"down over {name}", batch * others, inner, side),
        ]
    return found


def matmul_rate(
    config: TRMConfig, batch: int, precision: str, device: torch.device, seconds: float = 0.5
) -> MatmulRate:
    """Measure; on a CPU with the threads that torch has.

    Args:
        precision: ``float32`` or ``bfloat16``.
        seconds: of each product and way at least.
    """
    dtype = getattr(torch, precision)
    products = []
    for name, rows, inner, columns in shapes(config, batch):
        fastest = _fastest(rows, inner, columns, dtype, device, seconds)
        products.append(Product(name, precision, rows, inner, columns, fastest))
    return MatmulRate(products)


@torch.no_grad()
def _fastest(rows: int, inner: int, columns: int, dtype: torch.dtype, device: torch.device, seconds: float) -> float:
    left, weight = (torch.randn(*size, device=device).to(dtype) for size in ((rows, inner), (columns, inner)))
    right = weight.t().contiguous()
    on_cpu = device.type == "cpu"
    calls, best = 1 if on_cpu else CALLS, float("inf")
    for multiply in (lambda: left @ right, lambda: left @ weight.t(), lambda: product(left, weight)):
        until, done = time.perf_counter() + seconds, 0
        while done <= REPEATS or time.perf_counter() < until:
            started = time.perf_counter()
            for _ in range(calls):
                multiply()
            if not on_cpu:
                torch.accelerator.synchronize()
            if done:  # the first pays for what torch sets up
                best = min(best, (time.perf_counter() - started) / calls)
            done += 1
    return 2.0 * rows * inner * columns / best
