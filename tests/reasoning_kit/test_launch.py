"""Launching: finished runs are skipped, strangers refused or moved aside, failures told, no process left behind."""

import fcntl
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from types import SimpleNamespace

import psutil
import pytest
import torch
from command_line import contents
from rich.console import Console

from benchmarks.errors import UserError
from reasoning_kit.comparison import load_comparison
from reasoning_kit.config.spec import fingerprint, load_config
from reasoning_kit.runs import environment
from reasoning_kit.runs import launch as launching
from reasoning_kit.runs.launch import Job, launch, outcome, progress_html, progress_table
from reasoning_kit.runs.results import is_finished, resolve

TASK = "sudoku-4x4"
PROBLEMS = {TASK: f"data-of-{TASK}"}  # as the runs of run_factory have them


def specs(*words: str):
    return load_config(["budget=smoke", "method=[direct,trm,cot]", *words]).runs()


@pytest.fixture
def finished(run_factory):
    """Writes the finished run of a specification."""

    def write(root, spec, **changes):
        fields = {"fingerprint": fingerprint(spec), "config": asdict(spec)} | changes
        run_factory(root, spec.task_name, spec.method, spec.seed, problems=8, **fields)
        return root / spec.folder

    return write


@pytest.fixture
def console():
    return Console(file=io.StringIO(), width=200)


@pytest.fixture
def worker(tmp_path, monkeypatch):
    """Puts a script in the place of the worker; it gets the run's folder as ``$5``."""

    def replace(body: str) -> None:
        script = tmp_path / "fake-python"
        script.write_text(f"#!/bin/sh\n{body}\n")
        script.chmod(0o755)
        monkeypatch.setattr(launching.sys, "executable", str(script))

    return replace


DONE = """echo '{"phase": "done", "share": 1.0, "accuracy": 0.5}'"""


# --- what is there already --------------------------------------------------------------------------


def test_runs_that_belong_together_stay(tmp_path, finished):
    mine = specs()
    folder = finished(tmp_path, mine[0])
    before = contents(tmp_path)
    assert resolve(mine, PROBLEMS, tmp_path, fresh=True) == []
    assert is_finished(mine[0], folder)
    assert not is_finished(mine[1], tmp_path / mine[1].folder)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("stranger", ["other configuration", "other problems", "unreadable"])
def test_strangers_are_refused_or_moved_aside_and_nothing_is_lost(tmp_path, finished, stranger):
    mine = specs()
    finished(tmp_path, mine[0])
    changes = {
        "other configuration": {"fingerprint": "another"},
        "other problems": {"data": {"fingerprint": "others"}},
        "unreadable": {},
    }[stranger]
    folder = finished(tmp_path, mine[1], **changes)
    if stranger == "unreadable":
        (folder / "record.json").write_text('{"task": ')
    before = contents(tmp_path)
    with pytest.raises(UserError, match=str(folder)):
        resolve(mine, PROBLEMS, tmp_path, fresh=False)
    assert contents(tmp_path) == before
    [moved] = resolve(mine, PROBLEMS, tmp_path, fresh=True)
    assert not folder.exists()
    assert sorted(contents(tmp_path).values()) == sorted(before.values())
    assert contents(moved)["record.json"] == before[str((folder / "record.json").relative_to(tmp_path))]
    assert resolve(mine, PROBLEMS, tmp_path, fresh=False) == []
    [task] = load_comparison(tmp_path).tasks
    assert [row.method for row in task.rows] == ["direct"], "the report must not find what was moved aside"


def test_a_run_of_a_method_that_takes_no_part_stays_if_its_problems_are_the_same(tmp_path, finished):
    *mine, other = specs()
    folder = finished(tmp_path, other, fingerprint="with another budget")
    assert resolve(mine, PROBLEMS, tmp_path, fresh=True) == []
    assert folder.exists()


