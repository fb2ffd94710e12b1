"""An ablation study in the report: a base, twelve variants, three seeds; and variants beside both ways of thinking."""

import io
import json
import re
from itertools import combinations

import numpy as np
import pytest
from rich.console import Console
from rich.style import Style

from benchmarks.records import RECORD
from reasoning_kit.comparison import load_comparison
from reasoning_kit.registry import METHODS
from reasoning_kit.report import comparison_table, formatting, markdown_table, write_report
from reasoning_kit.report.styles import COLOURS, MARKERS, OTHER, PALETTE, own_styles, styles_of, variant_style

ACCURACY = {"hrm": 0.55} | {f"trm_{i}": 0.7 + 0.02 * (i - 6) for i in range(1, 11)} | {"trm_deep": 0.99}
BUDGET = {"unit": "steps", "limit": 900}
TASK = "sudoku-4x4"


def config(name: str, base: str = "trm") -> dict:
    return {"base": base, "label": f"{name} (variant)"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, run_factory):
    root = tmp_path_factory.mktemp("ablation")
    for seed in range(3):
        run_factory(root, TASK, "trm", seed, accuracy=0.7, budget=BUDGET)
        for name, accuracy in ACCURACY.items():
            run_factory(root, TASK, name, seed, accuracy=accuracy, budget=BUDGET, config=config(name))
    return root


@pytest.fixture(scope="module")
def comparison(folder):
    return load_comparison(folder)


@pytest.fixture(scope="module")
def page(folder):
    return write_report(folder).read_text()


# --- rows, pairs, verdict ---------------------------------------------------------------------------


def test_variants_follow_their_base_with_its_thinking_and_their_label(comparison):
    [task] = comparison.tasks
    assert [row.method for row in task.rows] == ["trm", *sorted(ACCURACY)]
    assert {row.thinking for row in task.rows} == {"latent"}
    assert {row.label for row in task.rows[1:]} == {f"{name} (variant)" for name in ACCURACY}
    assert task.rows[0].label == "TRM", "records without a label are of the five"


def test_what_each_part_is_worth_is_the_base_minus_the_variant(comparison):
    [task] = comparison.tasks
    assert task.contrasts == task.parts
    assert {(pair.a, pair.b) for pair in task.parts} == {("trm", name) for name in ACCURACY}
    accuracy = {row.method: row.accuracy.value for row in task.rows}
    for pair in task.parts:
        assert pair.difference.value == pytest.approx(accuracy["trm"] - accuracy[pair.b])
    values = [pair.difference.value for pair in task.parts]
    assert values == sorted(values, reverse=True)
    assert len(task.pairs) == 13 * 12 / 2


def test_the_verdict_sorts_every_variant_by_its_interval(comparison):
    [task] = comparison.tasks
    assert (task.winner, task.headline) == ("variants", None)
    title, _, rest = task.verdict.partition(": ")
    assert title == "Variants against their base"
    sides = {
        side: re.search(rf"{side}: ([^;]*?)[;.] ", rest + " ") for side in ("below it", "above it", "distinguishable")
    }
    assert all(sides.values()), rest
    for pair in task.parts:
        gap = pair.difference
        side = "below it" if gap.low > 0 else "above it" if gap.high < 0 else "distinguishable"
        label = f"{pair.b} (variant) ({-100 * gap.value:+.1f})".replace("-0.0", "+0.0")
        named = [key for key in sides if label in rest.split(f"{key}: ")[1].split("; ")[0]]
        assert named == [side], label
    assert "Caution" not in task.verdict


def test_equal_steps_are_not_equal_compute(tmp_path, run_factory):
    for name, flops in (("trm", 1e12), ("x", 3e12)):
        training = {"flops": flops, "seconds": 9.0, "steps": 900}
        more = {} if name == "trm" else {"config": config("x")}
        run_factory(tmp_path, TASK, name, 0, accuracy=0.5, budget=BUDGET, training=training, **more)
    [task] = load_comparison(tmp_path).tasks
    assert "with equal steps, training compute differs up to 3.0 times" in task.verdict
    assert "one seed" in task.verdict
    assert [row.unmatched for row in task.rows] == ["", ""]


