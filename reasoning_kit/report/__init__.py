"""The report of a comparison: tables for the terminal, Markdown for the documentation, one HTML page for everyone."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reasoning_kit.report.html import render_report, write_report
    from reasoning_kit.report.summary import markdown_table, write_summary
    from reasoning_kit.report.terminal import comparison_table

__all__ = [
    "comparison_table",
    "markdown_table",
    "render_report",
    "write_report",
    "write_summary",
]

HOMES = {
    "comparison_table": "reasoning_kit.report.terminal",
    "markdown_table": "reasoning_kit.report.summary",
    "render_report": "reasoning_kit.report.html",
    "write_report": "reasoning_kit.report.html",
    "write_summary": "reasoning_kit.report.summary",
}


def __getattr__(name: str) -> Any:
    """Load on first use: numbers are formatted by many commands, pages written by few."""
    if name not in HOMES:
        raise AttributeError(f"module 'reasoning_kit.report' has no attribute '{name}'")
    return getattr(import_module(HOMES[name]), name)
