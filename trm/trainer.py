"""Trains recursive models with transformers' Trainer.

Special here: one optimiser step is one supervision step. The carry (latents, step counts, and the problems in the
batch's slots) lives across batches and is part of a checkpoint, as is the average of the weights; problems count as
examples when they enter a slot; every step is priced by formula.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments, set_seed

from benchmarks.compute import Cost
from benchmarks.errors import UserError
from benchmarks.grid_task import GridTask, as_grid
from benchmarks.method import TrainingRun
from benchmarks.training.budget import Meter
from benchmarks.training.trainer import BudgetCallback, BudgetedTrainerMixin
from trm import pricing
from trm.arguments import check_arguments, training_arguments, use_bfloat16
from trm.building import build
from trm.compilation import compile_recursion
from trm.dataset import Examples, collate
from trm.ema import EMACallback
from trm.halting import Carry, minimum_steps
from trm.modeling import TRMForPuzzles
from trm.optimizers import build_optimizer
from trm.options import TRMOptions
from trm.random_numbers import Draws
from trm.solver import TRMSolver
from trm.supervision import DeepSupervision

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


class TRMTrainer(BudgetedTrainerMixin, Trainer):  # type: ignore[misc]  # the mixin prices in whole numbers or not
    """Trainer of :class:`TRMForPuzzles`; needs ``dataloader_drop_last`` and no gradient accumulation.

    Args:
        examples: the training problems; they must fit the model.
        ema: averages the weights, and is saved and restored with checkpoints.
    """

    model: TRMForPuzzles

    def __init__(
        self,
        model: TRMForPuzzles,
        args: TrainingArguments,
        *,
        examples: Examples,
        options: TRMOptions,
        meter: Meter,
        ema: EMACallback | None = None,
        callbacks: Sequence[TrainerCallback] = (),
    ) -> None:
        check_arguments(args, len(examples))
        examples.check(model.config)
        self.examples, self.options, self.meter, self.schedule, self.ema = (
            examples, options, meter, options.schedule, ema,
        )  # fmt: skip
        device = args.device
        self.draws = Draws(args.seed, device, args.process_index, args.world_size)
        self.supervision = DeepSupervision(model)
        compile_recursion(model, options.compile)
        super().__init__(
            model=model,
            args=args,
            train_dataset=examples.to(device),
            data_collator=collate,  # type: ignore[arg-type]  # of a batch fetched as a whole
            callbacks=[*([ema] if ema else []), *callbacks],
        )
        self.remove_callback(PrinterCallback)

    # --- one step -------------------------------------------------------------------------------

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        """One supervision step of the problems in the slots, after halted slots took in new ones."""
        step, config = self.state.global_step, self.model.config
        offer = self.examples.take(inputs["index"], self.draws, step)
        slots = len(offer[0]) * self.args.world_size
        generator = self.draws.at(step, "exploration")
        minimum = minimum_steps(slots, config.supervision_steps, config.exploration, generator)
        loss, output = self.supervision.step(model, offer, self.draws.part(minimum))
        return (loss.total, output) if return_outputs else loss.total

    def price(self, inputs: Any) -> Cost:
        """Of the step that was just taken. How many problems entered a slot is known on the device: it is asked for
        only now and then, or at each step where the budget is counted in examples."""
        if self.meter.budget.unit == "examples":
            self.count_examples()
        config = self.model.config
        batch = len(inputs["index"]) * self.args.world_size
        return Cost(flops=batch * pricing.training_step(config), tokens=batch * config.positions)

    def count_examples(self) -> None:
        """Tell the meter how many problems entered a slot since it was last told."""
        entered, self.supervision.entered = self.supervision.entered, None
        if entered is not None:
            self.meter.add(Cost(examples=int(self.accelerator.gather(entered[None]).sum())))

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        if self.optimizer is None:
            self.optimizer = build_optimizer(self.model if model is None else model, self.options)
        return self.optimizer

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """
        Raises:
            UserError: if the loss is not a number any more; checkpoints from before stay.
        """
        if not math.isfinite(logs.get("loss", 0.0)):
            raise diverged("the loss", self.state.global_step, self.options)
        self.count_examples()
        if "loss" in logs and self.supervision.left is not None:
            left, exact, steps = self.supervision.left.tolist()
            self.supervision.left = None
            if left:
                logs |= {"exact": exact / left, "supervision_steps": steps / left}
        super().log(logs, start_time)

    # --- checkpoints ----------------------------------------------------------------------------

    def _save_checkpoint(self, *args: Any, **kwargs: Any) -> None:
        """As in transformers, but weights that are no numbers never take the place of good ones."""
        self.check_weights()
        super()._save_checkpoint(*args, **kwargs)

    def check_weights(self) -> None:
        """
        Raises:
            UserError: if a weight or a number of a puzzle's vector is not finite.
        """
        if not all(torch.isfinite(weight).all() for weight in self.model.state_dict().values()):
            raise diverged("a weight", self.state.global_step, self.options)

    def save_own_state(self, folder: Path) -> None:
        self.count_examples()
        super().save_own_state(folder)
        if self.ema is not None and self.args.should_save:
            save_file(self.ema.state_dict(), folder / EMA_FILE)
        carry, left = self.supervision.carry, self.supervision.left
        state = {
            "carry": None if carry is None else {k: v.contiguous() for k, v in carry.tensors().items()},
            "left": left,
        }
        torch.save(state, folder / self._carry_file)

    def load_own_state(self, folder: Path) -> None:
        super().load_own_state(folder)
        state = torch.load(folder / self._carry_file, map_location="cpu", weights_only=True)
        self.supervision.carry = None if state["carry"] is None else Carry(**state["carry"]).to(self.args.device)
        self.supervision.left = None if state["left"] is None else state["left"].to(self.args.device)
        if self.ema is not None:
            self.ema.load_state_dict(load_file(folder / EMA_FILE), self.args.device)

    @property
    def _carry_file(self) -> str:
        return f"carry-{self.args.process_index}.pt"


def diverged(what: str, step: int, options: TRMOptions) -> UserError:
    return UserError(
        f"{what} is not a finite number any more, at step {step}: training has diverged.",
        where="training",
        cure=f"Lower learning_rate (now {options.learning_rate:g}), set max_grad_norm=1, or raise warmup_steps; "
        "checkpoints from before are kept.",
    )


def train(run: TrainingRun[TRMOptions]) -> TrainedRecursive:
    """Train until the budget is spent.

    Milestones get a solver over the averaged weights. A run goes on from its checkpoints to the last bit, where the
    same machine computes with as many threads.

    Raises:
        UserError: if the family is text only, or an option cannot hold for these problems.
    """
    task, options = as_grid(run.task, run.where), run.options
    args = training_arguments(options, run.budget, run.seed, run.folder)
    examples = Examples(task, run.problems, options)
    set_seed(run.seed)
    model = TRMForPuzzles(build(task, options, examples.table))
    meter = Meter(run.budget)
    ema = EMACallback(options.ema, options.ema_warmup) if options.ema else None

    def milestone(model: TRMForPuzzles, _: Cost) -> None:
        assert run.at_milestone is not None
        trainer.count_examples()
        with ema.applied(model) if ema is not None else nullcontext():
            run.at_milestone(solver(model, task, options), meter.spent)

    at_milestone = milestone if run.at_milestone else None
    trainer = TRMTrainer(
        model,
        args,
        examples=examples,
        options=options,
        meter=meter,
        ema=ema,
        callbacks=[BudgetCallback(meter, run.milestones, at_milestone, run.on_progress)],
    )
    trainer.checkpoints = run.checkpoints
    trainer.train()

    # What the last steps took in is counted, and the averaged weights become the model's.
    trainer.count_examples()
    trainer.check_weights()
    if ema is not None:
        ema.copy_to(model)
    losses = [entry for entry in trainer.state.log_history if "loss" in entry]
    return TrainedRecursive(model.eval(), meter, losses, "bfloat16" if args.bf16 else "float32")


def solver(model: TRMForPuzzles, task: GridTask, options: TRMOptions) -> TRMSolver:
    """The solver that the options describe."""
    return TRMSolver(
        model,
        task,
        options.evaluation_steps,
        options.halting,
        options.patience,
        options.votes,
        options.trajectories,
        options.noise,
        options.select,
        use_bfloat16(options.evaluation_precision, model.device.type != "cpu"),
    )