def test_variants_without_their_base_have_no_verdict(tmp_path, run_factory):
    for name in ("x", "y"):
        run_factory(tmp_path, TASK, name, 0, accuracy=0.5, config=config(name))
    [task] = load_comparison(tmp_path).tasks
    assert (task.winner, task.verdict) == ("unknown", "No verdict: no run of trm, the base of these variants.")
    assert "No verdict" in write_report(tmp_path).read_text()


def test_a_variant_can_win_for_its_side(tmp_path, run_factory):
    for seed in range(2):
        for name, accuracy in (("direct", 0.2), ("trm", 0.5), ("answer_only", 0.2), ("cot", 0.4)):
            run_factory(tmp_path, TASK, name, seed, accuracy=accuracy)
        run_factory(tmp_path, TASK, "deep", seed, accuracy=0.9, config=config("deep"))
        run_factory(tmp_path, TASK, "short", seed, accuracy=0.1, config=config("short", "cot"))
        run_factory(tmp_path, TASK, "wide", seed, accuracy=0.3, config=config("wide", "direct"))
    comparison = load_comparison(tmp_path)
    [task] = comparison.tasks
    assert [row.method for row in task.rows] == ["direct", "wide", "trm", "deep", "answer_only", "cot", "short"]
    assert [row.thinking for row in task.rows] == ["none", "none", "latent", "latent", "none", "token", "token"]
    assert task.winner == "latent"
    assert (task.headline.a, task.headline.b) == ("deep", "cot")
    assert [(p.a, p.b) for p in task.thinking_contrasts] == [("trm", "direct"), ("cot", "answer_only")]
    assert [(p.a, p.b) for p in task.parts] == [("direct", "wide"), ("trm", "deep"), ("cot", "short")]
    assert styles_of(comparison)["wide"].dash == "dash", "it does not think"
    html = write_report(tmp_path).read_text()
    thinking = html[html.index("What does thinking add?") : html.index("What is each part worth?")]
    assert re.findall(r'<th scope="row">(.*?) <span class="soft">minus</span> (.*?)</th>', thinking) == [
        ("deep (variant)", "LM, chain of thought (distilled)"),
        ("TRM", "Direct prediction"),
        ("LM, chain of thought (distilled)", "LM, answer only"),
    ], "the headline first"
    assert "Which way of thinking longer wins" in html


# --- styles ------------------------------------------------------------------------------------------

# Machado, Oliveira and Fernandes (2009), severity 1: linear RGB as seen without red, and without green receptors.
SEEN = {
    "all": np.eye(3),
    "no red": np.array([[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]]),
    "no green": np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]]),
}


def linear(colour: str) -> np.ndarray:
    values = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def oklab(rgb: np.ndarray) -> np.ndarray:
    lms = np.array([[0.4122, 0.5363, 0.0514], [0.2119, 0.6807, 0.1074], [0.0883, 0.2817, 0.6300]]) @ rgb.clip(0, 1)
    return np.array([[0.2105, 0.7936, -0.0041], [1.9780, -2.4286, 0.4506], [0.0259, 0.7828, -0.8087]]) @ np.cbrt(lms)


def contrast(a: str, b: str) -> float:
    low, high = sorted(float(linear(c) @ [0.2126, 0.7152, 0.0722]) + 0.05 for c in (a, b))
    return high / low


@pytest.mark.parametrize(("theme", "card"), [(0, "#ffffff"), (1, "#1b1e24")])
def test_variant_colours_are_seen_and_told_apart(theme, card):
    colours = [pair[theme] for pair in COLOURS]
    assert all(contrast(colour, card) >= 3 for colour in colours)
    for seen, matrix in SEEN.items():
        for a, b in combinations(colours, 2):
            assert np.linalg.norm(oklab(matrix @ linear(a)) - oklab(matrix @ linear(b))) > 0.04, (seen, a, b)


def test_no_two_methods_look_alike():
    many = [*own_styles().values(), OTHER, *(variant_style(i) for i in range(98))]
    assert len({(style.light, style.symbol) for style in many}) == len(many)
    assert len({style.key for style in many}) == len(many)
    assert {style.symbol for style in own_styles().values()}.isdisjoint(symbol for symbol, _ in MARKERS)
    neighbours = [variant_style(i) for i in range(14)]
    assert len({style.light for style in neighbours}) == len({style.terminal for style in neighbours}) == 14
    assert all(Style.parse(style.terminal) for style in many if style.terminal)


