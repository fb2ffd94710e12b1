"""The yardstick of the speed benchmarks: the paper's pseudocode (arXiv 2510.04871, figure 3), written down plainly.

Eager PyTorch, nothing but the network with token mixing (TRM-MLP) and one training step around it. It shares no code
with :mod:`trm`, so that a ratio against it compares two programs. As in the published code, weights are cast on use
and the states have the precision of the products.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from trm.configuration import TRMConfig

EMA = 0.999


def rms_norm(h: Tensor) -> Tensor:
    x = h.to(torch.float32)
    return (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5)).to(h.dtype)


class Linear(nn.Linear):
    """Without bias; its weight is cast to the precision of the input."""

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.weight.to(input.dtype))


class SwiGLU(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.gate_up, self.down = Linear(width, 2 * inner, bias=False), Linear(inner, width, bias=False)

    def forward(self, h: Tensor) -> Tensor:
        gate, up = self.gate_up(h).chunk(2, dim=-1)
        return self.down(F.silu(gate) * up)


class Layer(nn.Module):
    def __init__(self, config: TRMConfig) -> None:
        super().__init__()
        self.over_positions = SwiGLU(config.length, config.inner_size(config.length))
        self.over_width = SwiGLU(config.width, config.inner_size(config.width))

    def forward(self, h: Float[Tensor, "b l d"]) -> Float[Tensor, "b l d"]:
        h = h.transpose(1, 2)
        h = rms_norm(h + self.over_positions(h))
        h = h.transpose(1, 2)
        return rms_norm(h + self.over_width(h))


class PlainTRM(nn.Module):
    """TRM-MLP of the given shape; the prefix stays empty, as it is for a puzzle without a vector."""

    def __init__(self, config: TRMConfig, dtype: torch.dtype) -> None:
        super().__init__()
        self.config, self.dtype = config, dtype
        self.embedding = nn.Embedding(config.vocabulary_size, config.width)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.output_head = Linear(config.width, config.vocabulary_size, bias=False)
        self.q_head = nn.Linear(config.width, 2)

    def net(self, h: Tensor) -> Tensor:
        for layer in self.layers:
            h = layer(h)
        return h

    def latent_recursion(self, x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        for _ in range(self.config.n):
            z = self.net(x + y + z)
        return self.net(y + z), z

    def forward(self, input_ids: Int[Tensor, "b c"], y: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """One supervision step: the latents, the answer's logits and the halting logit."""
        x = F.pad(self.embedding(input_ids) * self.config.width**0.5, (0, 0, self.config.prefix, 0)).to(self.dtype)
        with torch.no_grad():
            for _ in range(self.config.T - 1):
                y, z = self.latent_recursion(x, y, z)
        y, z = self.latent_recursion(x, y, z)
        logits = self.output_head(y[:, self.config.prefix :])
        return y.detach(), z.detach(), logits.float(), self.q_head(y[:, 0].float())[:, 0]


class PlainTraining:
    """Supervision steps of one batch that never halts: forward, backward, AdamW, average of the weights."""

    def __init__(self, config: TRMConfig, batch: int, dtype: torch.dtype, device: torch.device) -> None:
        self.model = PlainTRM(config, dtype).to(device)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-4, betas=(0.9, 0.95), weight_decay=1.0)
        self.average = [p.detach().clone() for p in self.model.parameters()]
        vector = torch.randn(config.width, device=device, dtype=dtype)
        self.y = self.z = vector.expand(batch, config.length, -1)

    def step(self, input_ids: Int[Tensor, "b c"], labels: Int[Tensor, "b c"]) -> None:
        self.y, self.z, logits, halting = self.model(input_ids, self.y, self.z)
        exact = (logits.argmax(-1) == labels).all(-1)
        loss = F.cross_entropy(logits.flatten(0, 1), labels.flatten())
        loss = loss + F.binary_cross_entropy_with_logits(halting, exact.float())
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        with torch.no_grad():
            for average, p in zip(self.average, self.model.parameters(), strict=True):
                average.lerp_(p, 1 - EMA)
