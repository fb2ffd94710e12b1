"""How a row thinks, the claims of the autoregressive TRM and accuracy by length: from records to words."""

import io
import json
import re

import numpy as np
import pytest
from rich.console import Console

from benchmarks.errors import UserError
from benchmarks.evaluation import Prediction, Solution
from benchmarks.problem import Answer
from benchmarks.records import save_predictions
from benchmarks.statistics import Difference
from benchmarks.verifiable.sequences import Sequences
from reasoning_kit.comparison import load_comparison
from reasoning_kit.comparison.claims import (
    MARGIN,
    Claim,
    load_claims,
    mean_difference,
    outcome,
    read_claims,
    tells,
)
from reasoning_kit.config.composition import choices
from reasoning_kit.config.methods import thinking_of
from reasoning_kit.report import comparison_table, markdown_table, write_report
from reasoning_kit.report.summary import summary
from trm.autoregressive.configuration import AutoregressiveTRMConfig
from trm.autoregressive.ladder import DEFAULTS, evaluations, ladder

CLAIMS = [claim for each in load_claims() for claim in each.claims]
TASKS = ("arithmetic-mul-2x2", "sudoku-4x4")
ACCURACY = {
    "ar_gpt_small": (0.9, 0.4),
    "ar_gpt": (0.4, 0.4),
    "ar_growing": (0.6, 0.9),
    "ar_recursive_deep": (0.6, 0.9),
    "ar_recursive": (0.0, 0.0),
    "ar_jacobi": (0.0, 0.9),
    "ar_dual": (0.0, 0.6),
    "ar_tied_step": (0.0, 0.6),
}


def config(name: str, **model: object) -> dict:
    return {"base": "answer_only", "label": name, "model": {"architecture": "autoregressive_trm", **model}}


def rung_of(name: str) -> dict:
    top = name in ("ar_jacobi", "ar_growing")
    return {"settings": {"rung": "recursive_deep" if top else name.removeprefix("ar_")}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, run_factory):
    """Part of the ladder on two tasks with two seeds, and a chain of thought."""
    root = tmp_path_factory.mktemp("claims")
    for seed in range(2):
        for number, task in enumerate(TASKS):
            run_factory(root, task, "cot", seed, problems=200, accuracy=0.5)
            for name, accuracy in ACCURACY.items():
                more = {"accuracy": accuracy[number], "config": config(name, **rung_of(name))}
                run_factory(root, task, name, seed, problems=200, **more)
    return root


@pytest.fixture(scope="module")
def comparison(folder):
    return load_comparison(folder)


# --- how a row thinks -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        {},
        *({"rung": name} for name in ladder()),
        {"rung": "recursive_deep", "blocks": 32},
        {"T": 1, "n": 1, "supervision_steps": 1},
        {"streams": "single", "T": 1, "supervision_steps": 1, "halting": "none"},
        {"streams": "single", "tied": False, "T": 5, "supervision_steps": 1, "halting": "none"},
        {"tied": False, "supervision_steps": 3},
    ],
    ids=str,
)
def test_passes_of_a_token_are_those_of_the_configuration(settings):
    model = AutoregressiveTRMConfig(**settings)
    assert evaluations(settings) == model.supervision_steps * model.passes // model.networks
    assert {name: getattr(AutoregressiveTRMConfig(), name) for name in DEFAULTS} == DEFAULTS


def test_recursion_is_latent_and_a_gpt_does_not_think():
    def thinks(base, name, **more):
        return thinking_of(base, {"architecture": "autoregressive_trm", "settings": {"rung": name}, **more})

    found = {name: thinks("answer_only", name) for name in ladder()}
    assert {name for name, thinking in found.items() if thinking == "none"} == {"gpt_small", "gpt"}
    assert {thinking for name, thinking in found.items() if "gpt" not in name} == {"latent"}
    assert [thinks(base, "recursive_deep") for base in ("cot", "grpo", "direct", "trm")] == [
        "token", "token", "none", "latent",
    ]  # fmt: skip
    assert thinks("answer_only", "recursive_deep", path="a/pretrained-model") == "none"
    assert thinks("answer_only", "recursive_deep", architecture="llama") == "none"
    assert thinking_of("answer_only", {}) == thinking_of("unknown", {}) == "none", "old records"


