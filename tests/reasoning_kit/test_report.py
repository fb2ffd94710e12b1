"""The page holds everything, escapes what comes from data, needs no network; the terminal tables fit."""

import io
import json
import re
from html.parser import HTMLParser

import pytest
from plotly.offline import get_plotlyjs
from rich.console import Console

from reasoning_kit.comparison import load_comparison
from reasoning_kit.report import comparison_table, formatting, write_report
from reasoning_kit.report.figures import training_figure
from reasoning_kit.report.player import marked, stage, wrong_cells
from reasoning_kit.report.styles import styles_of

EVIL = "<img src=x onerror=alert(1)></script><think>"


@pytest.fixture(scope="module")
def page(comparison_folder):
    path = write_report(comparison_folder)
    assert path == comparison_folder / "report.html"
    return path.read_text()


class Outline(HTMLParser):
    """Counts elements and collects the addresses that a browser would fetch."""

    def __init__(self):
        super().__init__()
        self.count, self.fetched = {}, []

    def handle_starttag(self, tag, attrs):
        self.count[tag] = self.count.get(tag, 0) + 1
        self.fetched += [v for k, v in attrs if k in ("src", "href") and v and not v.startswith("#")]


def outline(html: str) -> Outline:
    parser = Outline()
    parser.feed(html)
    return parser


def test_page_is_complete_and_self_contained(page):
    seen = outline(page)
    assert seen.fetched == []
    assert seen.count["figure"] == 4
    assert seen.count["article"] == 10  # a player per method and task
    assert page.count(get_plotlyjs()[:200]) == 1
    assert "default-src 'none'" in page
    for text in ("Latent recursion wins", "No clear winner", "LM, chain of thought (distilled)", "data-of-sudoku-4x4"):
        assert text in page
    assert "supervision beyond the answer" in page
    assert "start_accuracy" in page


def test_page_is_a_pure_function_of_the_records(page, comparison_folder):
    assert write_report(comparison_folder).read_text() == page


def test_figures_hold_every_method_with_error_bars(page):
    blobs = re.findall(r'<script type="application/json">(.*?)</script>', page, re.S)
    figures = [json.loads(blob) for blob in blobs]
    assert len(figures) == 4
    for figure in figures:
        finals = [trace for trace in figure["data"] if "error_y" in trace]
        assert {trace["meta"]["method"] for trace in finals} == {"direct", "trm", "answer_only", "cot", "grpo"}
        assert figure["layout"]["xaxis"]["type"] == "log"


@pytest.mark.parametrize("curves", [True, False])
def test_the_axis_of_equal_compute_has_a_width(tmp_path, run_factory, curves):
    for method in ("trm", "cot"):
        run_factory(tmp_path, "sudoku-4x4", method, 0, **({} if curves else {"curve": []}))
    comparison = load_comparison(tmp_path)
    figure = training_figure(comparison.tasks[0], styles_of(comparison))
    drawn = [x for trace in figure.data for x in trace.x]
    if curves:
        assert max(drawn) > 2 * min(drawn)
        assert figure.layout.xaxis.range is None, "as wide as what is drawn"
    else:
        low, high = (10**end for end in figure.layout.xaxis.range)
        assert low < min(drawn) / 2 < 2 * max(drawn) < high


def test_data_is_escaped(tmp_path, run_factory):
    demo = {"id": EVIL, "question": EVIL, "answer": EVIL, "correct": False}
    demo["steps"] = [
        {"label": EVIL, "text": EVIL, "correct": None, "halting_probability": None},
        {"label": "answer", "text": EVIL.replace("x", "y"), "correct": False, "halting_probability": None},
    ]
    changes = {"demo": demo, "notes": [EVIL], "config": {EVIL: EVIL}, "versions": {EVIL: EVIL}, "fingerprint": EVIL}
    for method in ("trm", "cot"):
        task = {"name": EVIL, "family": EVIL, "measure": "exact"}
        run_factory(tmp_path, "sudoku-4x4", method, 0, task=task, **changes)
    html = write_report(tmp_path).read_text()
    own = html.replace(get_plotlyjs(), "")
    assert "<img" not in own
    assert "<think>" not in own
    assert "&lt;think&gt;" in own
    assert outline(own).count.get("img") is None
    scripts = outline(own).count["script"]
    assert scripts == 1 + 2 + 2  # errors; figures; plotly and the page's own


def test_unknown_method_and_missing_parts_still_give_a_page(tmp_path, run_factory):
    run_factory(tmp_path, "sudoku-4x4", "trm", 0, demo={}, curve=[], scaling=[], notes=[], started="")
    html = write_report(tmp_path).read_text()
    assert "No verdict" in html
    assert "data-player" not in html.split("<script>")[1]


def test_marks_tell_given_filled_and_wrong_cells():
    html = marked("1 3\n2 <", "1 .\n. .", "1 2\n2 1")
    assert html == '1 <mark class="wrong">3</mark>\n<b>2</b> <mark class="wrong">&lt;</mark>'
    assert wrong_cells("1 3\n2 <", "1 2\n2 1") == 2
    assert marked("<b>", ".", "12 34") == "&lt;b&gt;"  # another shape: shown plainly


def test_players_grow_text_and_replace_answers(comparison_folder):
    shown = stage(load_comparison(comparison_folder).tasks[1])
    players = {player.method: player for player in shown.players}
    assert all(frame.is_answer for frame in players["trm"].frames)
    assert [frame.is_answer for frame in players["cot"].frames] == [False] * 8 + [True]
    assert "wrong cells" in players["direct"].frames[0].status
    assert players["trm"].frames[-1].status == "step 16 · right"


@pytest.mark.parametrize("width", [80, 100, 160])
def test_terminal_tables_fit(comparison_folder, width):
    screen = Console(file=io.StringIO(), width=width)
    screen.print(comparison_table(load_comparison(comparison_folder), width))
    text = screen.file.getvalue()
    assert "…" not in text
    assert text.count(" trm  ") == 2
    assert "Latent recursion wins" in text


def test_numbers_are_read_easily():
    dash = formatting.MISSING
    assert [formatting.si(x) for x in (None, 0, 131_000, 1.23e9, 9.996e11)] == [dash, "0", "131 k", "1.23 G", "1.00 T"]
    assert [formatting.duration(x) for x in (0.0021, 95, 600, 9000)] == ["2.10 ms", "95 s", "10 min", "2.50 h"]
    assert [formatting.count(x) for x in (None, 0, 16.0, 41.52, 230.4)] == [dash, dash, "16", "41.5", "230"]
    assert formatting.budget_text("flops", 1.1e12) == "1.10 T FLOPs"
    assert formatting.budget_text("seconds", 60) == "60 s of training"