@pytest.mark.parametrize("left", ['{"other": "options"}', '{"torn'])
def test_an_unfinished_run_of_any_configuration_starts_anew(tmp_path, console, worker, left):
    [spec] = specs("method=[trm]")
    (tmp_path / spec.folder).mkdir(parents=True)
    (tmp_path / spec.folder / "spec.json").write_text(left)
    assert resolve([spec], PROBLEMS, tmp_path, fresh=False) == []
    worker(DONE)
    [job] = launch([spec], tmp_path, 1, 1, console)
    assert job.phase == "done"
    assert json.loads((tmp_path / spec.folder / "spec.json").read_text())["method"] == "trm"


# --- running ----------------------------------------------------------------------------------------


def test_finished_runs_start_no_process(tmp_path, finished, console, worker):
    mine = specs()
    for spec in mine:
        finished(tmp_path, spec)
    worker(f"touch {tmp_path}/started")
    jobs = launch(mine, tmp_path, 2, 1, console)
    assert [job.phase for job in jobs] == ["finished before"] * 3
    assert not (tmp_path / "started").exists()
    assert console.file.getvalue().count("finished before, skipped") == 3


def test_a_failure_says_what_where_and_the_cure_and_the_others_go_on(tmp_path, console, worker):
    worker(f"""case "$5" in
*/direct/*) echo '{{"phase": "failed", "what": "too big.", "where": "here", "cure": "Shrink it."}}'; exit 2;;
*/trm/*) exit 9;;
esac
{DONE}""")
    direct, trm, cot = launch(specs(), tmp_path, 1, 1, console)
    assert outcome(direct) == "failed: here: too big. Shrink it."
    assert direct.user_error
    assert "ended with code 9" in outcome(trm)
    assert str(tmp_path / TASK / "trm" / "seed-0" / "log.txt") in outcome(trm)
    assert not trm.user_error
    assert (cot.phase, cot.numbers["accuracy"]) == ("done", 0.5)
    lines = console.file.getvalue().splitlines()
    assert len(lines) == 3, "one line per run where there is no terminal"


def test_as_many_at_a_time_as_asked_for_with_their_threads(tmp_path, console, worker):
    """Each notes who runs beside it, itself included."""
    worker(f"""touch {tmp_path}/$$.running
sleep 0.3
ls {tmp_path}/*.running | wc -l >> {tmp_path}/counts
echo $OMP_NUM_THREADS >> {tmp_path}/threads
rm {tmp_path}/$$.running
{DONE}""")
    launch(specs("seeds=2"), tmp_path, 2, 3, console)
    counts = [int(line) for line in (tmp_path / "counts").read_text().split()]
    assert len(counts) == 6
    assert max(counts) == 2
    assert set((tmp_path / "threads").read_text().split()) == {"3"}


def test_the_table_shows_progress(tmp_path, console, worker):
    worker("""echo '{"phase": "training", "share": 0.5, "flops": 2.5e12}'; """ + DONE)
    jobs = launch(specs(), tmp_path, 1, 1, console)
    console.print(progress_table(jobs))
    shown = console.file.getvalue()
    assert "2.50 TFLOP" in shown
    assert "3 of 3 runs finished" in shown


@pytest.fixture
def interruptible():
    """Signals as a terminal delivers them; what starts the tests in the background may have them ignored."""
    ours = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGHUP: signal.SIG_DFL,
        signal.SIGTERM: signal.SIG_DFL,
    }
    before = {number: signal.signal(number, handler) for number, handler in ours.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("how", "ending"), [("SIGTERM", SystemExit), ("SIGHUP", SystemExit), ("SIGINT", KeyboardInterrupt)]
)
def test_no_worker_outlives_a_stopped_launcher(tmp_path, console, worker, interruptible, how, ending):
    worker(f"echo $$ > {tmp_path}/new; mv {tmp_path}/new {tmp_path}/pid; exec sleep 100")
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)]

    def stop() -> None:
        _appears(tmp_path / "pid")
        os.kill(os.getpid(), getattr(signal, how))

    threading.Thread(target=stop, daemon=True).start()
    began = time.monotonic()
    with pytest.raises(ending):
        launch(specs(), tmp_path, 1, 1, console)
    assert time.monotonic() - began < 60, "it waited for the worker instead of ending it"
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)] == before


