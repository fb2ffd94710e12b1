"""PPO with a value model (arXiv 1707.06347), as a subclass of the GRPO trainer: TRL 1.16 has no PPO trainer any more.

The verifier's reward falls on a completion's last token. A second model, a copy of the start's body with a head of one
number, forecasts it from every prefix; how much better things turn out than it forecast is the advantage of a token
(generalised advantage estimation, arXiv 1506.02438). With advantages per token TRL's GRPO loss is PPO's clipped loss.
Completions are still written in groups, so that a batch is the same as GRPO's, but the group is not used.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import PreTrainedModel

from benchmarks.compute import Cost, LanguageModelPrice
from grpo.options import ValueOptions
from grpo.trainer import OwnAdvantages

VALUE = "value_model.safetensors"  # in a checkpoint


class ValueModel(nn.Module):
    """The body of a causal language model and a linear head of one number, zero at first.

    Args:
        policy: whose body is copied; the copy is trained, all of it.
    """

    def __init__(self, policy: PreTrainedModel) -> None:
        super().__init__()
        body: Any = copy.deepcopy(policy.base_model)
        self.body = body.requires_grad_().train()
        width = policy.config.get_text_config().hidden_size
        self.head = nn.Linear(width, 1, device=policy.device, dtype=torch.float32)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, completion: int) -> torch.Tensor:
        """Forecasts from before each of the last ``completion`` tokens: ``[batch, completion]``."""
        hidden = self.body(input_ids=input_ids, attention_mask=attention_mask, use_cache=False).last_hidden_state
        with torch.autocast(hidden.device.type, enabled=False):  # a value is worth more than three digits
            return self.head(hidden[:, -completion - 1 : -1].float()).squeeze(-1)


class PPOTrainer(OwnAdvantages):
    """PPO under a budget. Only the policy is the trainer's model: it generates and is saved at the end; the value model
    stands beside it, in the optimiser and in checkpoints.

    Attributes:
        value_options: set before training.
        penalty: weight of the KL divergence, which is part of each token's reward here and not of the loss.
    """

    value_options = ValueOptions()

    def __init__(self, model: PreTrainedModel, *args: Any, **kwargs: Any) -> None:
        value_model = ValueModel(model)  # before TRL puts its own head on the policy
        super().__init__(model, *args, **kwargs)
        self.value_model = value_model.to(self.accelerator.device)
        if self.args.gradient_checkpointing:
            self.value_model.body.gradient_checkpointing_enable(self.args.gradient_checkpointing_kwargs)
        self.penalty, self.beta = self.beta, 0.0

    # --- the price ------------------------------------------------------------------------------

    @property
    def value_shape(self) -> LanguageModelPrice:
        """As the policy's, with a head of one number."""
        return self.shape.with_head(1)

    def scoring(self, inputs: Any) -> int:
        return (self.penalty != 0.0) + ("old_per_token_logps" in inputs)

    def charge_value_model(self, batch: int, length: int) -> None:
        """One forecast when the batch is written, and one training step at each use."""
        shape = self.value_shape
        flops = shape.training_step(batch, length) + shape.forward(batch, length) / self.num_iterations
        self.meter.add(Cost(flops=flops))

    # --- the batch ------------------------------------------------------------------------------

    def judged(self, batch: dict[str, Any], rewards: torch.Tensor) -> dict[str, torch.Tensor]:
        mask = batch["completion_mask"]

        # Values and rewards of each token, [completions, tokens]; the verifier's reward stands on the last one.
        with torch.no_grad(), self.timed("log_probabilities"):
            size = self.args.per_device_train_batch_size  # several batches at once need no more memory than one
            parts = zip(*(tensor.split(size) for tensor in _sequences(batch)), strict=True)
            values = torch.cat([self.forecast(*part) for part in parts])
            token_rewards = at_the_end(rewards, mask)
            added: dict[str, torch.Tensor] = {}
            if self.penalty:
                added, divergence = self._divergence(batch)
                token_rewards = token_rewards - self.penalty * divergence * mask

        # Advantages from before whitening are what the value model has to explain.
        options = self.value_options
        values = values * mask
        advantages = generalised_advantages(token_rewards, values, options.gamma, options.gae_lambda)
        returns = (advantages + values) * mask
        self._tell_forecast(values, token_rewards, mask)
        advantages = (whitened(advantages, mask) if options.whiten else advantages) * mask
        return added | {"advantages": advantages, "values": values, "returns": returns}

    def forecast(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, completion: torch.Tensor) -> torch.Tensor:
        """Values before each token of the completions, ``[batch, tokens]``."""
        with self.accelerator.autocast():
            return self.value_model(input_ids, attention_mask, completion.shape[1])

    def _divergence(self, batch: dict[str, Any]) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """The writer's log-probabilities, and what they exceed the reference model's by, ``[batch, tokens]``."""
        reference = self._log_probabilities(self.ref_model, batch)
        written = batch.get("old_per_token_logps")
        if written is None:  # TRL takes them only where a batch is used several times
            written = self._log_probabilities(self.model, batch)
        mask = batch["completion_mask"]
        divergence = (written - reference) * mask
        self._metrics["train"]["kl"].append((divergence.sum() / mask.sum().clamp(min=1)).item())
        return {"old_per_token_logps": written}, divergence

    def _log_probabilities(self, model: Any, batch: dict[str, Any]) -> torch.Tensor:
        ids, attention, completion = _sequences(batch)
        size = self.args.per_device_train_batch_size
        return self._get_per_token_logps_and_entropies(model, ids, attention, completion.shape[1], size)[0]

    def _tell_forecast(self, values: torch.Tensor, rewards: torch.Tensor, mask: torch.Tensor) -> None:
        """How much of what followed in truth the value model knew, before it learns from this batch."""
        options = self.value_options
        followed = generalised_advantages(rewards, torch.zeros_like(rewards), options.gamma, 1.0)
        inside = mask.bool()
        variance = followed[inside].var(correction=0)
        metrics = self._metrics["train"]
        metrics["value/mean"].append(values[inside].mean().item())
        if variance > 0:
            left = (followed - values)[inside].var(correction=0)
            metrics["value/explained"].append((1 - left / variance).item())

    def zero_variance(self, rewards: torch.Tensor) -> list[bool]:
        """A group of equals teaches too, as far as the value model did not expect it."""
        return [False] * (len(rewards) // self.num_generations)

    # --- the loss -------------------------------------------------------------------------------

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """The policy's clipped loss (equation 7), and beside it the value model's."""
        policy = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)

        # The value model forecasts the same tokens: [batch, tokens].
        ids, attention, completion = _sequences(inputs)
        self.charge_value_model(*ids.shape)
        values = self.forecast(ids, attention, completion)
        mask, clip = inputs["completion_mask"], self.value_options.clip
        loss = value_loss(values, inputs["values"], inputs["returns"], mask, clip)

        self._metrics["train"]["policy_loss"].append(policy.item())
        self._metrics["train"]["value/loss"].append(loss.item())
        return policy + self.value_options.coefficient * loss / self.current_gradient_accumulation_steps

    def create_optimizer(self, *args: Any, **kwargs: Any) -> torch.optim.Optimizer:
        """The policy's, with the value model in groups of its own: its gradient is clipped by itself, and is emptied
        after each step as Trainer does the policy's."""
        fresh = self.optimizer is None
        optimizer = super().create_optimizer(*args, **kwargs)
        if fresh:
            rate = self.value_options.learning_rate
            decaying = set(self.get_decay_parameter_names(self.value_model))
            for decays in (True, False):
                named = self.value_model.named_parameters()
                optimizer.add_param_group(
                    {
                        "params": [parameter for name, parameter in named if (name in decaying) == decays],
                        "lr": 10 * self.args.learning_rate if rate is None else rate,
                        "weight_decay": self.args.weight_decay if decays else 0.0,
                    }
                )
            optimizer.register_step_pre_hook(lambda *_: self._clip_value_gradient())
            optimizer.register_step_post_hook(lambda *_: self.value_model.zero_grad())
        return optimizer

    def _clip_value_gradient(self) -> None:
        most = self.args.max_grad_norm or float("inf")
        norm = nn.utils.clip_grad_norm_(self.value_model.parameters(), most)
        self._metrics["train"]["value/grad_norm"].append(norm.item())

    # --- checkpoints ----------------------------------------------------------------------------

    def save_own_state(self, folder: Path) -> None:
        super().save_own_state(folder)
        save_file({name: t.contiguous() for name, t in self.value_model.state_dict().items()}, folder / VALUE)

    def load_own_state(self, folder: Path) -> None:
        super().load_own_state(folder)
        self.value_model.load_state_dict(load_file(folder / VALUE))


