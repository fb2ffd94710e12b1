"""The optimisers of recursive models: AdamW, the published AdamATan2, Muon, and sign SGD for the puzzles' vectors.

Each of them decays every parameter, heads and biases too, as the published code does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.optim import AdamW, Muon, Optimizer

from trm.options import TRMOptions
from trm.puzzle_vectors import PuzzleVectors

BETAS = (0.9, 0.95)  # paper, section 6


class AdamATan2(Optimizer):
    """Adam without epsilon (arXiv 2407.05872, section 4.1), in the scaling of the published code.

    p <- (1 - lr wd) p;  p <- p - lr / (1 - b1^t) atan2(m, sqrt(v) / sqrt(1 - b2^t)), m and v as in Adam. atan2 keeps
    the step below lr pi / 2 / (1 - b1^t), and it does not change when all gradients are scaled.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-4,
        betas: tuple[float, float] = BETAS,
        weight_decay: float = 1.0,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = None if closure is None else closure()
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            if params:
                self._update(group, params)
        return loss

    def _update(self, group: dict[str, Any], params: list[Tensor]) -> None:
        grads = [p.grad for p in params if p.grad is not None]
        for p in params:
            if not self.state[p]:
                self.state[p] = {"first": torch.zeros_like(p), "second": torch.zeros_like(p)}

        first = [self.state[p]["first"] for p in params]
        second = [self.state[p]["second"] for p in params]
        group["steps"] = steps = group.get("steps", 0) + 1
        beta1, beta2 = group["betas"]

        # In this order the numbers are those of the published code to the last bit (see trm/parity.py).
        torch._foreach_mul_(params, 1 - group["lr"] * group["weight_decay"])
        torch._foreach_lerp_(first, grads, 1 - beta1)
        torch._foreach_mul_(second, beta2)
        torch._foreach_addcmul_(second, grads, grads, 1 - beta2)
        scales = torch._foreach_div(torch._foreach_sqrt(second), (1 - beta2**steps) ** 0.5)
        directions = [torch.atan2(m, scale) for m, scale in zip(first, scales, strict=True)]
        torch._foreach_add_(params, directions, alpha=-group["lr"] / (1 - beta1**steps))


class SignSGD(Optimizer):
    """p <- (1 - lr wd) p - lr sign(g) for the rows that occurred; g is summed over a batch's duplicates."""

    def __init__(self, vectors: PuzzleVectors, lr: float, weight_decay: float) -> None:
        self.vectors = vectors
        super().__init__([vectors.weight], {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = None if closure is None else closure()
        used, self.vectors.used = self.vectors.used, None
        if used is None or used[1].grad is None:
            return loss
        ids, gradient = _of_all_processes(used[0]), _of_all_processes(used[1].grad)
        [group] = self.param_groups
        weight = self.vectors.weight
        # Every slot adds up the gradients of all slots with its vector, so equal slots write equal rows: nothing has to
        # know how many different vectors there are, which a GPU's host would wait for.
        summed = (ids[:, None] == ids).to(gradient.dtype) @ gradient
        kept = weight[ids] * (1 - group["lr"] * group["weight_decay"])
        weight[ids] = kept - group["lr"] * summed.sign()
        return loss


def _of_all_processes(tensor: Tensor) -> Tensor:
    if not (dist.is_initialized() and dist.get_world_size() > 1):
        return tensor
    parts = [torch.empty_like(tensor) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, tensor.contiguous())
    return torch.cat(parts)


class Together(Optimizer):
    """Several optimisers as one; a learning-rate schedule reaches the groups of each."""

    def __init__(self, optimizers: Sequence[Optimizer]) -> None:
        self.optimizers = list(optimizers)
        super().__init__(self._groups(), {})

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = None if closure is None else closure()
        for optimizer in self.optimizers:
            optimizer.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        return {"optimizers": [optimizer.state_dict() for optimizer in self.optimizers]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for optimizer, state in zip(self.optimizers, state_dict["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        self.param_groups = self._groups()

    def _groups(self) -> list[dict[str, Any]]:
        """The groups themselves, not copies: a schedule changes their learning rates."""
        groups: list[dict[str, Any]] = []
        for optimizer in self.optimizers:
            groups.extend(optimizer.param_groups)
        return groups


def build_optimizer(model: nn.Module, options: TRMOptions) -> Optimizer:
    """The optimiser that the options name, with sign SGD beside it where the model has puzzle vectors."""
    settings: dict[str, Any] = {"lr": options.learning_rate, "weight_decay": options.weight_decay}
    parameters = dict(model.named_parameters())
    optimizers: list[Optimizer]
    if options.optimizer == "adam_atan2":
        optimizers = [AdamATan2(parameters.values(), **settings)]
    elif options.optimizer == "muon":
        hidden = {name: p for name, p in parameters.items() if p.ndim == 2 and "networks." in name}
        others = [p for name, p in parameters.items() if name not in hidden]
        # Scaled to the size of AdamW's steps, so that both share a learning rate (arXiv 2502.16982, section 2.2).
        muon = Muon(hidden.values(), adjust_lr_fn="match_rms_adamw", **settings)
        optimizers = [muon, AdamW(others, betas=BETAS, fused=True, **settings)]
    else:
        optimizers = [AdamW(parameters.values(), betas=BETAS, fused=True, **settings)]
    for module in model.modules():
        if isinstance(module, PuzzleVectors):
            optimizers.append(SignSGD(module, options.puzzle_learning_rate, options.puzzle_weight_decay))
    return optimizers[0] if len(optimizers) == 1 else Together(optimizers)
