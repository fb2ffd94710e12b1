"""Evaluation on hand-made solutions: accuracy, prices, and the curve accuracy against compute per answer."""

from __future__ import annotations

import pytest

from benchmarks.evaluation import Judge, ScalingPoint, Solution, Step, evaluate
from benchmarks.problem import Answer
from benchmarks.task import load_task

TASK = load_task("arithmetic")
PROBLEMS = [TASK.problem(a, b) for a, b in ((12, 34), (27, 34), (55, 66), (98, 76))]


def thinking(problem, *right, price=10.0):
    """A solution that is right or wrong after each step; each step costs ``price``."""
    answers = [Answer(problem.answer if good else "0000") for good in right]
    return Solution(
        answer=answers[-1],
        flops=price * len(right),
        seconds=0.5,
        steps=len(right),
        trajectory=tuple(Step(f"step {i}", a.text, a) for i, a in enumerate(answers, 1)),
        step_flops=tuple(price * i for i in range(1, len(right) + 1)),
    )


class Fixed:
    def __init__(self, solutions):
        self.solutions, self.asked = solutions, []

    def solve(self, problems, batch_size=128, on_progress=None):
        self.asked.append((len(problems), batch_size))
        if on_progress is not None:
            on_progress(len(problems))
        return [self.solutions[p.id] for p in problems]


def solver(*solutions):
    return Fixed({p.id: s for p, s in zip(PROBLEMS, solutions, strict=True)})


def test_accuracy_is_judged_by_the_verifier_in_order_and_the_solver_gets_all_at_once():
    right = [Solution(Answer(p.answer), 1.0, 0.0, 1) for p in PROBLEMS]
    wrong = Solution(Answer("1234"), 3.0, 0.0, 1)
    done = []
    fixed = solver(right[0], wrong, Solution(None, 3.0, 0.0, 1), right[3])
    evaluation = evaluate(fixed, TASK, PROBLEMS, batch_size=3, on_progress=done.append)
    assert evaluation.accuracy == 0.5
    assert [p.verdict.correct for p in evaluation.predictions] == [True, False, False, True]
    assert [p.problem for p in evaluation.predictions] == PROBLEMS
    assert fixed.asked == [(4, 3)]
    assert done == [4]
    assert evaluation.oracle is None
    assert evaluation.scaling == [ScalingPoint("whole answer", 2.0, 0.5, 4)]


def test_a_label_in_the_wrong_place_is_not_correct():
    """Answers are matched with their own problems."""
    solutions = [Solution(Answer(p.answer), 1.0, 0.0, 1) for p in PROBLEMS]
    assert evaluate(solver(*solutions[::-1]), TASK, PROBLEMS).accuracy == 0.0


def test_time_is_measured_where_the_solver_gives_none():
    untimed = [Solution(None, 1.0, 0.0, 1) for _ in PROBLEMS]
    assert all(p.solution.seconds > 0 for p in evaluate(solver(*untimed), TASK, PROBLEMS).predictions)
    timed = [Solution(None, 1.0, 7.0, 1) for _ in PROBLEMS]
    assert all(p.solution.seconds == 7.0 for p in evaluate(solver(*timed), TASK, PROBLEMS).predictions)


def test_scaling_curve_keeps_the_last_answer_and_price_of_a_halted_problem():
    p, q, r, s = PROBLEMS
    evaluation = evaluate(
        solver(
            thinking(p, True),  # halted after one step
            thinking(q, False, True),
            thinking(r, True, False, True),  # changes its mind twice
            thinking(s, False, False, False, price=30.0),
        ),
        TASK,
        PROBLEMS,
    )
    assert evaluation.scaling == [
        ScalingPoint("1 steps", (10 + 10 + 10 + 30) / 4, 0.5, 4),
        ScalingPoint("2 steps", (10 + 20 + 20 + 60) / 4, 0.5, 4),
        ScalingPoint("3 steps", (10 + 20 + 30 + 90) / 4, 0.75, 4),
    ]
    assert evaluation.scaling[-1].accuracy == evaluation.accuracy
    mean = sum(p.solution.flops for p in evaluation.predictions) / 4
    assert evaluation.scaling[-1].flops_per_answer == pytest.approx(mean)


def test_the_oracle_takes_any_right_answer_and_is_no_accuracy():
    p, _, r, _ = PROBLEMS
    wrong, right = Answer("0000"), {x.id: Answer(x.answer) for x in PROBLEMS}
    evaluation = evaluate(
        solver(
            Solution(wrong, 1.0, 1.0, 1, seen=(right[p.id], wrong)),
            Solution(wrong, 1.0, 1.0, 1, seen=(right[p.id], wrong)),  # right for another problem only
            Solution(right[r.id], 1.0, 1.0, 1, seen=(wrong, right[r.id])),
            Solution(None, 1.0, 1.0, 1),
        ),
        TASK,
        PROBLEMS,
    )
    assert (evaluation.accuracy, evaluation.oracle) == (0.25, 0.5)


def test_an_answer_that_comes_again_is_judged_once():
    class Counting(type(TASK)):
        def verify(self, problem, answer):
            calls.append((problem.id, answer.text))
            return super().verify(problem, answer)

    calls = []
    p = PROBLEMS[0]
    judge = Judge(Counting())
    verdicts = [judge(p, a) for a in (Answer(p.answer), Answer("0000"), Answer(p.answer), None, Answer("0000"))]
    assert verdicts == [True, False, True, False, False]
    assert calls == [(p.id, p.answer), (p.id, "0000")]