def test_every_method_of_the_kit_has_a_colour_of_its_own():
    own = own_styles()
    assert list(own) == [name for name in METHODS if METHODS.is_own(name)]
    assert len({style.light for style in own.values()}) == len(own) == len(PALETTE)


def test_two_plugins_look_different(tmp_path, run_factory):
    run_factory(tmp_path, TASK, "trm", 0)
    for name in ("mine", "yours"):
        run_factory(tmp_path, TASK, name, 0, accuracy=0.5, config=config(name))
    for file in tmp_path.rglob(RECORD):  # methods themselves, of a plug-in that is not here now
        record = json.loads(file.read_text())
        record["config"].pop("base", None)
        file.write_text(json.dumps(record))
    styles = styles_of(load_comparison(tmp_path))
    assert list(styles) == ["trm", "mine", "yours"]
    assert len({style.light for style in styles.values()}) == 3
    assert len({style.key for style in styles.values()}) == 3


def test_a_variant_looks_the_same_on_every_task(tmp_path, run_factory):
    for task, names in ((TASK, ("a", "b")), ("arithmetic-mul-2x2", ("b",))):
        run_factory(tmp_path, task, "trm", 0)
        for name in names:
            run_factory(tmp_path, task, name, 0, accuracy=0.5, config=config(name))
    styles = styles_of(load_comparison(tmp_path))
    assert styles["trm"] == own_styles()["trm"]
    assert styles["a"].key != styles["b"].key
    html = write_report(tmp_path).read_text()
    for figure in re.findall(r'<script type="application/json">(.*?)</script>', html, re.S):
        keys = {trace["name"]: trace["meta"]["method"] for trace in json.loads(figure)["data"]}
        assert keys["b (variant)"] == styles["b"].key


# --- the page, the terminal, Markdown ---------------------------------------------------------------


def test_the_page_shows_parts_first_and_folds_the_rest(page):
    assert "What is each part of the method worth?" in page
    assert "Which way of thinking longer wins" not in page
    parts = page.index("What is each part worth?")
    folded = page.index("All 78 differences between methods")
    assert parts < folded
    shown = page[parts:folded]
    assert shown.count('<span class="soft">minus</span>') == len(ACCURACY)
    assert page.index("<details>", parts) < folded
    assert "900 steps per method" in page
    for number in range(1, len(ACCURACY) + 1):
        assert f"--m-variant-{number}: light-dark(" in page


def test_many_methods_keep_the_figures_readable(page):
    blobs = re.findall(r'<script type="application/json">(.*?)</script>', page, re.S)
    training, scaling = (json.loads(blob)["data"] for blob in blobs)
    assert len(training) == 2 * 13, "one line and one mark for each, no single seeds"
    assert len({trace["meta"]["method"] for trace in training}) == 13
    assert not any("error_y" in trace for trace in training + scaling)
    assert page.count(" data-pick=") == 13


@pytest.mark.parametrize("width", [80, 120])
def test_the_terminal_shows_contrasts_only(comparison, width):
    screen = Console(file=io.StringIO(), width=width)
    screen.print(comparison_table(comparison, width))
    text = screen.file.getvalue()
    assert "…" not in text
    assert "900 steps per method, 3 seeds" in text
    assert text.count(" minus ") == len(ACCURACY)


def test_markdown_shows_contrasts_only(comparison):
    text = markdown_table(comparison)
    assert text.count(" minus ") == len(ACCURACY)
    assert "- TRM minus hrm (variant): +" in text
    assert "900 steps per method" in text


def test_budgets_of_every_unit_are_read_easily():
    told = {("steps", 1): "1 step", ("steps", 2000.0): "2,000 steps", ("examples", 64000): "64,000 examples"}
    told |= {("tokens", 3e6): "3 M tokens", ("flops", 8e12): "8 T FLOPs", ("seconds", 120): "2 min of training"}
    for (unit, limit), text in told.items():
        assert formatting.budget_text(unit, limit) == text
