"""Puzzles with hidden rules: learned in their vectors, lost without them, kept by checkpoints, voted over variants."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from training_runs import train_recursive as train

from benchmarks.errors import UserError
from benchmarks.evaluation import evaluate
from benchmarks.training.budget import Budget
from trm.dataset import Examples
from trm.modeling import TRMForPuzzles
from trm.options import TRMOptions
from trm.puzzle_table import PuzzleTable
from trm.random_numbers import Draws
from trm.solver import TRMSolver

pytestmark = pytest.mark.slow

PUZZLES = {"prefix": 1, "puzzle_learning_rate": 0.1}


@pytest.fixture(scope="module")
def rules(hidden_rule):
    return replace(hidden_rule, length=4)


@pytest.fixture(scope="module")
def trained(rules, tiny, tmp_path_factory):
    torch.set_num_threads(1)
    options = TRMOptions(**tiny | PUZZLES | {"learning_rate": 5e-3})
    problems = rules.generate("train", 200, 0)
    return train(rules, problems, options, Budget("steps", 300), 0, tmp_path_factory.mktemp("rules")).model


def accuracy(model, task, **more):
    return evaluate(TRMSolver(model, task, **more), task, task.generate("test", 60, 1)).accuracy


def test_rules_are_learned_and_votes_over_variants_help(trained, rules):
    one, all_six = accuracy(trained, rules), accuracy(trained, rules, votes=6)
    assert one > 0.5
    assert all_six >= max(one, 0.9)


def test_without_its_vector_a_rule_is_unknown(trained, rules, tmp_path):
    trained.save_pretrained(tmp_path)
    blank = TRMForPuzzles.from_pretrained(tmp_path)
    blank.puzzle_vectors.weight.zero_()
    assert accuracy(blank, rules) < 0.4  # one rule of three can be guessed at best
    swapped = TRMForPuzzles.from_pretrained(tmp_path)
    swapped.config.puzzle_table = trained.config.puzzle_table | {"rule-1": trained.config.puzzle_table["rule-2"]}
    wrong = [p for p in rules.generate("test", 60, 1) if p.id.endswith("1")]
    answers = [s.answer.text for s in TRMSolver(swapped, rules, votes=6).solve(wrong)]
    opposite = [p.question.translate(str.maketrans("abc", "cab")) for p in wrong]
    assert sum(a == o for a, o in zip(answers, opposite, strict=True)) > 0.7 * len(wrong), "the vector is the rule"


def test_saved_and_loaded_the_table_is_there(trained, rules, tmp_path):
    trained.save_pretrained(tmp_path)
    loaded = TRMForPuzzles.from_pretrained(tmp_path)
    assert loaded.config.puzzle_table == {"rule-0": [1, 6], "rule-1": [7, 6], "rule-2": [13, 6]}
    assert loaded.puzzle_vectors.weight.shape == (19, 32)
    assert torch.equal(loaded.puzzle_vectors.weight, trained.puzzle_vectors.weight)
    assert not loaded.puzzle_vectors.weight[0].any(), "vector 0 belongs to no puzzle, so it was never trained"
    assert loaded.puzzle_vectors.weight[1:].any(-1).all()
    problems = rules.generate("test", 20, 1)
    first, second = (TRMSolver(m, rules, votes=3).solve(problems) for m in (trained, loaded))
    assert [s.answer for s in first] == [s.answer for s in second]


def test_a_puzzle_that_was_not_trained_is_refused(trained, rules):
    stranger = rules.generate("test", 1, 1)[0]
    stranger = type(stranger)("test-0:9", stranger.question, stranger.answer, stranger.orbit)
    for votes in (1, 3):
        with pytest.raises(UserError, match="no vector for puzzle 'rule-9'"):
            TRMSolver(trained, rules, votes=votes).solve([stranger])


def test_votes_are_limited_by_the_variants_that_were_trained(trained, rules):
    solution = TRMSolver(trained, rules, votes=1000).solve(rules.generate("test", 1, 1))[0]
    assert solution.trajectory[-1].label.endswith("of 6 votes")
    table = PuzzleTable({"rule-0": [1, 6]})
    assert (table.vector("rule-0", 5), table.vector(None, 0), table.vectors) == (6, 0, 7)
    with pytest.raises(UserError, match="vectors for 6 variants, variant 6 is asked for"):
        table.vector("rule-0", 6)


def test_slots_carry_the_vector_of_their_problem(trainer_for, rules, tmp_path):
    """After some steps of training: the grid in a slot is a variant of a problem, and its vector that variant's."""
    trainer = trainer_for(rules, rules.generate("train", 60, 0), tmp_path, 8, **PUZZLES)
    trainer.train()
    carry, table = trainer.supervision.carry, trainer.examples.table.ranges
    for question, label, vector in zip(carry.input_ids, carry.labels, carry.puzzle_ids.tolist(), strict=True):
        name, (first, _) = next((n, r) for n, r in table.items() if r[0] <= vector < sum(r))
        turn = int(name[-1]) * (1 if (vector - first) in (0, 3, 4) else -1)  # even renamings keep the direction
        assert torch.equal((question[:-1] - 1 + turn) % 3, label[:-1] - 1)