def test_latent_recursion_in_a_language_model_gets_a_verdict(comparison):
    for task in comparison.tasks:
        rows = {row.method: row.thinking for row in task.rows}
        assert rows["ar_growing"] == rows["ar_tied_step"] == "latent"
        assert rows["ar_gpt"] == rows["ar_gpt_small"] == "none"
        assert rows[task.headline.a] == "latent"
        assert task.headline.b == "cot"
        assert task.winner == "latent"
        assert task.headline.choices == sum(thinking == "latent" for thinking in rows.values()) > 1
        assert f"widened for the choice among {task.headline.choices} pairs" in task.verdict


def test_rungs_alone_lack_tokens_not_their_base(tmp_path, run_factory):
    for name in ("ar_gpt", "ar_growing"):
        run_factory(tmp_path, TASKS[0], name, 0, accuracy=0.5, config=config(name, **rung_of(name)))
    [task] = load_comparison(tmp_path).tasks
    assert task.verdict == "No verdict: no run of tokens here."


# --- the claims -------------------------------------------------------------------------------------


def gap(low: float, high: float) -> Difference:
    return Difference((low + high) / 2, low, high, None, "", 100, 100)


@pytest.mark.parametrize(
    ("ends", "better", "not_worse"),
    [
        ((0.01, 0.2), "holds", "holds"),
        ((-0.04, 0.2), "undecided", "holds"),
        ((-0.04, -0.01), "fails", "holds"),
        ((-0.2, 0.2), "undecided", "undecided"),
        ((-0.2, -0.01), "fails", "fails"),
    ],
)
def test_outcomes(ends, better, not_worse):
    assert outcome(Claim("", "a", "b"), gap(*ends)) == better
    assert outcome(Claim("", "a", "b", "not_worse"), gap(*ends)) == not_worse


def test_what_nobody_learned_tests_nothing():
    for asks in ("better", "not_worse"):
        claim = Claim("", "a", "b", asks)
        assert not tells(claim, gap(-0.01, 0.01), 0.0, 0.0)
        assert tells(claim, gap(-0.1, 0.1), 0.3, 0.3)
        assert tells(claim, gap(0.2, 0.4), 0.3, 0.0), "clearly better than one that learned nothing"
    assert not tells(Claim("", "a", "b", "not_worse"), gap(-0.04, -0.01), 0.0, MARGIN / 2)


def test_what_both_can_do_tells_not_which_is_better():
    better, not_worse = Claim("", "a", "b"), Claim("", "a", "b", "not_worse")
    assert not tells(better, gap(-0.02, 0.02), 0.97, 1.0)
    assert tells(better, gap(-0.02, 0.02), 0.94, 1.0)
    assert tells(better, gap(-0.04, -0.01), 0.97, 1.0), "a clear difference does"
    assert tells(not_worse, gap(-0.02, 0.02), 0.97, 1.0), "nothing is lost"
    assert not tells(better, gap(-0.02, 0.02), 0.2, 0.195, top=0.2)


def test_every_claim_is_about_methods_that_exist():
    assert {name for claim in CLAIMS for name in (claim.a, claim.b)} <= set(choices("method"))
    assert len({claim.text for claim in CLAIMS}) == len({(claim.a, claim.b) for claim in CLAIMS}) == len(CLAIMS)


