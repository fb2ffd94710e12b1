"""What a library, a folder or a package would refuse is refused before the first run starts."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from benchmarks.errors import UserError
from reasoning_kit.commands.compare import compare

SMALL = ("task=sudoku-4x4", "train_size=100", "test_size=5", "budget.unit=steps", "budget.limit=2")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["method=[direct,trm]", "method.trm.trainer.report_to=nope"], "report|nope"),
        (["method=[direct,cot]", "method.cot.trainer.nonsense=1"], "no option 'nonsense'"),
        (["method=[direct,cot]", "method.cot.trainer.report_to=nope"], "nope"),
        (["method=[direct,cot]", "method.cot.trainer.optim=nope"], "nope"),
        (["method=[direct,cot]", "method.cot.trainer.eval_strategy=steps"], "eval_"),
        (["method=[direct,cot]", "method.cot.solver.generator=vllm"], "vLLM is not installed"),
        (["method=[direct,cot]", "method.cot.traces=/nowhere"], "no folder '/nowhere'"),
        (["method=[direct,cot]", "model.path=/nowhere"], "neither a folder '/nowhere'"),
        (["method=[direct,grpo]", "method.grpo.trainer.nonsense=1"], "no option 'nonsense'"),
        (["method=[direct,grpo]", "method.grpo.start=/nowhere"], "neither a folder '/nowhere'"),
        (["method=[direct,grpo]", "method.grpo.vllm=colocate"], "vLLM|vllm"),
        (["method=[direct,grpo]", "method.grpo.distillation.trainer.x=1"], "no option 'x'"),
        (["method=[direct,grpo]", "method.grpo.trainer.report_to=nope"], "nope"),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
def test_nothing_runs(words, said, tmp_path):
    if "vllm" in words[-1]:
        try:
            import vllm  # noqa: F401

            pytest.skip("vLLM is installed here")
        except ImportError:
            pass
    with pytest.raises(UserError, match=said):
        compare([*SMALL, *words], tmp_path / "out", False, Console(file=io.StringIO()))
    assert not (tmp_path / "out").exists(), "no run was started"
