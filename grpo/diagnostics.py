"""What a GRPO run's numbers say, in plain words with the cure.

Most runs that do not learn show it early, in numbers that nobody looks at: groups whose completions are all worth the
same, a reward that is not the verifier's going up alone, entropy that is gone. The signs are looked for once at the
end, for the record and the report, and along the way, so that a run need not end first.
"""

from __future__ import annotations

import logging
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any

from transformers import TrainerCallback

from benchmarks.statistics import pass_at_k
from grpo.thoughts import Thoughts, course

logger = logging.getLogger(__name__)

History = Sequence[Mapping[str, Any]]  # per logged step what TRL and the trainer report

SILENT = 0.5  # share of groups without a signal from which it is a fault
CUT = 0.2  # share of completions that max_new_tokens cuts
EXPLAINED = 0.02  # share of the rewards' variance up to which a value model is of no use
CLIPPED = 0.2  # share of tokens (GSPO: completions) whose ratio is clipped
ENTROPY_LEFT = 0.25  # of the entropy at the start
LONGER = 1.5  # growth of completions that brings nothing
RUNAWAY = 0.5  # KL divergence, nats per token
ERRORS = 2.0  # standard errors that a change must exceed
NEARLY_ALL = 0.95  # from this accuracy on, low entropy and groups all right are what one wants
WINDOW = 20  # steps after which the callback looks for the first time, and again each time it doubles


@dataclass(frozen=True)
class PassRates:
    """How often a policy is right on problems that it was not trained on.

    Attributes:
        right: right completions of each problem.
        samples: completions of each problem.
        thoughts: what was thought in them; ``None`` where no programmatic teacher can check it.
    """

    right: list[int]
    samples: int
    thoughts: Thoughts | None = None

    def at(self, k: int) -> float:
        return statistics.fmean(pass_at_k(self.samples, right, k) for right in self.right)

    @property
    def ks(self) -> list[int]:
        return sorted({*(2**i for i in range(self.samples.bit_length()) if 2**i <= self.samples), self.samples})

    def to_dict(self) -> dict[str, Any]:
        thoughts = None if self.thoughts is None else self.thoughts.to_dict()
        return {**asdict(self), "pass_at_k": {str(k): self.at(k) for k in self.ks}, "thoughts": thoughts}


@dataclass(frozen=True)
class Setting:
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


class DiagnosticsCallback(TrainerCallback):
    """Tells a sign of trouble once, as soon as it is seen.

    Args:
        tell: gets each sentence.
    """

    def __init__(self, setting: Setting, tell: Callable[[str], None] = logger.warning) -> None:
        self.setting, self.tell = setting, tell
        self._look_at = WINDOW
        self._told: set[str] = set()

    def on_log(self, args, state, control, **_):
        if state.global_step < self._look_at or not state.is_world_process_zero:
            return
        self._look_at = 2 * state.global_step
        for sign in signs(steps_of(state.log_history), self.setting):
            if sign.name not in self._told:
                self._told.add(sign.name)
                self.tell(f"step {state.global_step}: {sign.text}")


@dataclass(frozen=True)
class Sign:
    """One finding.

    Attributes:
        name: one word for it.
        text: what was seen, and after a colon the cure.
    """

    name: str
    text: str


@dataclass
class Diagnosis:
    """
    Attributes:
        signs: of trouble; none is good news.
        summary: what training changed, in a sentence.
    """

    summary: str
    signs: list[Sign] = field(default_factory=list)

    @property
    def lines(self) -> list[str]:
        return [self.summary, *(sign.text for sign in self.signs)]


def diagnose(
    history: History, setting: Setting, before: PassRates | None = None, after: PassRates | None = None
) -> Diagnosis:
    """The verdict at the end of a run.

    Args:
        before, after: pass rates on the same problems; ``None`` where none were kept aside.
    """
    found = signs(history, setting)
    if before is not None and after is not None:
        found += sharpening(before, after)
    return Diagnosis(_summary(history, setting, before, after, bool(found)), found)


