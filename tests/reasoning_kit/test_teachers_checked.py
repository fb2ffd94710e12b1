"""Who teaches is checked before anything is trained."""

from __future__ import annotations

import pytest

from benchmarks.errors import UserError
from reasoning_kit.config.spec import load_config


@pytest.mark.parametrize(
    ("overrides", "place", "words"),
    [
        (["method=[cot]", "method.cot.trace=bords"], "method.cot.trace", "Did you mean 'boards'"),
        (["method=[cot]", "method.cot.traces=/nowhere"], "method.cot.traces", "reasoning-kit teach"),
        (
            ["method=[cot]", "method.cot.trace=boards", "method.cot.traces=/nowhere"],
            "method.cot.traces",
            "two teachers",
        ),
        (["method=[cot]", "method.cot.solver.samples=4"], "method.cot.solver.temperature", "all alike"),
        (["method=[grpo]", "method.grpo.distillation.trace=x"], "method.grpo.distillation.trace", "does not write"),
        (["method=[cot]", "task=arc-agi-1", "data=."], "method.cot.trace", "no programmatic teacher"),
        (["method=[trm]", "task=gsm8k", "data=."], "task.gsm8k with method.trm", "text only"),
    ],
)
def test_teachers_and_forms_are_checked_before_anything_is_trained(overrides, place, words):
    with pytest.raises(UserError, match=words) as caught:
        load_config(overrides)
    assert caught.value.where.startswith(place)


def test_a_start_that_is_given_needs_no_teacher():
    load_config(["method=[grpo]", "task=gym-gcd", "method.grpo.start=model"])
