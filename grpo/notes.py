"""What a run of GRPO leaves in its record: start, measures, and what a student learned, in plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.method import TrainingRun
    from grpo.options import GRPOOptions
    from grpo.student import TaughtStudent
    from grpo.train import TrainedPolicy


def policy_notes(run: TrainingRun[GRPOOptions], result: TrainedPolicy, start_accuracy: float) -> list[str]:
    """Everything but the verdict.

    Args:
        start_accuracy: of the start checkpoint, on the test problems.
    """
    options = run.options
    notes = list(result.warnings)
    if options.start == "distill":
        notes.append(
            f"Starts from a distilled checkpoint that took {_share(run, result.start_cost.to_dict())} of the budget "
            f"and its solver-written traces; it solved {start_accuracy:.1%} before {options.algorithm.upper()}."
        )
    elif options.start == "format":
        notes.append(
            "Starts from a checkpoint that has seen the form of thoughts and answers, none of them right; that took "
            f"{_share(run, result.start_cost.to_dict())} of the budget; it solved {start_accuracy:.1%} before GRPO."
        )
    elif options.start != "model":
        notes.append(f"Starts from {options.start}, whose own training is not counted; it solved {start_accuracy:.1%}.")
    if result.before is not None:
        notes.append(f"{len(result.before.right)} of {len(run.problems)} training problems are held out for pass@k.")
    if result.difficulty is not None:
        share = _share(run, result.difficulty["cost"])
        notes.append(f"The curriculum's pass rates of the start checkpoint took {share} of the budget.")
    if len(result.memory) > 1:
        held = {name: sum(size or 0 for size in sizes.values()) / 2**20 for name, sizes in result.memory.items()}
        parts = " + ".join(f"{size:.3g} MiB ({name})" for name, size in held.items())
        notes.append(f"Training held {parts} of weights, gradients and optimiser state, activations not counted.")
    return notes


def policy_diagnostics(result: TrainedPolicy, start_accuracy: float) -> dict[str, Any]:
    return {
        "start_accuracy": start_accuracy,
        "start_cost": result.start_cost.to_dict(),
        "history": result.steps,
        "verdict": result.diagnosis.lines,
        "signs": [finding.name for finding in result.diagnosis.findings],
        "before": None if result.before is None else result.before.to_dict(),
        "after": None if result.after is None else result.after.to_dict(),
        "difficulty": result.difficulty,
        "memory": result.memory,
    }


def student_notes(run: TrainingRun[GRPOOptions], result: TaughtStudent, policy_accuracy: float) -> list[str]:
    """What the student learned from, and what each phase took."""
    found, own, size = result.teaching, result.model.num_parameters(), result.policy.model.num_parameters()
    parts = {name: _share(run, cost.to_dict()) for name, cost in result.costs.items()}
    kind = "of the same size" if own == size else f"with {own / size:.2g} times its parameters ({own:,})"
    notes = [
        f"The policy solved {policy_accuracy:.1%} after GRPO and wrote {found['written']} traces, of which the "
        f"verifier accepted {found['acceptance_per_sample']:.1%} ({found['different']} different, some for "
        f"{found['acceptance_per_problem']:.1%} of the problems asked). The accuracy here is that of a student {kind}, "
        "which learned from them alone.",
        f"Of the budget the policy took {parts['policy']}, writing {parts['writing']}, the student {parts['pupil']}. "
        "Points of the learning curve before the student began are the policy's.",
    ]
    if found["written"] < found["asked"]:
        notes.append(
            f"Writing ended at its share of the budget: {found['asked'] - found['written']} of the {found['asked']} "
            "traces asked for were not written."
        )
    if path := run.options.pupil.model.path:
        notes.append(f"The student starts from the pretrained model {path}: knowledge that is not in the budget.")
    return [*notes, *result.warnings]


def student_diagnostics(result: TaughtStudent, policy_accuracy: float) -> dict[str, Any]:
    return {
        "policy_accuracy": policy_accuracy,
        "policy_parameters": result.policy.model.num_parameters(),
        "teaching": result.teaching,
        "costs": {name: cost.to_dict() for name, cost in result.costs.items()},
        "losses": len(result.losses) - len(result.policy.losses),  # of the record's, the last so many are its own
    }


def _share(run: TrainingRun[GRPOOptions], cost: dict[str, float]) -> str:
    """Of the budget, in percent."""
    return f"{cost[run.budget.unit] / run.budget.limit:.0%}"
