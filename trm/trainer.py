"""Trains recursive models with transformers' Trainer.

Special here: one optimiser step is one supervision step. The carry (latents, step counts, and the problems in the
batch's slots) lives across batches and is part of a checkpoint, as is the average of the weights; problems are moved
by a random symmetry as they enter a slot, and only then count as examples; every step is priced by formula.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Int
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments, set_seed

from benchmarks.budget import Budget, BudgetCallback, BudgetedTrainerMixin, Meter
from benchmarks.compute import Cost
from benchmarks.errors import UserError
from benchmarks.problem import Problem
from benchmarks.symmetries import Symmetries
from benchmarks.task import Task
from trm import pricing
from trm.arguments import check_arguments, training_arguments
from trm.configuration import Recursion, TRMConfig
from trm.ema import EMACallback
from trm.halting import Carry, halts, minimum_steps, replace_halted
from trm.losses import SupervisionLoss, supervision_loss
from trm.modeling import TRMForPuzzles
from trm.options import TRMOptions
from trm.solver import TRMSolver

MLP_UP_TO = 128  # positions up to which mixer="auto" mixes by an MLP, as the paper does for Sudoku but not for 30 x 30
EMA_FILE = "ema.safetensors"


@dataclass
class TrainedRecursive:
    """A trained model, with the averaged weights where there are any.

    Attributes:
        meter: what training spent.
        losses: the Trainer's log: ``step``, ``loss``, ``grad_norm``, ``learning_rate`` and, over the problems that
            left their slots since the last entry, ``exact`` and ``supervision_steps``.
        precision: in which training computed.
    """

    model: TRMForPuzzles
    meter: Meter
    losses: list[dict[str, float]]
    precision: str


class Grids(torch.utils.data.Dataset):
    """Encoded problems, fetched a batch at a time."""

    def __init__(self, input_ids: Int[Tensor, "b l"], labels: Int[Tensor, "b l"]) -> None:
        self.input_ids, self.labels = input_ids, labels

    def __len__(self) -> int:
        return len(self.input_ids)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {"input_ids": self.input_ids[index], "labels": self.labels[index]}

    def __getitems__(self, indices: list[int]) -> dict[str, Tensor]:
        return {"input_ids": self.input_ids[indices], "labels": self.labels[indices]}


def collate(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Nothing to do: :meth:`Grids.__getitems__` gives whole batches."""
    return batch


class TRMTrainer(BudgetedTrainerMixin, Trainer):  # type: ignore[misc]  # the mixin prices in whole numbers or not
    """Trainer of :class:`TRMForPuzzles`; needs ``dataloader_drop_last`` and no gradient accumulation.

    Args:
        task: gives the symmetries.
        problems: the training problems, encoded as they are.
        augment: move every problem that enters a slot by a random symmetry.
        ema: averages the weights, and is saved and restored with checkpoints.
    """

    model: TRMForPuzzles

    def __init__(
        self,
        model: TRMForPuzzles,
        args: TrainingArguments,
        *,
        task: Task,
        problems: Sequence[Problem],
        meter: Meter,
        augment: bool = True,
        schedule: str = "constant",
        ema: EMACallback | None = None,
        callbacks: Sequence[TrainerCallback] = (),
    ) -> None:
        check_arguments(args, len(problems))
        self.task, self.meter, self.augment, self.schedule, self.ema = task, meter, augment, schedule, ema
        self.carry: Carry | None = None
        self.generator = torch.Generator().manual_seed(args.seed + args.process_index)  # symmetries and exploration
        self.entered = 0  # problems that entered a slot in the last step
        self.left: Int[Tensor, " 3"] | None = (
            None  # since the last log: problems that left, how many exact, their steps
        )
        super().__init__(
            model=model,
            args=args,
            train_dataset=Grids(*task.encode(problems)),
            data_collator=collate,  # type: ignore[arg-type]  # of a batch fetched as a whole
            callbacks=[*([ema] if ema else []), *callbacks],
        )
        self.remove_callback(PrinterCallback)

    # --- one step -------------------------------------------------------------------------------

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        """One supervision step of the problems in the slots, after halted slots took in new ones."""
        carry = self._admit(inputs["input_ids"], inputs["labels"])
        output = model(carry.input_ids, carry.latents)
        loss = supervision_loss(output.logits, output.halting_logit, carry.labels, self.model.config.loss)
        self.carry = self._advance(carry, output, loss)
        return (loss.total, output) if return_outputs else loss.total

    def _admit(self, input_ids: Int[Tensor, "b l"], labels: Int[Tensor, "b l"]) -> Carry:
        initial = self.model.initial_carry(*input_ids.shape)
        carry = Carry.empty(initial, input_ids, labels) if self.carry is None else self.carry
        rows = carry.halted.nonzero()[:, 0]
        self.entered = len(rows)
        if self.entered == 0:
            return carry
        if self.augment:
            drawn = self.task.sample_symmetries(len(rows), self.generator)
            symmetries = Symmetries(drawn.position.to(rows.device), drawn.token.to(rows.device))
            input_ids = input_ids.index_copy(0, rows, symmetries.apply(input_ids[rows]))
            labels = labels.index_copy(0, rows, symmetries.apply(labels[rows]))
        return replace_halted(carry, initial, input_ids, labels)

    def _advance(self, carry: Carry, output: Any, loss: SupervisionLoss) -> Carry:
        config = self.model.config
        steps = carry.steps + 1
        minimum = minimum_steps(len(steps), config.supervision_steps, config.exploration, self.generator)
        logit = None if output.halting_logit is None else output.halting_logit.detach()
        halted = halts(steps, logit, minimum.to(steps.device), config.supervision_steps)
        left = torch.stack((halted.sum(), (halted & loss.exact).sum(), (halted * steps).sum()))
        self.left = left if self.left is None else self.left + left
        y, z = output.carry
        return Carry(y, z, steps, halted, carry.input_ids, carry.labels)

    def price(self, inputs: Any) -> Cost:
        batch, positions = inputs["input_ids"].shape
        entered = self.entered
        if self.args.world_size > 1:
            entered = int(self.accelerator.gather(torch.tensor([entered], device=self.args.device)).sum())
        batch *= self.args.world_size
        flops = batch * pricing.training_step(self.model.config)
        return Cost(flops=flops, examples=entered, tokens=batch * positions)

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """AdamW with weight decay on every parameter, heads and biases too (the Trainer's own leaves biases out)."""
        if self.optimizer is None:
            args = self.args
            self.optimizer = torch.optim.AdamW(
                (self.model if model is None else model).parameters(),
                lr=args.learning_rate,
                betas=(args.adam_beta1, args.adam_beta2),
                eps=args.adam_epsilon,
                weight_decay=args.weight_decay,
                fused=True,
            )
        return self.optimizer

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        if "loss" in logs and self.left is not None:
            left, exact, steps = self.left.tolist()
            self.left = None
            if left:
                logs |= {"exact": exact / left, "supervision_steps": steps / left}
        super().log(logs, start_time)

    # --- checkpoints ----------------------------------------------------------------------------

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        super()._save_optimizer_and_scheduler(output_dir)
        Path(output_dir).mkdir(parents=True, exist_ok=True)  # every process writes; another may not be there yet
        if self.ema is not None and self.args.should_save:
            save_file(self.ema.state_dict(), Path(output_dir) / EMA_FILE)
        state = {
            "carry": None if self.carry is None else {k: v.contiguous() for k, v in self.carry.tensors().items()},
            "generator": self.generator.get_state(),
            "spent": self.meter.spent.to_dict(),
        }
        torch.save(state, self._carry_file(output_dir))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is None:
            return
        if not self._carry_file(checkpoint).exists():
            raise UserError(
                "the checkpoint holds no carry for this process",
                where=str(checkpoint),
                cure="Resume with as many processes as it was written by, from a checkpoint of this trainer.",
            )
        state = torch.load(self._carry_file(checkpoint), map_location="cpu", weights_only=True)
        self.carry = None if state["carry"] is None else Carry(**state["carry"]).to(self.args.device)
        self.generator.set_state(state["generator"])
        self.meter.add(Cost(**state["spent"]))
        if self.ema is not None:
            self.ema.load_state_dict(load_file(Path(checkpoint) / EMA_FILE), self.args.device)
        super()._load_optimizer_and_scheduler(checkpoint)

    def _carry_file(self, checkpoint: str) -> Path:
        return Path(checkpoint) / f"carry-{self.args.process_index}.pt"


