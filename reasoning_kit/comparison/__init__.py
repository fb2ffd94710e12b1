"""From finished runs to the answer: which way of thinking longer wins on each task, and how sure that is.

Pure: reads ``record.json`` and ``predictions.parquet`` of every run below a folder and computes. The terminal table,
the HTML report and the written summary all show a :class:`Comparison`.
"""

from reasoning_kit.comparison.claims import Judged, JudgedClaim
from reasoning_kit.comparison.lengths import AtLength, Lengths
from reasoning_kit.comparison.load import Comparison, load_comparison
from reasoning_kit.comparison.rows import Row, Run
from reasoning_kit.comparison.task import TaskComparison
from reasoning_kit.comparison.verdict import WINNERS, Paired

__all__ = [
    "WINNERS",
    "AtLength",
    "Comparison",
    "Judged",
    "JudgedClaim",
    "Lengths",
    "Paired",
    "Row",
    "Run",
    "TaskComparison",
    "load_comparison",
]
