"""Answers with all their supervision steps, with halting, and by vote; thoughts that can be shown."""

from __future__ import annotations

from dataclasses import replace
from statistics import mean

import pytest
import torch

from trm import pricing
from trm.modeling import TRMForPuzzles
from trm.options import TRMOptions
from trm.puzzle_table import PuzzleTable
from trm.solver import TRMSolver
from trm.trainer import build

OPTIONS = TRMOptions(width=32, inner_multiple=32, T=1, n=1, supervision_steps=4)


@pytest.fixture
def model(task):
    torch.manual_seed(0)
    return TRMForPuzzles(build(task, OPTIONS))


def test_every_step_is_shown_and_priced(task, problems, model):
    solutions = TRMSolver(model, task).solve(problems[:20], batch_size=8)
    price = pricing.supervision_step(model.config)
    assert len(solutions) == 20
    for solution in solutions:
        assert [step.label for step in solution.trajectory] == [f"supervision step {i}" for i in range(1, 5)]
        assert solution.step_flops == tuple(price * i for i in range(1, 5))
        assert (solution.steps, solution.flops, solution.tokens) == (4, 4 * price, 0)
        assert solution.answer == solution.trajectory[-1].answer
        assert solution.trajectory[0].halting_probability == pytest.approx(0.0067, abs=1e-4)  # bias -5


def test_steps_can_be_chosen_and_batches_do_not_matter(task, problems, model):
    one = TRMSolver(model, task, steps=6).solve(problems[:5], batch_size=1)
    all_at_once = TRMSolver(model, task, steps=6).solve(problems[:5])
    assert [s.answer for s in one] == [s.answer for s in all_at_once]
    assert {s.steps for s in one} == {6}


def test_halting_ends_each_problem_at_its_own_step(task, problems, model):
    """A halting head that really depends on y; where a problem stops is checked against the run of all steps."""
    model.halting_head.weight.data[0] = torch.randn(32)
    model.halting_head.bias.data.fill_(-2.0)
    everything = TRMSolver(model, task).solve(problems)
    halted = TRMSolver(model, task, halting=True, patience=0).solve(problems, batch_size=64)
    assert len({s.steps for s in halted}) > 1
    for whole, short in zip(everything, halted, strict=True):
        sure = [i for i, step in enumerate(whole.trajectory, 1) if step.halting_probability > 0.5]
        assert short.steps == (sure[0] if sure else 4)
        assert short.answer == whole.trajectory[short.steps - 1].answer
        assert short.flops == whole.step_flops[short.steps - 1]


def test_direct_prediction_takes_one_step(task, problems):
    model = TRMForPuzzles(build(task, replace(OPTIONS, recursion="direct", n=0)))
    solution = TRMSolver(model, task, steps=5, halting=True).solve(problems[:1])[0]
    assert solution.steps == 1
    assert solution.trajectory[0].halting_probability is None


def rough(model):
    """Weights under which halting and vectors matter."""
    generator = torch.Generator().manual_seed(1)
    model.halting_head.weight.data = torch.randn(2, 32, generator=generator)
    model.halting_head.bias.data.fill_(-2.0)
    if model.puzzle_vectors is not None:
        model.puzzle_vectors.weight.copy_(torch.randn(model.puzzle_vectors.weight.shape, generator=generator))
    return model


@pytest.mark.parametrize("recursion", ["trm", "single_z", "multi_scale", "direct"])
def test_thoughts_end_in_the_answer_and_show_z_too(task, problems, recursion):
    options = replace(OPTIONS, recursion=recursion, act="none" if recursion == "direct" else "halt")
    torch.manual_seed(0)
    model = TRMForPuzzles(build(task, options))
    solver = TRMSolver(model, task)
    for problem in problems[:4]:
        thoughts, solution = solver.think(problem), solver.solve([problem])[0]
        assert [t.step for t in thoughts] == list(range(1, solution.steps + 1))
        assert [t.y for t in thoughts] == [step.answer for step in solution.trajectory]
        assert [t.halting_probability for t in thoughts] == [s.halting_probability for s in solution.trajectory]
        input_ids = task.encode([problem])[0]
        carry = None
        for thought in thoughts:
            carry = model(input_ids, carry).carry
            tokens = model.read_out(carry[1][..., -32:])[0].argmax(-1)
            assert thought.z == task.decode(problem, tokens)
        same = [t.y == t.z for t in thoughts]
        assert all(same) if recursion == "single_z" else not all(same)


