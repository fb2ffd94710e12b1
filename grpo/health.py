"""Signs of trouble in the steps of a run, each with its cure.

Thresholds are judgements, not laws; a change must exceed its noise before it counts.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

History = Sequence[Mapping[str, Any]]  # per logged step what TRL and the trainer report

ZERO_VARIANCE = 0.5  # share of zero-variance groups from which it is a fault
CUT = 0.2  # share of completions that max_new_tokens cuts
EXPLAINED = 0.02  # share of the rewards' variance up to which a value model is of no use
CLIPPED = 0.2  # share of tokens (GSPO: completions) whose ratio is clipped
ENTROPY_LEFT = 0.25  # of the entropy at the start
LONGER = 1.5  # growth of completions that brings nothing
RUNAWAY = 0.5  # KL divergence, nats per token
ERRORS = 2.0  # standard errors that a change must exceed
NEARLY_ALL = 0.95  # from this accuracy on, low entropy and groups all right are what one wants


@dataclass(frozen=True)
class HealthSettings:
    """The options that a cure depends on.

    Attributes:
        rewards: names of the shaping rewards.
        algorithm: of the options.
        failures_file: where completions are that a reward failed on.
    """

    loss_type: str = "dapo"
    beta: float = 0.0
    resample: int = 0
    curriculum: str = "none"
    rewards: Sequence[str] = ()
    failures_file: str = ""
    algorithm: str = "grpo"


@dataclass(frozen=True)
class Change:
    """A number at the start and at the end of the steps.

    Attributes:
        error: standard error of the difference.
    """

    first: float
    last: float
    error: float

    @property
    def rose(self) -> bool:
        return self.last - self.first > ERRORS * self.error

    @property
    def fell(self) -> bool:
        return self.first - self.last > ERRORS * self.error


def change(history: History, key: str) -> Change | None:
    """From the first tenth of the steps, at least three and at most ten, to the last fifth; ``None`` where fewer than
    six steps tell it.

    The noise of a step is taken from the differences between neighbours (von Neumann, 1941), which a course that
    bends, such as a collapse in the first ten steps, hardly changes.
    """
    values = series(history, key)
    if len(values) < 6:
        return None

    first, last = values[: min(10, max(3, len(values) // 10))], values[-max(3, len(values) // 5) :]

    # Half the mean squared difference of neighbours is the variance of one step's noise.
    noise = statistics.fmean((b - a) ** 2 for a, b in pairwise(values)) / 2
    error = math.sqrt(noise * (1 / len(first) + 1 / len(last)))
    return Change(statistics.fmean(first), statistics.fmean(last), error)


def steps_of(log: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The steps in a trainer's log, without what it says at the end."""
    return [dict(entry) for entry in log if "entropy" in entry]


def series(history: History, key: str) -> list[float]:
    return [float(entry[key]) for entry in history if entry.get(key) is not None]


def total(history: History, key: str) -> float:
    return math.fsum(series(history, key))


@dataclass(frozen=True)
class Finding:
    """One finding.

    Attributes:
        name: one word for it.
        text: what was seen, and after a colon the cure.
    """

    name: str
    text: str


def health_checks(history: History, setting: HealthSettings) -> list[Finding]:
    """Everything that the steps so far show."""
    return [
        *_failures(history, setting),
        *_zero_variance_groups(history, setting),
        *_exploited(history, setting),
        *_entropy(history, setting),
        *_divergence(history, setting),
        *_lengths(history, setting),
        *_clipping(history, setting),
        *_forecast(history),
    ]


def _failures(history: History, setting: HealthSettings) -> list[Finding]:
    names: set[str] = set()
    for entry in history:
        names |= {key for key in entry if key.startswith("failures/")}
    place = f" (the completions are in {setting.failures_file})" if setting.failures_file else ""
    return [
        Finding(
            key,
            f"The reward '{key.removeprefix('failures/')}' failed on {total(history, key):.0f} completions{place}, "
            "each of which counted 0: mend the function.",
        )
        for key in sorted(names)
    ]


def _zero_variance_groups(history: History, setting: HealthSettings) -> list[Finding]:
    drawn = total(history, "groups/drawn")
    if not drawn:
        return []
    equal, right, wrong = (total(history, f"groups/{name}") / drawn for name in ("no_signal", "all_right", "all_wrong"))
    accuracy = total(history, "accuracy") / max(len(series(history, "accuracy")), 1)
    if accuracy == 0:
        cure = "start from a better checkpoint, take easier problems, or reward the form too (rewards={format: 0.1})"
        return [Finding("nothing right", f"Not one completion was right, so the verifier taught nothing: {cure}.")]
    if wrong >= NEARLY_ALL:
        text = (
            f"{share(wrong)} of groups had no right completion, so the verifier taught next to nothing: start from a "
            "better checkpoint, or take easier problems."
        )
        return [Finding("hardly anything right", text)]
    if equal < ZERO_VARIANCE:
        return []
    late = change(history, "accuracy")
    if right >= wrong and late is not None and late.last >= NEARLY_ALL:
        text = (
            f"{share(equal)} of groups had zero variance, most because all were right: these problems are learned: "
            "take harder ones, or stop here."
        )
        return [Finding("learned", text)]
    if right >= wrong:
        cure = "take harder problems, or raise the temperature"
    else:
        cure = "start from a better checkpoint, raise the temperature, or take easier problems"
    if setting.curriculum != "weight":
        cure += "; curriculum=weight asks more often what is right now and then"
    if not setting.resample and setting.algorithm in ("grpo", "rloo"):
        cure += "; resample=3 draws other prompts instead"
    what = f"{share(equal)} of groups had zero variance ({share(right)} all right, {share(wrong)} all wrong)"
    return [Finding("silent", f"{what}: {cure}.")]


