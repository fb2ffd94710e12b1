"""The report in headless Chromium: figures are drawn, no script fails, the step slider and the theme work."""

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest

from reasoning_kit.report import write_report

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: apt-get install chromium"),
]

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
FLAGS += ["--disable-background-networking", "--disable-component-update"]
FLAGS += ["--virtual-time-budget=8000", "--dump-dom"]

# Played at the end of the page: moves TRM's slider, plays everything, switches the theme; leaves what it saw.
SCRIPT = """
<script>
const seen = {};
const panel = document.querySelector('#task-2 [aria-label="TRM"][data-player]');
const slider = panel.querySelector("input");
const frames = (root) => [...root.querySelectorAll("[data-frame]")];
const visible = (root) => frames(root).filter((f) => !f.hidden).map((f) => +f.dataset.frame);
seen.start = visible(panel);
slider.value = 2;
slider.dispatchEvent(new Event("input"));
seen.moved = visible(panel);
seen.status = panel.querySelector(".status").textContent;
seen.text = slider.getAttribute("aria-valuetext");
seen.wrong = panel.querySelectorAll("pre:not([hidden]) mark").length;
const trace = document.querySelector('#task-2 [data-player][aria-label="LM, GRPO"]');
trace.querySelector("input").value = 3;
trace.querySelector("input").dispatchEvent(new Event("input"));
seen.trace = visible(trace);
const dimmed = () =>
  [...document.querySelectorAll("#task-2 .scatterlayer .trace")].filter((t) => +t.style.opacity < 0.2).length;
const name = document.querySelector('#task-2 [data-pick="trm"]');
seen.dimmed = [dimmed()];
name.click();
seen.dimmed.push(dimmed());
name.click();
seen.dimmed.push(dimmed());
const colour = () => document.querySelector(".plot .scatterlayer path.point").style.fill;
const before = [colour(), getComputedStyle(document.body).color];
document.getElementById("theme").click();
document.getElementById("theme").click();
seen.recoloured = colour() !== before[0] && getComputedStyle(document.body).color !== before[1];
seen.overflow = document.documentElement.scrollWidth - document.documentElement.clientWidth;
document.querySelector("#task-2 [data-play-all]").click();
seen.playing = visible(panel);
setTimeout(() => {
  seen.played = visible(panel);
  const out = document.body.appendChild(document.createElement("pre"));
  out.id = "seen";
  out.textContent = JSON.stringify(seen);
}, 7000);
</script>
"""


def dump(page: Path, profile: Path, *flags: str) -> str:
    command = [str(CHROMIUM), *FLAGS, *flags, f"--user-data-dir={profile}", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.parametrize("size", ["1280,900", "500,900"])
def test_report_works_in_a_browser(comparison_folder, tmp_path, size):
    page = tmp_path / "report.html"
    page.write_text(write_report(comparison_folder).read_text().replace("</body>\n</html>", SCRIPT + "</body></html>"))
    dom = dump(page, tmp_path / "profile", f"--window-size={size}")
    root = re.search(r"<html[^>]*>", dom).group()
    assert "data-error" not in root, root
    assert 'data-ready="yes"' in root
    assert len(re.findall(r'<svg class="main-svg"', dom)) >= 4
    assert len(re.findall(r'<path class="point"', dom)) >= 4 * 5
    seen = json.loads(unescape(re.search(r'<pre id="seen">(.*?)</pre>', dom, re.S).group(1)))
    assert seen["start"] == [15]
    assert seen["moved"] == [2]
    assert "3/16" in seen["status"]
    assert "halts: 0.05" in seen["status"]
    assert seen["text"].startswith("step 3 of 16: step 3 · ")
    assert seen["wrong"] > 0
    assert seen["trace"] == [0, 1, 2, 3]
    before, picked, after = seen["dimmed"]
    assert before == after == 0
    assert picked >= 4 * 2, "the other four methods in both figures"
    assert seen["recoloured"]
    assert seen["overflow"] <= 0
    assert seen["playing"] == [0]
    assert seen["played"][0] > 8
