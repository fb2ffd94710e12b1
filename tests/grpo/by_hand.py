"""What a trainer had in its hands at each loss, and log-probabilities one sequence at a time."""

from __future__ import annotations

import torch

from grpo.trainer import PolicyTrainerMixin, PricedGRPOTrainer

TEMPERATURE = 1.3


class Seen:
    """What the trainer had in its hands at each loss, and what it made of it."""

    def __init__(self, monkeypatch, trainer_class: type[PolicyTrainerMixin] = PricedGRPOTrainer):
        self.steps, self.rewards, self.value_weights, self.trainer = [], [], [], None
        loss, judge = trainer_class.compute_loss, trainer_class._calculate_rewards

        def judged(trainer, *args):
            self.rewards.append(judge(trainer, *args))
            return self.rewards[-1]

        def computed(trainer, model, inputs, *args, **kwargs):
            self.trainer = trainer
            weights = {name: tensor.detach().clone() for name, tensor in trainer.model.state_dict().items()}
            if hasattr(trainer, "value_model"):
                self.value_weights.append({n: t.clone() for n, t in trainer.value_model.state_dict().items()})
            value = loss(trainer, model, inputs, *args, **kwargs)
            parameters = dict(trainer.model.named_parameters())
            if hasattr(trainer, "value_model"):
                parameters |= {f"value.{name}": p for name, p in trainer.value_model.named_parameters()}
            gradients = torch.autograd.grad(value, list(parameters.values()), retain_graph=True)
            logged = {key: values[-1] for key, values in trainer._metrics["train"].items() if values}
            batch = {key: tensor.clone() for key, tensor in inputs.items() if isinstance(tensor, torch.Tensor)}
            self.steps.append((weights, batch, value.item(), dict(zip(parameters, gradients, strict=True)), logged))
            return value

        monkeypatch.setattr(trainer_class, "_calculate_rewards", judged)
        monkeypatch.setattr(trainer_class, "compute_loss", computed)


def log_probabilities(model, batch):
    """Of each completion's own tokens, a list of scalars per completion; one sequence at a time, without padding."""
    result = []
    for row in range(len(batch["prompt_ids"])):
        prompt = batch["prompt_ids"][row][batch["prompt_mask"][row] == 1]
        completion = batch["completion_ids"][row][batch["completion_mask"][row] == 1]
        logits = model(input_ids=torch.cat([prompt, completion])[None]).logits[0] / TEMPERATURE
        chances = logits.double().log_softmax(-1)
        result.append([chances[len(prompt) - 1 + t, token] for t, token in enumerate(completion)])
    return result