def test_a_file_of_claims_that_is_not_valid_is_named(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("title: Mine\nclaims:\n  - {text: TRM is better., a: trm, b: cot}\n")
    assert read_claims(file).title == "Mine"
    assert read_claims(file).claims == (Claim("TRM is better.", "trm", "cot"),)
    for text, said in (
        ("claims: [", "not valid YAML"),
        ("title: Mine", "must be a list"),
        ("claims: [{text: x, a: trm}]", "'b' is missing"),
        ("claims: [{text: x, a: trm, b: cot, asks: best}]", "claims[0].asks"),
    ):
        file.write_text(text)
        with pytest.raises(UserError, match=re.escape(said)) as error:
            read_claims(file)
        assert str(file) in str(error.value)


def test_claims_follow_from_the_data(comparison):
    claims = {(judged.claim.a, judged.claim.b): judged for judged in comparison.claims}
    assert set(claims) == {(c.a, c.b) for c in CLAIMS if {c.a, c.b} <= {*ACCURACY, "cot"}}
    for (a, b), judged in claims.items():
        assert [on.task for on in judged.tasks] == list(TASKS)
        for task, on in zip(comparison.tasks, judged.tasks, strict=True):
            right = {row.method: row.accuracy.value for row in task.rows}
            assert on.difference.value == pytest.approx(right[a] - right[b])
            assert on.difference.low <= on.difference.value <= on.difference.high
    deep = "ar_growing"
    found = {pair: [on.outcome for on in judged.tasks] for pair, judged in claims.items()}
    assert found[deep, "ar_gpt_small"] == ["fails", "holds"]
    assert found[deep, "ar_gpt"] == found["ar_recursive_deep", "ar_recursive"] == ["holds", "holds"]
    assert found["ar_jacobi", deep] == ["fails", "holds"]
    assert found["ar_dual", "ar_tied_step"] == ["untested", "undecided"]
    assert claims[deep, "ar_gpt_small"].sentence == "holds on 1 of 2 tasks, the opposite on 1"
    assert claims["ar_jacobi", deep].sentence == "holds on 1 of 2 tasks, worse on 1"
    assert claims["ar_dual", "ar_tied_step"].sentence == "holds on none of 2 tasks, undecided on 1, untested on 1"
    both = [on.difference.value for on in claims[deep, "ar_gpt_small"].tasks]
    assert claims[deep, "ar_gpt_small"].mean.value == pytest.approx(np.mean(both))
    assert claims["ar_dual", "ar_tied_step"].mean == claims["ar_dual", "ar_tied_step"].tasks[1].difference
    assert claims[deep, "cot"].flops_ratio == pytest.approx(1.9e7 / 1.6e8)
    assert "supervision beyond the answer" in claims[deep, "cot"].tasks[0].caveats[0], "told beside the claim"
    assert claims[deep, "ar_gpt"].tasks[0].caveats == ()


def test_halting_is_judged_on_the_same_training_seed_by_seed(tmp_path, run_factory):
    """Three seeds of very different accuracy, whose tokens may halt early or not: what the seeds do is not what
    halting does."""
    for seed, accuracy in enumerate((0.1, 0.5, 0.9)):
        loss = [{"step": 10, "loss": 1.0 + seed}]
        for name in ("ar_growing", "ar_adaptive"):
            run_factory(tmp_path, TASKS[0], name, seed, accuracy=accuracy, problems=200, loss=loss,
                        config=config(name, **rung_of("ar_growing")))  # fmt: skip
    [judged] = load_comparison(tmp_path).claims
    assert "paired by training" in judged.tasks[0].difference.method
    assert judged.outcome == "holds"
    path = tmp_path / TASKS[0] / "ar_adaptive" / "seed-2" / "record.json"
    record = json.loads(path.read_text())
    record["loss"][0]["loss"] += 1e-9
    path.write_text(json.dumps(record))
    [judged] = load_comparison(tmp_path).claims
    assert judged.outcome == "undecided", "another training"


def test_the_mean_over_tasks_has_the_interval_it_promises():
    alone = gap(-0.1, 0.3)
    assert mean_difference([alone]) == alone
    four = mean_difference([alone] * 4)
    assert (four.value, four.high - four.value) == pytest.approx((0.1, 0.2 / 2))
    generator, truth, spread = np.random.default_rng(0), np.array([-0.2, 0.0, 0.5]), np.array([0.02, 0.1, 0.05])
    drawn = truth + spread * generator.standard_normal((4000, 3))
    means = [
        mean_difference([gap(v - 1.96 * s, v + 1.96 * s) for v, s in zip(row, spread, strict=True)]) for row in drawn
    ]
    assert np.mean([m.low < truth.mean() < m.high for m in means]) == pytest.approx(0.95, abs=0.012)


def test_unequal_budgets_are_told_beside_the_claims(tmp_path, run_factory):
    for name, flops in (("ar_growing", 1.1e12), ("ar_gpt", 0.4e12)):
        more = {"accuracy": 0.5, "config": config(name, **rung_of(name)), "training": {"flops": flops}}
        run_factory(tmp_path, TASKS[0], name, 0, **more)
    comparison = load_comparison(tmp_path)
    [judged] = comparison.claims
    assert any("spent 36% of the budget" in caveat for caveat in judged.tasks[0].caveats)
    assert judged.sentence == f"tried on {TASKS[0]} alone"
    html, text = write_report(tmp_path).read_text(), markdown_table(comparison)
    assert html.count("spent 36% of the budget") > text.count("spent 36% of the budget") > 1
    assert "Task by task</summary>" not in html


def test_claims_are_on_the_page_in_the_terminal_and_in_the_files(folder, comparison):
    html = write_report(folder).read_text()
    section = html[html.index('id="claims"') : html.index('id="task-1"')]
    screen = Console(file=io.StringIO(), width=90)
    screen.print(comparison_table(comparison, 90))
    terminal = re.sub(r"\s+", " ", screen.file.getvalue())
    markdown = markdown_table(comparison)
    assert section.count('<span class="chip') == 3 * len(comparison.claims), "one over all, and one for each task"
    for judged in comparison.claims:
        for shown in (section, terminal, markdown):
            assert judged.claim.text in shown
            assert judged.sentence in shown
    data = json.loads(json.dumps(summary(comparison)))
    assert [c["claim"]["text"] for c in data["claims"]] == [judged.claim.text for judged in comparison.claims]
    assert data["claims"][0]["tasks"][0]["difference"]["value"] == pytest.approx(-0.3, abs=0.1)


def test_other_comparisons_have_no_such_section(comparison_folder):
    comparison = load_comparison(comparison_folder)
    assert comparison.claims == ()
    assert "claims" not in summary(comparison)
    assert 'id="claims"' not in write_report(comparison_folder).read_text()
    assert all(task.lengths is None for task in comparison.tasks)


# --- by length --------------------------------------------------------------------------------------


def judged(task: Sequences, problem, wrong: int) -> Prediction:
    """An answer whose first ``wrong`` characters are not the right ones."""
    other = {character: "9" if character != "9" else "8" for character in "0123456789"}
    text = "".join(other[c] if i < wrong else c for i, c in enumerate(problem.answer))
    return Prediction(
        problem, Solution(Answer(text), flops=1.0, seconds=0.1, steps=1), task.verify(problem, Answer(text))
    )


@pytest.fixture(scope="module")
def sums(tmp_path_factory, run_factory):
    """Sums of 3 and 20 digits: at length 20, seed s has s + 1 characters of 21 wrong in half of the answers."""
    root = tmp_path_factory.mktemp("sums")
    options = {"operation": "addition", "length": 3, "test_lengths": [3, 20]}
    task = Sequences(**options)
    problems = task.generate("test", 20, 0)
    for seed in range(2):
        run_factory(
            root, TASKS[0], "ar_gpt", seed, accuracy=0.5, problems=20,
            task={"name": "sums", "family": "sequences", "measure": "exact"},
            config={**config("ar_gpt", **rung_of("ar_gpt")), "task": {"options": options}},
        )  # fmt: skip
        wrong = [seed + 1 if p.meta["length"] == 20 and i % 4 == 1 else 0 for i, p in enumerate(problems)]
        predictions = [judged(task, p, w) for p, w in zip(problems, wrong, strict=True)]
        save_predictions(root / TASKS[0] / "ar_gpt" / f"seed-{seed}", predictions)
    return root


def test_characters_and_whole_answers_by_length(sums):
    comparison = load_comparison(sums)
    [task] = comparison.tasks
    assert task.lengths.known == 0.5
    assert (task.lengths.trained, task.lengths.lengths) == ((3,), (3, 20))
    at = task.lengths.rows["ar_gpt"]
    assert at[3].characters.value == at[3].whole.value == 1
    assert at[20].whole.value == pytest.approx(0.5)
    assert at[20].characters.value == pytest.approx(1 - (1 + 2) / 2 / 21 / 2)
    assert at[20].characters.low < at[20].characters.value < at[20].characters.high
    assert {p.characters for p in task.lengths.published} == {0.938, 0.181, 0.111}
    data = json.loads(json.dumps(summary(comparison)))["sums"]["lengths"]
    assert data["rows"]["ar_gpt"]["20"]["whole"]["value"] == pytest.approx(0.5)
    markdown = markdown_table(comparison)
    assert "| ar_gpt | 100.0 % (100.0 %) | 96.4 % (50.0 %) |" in markdown
    assert "GPT of arXiv 2603.08082 (not matched)" in markdown
    html = write_report(sums).read_text()
    table = html[html.index("By length") :]
    assert "96.4 %<br>" in table[: table.index("</table>")]
    assert "Universal transformer, arXiv 2603.08082" in table


@pytest.mark.parametrize(("operation", "length"), [("copy", 20), ("addition", 3)])
def test_published_points_stand_only_where_they_belong(tmp_path, run_factory, operation, length):
    options = {"operation": operation, "length": length}
    task = Sequences(**options)
    run_factory(
        tmp_path, TASKS[0], "ar_gpt", 0, accuracy=0.5,
        task={"name": "others", "family": "sequences", "measure": "exact"},
        config={**config("ar_gpt", **rung_of("ar_gpt")), "task": {"options": options}},
    )  # fmt: skip
    problems = task.generate("test", 5, 0)
    save_predictions(tmp_path / TASKS[0] / "ar_gpt" / "seed-0", [judged(task, p, 0) for p in problems])
    [found] = load_comparison(tmp_path).tasks
    assert found.lengths.lengths == (length,)
    assert found.lengths.published == ()
    assert "2603.08082" not in write_report(tmp_path).read_text()


def test_lengths_that_nobody_learned_are_no_part_of_the_ceiling(tmp_path, run_factory):
    """Both rows solve the learned half of the problems, which leaves nothing to gain, until a third goes further."""
    options = {"operation": "addition", "length": 3, "test_lengths": [3, 20]}
    task = Sequences(**options)
    problems = task.generate("test", 20, 0)

    def run(name, accuracy, solved):
        run_factory(
            tmp_path, TASKS[0], name, 0, accuracy=accuracy, problems=20,
            task={"name": "sums", "family": "sequences", "measure": "exact"},
            config={**config(name, **rung_of(name)), "task": {"options": options}},
        )  # fmt: skip
        predictions = [judged(task, p, 0 if p.meta["length"] in solved else 1) for p in problems]
        save_predictions(tmp_path / TASKS[0] / name / "seed-0", predictions)

    run("ar_growing", 0.5, (3,))
    run("ar_gpt", 0.5, (3,))
    [found] = load_comparison(tmp_path).claims
    assert [(on.outcome, on.difference.value) for on in found.tasks] == [("untested", 0.0)]
    run("ar_gpt_small", 1.0, (3, 20))
    claims = {c.claim.b: c for c in load_comparison(tmp_path).claims if c.claim.a == "ar_growing"}
    assert [on.outcome for on in claims["ar_gpt"].tasks] == ["undecided"]
    assert [on.outcome for on in claims["ar_gpt_small"].tasks] == ["fails"]
