"""What became of the thoughts: right or not by the programmatic check, how long, and a few of them to read.

A reward looks at the answer alone, so a policy may come to think rightly, or to answer well behind a thought that it
ignores: the share of right thoughts among right answers tells which.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.problem import Problem
from benchmarks.task import Task
from benchmarks.text_form import END_THINK, read_completion
from cot_distill.shuffled_answers import right_thought

SHOWN = 6  # completions that are kept to be read


@dataclass
class Thoughts:
    """Those of a policy on problems held out.

    Attributes:
        right: completions whose thought holds step by step and leads to the label.
        right_answers: completions whose answer is right, and ``both`` those whose thought is right too.
        lengths: characters of each thought.
        shown: one completion each of the first problems, verbatim.
    """

    right: int = 0
    right_answers: int = 0
    both: int = 0
    lengths: list[int] = field(default_factory=list)
    shown: list[dict[str, object]] = field(default_factory=list)

    def add(self, task: Task, problem: Problem, completions: Sequence[str], style: str | None) -> None:
        """Look at the completions of one problem.

        Args:
            style: in which the policy was taught to think; ``None``: the family's default.
        """
        for number, text in enumerate(completions):
            thought = right_thought(task, problem, text, style)
            answer = task.verify(problem, read_completion(task, problem, text, "cot")).correct
            self.right += thought
            self.right_answers += answer
            self.both += thought and answer
            self.lengths.append(len(text.partition(END_THINK)[0]))
            if number == 0 and len(self.shown) < SHOWN:
                question = task.question_text(problem)
                self.shown.append({"question": question, "text": text, "thought": thought, "answer": answer})

    @property
    def share(self) -> float:
        """Of all completions, those with a right thought."""
        return self.right / len(self.lengths)

    @property
    def behind_right_answers(self) -> float | None:
        """Of the completions with a right answer, those with a right thought; ``None`` where no answer is right."""
        return self.both / self.right_answers if self.right_answers else None

    @property
    def length(self) -> float:
        """Mean characters of a thought."""
        return statistics.fmean(self.lengths)

    def to_dict(self) -> dict[str, object]:
        return {
            "right": self.right,
            "right_answers": self.right_answers,
            "both": self.both,
            "completions": len(self.lengths),
            "mean_length": self.length,
            "shown": self.shown,
        }


def compare_thoughts(before: Thoughts, after: Thoughts) -> str:
    """In a sentence or two, what training made of the thoughts."""
    text = (
        f"Right thoughts went from {before.share:.1%} to {after.share:.1%} of completions, their mean length from "
        f"{before.length:.0f} to {after.length:.0f} characters."
    )
    behind = after.behind_right_answers
    if behind is not None:
        text += f" At the end {behind:.0%} of the right answers follow a right thought."
    return text.replace("%", " %")