def _appears(path, patience: float = 60.0) -> str:
    while not path.exists():
        assert (patience := patience - 0.1) > 0, f"{path} never appeared"
        time.sleep(0.1)
    return path.read_text()


# --- the worker -------------------------------------------------------------------------------------


def test_a_worker_ends_when_its_launcher_is_killed(tmp_path):
    worker = f"""
import os, threading, time
from reasoning_kit.runs.worker import _end_with_parent
threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
open({str(tmp_path / "new")!r}, "w").write(str(os.getpid()))
os.rename({str(tmp_path / "new")!r}, {str(tmp_path / "pid")!r})
time.sleep(100)
"""
    launcher = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {worker!r}])"
    process = subprocess.Popen([sys.executable, "-c", launcher])
    pid = int(_appears(tmp_path / "pid"))
    process.kill()
    process.wait()
    for _ in range(50):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return
        time.sleep(0.1)
    os.kill(pid, signal.SIGKILL)
    raise AssertionError("the worker went on without its launcher")


def test_two_processes_never_write_one_run(tmp_path):
    with (tmp_path / "log.txt").open("a") as log:
        fcntl.flock(log, fcntl.LOCK_SH)  # which only a worker that wants the run for itself objects to
        done = subprocess.run(
            [sys.executable, "-m", "reasoning_kit.runs.worker", "spec.json", str(tmp_path)],
            capture_output=True,
            text=True,
        )
    assert done.returncode == 2
    message = json.loads(done.stdout.splitlines()[-1])
    assert "another process" in message["what"]
    assert message["where"] == str(tmp_path)


def test_a_crash_is_told_with_its_log(tmp_path):
    (tmp_path / "spec.json").write_text("{}")
    done = subprocess.run(
        [sys.executable, "-m", "reasoning_kit.runs.worker", str(tmp_path / "spec.json"), str(tmp_path)],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 1
    message = json.loads(done.stdout.splitlines()[-1])
    assert message["phase"] == "failed"
    assert message["where"] == str(tmp_path / "log.txt")
    assert "Traceback" in (tmp_path / "log.txt").read_text()
    assert "Traceback" not in done.stdout + done.stderr


def test_in_a_notebook_one_table_is_renewed_and_holds_no_markup_of_others(tmp_path):
    [spec] = load_config(["task=sudoku-4x4", "method=[trm]"]).runs()
    failed = Job(spec, tmp_path, "failed", 0.5, {"what": "<script>alert(1)</script>", "where": None, "cure": None})
    shown = progress_html([failed, Job(spec, tmp_path, "finished before", 1.0)])
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown
    assert '<progress value="0.500" max="1">' in shown
    assert "2 of 2 runs finished" in shown


@pytest.mark.parametrize(
    ("system", "drivers", "loaded", "expected"),
    [
        ("Linux", [], [], False),  # torch is not asked
        ("Linux", ["/dev/nvidiactl"], [], True),
        ("Linux", ["/dev/kfd"], [], True),
        ("Linux", [], ["torch"], True),  # it is loaded already, and knows best
        ("Windows", [], [], True),
    ],
)
def test_torch_is_asked_for_a_gpu_only_where_there_may_be_one(monkeypatch, system, drivers, loaded, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(environment, "platform", SimpleNamespace(system=lambda: system))
    monkeypatch.setattr(environment, "os", SimpleNamespace(path=SimpleNamespace(exists=drivers.__contains__)))
    monkeypatch.setattr(environment, "sys", SimpleNamespace(modules=loaded))
    assert environment.has_gpu() is expected
