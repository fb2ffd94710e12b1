"""What a user can set for a recursive model and its training. Light: validated before torch loads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from benchmarks.errors import UserError, did_you_mean

Recursion = Literal["trm", "direct", "single_z", "multi_scale", "fixed_point"]
ACT = Literal["halt", "halt_continue", "none"]
Loss = Literal["stablemax", "softmax"]
Optimizer = Literal["adamw", "adam_atan2", "muon"]
Compile = Literal["off", "network", "recursion", "cuda_graphs"]
Select = Literal["halting", "first"]

PATIENCE = 1
MLP_UP_TO = 128  # positions up to which mixer="auto" mixes by an MLP, as the paper does for Sudoku but not for 30 x 30
NOISE = 0.5  # of a noisy trajectory (docs/results/scaling.md)

# Whole numbers that a model is made of, with the least that makes sense.
SIZES = {
    "width": 1,
    "layers": 1,
    "heads": 1,
    "inner_multiple": 1,
    "prefix": 0,
    "experts": 1,
    "networks": 1,
    "T": 1,
    "n": 0,
    "supervision_steps": 1,
}
LEAST_N = {"direct": 0, "trm": 1, "single_z": 0, "multi_scale": 1, "fixed_point": 3}


def check_counts(owner: Any, least: Mapping[str, int]) -> None:
    """Raise unless the named attributes are whole numbers of at least ``least``.

    Raises:
        UserError: naming the first that is not.
    """
    for name, smallest in least.items():
        value = getattr(owner, name)
        if isinstance(value, bool) or not isinstance(value, int) or value < smallest:
            raise UserError(f"{name} is {value!r}.", where=name, cure=f"Give a whole number of at least {smallest}.")


def check_kinds(owner: Any, kinds: Mapping[str, Any]) -> None:
    """Raise unless the named attributes are one of the words of their ``Literal``.

    Raises:
        UserError: naming the first that is not.
    """
    for name, kind in kinds.items():
        value = getattr(owner, name)
        if value not in get_args(kind):
            raise UserError(f"unknown {name} '{value}'.", where=name, cure=did_you_mean(str(value), get_args(kind)))


def check_variant(owner: Any) -> None:
    """Raise where settings of the recursion contradict each other.

    Raises:
        UserError: naming the setting.
    """
    if owner.networks > 2 or (owner.networks == 2 and owner.recursion not in ("trm", "multi_scale", "fixed_point")):
        raise UserError(
            f"{owner.networks} networks with recursion={owner.recursion}.",
            where="networks",
            cure="There can be 2, one for z and one for y, where there are both; else 1.",
        )
    if owner.n < LEAST_N[owner.recursion]:
        raise UserError(
            f"n is {owner.n}.", where="n", cure=f"{owner.recursion} needs at least {LEAST_N[owner.recursion]}."
        )
    if owner.gradient_evaluations is None:
        return
    if owner.recursion not in ("trm", "single_z"):
        raise UserError(
            f"gradient_evaluations has no meaning with recursion={owner.recursion}.",
            where="gradient_evaluations",
            cure="Leave it out.",
        )
    # The last evaluation of "trm" updates y, which does not look at the question: alone, it would not train z at all.
    check_counts(owner, {"gradient_evaluations": 2 if owner.recursion == "trm" else 1})


def check_exploration(exploration: float) -> None:
    """
    Raises:
        UserError: if it is not a probability.
    """
    if not 0 <= exploration <= 1:
        raise UserError(
            f"exploration must be a probability from 0 to 1, not {exploration!r}.",
            where="exploration",
            cure="The paper's is 0.1.",
        )


def check_heads(mixer: str, width: int, heads: int) -> None:
    """
    Raises:
        UserError: if attention cannot split the width into heads with an even size, which rotary angles need.
    """
    if mixer == "attention" and width % (2 * heads):
        raise UserError(
            f"a width of {width} cannot be split into {heads} attention heads of even size.",
            where="width",
            cure=f"Choose a multiple of {2 * heads}, or another number of heads.",
        )


def mixer_for(mixer: str, positions: int) -> Literal["mlp", "attention"]:
    """What mixes so many positions: ``auto`` takes the MLP up to :data:`MLP_UP_TO`."""
    if mixer == "auto":
        return "mlp" if positions <= MLP_UP_TO else "attention"
    return "mlp" if mixer == "mlp" else "attention"


@dataclass(frozen=True)
class TRMOptions:
    """Everything a user can set under ``method.trm``, ``method.direct`` or a variant of them.

    Attributes:
        width, layers, heads: shape of the network, which has ``layers`` blocks.
        T: rounds of the recursion in a supervision step; only the last one has a gradient.
        n: updates of z in a round.
        supervision_steps: most supervision steps of a problem in training.
        exploration: probability that halting in training is put off to a random step.
        loss: cross entropy of the answer; stable-max (the paper) or soft-max.
        batch_size: problems of a training step.
        learning_rate, weight_decay: of every weight but the puzzles' vectors.
        warmup_steps: steps in which the learning rate rises to its value.
        max_grad_norm: gradients are scaled down to this norm; 0: never.
        recursion, networks, gradient_evaluations, act, experts, tied_head, prefix: the system or ablation, see
            :class:`trm.configuration.TRMConfig`. A task whose puzzles have vectors of their own needs ``prefix`` >= 1.
        optimizer: AdamW (the paper), AdamATan2 (the published code), or Muon with AdamW for embedding, heads and
            biases.
        puzzle_learning_rate, puzzle_weight_decay: of the puzzles' vectors, which sign SGD trains.
        inner_multiple: inner sizes are rounded up to a multiple of it. The published code has 256, with which token
            mixing over 16 positions would be padded sixfold; at the published sizes 64 hardly differs.
        mixer: ``auto`` takes the MLP up to 128 positions and attention beyond.
        schedule: learning rate over the budget: constant, cosine or linear.
        ema: decay of the averaged weights; 0 switches them off.
        ema_warmup: let the average look back over a tenth of the run while the run is short.
        augment: a random symmetry of the family for every problem that enters a slot.
        augmentations: draw it from so many fixed variants of each problem, as the published data sets hold (1,000);
            0: a new one each time. Puzzles with vectors of their own always have fixed variants, 1,000 for 0.
        precision: of the matrix products in training (weights stay float32); ``auto`` takes bfloat16 where the
            processor or GPU has it (docs/results/speed.md says what it gains).
        compile: what torch.compile makes one piece of in training: ``network``, an evaluation of the network (seconds
            to compile); ``recursion``, all T (n + 1) of them (a minute or more); ``cuda_graphs``, the same replayed
            without the host. docs/results/speed.md says what each gains.
        halting: at evaluation, stop a problem when the halting head says so.
        patience: and when its answer has stayed the same for so many steps. With 0 as in training, which is too early
            on unseen problems: 87 % right where all steps give 98 % (docs/results/scaling.md).
        evaluation_steps: supervision steps at evaluation; as in training by default.
        votes: variants of each problem that are answered; the most frequent answer counts (ARC: 1,000).
        trajectories: through each of them, all but the first with noise (arXiv 2605.19943).
        noise: standard deviation of what is added to each number of y and z at every supervision step.
        select: which trajectory counts: the one with the highest halting logit (``halting``), or the one that
            wants to halt first, with which the others stop (``first``, arXiv 2601.19085).
        evaluation_precision: of the matrix products at evaluation, as ``precision`` in training.
        trainer: further arguments of ``transformers.TrainingArguments``.
    """

    width: int = 64
    layers: int = 2
    heads: int = 4
    inner_multiple: int = 64
    mixer: Literal["auto", "mlp", "attention"] = "auto"
    prefix: int = 0
    experts: int = 1
    networks: int = 1
    recursion: Recursion = "trm"
    T: int = 3
    n: int = 6
    gradient_evaluations: int | None = None
    supervision_steps: int = 16
    act: ACT = "halt"
    exploration: float = 0.1
    tied_head: bool = False
    loss: Loss = "stablemax"
    optimizer: Optimizer = "adamw"
    batch_size: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 0.1
    puzzle_learning_rate: float = 1e-2
    puzzle_weight_decay: float = 0.1
    warmup_steps: int = 20
    schedule: Literal["constant", "cosine", "linear"] = "constant"
    ema: float = 0.999
    ema_warmup: bool = True
    augment: bool = True
    augmentations: int = 0
    max_grad_norm: float = 1.0
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    compile: Compile = "off"
    halting: bool = False
    patience: int = PATIENCE
    evaluation_steps: int | None = None
    votes: int = 1
    trajectories: int = 1
    noise: float = NOISE
    select: Select = "halting"
    evaluation_precision: Literal["auto", "float32", "bfloat16"] = "float32"
    trainer: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_counts(self, SIZES | {"batch_size": 1, "warmup_steps": 0, "augmentations": 0, "votes": 1})
        check_counts(self, {"trajectories": 1, "patience": 0})
        check_kinds(self, {"recursion": Recursion, "act": ACT, "loss": Loss, "optimizer": Optimizer, "select": Select})
        check_kinds(self, {"compile": Compile})
        if self.compile != "off" and (self.experts > 1 or self.recursion == "fixed_point"):
            raise UserError(
                f"compile={self.compile} with a recursion that asks for numbers on the way (experts, fixed_point).",
                where="compile",
                cure="Leave compile off for it.",
            )
        check_variant(self)
        self._check_trajectories()
        if self.evaluation_steps is not None:
            check_counts(self, {"evaluation_steps": 1})
        for name in ("learning_rate", "puzzle_learning_rate"):
            if not getattr(self, name) > 0:
                raise UserError(f"{name} is {getattr(self, name)!r}.", where=name, cure="Give a positive number.")
        if not 0 <= self.ema < 1:
            raise UserError(
                f"ema is {self.ema!r}.", where="ema", cure="Give a decay from 0 (no average) to below 1, such as 0.999."
            )

    def _check_trajectories(self) -> None:
        if not self.noise > 0:
            raise UserError(f"noise is {self.noise!r}.", where="noise", cure="Give a positive number, such as 0.5.")
        if self.trajectories > 1 and (self.act == "none" or self.recursion == "direct"):
            raise UserError(
                f"{self.trajectories} trajectories, and no halting head to choose between them.",
                where="trajectories",
                cure="Leave it out, or let the model learn to halt (act=halt).",
            )


@dataclass(frozen=True)
class DirectOptions(TRMOptions):
    """The same for direct prediction: one pass of the same network."""

    recursion: Recursion = "direct"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.recursion != "direct":
            raise UserError(
                f"direct prediction has no recursion '{self.recursion}'.",
                where="recursion",
                cure="Leave it out, or make a variant of trm.",
            )
