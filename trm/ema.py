"""Exponential moving average of the weights: what is evaluated and kept in place of the weights themselves.

The published decay, 0.999, looks back about 1,000 steps. A run of a few hundred steps would then be judged mostly by
its initial weights, so by default the decay warms up: min(decay, (1 + t) / (10 + t)) after t steps, which looks back
over about a tenth of the run and reaches 0.999 after 9,000 steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from transformers import TrainerCallback


class EMACallback(TrainerCallback):
    """average <- decay * average + (1 - decay) * weights after every optimiser step; parameters only, no buffers.

    Args:
        decay: 0.999 in the paper (section 4.7). There is no bias correction: the average starts at the first weights.
        warmup: see the module's docstring.
    """

    def __init__(self, decay: float = 0.999, warmup: bool = True) -> None:
        self.decay, self.warmup = decay, warmup
        self.updates = 0
        self.average: dict[str, Tensor] = {}

    def on_train_begin(self, args, state, control, model=None, **_):
        if not self.average:
            self.start(model)

    def on_optimizer_step(self, args, state, control, model=None, **_):
        self.update(model)

    @torch.no_grad()
    def start(self, model: nn.Module) -> None:
        self.average = {name: p.detach().clone() for name, p in model.named_parameters()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        self.updates += 1
        decay = self.decay
        if self.warmup:
            decay = min(decay, (1 + self.updates) / (10 + self.updates))
        torch._foreach_lerp_(list(self.average.values()), self._weights(model), 1 - decay)

    @contextmanager
    def applied(self, model: nn.Module) -> Iterator[nn.Module]:
        """The model with the average as its weights; they come back on leaving."""
        kept = [p.detach().clone() for p in model.parameters()]
        self.copy_to(model)
        try:
            yield model
        finally:
            with torch.no_grad():
                torch._foreach_copy_(list(model.parameters()), kept)

    @torch.no_grad()
    def copy_to(self, model: nn.Module) -> None:
        """Overwrite the model's weights by the average."""
        # By name: a checkpoint gives the average back in another order.
        named = dict(model.named_parameters())
        torch._foreach_copy_(list(named.values()), [self.average[name] for name in named])

    def state_dict(self) -> dict[str, Tensor]:
        return {"updates": torch.tensor(self.updates)} | {f"average.{k}": v for k, v in self.average.items()}

    def load_state_dict(self, state: dict[str, Tensor], device: torch.device) -> None:
        self.updates = int(state["updates"])
        self.average = {
            name.removeprefix("average."): tensor.to(device)
            for name, tensor in state.items()
            if name.startswith("average.")
        }

    def _weights(self, model: nn.Module) -> list[Tensor]:
        weights = dict(model.named_parameters())
        return [weights[name].detach() for name in self.average]
