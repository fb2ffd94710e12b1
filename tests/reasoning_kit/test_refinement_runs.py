"""``bench refinement`` on several runs: the table over seeds, bytes to serve, depth by difficulty."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import get_args

import pytest
import torch
from rich.console import Console

from benchmarks.errors import UserError
from benchmarks.puzzles.sudoku.task import Sudoku
from benchmarks.verifiable.arithmetic import Arithmetic
from benchmarks.verifiable.sequences import Sequences
from reasoning_kit.config.spec import load_config
from reasoning_kit.report.styles import latent_style
from reasoning_kit.runs.finished import load_solver
from reasoning_kit.runs.run import run
from reasoning_kit.studies.autoregressive.aggregate import Measured, difficulty, sections
from reasoning_kit.studies.autoregressive.cache_policies import (
    KEY_VALUES,
    SWEEPS,
    Scored,
    answered,
    cache_bytes,
    score,
    weight_bytes,
)
from reasoning_kit.studies.autoregressive.command import _traces, bench_refinement
from reasoning_kit.studies.autoregressive.difficulty import token_kinds
from reasoning_kit.studies.autoregressive.page import _price, refinement_page
from trm.autoregressive.choices import Mode, Policy

pytestmark = pytest.mark.slow

SMALL = [
    "model.width=16", "model.inner=32", "model.heads=2", "model.key_value_heads=1", "model.layers=2", "train_size=40",
    "test_size=8", "budget.unit=steps", "budget.limit=3", "evaluation.curve_problems=0", "task=[addition-10-long]",
    "task.addition-10-long.length=3", "task.addition-10-long.test_lengths=[3]",
]  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    """Two seeds of a recursive model, one each of a GPT, of an ordinary language model and of one that thinks first."""
    folder = tmp_path_factory.mktemp("comparison")
    for method, seeds in (("ar_adaptive", 2), ("ar_gpt_small", 1), ("answer_only", 1), ("cot", 1)):
        for spec in load_config([*SMALL, f"method=[{method}]", f"seeds={seeds}"]).runs():
            run(spec, folder / spec.folder, lambda *_: None)
    return folder


def loaded(folder):
    from reasoning_kit.runs.finished import load_run

    spec = load_run(folder)
    task, splits = spec.task.load(), spec.splits()
    return spec, load_solver(spec, task, folder), splits.test


@pytest.fixture(scope="module")
def found(comparison, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "found.json"
    console = Console(width=60, record=True, quiet=False, file=open("/dev/null", "w"))  # noqa: SIM115
    bench_refinement([str(comparison)], 32, 1, 4, 6, 0.5, out, console)
    return json.loads(out.read_text()), out.with_suffix(".html").read_text(), console.export_text()


def test_a_folder_gives_one_row_for_each_method_policy_and_halting(found):
    result, page, shown = found
    [section] = result["sections"]
    rows = {(row["method"], row["policy"], row["halting"]): row for row in section["gap"]}
    policies = {policy for method, policy, _ in rows if method == "ar_adaptive"}
    assert policies == {"committed", "per_depth", "first_depth", "last_of_role"}
    assert {key[1:] for key in rows if key[0] == "ar_gpt_small"} == {("per_depth", "fixed")}
    assert {key[1:] for key in rows if key[0] == "cot"} == {(KEY_VALUES, "fixed")}
    for (method, policy, halting), row in rows.items():
        of_runs = [
            way["loss"]
            for each in result["runs"]
            for way in each["ways"]
            if (each["method"], way["policy"], way["halting"]) == (method, policy, halting)
        ]
        assert row["seeds"] == len(of_runs) == (2 if method == "ar_adaptive" else 1)
        assert row["loss"]["value"] == pytest.approx(sum(of_runs) / len(of_runs))
        assert (row["loss"]["low"], row["loss"]["high"]) == (min(of_runs), max(of_runs))
    assert section["problems"] == 6
    assert [line["seed"] for line in section["lock_step"]] == [0, 1]
    assert "ar_adaptive" in page
    assert "At the longest problem" in page
    assert "last_of_role" in shown, "no cell is cut on a narrow screen"
    assert "…" not in shown


def test_bytes_to_serve_are_weights_and_the_formulas_cache(found, comparison):
    result, _, _ = found
    rows = {(row["method"], row["policy"]): row for row in result["sections"][0]["served"]}
    assert rows["ar_gpt_small", "per_depth"]["caches"]["1024"] == 2 * 2 * 16 * 4 * 1024  # key and value, layers, d
    assert rows["answer_only", KEY_VALUES]["caches"]["1024"] == 2 * 2 * 8 * 4 * 1024  # one key-value head of size 8
    assert rows["ar_adaptive", "committed"]["caches"]["4096"] * 8 == rows["ar_adaptive", "per_depth"]["caches"]["4096"]
    prompt = len("123+456=<think></think>") - len("<think></think>") + 2
    assert rows["ar_gpt_small", "per_depth"]["longest"] == prompt + 4
    assert rows["cot", KEY_VALUES]["longest"] > prompt + 4, "a thought takes room"
    for (method, _), row in rows.items():
        _, solver, _ = loaded(comparison / "addition-10-long" / method / "seed-0")
        buffers = 2 * 16 * 4 if method.startswith("ar_") else 0
        assert row["weights"] == weight_bytes(solver.model) == 4 * solver.model.num_parameters() + buffers
        assert row["bytes"]["1024"] == row["weights"] + row["caches"]["1024"]


def test_an_ordinary_model_is_scored_as_it_decodes_and_its_cache_is_as_large_as_the_formula_says(comparison):
    _, solver, problems = loaded(comparison / "addition-10-long" / "answer_only" / "seed-0")
    scored = score(solver, problems, [None] * len(problems), KEY_VALUES, "fixed")
    solved = [
        s.answer is not None and s.answer.text == p.answer
        for s, p in zip(solver.solve(problems), problems, strict=True)
    ]
    assert scored.whole == solved
    [prompt] = solver.prompts(problems[:1])
    with torch.no_grad():
        cache = solver.model(torch.tensor([prompt]), use_cache=True).past_key_values
        alone = solver.model(torch.tensor([[*prompt, *solver.tokenizer(problems[0].answer)["input_ids"]]])).logits
    allocated = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)
    assert allocated == cache_bytes(solver.model.config, KEY_VALUES, len(prompt))
    best = alone[0, len(prompt) - 1 :].argmax(-1).tolist()
    wanted = [*solver.tokenizer(problems[0].answer)["input_ids"], solver.tokenizer.eos_token_id]
    assert scored.right[0] == [a == b for a, b in zip(best, wanted, strict=True)], "padding changes nothing"


@pytest.mark.parametrize("method", ["cot", "ar_adaptive"])
def test_where_other_answers_count_greedy_decoding_is_asked(comparison, method):
    spec, solver, problems = loaded(comparison / "addition-10-long" / method / "seed-0")
    solver.task = replace(solver.task, measure="valid")
    policy = KEY_VALUES if method == "cot" else "per_depth"
    traces = _traces(spec, solver.task, problems)
    solver.model.config.depth = "fixed"
    expected = [
        solver.task.verify(problem, solution.answer).correct
        for problem, solution in zip(problems, solver.solve(problems), strict=True)
    ]
    assert answered(solver, problems, traces, policy, [False] * len(problems)) == expected
    assert answered(solver, problems, traces, policy, [True] * len(problems)) == [True] * len(problems)


def test_sweeps_of_training_stand_beside_what_decoding_commits(tmp_path):
    """As many sweeps as tokens are the committed cache; as few as in training are not."""
    [spec] = load_config([*SMALL, "method=[ar_jacobi]"]).runs()
    run(spec, tmp_path / "run", lambda *_: None)
    bench_refinement([str(tmp_path / "run")], 32, 1, 2, 4, 0.5, tmp_path / "found.json", Console(quiet=True))
    gap = json.loads((tmp_path / "found.json").read_text())["sections"][0]["gap"]
    assert [row["policy"] for row in gap if row["halting"] == "fixed"][-1] == SWEEPS
    assert {row["policy"] for row in gap if row["halting"] != "fixed"} == set(get_args(Policy))
    _, solver, problems = loaded(tmp_path / "run")
    few, committed, exact = (
        score(solver, problems, [None] * len(problems), policy, "fixed").loss
        for policy, solver.model.config.sweeps in ((SWEEPS, 2), ("committed", 2), (SWEEPS, 20))
    )
    assert exact == pytest.approx(committed, abs=1e-5)
    assert few != pytest.approx(committed, abs=1e-5)


def test_what_cannot_be_tabled_is_refused(comparison, tmp_path):
    quiet = Console(quiet=True)
    ours = comparison / "addition-10-long"
    with pytest.raises(UserError, match="none of which refines") as caught:
        bench_refinement([str(ours / "cot")], 32, 1, 2, 4, 0.5, None, quiet)
    assert "ar_recursive_deep" in caught.value.cure
    (tmp_path / "copy").symlink_to(ours / "ar_gpt_small" / "seed-0")
    with pytest.raises(UserError, match="named twice"):
        bench_refinement([str(ours / "ar_gpt_small"), str(tmp_path / "copy")], 32, 1, 2, 4, 0.5, None, quiet)


# --- labels and tables over made answers -----------------------------------------------------------


def test_kinds_of_tokens_are_those_of_the_written_answer():
    sums = Sequences("addition", 3)
    assert token_kinds(sums, sums.problem("999", "100"), None)["carries"] == [
        "no carry in", "carry of 1 column", "carry through 2 columns", "carry through 3 or more",
    ]  # fmt: skip
    both = Sequences("copy", 2, test_lengths=(2, 3))
    assert token_kinds(both, both.problem("abc"), None) == {"lengths": ["length 3"] * 3}
    products = Arithmetic("multiplication", (2, 2))
    # 99 x 99 = 9801: 81 carries 8, then 8 + 162 = 170 carries 17, then 17 + 81 = 98 carries 9
    assert token_kinds(products, products.problem(99, 99), None)["carries"] == [
        "carry of 1 to 9", "carry of 10 or more", "carry of 1 to 9", "no carry in",
    ]  # fmt: skip
    high_first = Arithmetic("addition", (2, 2))
    assert token_kinds(high_first, high_first.problem(95, 15), None)["carries"] == [
        "carry through 2 columns", "carry of 1 column", "no carry in",
    ]  # fmt: skip
    assert token_kinds(sums, sums.problem("999", "100"), "a thought") == {}


def test_kinds_of_cells_follow_the_order_of_writing():
    task = Sudoku(4)
    for problem in task.generate("test", 20, 0):
        kinds = token_kinds(task, problem, None)["cells"]
        for cell, kind in enumerate(kinds):
            row, column, box = cell // 4, cell % 4, (cell // 8, cell % 4 // 2)
            near = [
                other
                for other in range(16)
                if other != cell and (other // 4 == row or other % 4 == column or (other // 8, other % 4 // 2) == box)
            ]
            givens = {problem.question[other] for other in near} - {"."}
            written = {problem.answer[other] for other in near if other < cell} | givens
            if problem.question[cell] != ".":
                assert kind == "given"
            elif len(givens) == 3:
                assert kind == "forced by the givens"
            else:
                assert kind == ("forced by what is written" if len(written) == 3 else "search")
        assert kinds[-1] in ("given", "forced by the givens", "forced by what is written"), "the last cell is no search"


def measured(method, seed, solved, weights, depths, kinds):
    """A run as it would be measured, with known answers."""
    right = [[True] * len(row) for row in depths]
    ways = [Scored("committed", halting, 0.1, depths, right) for halting in ("fixed", "adaptive")]
    names = [f"p{number}" for number in range(len(solved))]
    return Measured(
        run=f"{method}/{seed}", task="t", method=method, seed=seed, training="parallel", own="committed", most=4,
        ids=names, orbits=names, longest=9, weights=weights, caches={"committed": {"longest": 10, "1024": 1000}},
        ways=ways, answered={"committed": solved}, kinds={"carries": kinds}, lock_step=None,
    )  # fmt: skip


def test_the_fewest_bytes_are_those_of_a_row_that_is_shown_to_lose_little_to_the_best():
    depths, kinds = [[1]] * 600, [["no carry in"]] * 600
    rows = [
        measured("large", 0, [True] * 580 + [False] * 20, 5000, depths, kinds),
        measured("small", 0, [False] * 21 + [True] * 579, 2000, depths, kinds),
        measured("poor", 0, [False] * 500 + [True] * 100, 500, depths, kinds),
    ]
    [section] = sections(rows)
    assert {row["method"]: row["as_good"] for row in section["served"]} == {"large": True, "small": True, "poor": False}
    assert "small with committed needs the fewest bytes, 0.40 of" in section["fewest"]["longest"]
    [alone] = sections([rows[0], rows[2]])
    assert "of none of the other 1 rows" in alone["fewest"]["longest"]
    [nothing] = sections([measured("poor", 0, [False] * 600, 1, depths, kinds)])
    assert "no equal accuracy" in nothing["fewest"]["longest"]


def test_a_row_that_learns_in_some_seeds_alone_is_not_as_good():
    """The two cannot be told apart at 95 %, and equal they are not."""
    depths, kinds = [[1]] * 200, [["no carry in"]] * 200
    rows = [measured("large", seed, [True] * 200, 5000, depths, kinds) for seed in range(5)]
    rows += [measured("small", seed, [seed > 1] * 200, 2000, depths, kinds) for seed in range(5)]
    [section] = sections(rows)
    large, small = section["served"]
    assert small["behind"]["high"] > 0
    assert (large["as_good"], small["as_good"]) == (True, False)


def test_policies_of_one_model_are_compared_seed_by_seed():
    """What a policy loses is the same in every seed, however much seeds differ."""
    depths, kinds = [[1]] * 600, [["no carry in"]] * 600
    rows = []
    for seed, share in enumerate((100, 300, 500)):
        run = measured("one", seed, [i < share for i in range(600)], 5000, depths, kinds)
        [(policy, caches)] = run.caches.items()
        other = {"first_depth": [6 <= i < share for i in range(600)]}
        rows.append(replace(run, caches={policy: caches, "first_depth": caches}, answered=run.answered | other))
    [section] = sections(rows)
    best, other = section["served"]
    assert best["best"]
    assert other["behind"]["value"] == pytest.approx(-0.01)
    assert other["as_good"], "it loses six problems of 600 in each seed"


def test_depth_by_difficulty_is_a_mean_over_seeds_with_problems_as_clusters():
    kinds = [["no carry in", "search", "search"]] * 40
    runs = [measured("one", seed, [True] * 40, 1, [[1, 3, 3 + seed]] * 40, kinds) for seed in (0, 1)]
    rows = difficulty(runs)["carries"]["adaptive"]
    assert list(rows) == ["no carry in", "search"], "easy ones first"
    assert rows["no carry in"]["steps"]["value"] == 1
    assert rows["search"]["steps"]["value"] == pytest.approx(3.25)
    assert rows["search"]["tokens"] == 80
    low, high = rows["search"]["steps"]["low"], rows["search"]["steps"]["high"]
    assert 1 <= low < 3.25 < high <= 4
    other = replace(runs[1], ids=[*runs[1].ids[:-1], "another"])
    with pytest.raises(UserError, match="test problems"):
        sections([runs[0], other])


def test_the_page_holds_methods_of_several_tasks():
    depths, kinds = [[1]] * 20, [["no carry in"]] * 20
    first = measured("<one>", 0, [True] * 20, 1, depths, kinds)
    runs = [first, replace(first, task="u"), replace(first, task="u", method="two")]
    found = {"runs": [{}, {}, {}], "sections": sections(runs), "skipped": ["x"]}
    page = refinement_page(found)
    assert "&lt;one&gt;" in page
    assert "<one>" not in page
    assert "1 runs of no language model were left out" in page


@pytest.mark.parametrize("mode", [*get_args(Mode), "llama"])
def test_every_training_mode_is_in_the_figure_of_policies(mode):
    one = replace(measured("one", 0, [True] * 20, 1, [[1]] * 20, [["no carry in"]] * 20), training=mode)
    if mode == "llama":
        one = replace(one, ways=[replace(way, policy=KEY_VALUES) for way in one.ways])
    [section] = sections([one])
    drawn = json.loads(_price(section, {"one": latent_style()}).json)["data"]
    assert [trace["name"] for trace in drawn] == ([] if mode == "llama" else ["one"])


@pytest.mark.parametrize("policy", ["per_depth", "committed"])
def test_prompts_refined_together_ahead_of_their_rows_are_continued_as_alone(comparison, policy, monkeypatch):
    from trm.autoregressive import engine as decoding

    monkeypatch.setattr(decoding, "PREFILLED", 20)  # several batches, of prompts of different length
    _, solver, _ = loaded(comparison / "addition-10-long" / "ar_adaptive" / "seed-0")
    generator = torch.Generator().manual_seed(0)
    prompts = [torch.randint(1, 12, (1 + number % 7,), generator=generator).tolist() for number in range(16)]
    options = decoding.Decoding(5, policy, "adaptive", parallel_prefill=True, batch_size=3)
    arrived = []
    together = decoding.Engine(solver.model, options).decode(prompts, on_result=lambda index, _: arrived.append(index))
    alone = [decoding.Engine(solver.model, options).decode([prompt])[0] for prompt in prompts]
    assert together == alone
    assert sorted(arrived) == list(range(16))
    assert len(prompts[arrived[0]]) == 7, "the longest come first"
