"""``parity``: recorded runs of the published TRM code, repeated by ours and compared number by number."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

# What a reader wants to know, by the beginning or the end of a quantity's name.
PARTS = {
    "logits, every step": ("train/", "/logits"),
    "halting logits, every step": ("train/", "/q_halt_logits"),
    "losses, every step": ("train/", "loss_sum"),
    "slots that halt, step counts": ("train/", "_after"),
    "gradients of the first step": ("train/0/grad/", ""),
    "weights after the last step": ("state_after/", ""),
    "evaluation": ("eval/", ""),
}

OTHER_ROUNDING = (
    "This processor rounds matrix products otherwise than that of the recording, and training amplifies a last digit a "
    "thousandfold per step. So the first step is judged alone."
)


def check_parity(recordings: Sequence[Path], console: Console) -> int:
    """Show the largest relative deviation of each kind; the exit code says whether all agree.

    Raises:
        UserError: if a file is no recording.
    """
    from trm.parity import Deviation, judged, replay, rounds_alike

    agreed = True
    for path in recordings:
        with console.status(f"{path.name}"):
            everything = replay(path)
        deviations = judged(everything)
        kinds: dict[str, list[Deviation]] = defaultdict(list)
        for deviation in deviations:
            kinds[_kind(deviation.quantity)].append(deviation)
        table = Table(title=Text(str(path), style="bold"), title_justify="left", box=box.SIMPLE_HEAD)
        for heading in ("Quantity", "Numbers", "Largest relative deviation", f"Within {deviations[0].limit:g}"):
            table.add_column(heading, justify="left" if heading == "Quantity" else "right")
        for kind, found in kinds.items():
            worst = max(found, key=lambda deviation: deviation.relative)
            table.add_row(
                kind, str(len(found)), f"{worst.relative:.2g}", "yes" if worst.agrees else f"no: {worst.quantity}"
            )
        console.print(table)
        if not rounds_alike(everything):
            console.print(OTHER_ROUNDING, soft_wrap=True)
        agreed = agreed and all(deviation.agrees for deviation in deviations)
    return 0 if agreed else 1


def _kind(quantity: str) -> str:
    return next(
        (kind for kind, (start, end) in PARTS.items() if quantity.startswith(start) and quantity.endswith(end)),
        quantity,
    )