@pytest.mark.parametrize("optimizer", ["adamw", "adam_atan2", "muon"])
def test_a_resumed_run_is_the_uninterrupted_run(trainer_for, rules, tmp_path, optimizer):
    problems = rules.generate("train", 60, 0)
    settings = {"optimizer": optimizer, "trainer": {"save_strategy": "steps", "save_steps": 4}, **PUZZLES}
    whole = trainer_for(rules, problems, tmp_path / "whole", 8, **settings)
    whole.train()
    resumed = trainer_for(rules, problems, tmp_path / "resumed", 8, **settings)
    resumed.model.puzzle_vectors.weight.fill_(7.0)  # the checkpoint must bring back everything
    resumed.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-4"))
    assert resumed.state.global_step == 8
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name]), name
    for name, tensor in whole.supervision.carry.tensors().items():
        assert torch.equal(tensor, resumed.supervision.carry.tensors()[name]), name
    assert all(torch.equal(p, resumed.ema.average[name]) for name, p in whole.ema.average.items())
    rates = [{group["lr"] for group in t.optimizer.param_groups} for t in (whole, resumed)]
    assert rates[0] == rates[1]


# --- what is drawn --------------------------------------------------------------------------------


def drawn(task, problems, draws=400, **options):
    examples = Examples(task, problems, TRMOptions(**options))
    index = examples.__getitems__([0])["index"]
    return examples, [examples.take(index, Draws(0), step) for step in range(draws)]


def numbers(grids, labels):
    return tuple(grids[0].tolist()), tuple(labels[0].tolist())


@pytest.mark.parametrize("count", [1, 2, 4])
def test_a_fixed_number_of_variants_is_drawn_from(task, count):
    """All of them, no other, the problem itself among them; without puzzles there is no vector."""
    problem = task.parse_question("aabcab")
    _, taken = drawn(task, [problem], augmentations=count)
    expected = {numbers(*task.encode_variants([problem], [number])) for number in range(count)}
    assert {numbers(*t[:2]) for t in taken} == expected
    assert numbers(*task.encode([problem])) in expected
    assert {t[2].item() for t in taken} == {0}


def test_variants_and_vectors_belong_together(rules):
    problems = rules.generate("train", 3, 0)
    examples, taken = drawn(rules, problems, prefix=1, augmentations=4)
    assert examples.table.ranges == {"rule-0": [1, 4], "rule-1": [5, 4], "rule-2": [9, 4]}
    assert {t[2].item() for t in taken} == {1, 2, 3, 4}
    for grid, label, vector in taken:
        expected = rules.encode_variants(problems[:1], [vector.item() - 1])
        assert torch.equal(grid, expected[0])
        assert torch.equal(label, expected[1])


def test_without_augmentation_there_is_one_variant_and_without_prefix_no_place_for_a_vector(rules, task):
    problems = rules.generate("train", 3, 0)
    examples, taken = drawn(rules, problems, 5, prefix=1, augment=False)
    assert examples.table.vectors == 4
    assert {t[2].item() for t in taken} == {1}
    assert all(torch.equal(t[0], rules.encode(problems[:1])[0]) for t in taken)
    with pytest.raises(UserError, match="no place for its vector"):
        drawn(rules, problems, 1)
    assert drawn(task, task.generate("train", 3, 0), 1, prefix=1)[0].table.ranges == {}
    _, free = drawn(task, [task.parse_question("aabcab")])
    assert len({numbers(*t[:2]) for t in free}) == 6, "a new symmetry each time: all renamings of three letters"
