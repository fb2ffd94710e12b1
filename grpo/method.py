"""GRPO and its relatives as a method: a policy from a start checkpoint, and a student where one is asked for.

Light until something runs: options are checked without torch.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from benchmarks.language_models import ModelOptions
from benchmarks.method import Phase, Price, Setting, Thinking, Trained, TrainingRun
from cot_distill.method import (
    COT,
    LanguageModelMethod,
    check_generator,
    check_sft_options,
    check_teacher,
    outside_knowledge,
    trained_language_model,
)
from cot_distill.pricing import typical_lengths
from cot_distill.traces import has_teacher, styles
from grpo.options import GRPOOptions

if TYPE_CHECKING:
    from benchmarks.evaluation import Solver
    from benchmarks.task import Task
    from benchmarks.text_form import Style

COPIES = 4  # weights, gradients and two moments of Adam, per parameter


class GRPO(LanguageModelMethod[GRPOOptions]):
    """Group-relative policy optimisation on the task's verifier (arXiv 2402.03300), with TRL."""

    name: ClassVar[str] = "grpo"
    label: ClassVar[str] = "LM, GRPO"
    colour: ClassVar[str] = "purple"
    thinking: ClassVar[Thinking] = "token"
    options: ClassVar[type] = GRPOOptions
    contrast: ClassVar[str | None] = "cot"

    # --- before anything runs -------------------------------------------------------------------

    def resolve(self, options: GRPOOptions, task: type[Task], model: ModelOptions) -> GRPOOptions:
        """A pretrained model is not distilled first where no program can teach the family: it starts as it is."""
        if options.start != "distill" or model.path is None:
            return options
        taught = has_teacher(task) or options.distillation.traces is not None
        return options if taught else replace(options, start="model")

    def check(self, setting: Setting[GRPOOptions]) -> None:
        if setting.options.taught is not None:
            check_teacher(setting, setting.options.taught, f"{setting.where}.distillation")

    def preflight(self, setting: Setting[GRPOOptions]) -> None:
        """TRL's own options, rewards of the user's, the start checkpoint, and a student's model.

        Libraries are loaded only where something of the user's needs them, so that a comparison starts at once.
        """
        super().preflight(setting)
        options = setting.options

        # TRL knows its own options and what vLLM needs; what does not fit LoRA or several processes is refused there.
        several = int(os.environ.get("WORLD_SIZE", "1")) > 1
        if options.trainer or options.vllm != "none" or setting.model.lora_rank or several:
            from benchmarks.training.trainer_options import try_arguments
            from grpo.arguments import arguments_of
            from grpo.train import check_arguments

            check_arguments(TrainingRun(
                setting.task, (), options, setting.budget, setting.seed, Path("unused"), setting.model, setting.where
            ))  # fmt: skip
            folder = Path("unused")
            try_arguments(lambda: arguments_of(options, folder, setting.seed, 1, 1.0), f"{setting.where}.trainer")
        check_generator(options.solver, f"{setting.where}.solver.generator")
        if options.rewards:
            from grpo.rewards import own_rewards

            own_rewards(options)

        # The start is distilled here, or is a finished run, a folder or a name on the hub.
        if options.taught is not None:
            check_sft_options(options.distillation.trainer, f"{setting.where}.distillation.trainer")
        elif options.start != "model":
            from grpo.start import check_start

            check_start(options, setting.task)

        if options.pupil.samples:
            from grpo.student import checked_student

            checked_student(setting.task, options, setting.model)

    # --- training -------------------------------------------------------------------------------

    def train(self, run: TrainingRun[GRPOOptions]) -> Trained:
        """See :func:`grpo.train.train` and, where a student follows, :func:`grpo.student.train`."""
        from grpo import notes

        seen: dict[str, float] = {}

        def at_phase(name: str, solver: Solver) -> float:
            seen[name] = run.ended(name, solver)
            return seen[name]

        student = None
        announced = replace(run, at_phase=at_phase)
        if run.options.pupil.samples:
            from grpo.student import train as train_student

            student = train_student(announced)
            policy = student.policy
        else:
            from grpo.train import train as train_policy

            policy = train_policy(announced)

        lines = [*outside_knowledge(run.model), *notes.policy_notes(run, policy, seen["start"])]
        lines += policy.diagnosis.lines
        diagnostics = notes.policy_diagnostics(policy, seen["start"])
        if student is not None:
            lines += notes.student_notes(run, student, seen["policy"])
            diagnostics["pupil"] = notes.student_diagnostics(student, seen["policy"])

        result = student or policy
        return trained_language_model(result, result.solver(run.task, "cot"), lines, diagnostics)

    def trainer_folders(self, options: GRPOOptions, folder: Path) -> dict[Path, bool]:
        """Those of the policy, of its start, and of a student."""
        policy = folder / "policy" if options.pupil.samples else folder
        found = {
            folder: options.trainer,
            policy: options.trainer,
            policy / "start": options.distillation.trainer,
            folder / "pupil": options.pupil.distillation.trainer,
        }
        return {place: trainer.get("save_strategy", "no") != "no" for place, trainer in found.items()}

    # --- what it costs --------------------------------------------------------------------------

    def phases(self, setting: Setting[GRPOOptions]) -> list[Phase]:
        """A policy's training and its student's. Writing between them has no steps; where it takes none of the
        budget's unit, the student gets its share."""
        options, student = setting.options, setting.options.pupil
        if not student.samples:
            return [Phase(1.0, self, setting)]
        policy = replace(setting, options=replace(options, pupil=replace(student, samples=0)))
        model = student.model.over(setting.model, f"{setting.where}.pupil.model")
        distillation: Setting[Any] = replace(setting, options=cast(Any, student.distillation), model=model)
        left = 1 - student.policy_share if setting.budget.unit == "steps" else student.share
        return [Phase(student.policy_share, self, policy), Phase(left, COT(), distillation)]

    def price(self, setting: Setting[GRPOOptions]) -> Price:
        """A step writes its completions, scores them under a reference where there is one, and learns from them."""
        options = setting.options
        # Nobody knows its thoughts yet; without a programmatic teacher they are taken to be as short as answers.
        taught: Style = "cot" if styles(setting.task) else "answer_only"
        sft = replace(options.distillation, solver=options.solver)
        shape, parameters, lengths = typical_lengths(setting, "cot", taught, sft)
        shape = shape.of_last_state()

        batch = options.batch_size * int(options.trainer.get("gradient_accumulation_steps", 1))
        per_step = shape.training_step(batch, lengths.row)
        per_step += shape.generation(batch, lengths.prompt, lengths.row - lengths.prompt)
        penalised = bool(options.beta)
        scored = penalised + (options.algorithm == "rloo" or (options.algorithm == "ppo" and penalised))
        per_step += scored * shape.forward(batch, lengths.row)
        if options.algorithm == "ppo":
            value = shape.with_head(1)
            per_step += value.training_step(batch, lengths.row) + value.forward(batch, lengths.row)

        reference = penalised and not setting.model.lora_rank
        return Price(
            parameters=parameters,
            flops_per_step=per_step,
            flops_per_answer=lengths.per_answer(shape, options.solver.samples),
            examples_per_step=batch,
            copies=COPIES + reference + COPIES * (options.algorithm == "ppo"),
        )

    def steps_only(self, options: GRPOOptions) -> GRPOOptions:
        """Without pass rates, curriculum and the training of the start."""
        options = replace(options, held_out=0, curriculum="none")
        if options.taught is not None:
            options = replace(options, start="model", max_new_tokens=options.max_new_tokens or 64)
        return options
