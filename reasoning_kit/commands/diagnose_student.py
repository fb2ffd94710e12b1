"""What ``diagnose`` shows of a student: the phases of its run, what its teacher wrote, and how far it came."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.table import Table

from benchmarks.records import RunRecord
from reasoning_kit.report import formatting as f

BLANK = ""
FEW = 0.5  # share of the problems asked below which a student sees too little


def student_table(record: RunRecord) -> Table:
    """One row per phase: its share of the budget, what it took, its loss, and test accuracy at its end."""
    found = record.diagnostics
    student, unit = found["pupil"], record.budget["unit"]
    costs = {"start": found["start_cost"], **student["costs"]}
    sizes = {"policy": student["policy_parameters"], "pupil": record.parameters}
    right = {
        "start": found["start_accuracy"],
        "policy": student["policy_accuracy"],
        "pupil": _accuracy(record)["value"],
    }
    caption = f"Loss: first and last logged. The policy's share of the {unit} holds its start's"
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, caption=caption)  # fits 80 columns
    table.add_column("")
    for heading in ("bud-\nget", "FLOPs", "time", "steps", "exam-\nples", "para-\nmeters", "loss", "accu-\nracy"):
        table.add_column(heading, justify="right", no_wrap=True)
    for phase, cost in costs.items():
        table.add_row(
            phase,
            f"{cost[unit] / record.budget['limit']:.0%}",
            f.si(cost["flops"]),
            f.duration(cost["seconds"]),
            f"{cost['steps']:,}",
            f"{cost['examples']:,}",
            f"{sizes[phase]:,}" if phase in sizes else BLANK,
            _losses(record) if phase == "pupil" else BLANK,
            f"{right[phase]:.1%}" if phase in right else BLANK,
        )
    return table


def student_lines(record: RunRecord) -> list[str]:
    """What it learned from, teacher against student, and what to change."""
    student = record.diagnostics["pupil"]
    teaching, teacher, own = student["teaching"], student["policy_accuracy"], _accuracy(record)
    rejected = ", ".join(f"{kind} {count}" for kind, count in teaching["rejected"].items())
    lines = [
        f"The policy wrote {teaching['written']:,} of {teaching['asked']:,} traces; the verifier accepted "
        f"{teaching['accepted']:,} of them ({f.percent(teaching['acceptance_per_sample'])}), {teaching['different']:,} "
        f"different, for {f.percent(teaching['acceptance_per_problem'])} of the problems asked"
        + (f". Rejected: {rejected}." if rejected else "."),
    ]
    if curve := _learning_curve(record):
        lines.append(curve)
    ends = f"95 %: {100 * own['low']:.1f} to {100 * own['high']:.1f} %"
    lines.append(
        f"The student solved {f.percent(own['value'])} of the {own['problems']} test problems ({ends}), its teacher "
        f"{f.percent(teacher)}: {_against(teacher, own)}"
    )
    if teaching["acceptance_per_problem"] < FEW:
        lines.append(
            "Of most problems asked it never saw a right trace: more traces of each (pupil.samples), more of the "
            "budget for the policy (pupil.policy_share), or easier problems."
        )
    return lines


def _against(teacher: float, own: dict[str, Any]) -> str:
    if teacher < own["low"]:
        return "it is better than its teacher."
    if teacher <= own["high"]:
        return "no difference that this many problems could show."
    return (
        "it did not reach its teacher: leave it more of the budget (pupil.policy_share, pupil.writing_share) or "
        "write it more traces (pupil.samples)."
    )


def _accuracy(record: RunRecord) -> dict[str, Any]:
    return record.metrics["accuracy"]


def _losses(record: RunRecord) -> str:
    """First and last; nothing where none was logged, or the record is from before they were counted."""
    count = record.diagnostics["pupil"].get("losses", 0)
    values = [f"{entry['loss']:.3f}" for entry in record.loss[len(record.loss) - count :]]
    return " to ".join(dict.fromkeys((values[0], values[-1]))) if values else BLANK


def _learning_curve(record: RunRecord) -> str:
    """Accuracy at the milestones within the student's training."""
    costs, unit, limit = record.diagnostics["pupil"]["costs"], record.budget["unit"], record.budget["limit"]
    before = costs["policy"][unit] + costs["writing"][unit]
    points = [point for point in record.curve[:-1] if point[unit] > before]
    if not points:
        return BLANK
    reached = [f"{f.percent(point['accuracy'])} at {100 * point[unit] / limit:.0f} %" for point in points]
    return f"While it learned it solved {', '.join(reached)} of the budget."
