"""What a GRPO run's numbers say, in plain words with the cure.

Most runs that do not learn show it early, in numbers that nobody looks at: groups whose completions are all worth the
same, a reward that is not the verifier's going up alone, entropy that is gone. The signs are looked for once at the
end, for the record and the report, and along the way, so that a run need not end first.
"""

from __future__ import annotations

import logging
import math
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from transformers import TrainerCallback

from benchmarks.statistics import pass_at_k
from grpo.health import (
    ERRORS,
    NEARLY_ALL,
    Finding,
    HealthSettings,
    History,
    change,
    health_checks,
    points,
    share,
    signed,
    steps_of,
)
from grpo.thoughts import Thoughts, compare_thoughts

logger = logging.getLogger(__name__)

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


class DiagnosticsCallback(TrainerCallback):
    """Tells a sign of trouble once, as soon as it is seen.

    Args:
        tell: gets each sentence.
    """

    def __init__(self, setting: HealthSettings, tell: Callable[[str], None] = logger.warning) -> None:
        self.setting, self.tell = setting, tell
        self._look_at = WINDOW
        self._reported: set[str] = set()

    def on_log(self, args, state, control, **_):
        if state.global_step < self._look_at or not state.is_world_process_zero:
            return
        self._look_at = 2 * state.global_step
        for finding in health_checks(steps_of(state.log_history), self.setting):
            if finding.name not in self._reported:
                self._reported.add(finding.name)
                self.tell(f"step {state.global_step}: {finding.text}")


@dataclass
class Diagnosis:
    """
    Attributes:
        findings: signs of trouble; none is good news.
        summary: what training changed, in a sentence.
    """

    summary: str
    findings: list[Finding] = field(default_factory=list)

    @property
    def lines(self) -> list[str]:
        return [self.summary, *(finding.text for finding in self.findings)]


def diagnose(
    history: History, setting: HealthSettings, before: PassRates | None = None, after: PassRates | None = None
) -> Diagnosis:
    """The verdict at the end of a run.

    Args:
        before, after: pass rates on the same problems; ``None`` where none were held out.
    """
    found = health_checks(history, setting)
    if before is not None and after is not None:
        found += sharpening(before, after)
    return Diagnosis(_summary(history, setting, before, after, bool(found)), found)


def _summary(
    history: History, setting: HealthSettings, before: PassRates | None, after: PassRates | None, trouble: bool
) -> str:
    name = setting.algorithm.upper()
    if before is not None and after is not None:
        k, ends = before.samples, [f"{rates.at(1):.1%}" for rates in (before, after)]
        what = f"On {len(before.right)} training problems held out, {name} took pass@1 from {' to '.join(ends)}"
        what += f" and pass@{k} from {before.at(k):.1%} to {after.at(k):.1%}." if k > 1 else "."
        what = what.replace("%", " %")
        if before.thoughts is not None and after.thoughts is not None:
            what += f" {compare_thoughts(before.thoughts, after.thoughts)}"
    elif (accuracy := change(history, "accuracy")) is not None:
        what = f"Accuracy while training went from {share(accuracy.first)} to {share(accuracy.last)}."
    else:
        what = f"Only {len(history)} steps: too few to tell what {name} changed."
    return what if trouble else f"{what} No sign of trouble."


def sharpening(before: PassRates, after: PassRates) -> list[Finding]:
    """Whether pass@1 rose and pass@k did not (arXiv 2504.13837), by paired differences over the problems."""
    k, samples = before.samples, before.samples
    if k < 2 or len(before.right) < 2:
        return []
    once, once_error = _paired(before, after, 1, samples)
    often, often_error = _paired(before, after, k, samples)
    if often < -ERRORS * often_error:
        return [
            Finding(
                "narrowing",
                f"pass@{k} fell from {share(before.at(k))} to {share(after.at(k))}: problems that the start could "
                "solve now and then are lost: use a KL penalty (beta), a higher temperature or fewer steps.",
            )
        ]
    if once <= ERRORS * once_error or before.at(k) >= NEARLY_ALL:
        return []
    if often + often_error >= once / 2:
        return []
    return [
        Finding(
            "sharpening",
            f"pass@1 rose by {points(once)} while pass@{k} stayed ({signed(often)}): this is sharpening, the model "
            "gives more often what it could already find: new skills need harder problems, better traces to start "
            "from, or a longer run.",
        )
    ]


def _paired(before: PassRates, after: PassRates, k: int, samples: int) -> tuple[float, float]:
    """Mean difference and its standard error."""
    pairs = zip(before.right, after.right, strict=True)
    gaps = [pass_at_k(samples, b, k) - pass_at_k(samples, a, k) for a, b in pairs]
    return statistics.fmean(gaps), statistics.stdev(gaps) / math.sqrt(len(gaps))