def _sequences(batch: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Prompts with completions, what of them counts, and the completions alone."""
    ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], dim=1)
    attention = torch.cat([batch["prompt_mask"], batch["completion_mask"]], dim=1)
    return ids, attention, batch["completion_ids"]


def at_the_end(rewards: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """``[batch]`` rewards on the last token of each completion, ``[batch, tokens]``, zero elsewhere."""
    last = (mask.sum(1) - 1).clamp(min=0)
    return torch.zeros(mask.shape, device=rewards.device).scatter(1, last[:, None], rewards[:, None].float()) * mask


def generalised_advantages(
    rewards: torch.Tensor, values: torch.Tensor, gamma: float, gae_lambda: float
) -> torch.Tensor:
    """``A_t = delta_t + gamma lambda A_{t+1}`` with ``delta_t = r_t + gamma V_{t+1} - V_t`` (arXiv 1506.02438,
    equation 16); nothing follows the last token.

    Args:
        rewards, values: ``[batch, tokens]``, zero behind a completion's end.
    """
    # From the last token backwards, one column of the batch at a time.
    steps = []
    ahead = next_value = torch.zeros(len(rewards), device=rewards.device)
    for t in reversed(range(rewards.shape[1])):
        delta = rewards[:, t] + gamma * next_value - values[:, t]
        ahead = delta + gamma * gae_lambda * ahead
        next_value = values[:, t]
        steps.append(ahead)
    return torch.stack(steps[::-1], dim=1)


def whitened(numbers: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean 0 and variance 1 where the mask is."""
    inside = numbers[mask.bool()]
    return (numbers - inside.mean()) / (inside.std(correction=0) + 1e-8)


def value_loss(
    values: torch.Tensor, old: torch.Tensor, returns: torch.Tensor, mask: torch.Tensor, clip: float
) -> torch.Tensor:
    """Half the squared error, a mean over tokens; of the new value and of one that stays within ``clip`` of the old,
    the worse counts (in the PPO authors' code, not in the paper).

    Args:
        values, old, returns, mask: ``[batch, tokens]``.
    """
    near = old + (values - old).clamp(-clip, clip)
    errors = torch.maximum((values - returns) ** 2, (near - returns) ** 2)
    return 0.5 * (errors * mask).sum() / mask.sum().clamp(min=1)
