"""The language-model methods without reinforcement: answers alone, distilled chains of thought, a served model.

Light until something runs: options are checked without torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from benchmarks.compute import Cost
from benchmarks.errors import UserError
from benchmarks.language_models import ModelOptions, refines_tokens
from benchmarks.method import (
    Effort,
    Measurement,
    Method,
    MethodOptions,
    Price,
    Setting,
    Thinking,
    Trained,
    TrainingRun,
    trained_weights,
)
from benchmarks.problem import Problem
from cot_distill.options import SFTOptions, SolverOptions
from cot_distill.pricing import typical_lengths
from cot_distill.server_options import PromptedOptions

if TYPE_CHECKING:
    from benchmarks.evaluation import Solver
    from benchmarks.scaling import Scaled
    from benchmarks.text_form import Style
    from cot_distill.prompted import PromptedSolver
    from cot_distill.sample_log import SampleLog
    from cot_distill.train import TrainedLanguageModel

O = TypeVar("O", bound=MethodOptions)  # noqa: E741
TOKEN_DEPTH = 16  # supervision steps of a token that `scale` goes to, unless told otherwise
ANSWERS = "answers.jsonl"  # of a served model, as they come

HOW_VOTES = (
    "The most frequent answer of the samples counts, ties go to the first (arXiv 2203.11171). FLOPs are counted by "
    "formula against a key-value cache, the prompt once for all samples of a problem."
)
HOW_ANSWERS = f"Every problem was answered in samples. {HOW_VOTES}"
HOW_TOKENS = (
    "Every problem was thought about once greedily and then in samples. A thought that goes beyond a budget is ended "
    f"there and the answer forced (arXiv 2501.19393). {HOW_VOTES}"
)
HOW_DEPTH = (
    "Steps are supervision steps, those of all tokens of an answer together. For each number of steps and each "
    "halting rule every problem was answered anew and greedily; the prompt's tokens always take all steps allowed, "
    "which is in the FLOPs. Samples are drawn at the depth of the run."
)


class LanguageModelMethod(Method[O]):
    """What every method shares that trains a causal language model.

    Attributes:
        style: with a thought before the answer (``cot``), or without (``answer_only``).
    """

    style: ClassVar[Style] = "cot"

    def preflight(self, setting: Setting[O]) -> None:
        """The model must be there, and fit the task.

        The shapes of this kit were checked with the options. Only a folder, a hub name or settings need the library.
        """
        if setting.model.path is None and not setting.model.settings:
            return

        from cot_distill.language_model import load_tokenizer, model_config

        try:
            model_config(setting.model, len(load_tokenizer(setting.model, setting.task)))
        except UserError as error:
            where = error.where or f"model.path={setting.model.path}"
            raise UserError(error.what, where=where, cure=error.cure) from None

    def own_model(self, options: O, model: ModelOptions, where: str) -> ModelOptions:
        own: Any = options
        result: ModelOptions = own.model.over(model, f"{where}.model")
        return result

    def load(self, setting: Setting[O], folder: Path) -> Solver:
        from cot_distill.language_model import load_pretrained
        from cot_distill.solver import CausalLMSolver

        weights = trained_weights(folder)
        model, tokenizer = load_pretrained(str(weights))
        limit = model.generation_config.max_new_tokens
        own: Any = setting.options
        return CausalLMSolver(model, tokenizer, setting.task, self.style, limit, own.solver, weights)

    def longer(self, setting: Setting[O], folder: Path, effort: Effort) -> Measurement:
        """Longer thoughts, more samples that vote, and for a model that refines its tokens, more steps of each."""
        from cot_distill.scaling import token_depth, tokens

        settings = tokens.Settings(effort.samples, effort.temperature)
        deeper = None
        if token_depth.deepens(trained_weights(folder)):
            deeper = token_depth.Settings(TOKEN_DEPTH if effort.depth is None else effort.depth)
            token_depth.check(deeper)
        elif self.thinking != "token":
            return super().longer(setting, folder, effort)
        tokens.check(settings)

        def measure(problems: Sequence[Problem], on_progress: Callable[[float], None]) -> Scaled:
            solver: Any = self.load(setting, folder)
            return scaled(solver, problems, settings, deeper, effort.batch_size, on_progress)

        return measure


class SupervisedMethod(LanguageModelMethod[SFTOptions]):
    """What both supervised methods share: TRL's ``SFTTrainer`` (:mod:`cot_distill.train`)."""

    options: ClassVar[type] = SFTOptions

    def preflight(self, setting: Setting[SFTOptions]) -> None:
        """The model as above, and options of TRL that the user gave."""
        super().preflight(setting)
        check_sft_options(setting.options.trainer, f"{setting.where}.trainer")
        check_generator(setting.options.solver, f"{setting.where}.solver.generator")

    def train(self, run: TrainingRun[SFTOptions]) -> Trained:
        """See :func:`cot_distill.train.train`."""
        from cot_distill.train import train

        result = train(run, self.style)
        notes = [*outside_knowledge(run.model), *result.warnings, *self.notes(run.options)]
        return trained_language_model(result, result.solver(run.task, self.style), notes, {})

    def notes(self, options: SFTOptions) -> list[str]:
        """What the method was taught beyond the labels, in words for the reader."""
        return []

    def price(self, setting: Setting[SFTOptions]) -> Price:
        shape, parameters, lengths = typical_lengths(setting, self.style, self.style, setting.options)
        batch = setting.options.batch_size * int(setting.options.trainer.get("gradient_accumulation_steps", 1))
        return Price(
            parameters=parameters,
            flops_per_step=shape.training_step(batch, lengths.row),
            flops_per_answer=lengths.per_answer(shape, setting.options.solver.samples),
            examples_per_step=batch,
        )