def build(task: Task, options: TRMOptions, recursion: Recursion = "trm") -> TRMConfig:
    """The model that fits a task. Direct prediction is the same network without recursion.

    Raises:
        UserError: if the sizes do not fit together.
    """
    automatic: Literal["mlp", "attention"] = "mlp" if task.positions <= MLP_UP_TO else "attention"
    return TRMConfig(
        vocabulary_size=task.vocabulary_size,
        positions=task.positions,
        width=options.width,
        layers=options.layers,
        heads=options.heads,
        inner_multiple=options.inner_multiple,
        mixer=automatic if options.mixer == "auto" else options.mixer,
        recursion=recursion,
        T=options.T,
        n=options.n,
        supervision_steps=options.supervision_steps,
        exploration=options.exploration,
        loss=options.loss,
    )


def train(
    task: Task,
    problems: Sequence[Problem],
    options: TRMOptions,
    recursion: Recursion,
    budget: Budget,
    seed: int,
    output_dir: Path,
    milestones: Sequence[float] = (),
    at_milestone: Callable[[TRMSolver, Cost], None] | None = None,
    on_progress: Callable[[Cost], None] | None = None,
) -> TrainedRecursive:
    """Train until the budget is spent.

    Args:
        milestones: shares of the budget at which ``at_milestone(solver, spent)`` is called, off the clock, with a
            solver over the averaged weights.
        on_progress: called after every step with what is spent so far.
    """
    args = training_arguments(options, budget, seed, output_dir)
    config = build(task, options, recursion)
    set_seed(seed)
    model = TRMForPuzzles(config)
    meter = Meter(budget)
    ema = EMACallback(options.ema, options.ema_warmup) if options.ema else None

    def milestone(model: TRMForPuzzles, spent: Cost) -> None:
        assert at_milestone is not None
        with ema.applied(model) if ema is not None else nullcontext():
            at_milestone(solver(model, task, options), spent)

    trainer = TRMTrainer(
        model,
        args,
        task=task,
        problems=problems,
        meter=meter,
        augment=options.augment,
        schedule=options.schedule,
        ema=ema,
        callbacks=[BudgetCallback(meter, milestones, milestone if at_milestone else None, on_progress)],
    )
    trainer.train(resume_from_checkpoint=args.resume_from_checkpoint)
    if ema is not None:
        ema.copy_to(model)
    losses = [entry for entry in trainer.state.log_history if "loss" in entry]
    return TrainedRecursive(model.eval(), meter, losses, "bfloat16" if args.bf16 else "float32")


def solver(model: TRMForPuzzles, task: Task, options: TRMOptions) -> TRMSolver:
    """The solver that the options describe."""
    return TRMSolver(model, task, options.evaluation_steps, options.halting)
