"""``report``: the table and the page of a comparison, from its records."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console


def report_comparison(folder: Path, markdown: Path | None, console: Console) -> None:
    """Print the table; write ``report.html`` and ``summary.json`` into the folder.

    Args:
        markdown: also write the tables into this file.

    Raises:
        UserError: if the folder holds no finished run, or one that cannot be read or compared.
    """
    from reasoning_kit.comparison import load_comparison
    from reasoning_kit.report import comparison_table, markdown_table, write_report, write_summary

    comparison = load_comparison(folder)
    console.print(comparison_table(comparison, console.width))
    write_summary(comparison)
    if markdown is not None:
        markdown.parent.mkdir(parents=True, exist_ok=True)
        markdown.write_text(markdown_table(comparison))
    console.print(f"\nReport: [bold]{write_report(folder).absolute()}[/bold]")