def _exploited(history: History, setting: HealthSettings) -> list[Finding]:
    accuracy, reward = change(history, "accuracy"), change(history, "reward")
    if accuracy is None or reward is None or not accuracy.fell:
        return []
    fall = f"accuracy fell from {share(accuracy.first)} to {share(accuracy.last)}"
    if reward.rose:
        changes = {name: change(history, f"rewards/{name}/mean") for name in setting.rewards}
        risen = [name for name, its in changes.items() if its is not None and its.rose]
        which = f"the {' and '.join(risen)} reward is" if risen else "a shaping reward is"
        text = f"A{fall[1:]} while the reward rose: {which} being exploited: give it less weight, or leave it out."
        return [Finding("exploited", text)]
    cure = (
        "lower the learning rate" if setting.beta else "lower the learning rate, or hold on to the start with beta=0.04"
    )
    return [Finding("falling", f"A{fall[1:]}: training does harm: {cure}.")]


def _entropy(history: History, setting: HealthSettings) -> list[Finding]:
    entropy, accuracy = change(history, "entropy"), change(history, "accuracy")
    if entropy is None or accuracy is None:
        return []
    span = f"Entropy went from {entropy.first:.3g} to {entropy.last:.3g} nats a token"
    if entropy.fell and entropy.last < ENTROPY_LEFT * entropy.first and accuracy.last < NEARLY_ALL:
        bonus = "" if setting.algorithm == "rloo" else ", or add trainer.entropy_coef=0.001"  # RLOO has none
        text = (
            f"{span}: it has collapsed, all completions of a prompt become alike and nothing is left to compare: "
            f"raise epsilon_high or the temperature, lower the learning rate{bonus}."
        )
        return [Finding("entropy collapse", text)]
    if entropy.rose and entropy.last > 2 * entropy.first and accuracy.fell:
        text = f"{span} while accuracy fell: the policy drifts into noise: lower the learning rate or the temperature."
        return [Finding("noise", text)]
    return []


def _divergence(history: History, setting: HealthSettings) -> list[Finding]:
    kl = change(history, "kl")
    if kl is None or not kl.rose or kl.last < RUNAWAY:
        return []
    text = (
        f"The KL divergence to the start rose to {kl.last:.2g} nats a token, beta={setting.beta:g} does not hold it: "
        "raise beta, or lower the learning rate."
    )
    return [Finding("KL runaway", text)]


def _lengths(history: History, setting: HealthSettings) -> list[Finding]:
    found = []
    cut, length = change(history, "completions/clipped_ratio"), change(history, "completions/mean_length")
    accuracy = change(history, "accuracy")
    if cut is not None and cut.last > CUT:
        text = (
            f"{share(cut.last)} of the last completions were cut by max_new_tokens and so are wrong: raise it, "
            "punish length (rewards={length: 0.5}), or leave them out (trainer.mask_truncated_completions=true)."
        )
        found.append(Finding("cut", text))
    if length is None or accuracy is None:
        return found
    span = f"completions went from {length.first:.0f} to {length.last:.0f} tokens"
    if length.rose and length.last > LONGER * length.first and not accuracy.rose:
        cure = "punish length (rewards={length: 0.5})"
        if setting.loss_type == "grpo":
            cure = (
                "the loss grpo divides by each completion's length, which favours long wrong ones: use dr_grpo or dapo"
            )
        found.append(Finding("longer", f"{span.capitalize()} and accuracy did not rise: {cure}."))
    if length.fell and length.last < length.first / LONGER and accuracy.fell:
        cure = "give the length reward less weight" if "length" in setting.rewards else "lower the learning rate"
        found.append(Finding("shorter", f"{span.capitalize()} and accuracy fell: thinking is cut short: {cure}."))
    return found


def _clipping(history: History, setting: HealthSettings) -> list[Finding]:
    key = "cispo_clip_ratio" if setting.loss_type == "cispo" else "clip_ratio/region_mean"
    clip = change(history, key)
    if clip is None or clip.last < CLIPPED:
        return []
    text = (
        f"{share(clip.last)} of the ratios are clipped: each update goes too far from the policy that wrote the "
        "completions: lower the learning rate, or use them less often (trainer.num_iterations)."
    )
    return [Finding("clipping", text)]


def _forecast(history: History) -> list[Finding]:
    """Of PPO's value model."""
    explained = change(history, "value/explained")
    if explained is None or explained.last > EXPLAINED:
        return []
    text = (
        f"The value model explains nothing: {share(explained.last)} of the variance of what followed, at the end: "
        "without it PPO is REINFORCE: raise value.learning_rate, or take algorithm=grpo or rloo, which need none."
    )
    return [Finding("value", text)]


def share(value: float) -> str:
    return f"{value:.0%}".replace("%", " %")


def points(value: float) -> str:
    return f"{100 * value:.1f} points"


def signed(value: float) -> str:
    return f"{100 * value:+.1f} points"