def _summary(
    history: History, setting: Setting, before: PassRates | None, after: PassRates | None, trouble: bool
) -> str:
    name = setting.algorithm.upper()
    if before is not None and after is not None:
        k, ends = before.samples, [f"{rates.at(1):.1%}" for rates in (before, after)]
        what = f"On {len(before.right)} training problems kept aside, {name} took pass@1 from {' to '.join(ends)}"
        what += f" and pass@{k} from {before.at(k):.1%} to {after.at(k):.1%}." if k > 1 else "."
        what = what.replace("%", " %")
        if before.thoughts is not None and after.thoughts is not None:
            what += f" {course(before.thoughts, after.thoughts)}"
    elif (accuracy := change(history, "accuracy")) is not None:
        what = f"Accuracy while training went from {_share(accuracy.first)} to {_share(accuracy.last)}."
    else:
        what = f"Only {len(history)} steps: too few to tell what {name} changed."
    return what if trouble else f"{what} No sign of trouble."


def signs(history: History, setting: Setting) -> list[Sign]:
    """Everything that the steps so far show."""
    return [
        *_failures(history, setting),
        *_silent_groups(history, setting),
        *_exploited(history, setting),
        *_entropy(history, setting),
        *_divergence(history, setting),
        *_lengths(history, setting),
        *_clipping(history, setting),
        *_forecast(history),
    ]


def sharpening(before: PassRates, after: PassRates) -> list[Sign]:
    """Whether pass@1 rose and pass@k did not (arXiv 2504.13837), by paired differences over the problems."""
    k, samples = before.samples, before.samples
    if k < 2 or len(before.right) < 2:
        return []
    once, once_error = _paired(before, after, 1, samples)
    often, often_error = _paired(before, after, k, samples)
    if often < -ERRORS * often_error:
        return [
            Sign(
                "narrowing",
                f"pass@{k} fell from {_share(before.at(k))} to {_share(after.at(k))}: problems that the start could "
                "solve now and then are lost: use a KL penalty (beta), a higher temperature or fewer steps.",
            )
        ]
    if once <= ERRORS * once_error or before.at(k) >= NEARLY_ALL:
        return []
    if often + often_error >= once / 2:
        return []
    return [
        Sign(
            "sharpening",
            f"pass@1 rose by {_points(once)} while pass@{k} stayed ({_signed(often)}): this is sharpening, the model "
            "gives more often what it could already find: new skills need harder problems, better traces to start "
            "from, or a longer run.",
        )
    ]


def _paired(before: PassRates, after: PassRates, k: int, samples: int) -> tuple[float, float]:
    """Mean difference and its standard error."""
    pairs = zip(before.right, after.right, strict=True)
    gaps = [pass_at_k(samples, b, k) - pass_at_k(samples, a, k) for a, b in pairs]
    return statistics.fmean(gaps), statistics.stdev(gaps) / math.sqrt(len(gaps))


def _failures(history: History, setting: Setting) -> list[Sign]:
    names = sorted({key for entry in history for key in entry if key.startswith("failures/")})
    place = f" (the completions are in {setting.failures_file})" if setting.failures_file else ""
    return [
        Sign(
            key,
            f"The reward '{key.removeprefix('failures/')}' failed on {total(history, key):.0f} completions{place}, "
            "each of which counted 0: mend the function.",
        )
        for key in names
    ]


def _silent_groups(history: History, setting: Setting) -> list[Sign]:
    drawn = total(history, "groups/drawn")
    if not drawn:
        return []
    silent, right, wrong = (
        total(history, f"groups/{name}") / drawn for name in ("no_signal", "all_right", "all_wrong")
    )
    accuracy = total(history, "accuracy") / max(len(series(history, "accuracy")), 1)
    if accuracy == 0:
        cure = "start from a better checkpoint, take easier problems, or reward the form too (rewards={format: 0.1})"
        return [Sign("nothing right", f"Not one completion was right, so the verifier taught nothing: {cure}.")]
    if wrong >= NEARLY_ALL:
        text = (
            f"{_share(wrong)} of groups had no right completion, so the verifier taught next to nothing: start from a "
            "better checkpoint, or take easier problems."
        )
        return [Sign("hardly anything right", text)]
    if silent < SILENT:
        return []
    late = change(history, "accuracy")
    if right >= wrong and late is not None and late.last >= NEARLY_ALL:
        text = (
            f"{_share(silent)} of groups gave no signal, most because all were right: these problems are learned: "
            "take harder ones, or stop here."
        )
        return [Sign("learned", text)]
    if right >= wrong:
        cure = "take harder problems, or raise the temperature"
    else:
        cure = "start from a better checkpoint, raise the temperature, or take easier problems"
    if setting.curriculum != "weight":
        cure += "; curriculum=weight asks more often what is right now and then"
    if not setting.resample and setting.algorithm in ("grpo", "rloo"):
        cure += "; resample=3 draws other prompts instead"
    what = f"{_share(silent)} of groups gave no signal ({_share(right)} all right, {_share(wrong)} all wrong)"
    return [Sign("silent", f"{what}: {cure}.")]