class AnswerOnly(SupervisedMethod):
    """A causal language model trained on the answers alone: what a chain of thought is measured against."""

    name: ClassVar[str] = "answer_only"
    label: ClassVar[str] = "LM, answer only"
    colour: ClassVar[str] = "ochre"
    style: ClassVar[Style] = "answer_only"

    def thinks(self, model: Mapping[str, Any]) -> Thinking:
        """Latent, where the language model refines each token before it is written; filler tokens are no thinking."""
        return "latent" if refines_tokens(model) else self.thinking


class COT(SupervisedMethod):
    """A causal language model distilled on traces, programmatic ones or those of a language model."""

    name: ClassVar[str] = "cot"
    label: ClassVar[str] = "LM, chain of thought (distilled)"
    colour: ClassVar[str] = "orange"
    thinking: ClassVar[Thinking] = "token"
    contrast: ClassVar[str | None] = "answer_only"

    def check(self, setting: Setting[SFTOptions]) -> None:
        check_teacher(setting, setting.options, setting.where)

    def notes(self, options: SFTOptions) -> list[str]:
        return [teaching(options.traces)] if options.content == "right" else []


class Prompted(Method[PromptedOptions]):
    """A pretrained model behind an OpenAI-compatible server, prompted and not trained."""

    name: ClassVar[str] = "prompted"
    label: ClassVar[str] = "LM, prompted"
    colour: ClassVar[str] = "pink"
    thinking: ClassVar[Thinking] = "token"
    trains: ClassVar[bool] = False
    options: ClassVar[type] = PromptedOptions

    def preflight(self, setting: Setting[PromptedOptions]) -> None:
        """Ask the server one short question."""
        from cot_distill.generators.server import connect

        connect(setting.options, setting.where).check()

    def train(self, run: TrainingRun[PromptedOptions]) -> Trained:
        """Nothing is trained; the answers go to a file in the run's folder as they come."""
        from cot_distill.prompted import keep_answers

        if run.keep is None:
            raise ValueError("a run that asks a server must have a folder to keep its answers")
        options, saving = run.options, run.checkpoints
        log = keep_answers(run.keep / ANSWERS, options, run.seed, run.fingerprint, saving.resume, saving.tell)
        shown = prompted_solver(run.task, options, run.problems, run.seed, run.where, log)
        size = None if options.parameters is None else int(options.parameters)
        return Trained(shown, lambda _: None, size, Cost(), [], shown.notes)

    def load(self, setting: Setting[PromptedOptions], folder: Path) -> Solver:
        if setting.options.shots and setting.splits is None:
            raise ValueError("a setting with shots must say where the problems come from")
        problems = setting.splits().train if setting.options.shots and setting.splits else []
        return prompted_solver(setting.task, setting.options, problems, setting.seed, setting.where)

    def trainer_folders(self, options: PromptedOptions, folder: Path) -> dict[Path, bool]:
        return {}


def prompted_solver(
    task: Any,
    options: PromptedOptions,
    problems: Sequence[Problem],
    seed: int,
    where: str,
    log: Callable[[], SampleLog] | None = None,
) -> PromptedSolver:
    """The solver that asks the server.

    Args:
        problems: of training, from which the shots are chosen.
    """
    from cot_distill.prompted import PromptedSolver
    from cot_distill.prompting import choose_shots

    shots = choose_shots(task, problems, options.shots) if options.shots else []
    return PromptedSolver(task, options, shots, seed, where, log)


# --- what the language-model methods share ----------------------------------------------------------