def test_thinking_with_puzzles_uses_the_problems_vector(hidden_rule):
    table = PuzzleTable({f"rule-{k}": [1 + 6 * k, 6] for k in range(3)})
    torch.manual_seed(0)
    model = rough(TRMForPuzzles(build(hidden_rule, replace(OPTIONS, prefix=1), table)))
    solver = TRMSolver(model, hidden_rule)
    problems = hidden_rule.generate("test", 6, 0)
    assert [solver.think(p)[-1].y for p in problems] == [s.answer for s in solver.solve(problems)]
    twins = [replace(problems[0], id=f"twin:{k}") for k in range(3)]
    assert len({s.answer.text for s in solver.solve(twins)}) > 1, "the same word, another puzzle"


@pytest.mark.parametrize("act", ["halt", "halt_continue"])
def test_halting_keeps_every_row_with_its_puzzle(hidden_rule, act):
    """Rows leave the batch at different steps; each must go on with its own grid, vector and latents."""
    table = PuzzleTable({f"rule-{k}": [1 + 6 * k, 6] for k in range(3)})
    torch.manual_seed(0)
    model = rough(TRMForPuzzles(build(hidden_rule, replace(OPTIONS, prefix=1, act=act, supervision_steps=6), table)))
    if act == "halt_continue":
        model.halting_head.bias.data[1] = -0.5
    problems = hidden_rule.generate("test", 30, 0)
    together = TRMSolver(model, hidden_rule, halting=True, patience=0).solve(problems)
    assert len({s.steps for s in together}) > 2
    for problem, solution in zip(problems, together, strict=True):
        alone = TRMSolver(model, hidden_rule, halting=True, patience=0).solve([problem], batch_size=1)[0]
        assert (alone.steps, alone.answer) == (solution.steps, solution.answer)
        input_ids = hidden_rule.encode([problem])[0]
        vector = torch.tensor([table.vector(hidden_rule.puzzle_of(problem), 0)])
        output, steps = model(input_ids, None, vector), 1
        while steps < 6 and not output.halting_logit > (output.continue_logit if act == "halt_continue" else 0):
            output, steps = model(input_ids, output.carry, vector), steps + 1
        assert (steps, hidden_rule.decode(problem, output.logits[0].argmax(-1))) == (solution.steps, solution.answer)


@pytest.mark.parametrize("halting", [False, True])
def test_a_vote_costs_all_its_answers_and_shows_the_ranking(task, problems, model, halting):
    """Recounted from single runs on the variants themselves, written out as problems of their own; a variant that looks
    like an earlier one has no second vote."""
    rough(model)
    votes, price = 7, pricing.supervision_step(model.config)
    solutions = TRMSolver(model, task, halting=halting, votes=votes).solve(problems[:6], batch_size=3)
    single = TRMSolver(model, task, halting=halting)
    for problem, solution in zip(problems, solutions, strict=False):
        answers, steps, trust, seen = [], 0, [], set()
        for number in range(votes):
            grids, labels = task.encode_variants([problem], [number])
            question, answer = task.restore(grids[0], labels[0])
            if question in seen:
                continue
            seen.add(question)
            run = single.solve([replace(problem, question=question, answer=answer)])[0]
            tokens = torch.tensor([1 + "abc".index(letter) if letter != "?" else 0 for letter in run.answer.text] + [0])
            answers.append(task.decode_variant(problem, number, tokens).text)
            trust.append(run.trajectory[-1].halting_probability)
            steps += run.steps
        ranked = sorted(
            set(answers),
            key=lambda a: (-answers.count(a), -mean(t for t, b in zip(trust, answers, strict=True) if a == b)),
        )
        assert solution.answer.text == ranked[0]
        assert [step.text for step in solution.trajectory] == ranked[:5][::-1]
        assert solution.trajectory[-1].label == f"{answers.count(ranked[0])} of {len(seen)} votes"
        assert len(seen) < votes  # three letters have six orders
        assert solution.steps == steps
        assert solution.flops == pytest.approx(steps * price)
        assert not solution.step_flops
