"""The report of a comparison: tables for the terminal, Markdown for the documentation, one HTML page for everyone."""

from reasoning_kit.report.html import render_report, write_report
from reasoning_kit.report.summary import markdown_table, summary, write_summary
from reasoning_kit.report.terminal import comparison_table

__all__ = [
    "comparison_table",
    "markdown_table",
    "render_report",
    "summary",
    "write_report",
    "write_summary",
]