def _exploited(history: History, setting: Setting) -> list[Sign]:
    accuracy, reward = change(history, "accuracy"), change(history, "reward")
    if accuracy is None or reward is None or not accuracy.fell:
        return []
    fall = f"accuracy fell from {_share(accuracy.first)} to {_share(accuracy.last)}"
    if reward.rose:
        changes = {name: change(history, f"rewards/{name}/mean") for name in setting.rewards}
        risen = [name for name, its in changes.items() if its is not None and its.rose]
        which = f"the {' and '.join(risen)} reward is" if risen else "a shaping reward is"
        text = f"A{fall[1:]} while the reward rose: {which} being exploited: give it less weight, or leave it out."
        return [Sign("exploited", text)]
    cure = (
        "lower the learning rate" if setting.beta else "lower the learning rate, or hold on to the start with beta=0.04"
    )
    return [Sign("falling", f"A{fall[1:]}: training does harm: {cure}.")]


def _entropy(history: History, setting: Setting) -> list[Sign]:
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
        return [Sign("entropy collapse", text)]
    if entropy.rose and entropy.last > 2 * entropy.first and accuracy.fell:
        text = f"{span} while accuracy fell: the policy drifts into noise: lower the learning rate or the temperature."
        return [Sign("noise", text)]
    return []


def _divergence(history: History, setting: Setting) -> list[Sign]:
    kl = change(history, "kl")
    if kl is None or not kl.rose or kl.last < RUNAWAY:
        return []
    text = (
        f"The KL divergence to the start rose to {kl.last:.2g} nats a token, beta={setting.beta:g} does not hold it: "
        "raise beta, or lower the learning rate."
    )
    return [Sign("KL runaway", text)]


def _lengths(history: History, setting: Setting) -> list[Sign]:
    found = []
    cut, length = change(history, "completions/clipped_ratio"), change(history, "completions/mean_length")
    accuracy = change(history, "accuracy")
    if cut is not None and cut.last > CUT:
        text = (
            f"{_share(cut.last)} of the last completions were cut by max_new_tokens and so are wrong: raise it, "
            "punish length (rewards={length: 0.5}), or leave them out (trainer.mask_truncated_completions=true)."
        )
        found.append(Sign("cut", text))
    if length is None or accuracy is None:
        return found
    span = f"completions went from {length.first:.0f} to {length.last:.0f} tokens"
    if length.rose and length.last > LONGER * length.first and not accuracy.rose:
        cure = "punish length (rewards={length: 0.5})"
        if setting.loss_type == "grpo":
            cure = (
                "the loss grpo divides by each completion's length, which favours long wrong ones: use dr_grpo or dapo"
            )
        found.append(Sign("longer", f"{span.capitalize()} and accuracy did not rise: {cure}."))
    if length.fell and length.last < length.first / LONGER and accuracy.fell:
        cure = "give the length reward less weight" if "length" in setting.rewards else "lower the learning rate"
        found.append(Sign("shorter", f"{span.capitalize()} and accuracy fell: thinking is cut short: {cure}."))
    return found


def _clipping(history: History, setting: Setting) -> list[Sign]:
    key = "cispo_clip_ratio" if setting.loss_type == "cispo" else "clip_ratio/region_mean"
    clip = change(history, key)
    if clip is None or clip.last < CLIPPED:
        return []
    text = (
        f"{_share(clip.last)} of the ratios are clipped: each update goes too far from the policy that wrote the "
        "completions: lower the learning rate, or use them less often (trainer.num_iterations)."
    )
    return [Sign("clipping", text)]


def _forecast(history: History) -> list[Sign]:
    """Of PPO's value model."""
    explained = change(history, "value/explained")
    if explained is None or explained.last > EXPLAINED:
        return []
    text = (
        f"The value model explains nothing: {_share(explained.last)} of the variance of what followed, at the end: "
        "without it PPO is REINFORCE: raise value.learning_rate, or take algorithm=grpo or rloo, which need none."
    )
    return [Sign("value", text)]


def _share(value: float) -> str:
    return f"{value:.0%}".replace("%", " %")


def _points(value: float) -> str:
    return f"{100 * value:.1f} points"


def _signed(value: float) -> str:
    return f"{100 * value:+.1f} points"