def check_sft_options(trainer: Mapping[str, Any], where: str) -> None:
    """TRL must know its own options; without any, the library is not loaded.

    Raises:
        UserError: naming the option.
    """
    if not trainer:
        return

    import torch
    from trl import SFTConfig

    from benchmarks.training.trainer_options import checked_options, try_arguments

    own = checked_options(trainer, SFTConfig, where)
    on_cpu = not torch.cuda.is_available()
    usual: dict[str, Any] = {"output_dir": "unused", "use_cpu": on_cpu, "bf16": not on_cpu, "report_to": "none"}
    try_arguments(lambda: SFTConfig(**usual | own), where)


def check_generator(options: SolverOptions, where: str) -> None:
    """What writes must be installed.

    Raises:
        UserError: if it is vLLM, and vLLM is not there.
    """
    from importlib.util import find_spec

    if options.generator == "vllm" and find_spec("vllm") is None:
        raise UserError(
            "vLLM is not installed.",
            where=where,
            cure="Let transformers generate, or install it into an environment of its own: "
            "pip install 'reasoning_kit[vllm]' -c constraints-vllm.txt.",
        )


def check_teacher(setting: Setting[Any], options: SFTOptions, where: str) -> None:
    """Who teaches must be there before anything is trained: a programmatic teacher of that style, or a folder.

    Raises:
        UserError: naming the option.
    """
    from cot_distill.traces import check_style

    if options.traces is None:
        check_style(setting.task, options.trace, f"{where}.trace (task.{setting.task_name})")
    elif not Path(options.traces).expanduser().is_dir():
        raise UserError(
            f"there is no folder '{options.traces}'.",
            where=f"{where}.traces",
            cure="Give one that reasoning-kit teach wrote.",
        )


def teaching(traces: str | None) -> str:
    """What the traces are beyond the labels, in words for the reader."""
    if traces is None:
        return "Each label comes with a solver-written trace: supervision that TRM and answer-only do not get."
    from cot_distill.teacher import summary_of

    found = summary_of(Path(traces))
    price = "an unknown price" if found["flops"] is None else f"{found['flops']:.3g} FLOPs"
    return (
        f"Taught by traces of {found['configuration']['model']}, of which the verifier accepted "
        f"{found['acceptance_per_sample']:.0%}: writing them took {price}, which is not in the budget."
    )


def outside_knowledge(model: ModelOptions) -> list[str]:
    """What a pretrained model brings."""
    if model.path is None:
        return []
    return [f"Starts from the pretrained model {model.path}: knowledge from outside that is not in the budget."]


def trained_language_model(
    result: TrainedLanguageModel, solver: Any, notes: list[str], diagnostics: dict[str, Any]
) -> Trained:
    """What a trainer of language models leaves, as the face takes it."""

    def save(folder: Path) -> None:
        result.model.generation_config.max_new_tokens = result.max_new_tokens
        result.model.save_pretrained(folder)
        result.tokenizer.save_pretrained(folder)
        solver.weights = folder

    return Trained(solver, save, result.model.num_parameters(), result.meter.spent, result.losses, notes, diagnostics)


def scaled(
    solver: Any,
    problems: Sequence[Problem],
    settings: Any,
    deeper: Any,
    batch_size: int,
    on_progress: Callable[[float], None],
) -> Scaled:
    """Accuracy against compute of a trained language model, and the words around it.

    Args:
        settings, deeper: of :mod:`cot_distill.scaling.tokens` and, or ``None``, :mod:`cot_distill.scaling.token_depth`.
    """
    from benchmarks.scaling import Scaled
    from cot_distill.scaling import token_depth, tokens

    thinks = solver.style == "cot"
    share = 1.0 if deeper is None else 0.5
    series, rows = tokens.measure(solver, problems, settings, batch_size, lambda done: on_progress(share * done))

    written = "thoughts" if thinks else "answers"
    lead = f"it may write up to {solver.max_new_tokens} tokens. "
    lead += "Its greedy thought is ended earlier and earlier, and " if thinks else ""
    lead += f"{settings.samples} {written} drawn at temperature {settings.temperature} vote."
    how = HOW_TOKENS if thinks else HOW_ANSWERS
    if deeper is None:
        return Scaled(series, rows, asdict(settings), "Tokens", lead, how)

    more, more_rows = token_depth.measure(
        solver, problems, deeper, batch_size, lambda done: on_progress((1 - share) * done + share * len(problems))
    )
    trained = solver.model.config.supervision_steps
    lead += f" Each token was trained with {trained} supervision steps and is given up to {deeper.depth} here."
    both = asdict(settings) | asdict(deeper) | {"cache_policy": solver.model.config.policy}
    return Scaled([*more, *series], [*rows, *more_rows], both, "Steps", lead, f"{HOW_DEPTH} {how}")
