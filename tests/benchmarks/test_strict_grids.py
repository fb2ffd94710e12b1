# ruff: noqa: RUF001
"""The grid families judge what a language model writes as a careful person would: hostile forms of the right answer.

Every family gets the same forms, in both styles, through ``read_completion`` and ``verify``; then every change of one
character, judged here once more by code that has nothing in common with the verifiers.
"""

from __future__ import annotations

import itertools

import pytest

from benchmarks.task import load_task
from benchmarks.text_form import read_completion

TASKS = {
    "sudoku": {"size": 4},
    "sudoku, 6x6": {"family": "sudoku", "size": 6, "measure": "valid"},
    "product": {"family": "arithmetic", "digits": (2, 2)},
    "sum": {"family": "arithmetic", "operation": "addition", "digits": (3, 3)},
    "maze": {"size": 6, "wall_share": 0.25},
    "maze, any path": {"family": "maze", "size": 6, "wall_share": 0.2, "measure": "valid"},
    "graph-coloring": {"nodes": 6},
    "graph-coloring, many": {"family": "graph-coloring", "nodes": 7, "answers": "many"},
    "graph-coloring, many, exact": {"family": "graph-coloring", "nodes": 7, "answers": "many", "measure": "exact"},
    "satisfiability": {"variables": 5},
    "satisfiability, many": {"family": "satisfiability", "variables": 5, "clauses": 12, "answers": "many"},
    "job-shop": {"jobs": 3, "machines": 2},
    "job-shop, many": {"family": "job-shop", "jobs": 2, "machines": 3, "answers": "many", "measure": "valid"},
}
UNITS = {"0": "٠", "1": "１", "2": "²", "3": "३", "4": "𝟒", "9": "９", "a": "а", "A": "А", "/": "∕"}

# Forms of a right answer that are right still.
RIGHT = {
    "itself": lambda a: a,
    "a space before": lambda a: f" {a}",
    "a space behind": lambda a: f"{a} ",
    "a line end": lambda a: f"{a}\n",
    "a Windows line end": lambda a: f"{a}\r\n",
    "blank lines and tabs": lambda a: f"\n\n\t{a}\t\n\n",
    "many spaces": lambda a: " " * 500 + a,
}
# Forms that hold the right answer, or look like it, and are none.
WRONG = {
    "nothing": lambda a: "",
    "a space": lambda a: " ",
    "a line end": lambda a: "\n",
    "twice": lambda a: a + a,
    "twice with a space": lambda a: f"{a} {a}",
    "twice in lines": lambda a: f"{a}\n{a}",
    "twice with a comma": lambda a: f"{a},{a}",
    "half": lambda a: a[: len(a) // 2],
    "all but the last character": lambda a: a[:-1],
    "all but the first character": lambda a: a[1:] if a[0] != "0" else a[2:],
    "one character more": lambda a: a + a[-1],
    "a letter more": lambda a: a + "z",
    "a letter before": lambda a: "z" + a,
    "a full stop": lambda a: a + ".",
    "a comma": lambda a: a + ",",
    "an equals sign": lambda a: "=" + a,
    "a minus sign": lambda a: "-" + a,
    "a plus sign": lambda a: "+" + a,
    "decimals": lambda a: a + ".0",
    "an exclamation mark": lambda a: a + "!",
    "a question mark": lambda a: a + "?",
    "in a sentence": lambda a: f"The answer is {a}",
    "in a sentence with an end": lambda a: f"The answer is {a}.",
    "in a denial": lambda a: f"It is not {a}",
    "in a doubt": lambda a: f"{a} or something else",
    "with a comment": lambda a: f"{a} (I am sure)",
    "with a second line": lambda a: f"{a}\nI am sure",
    "in quotes": lambda a: f'"{a}"',
    "in single quotes": lambda a: f"'{a}'",
    "in parentheses": lambda a: f"({a})",
    "in brackets": lambda a: f"[{a}]",
    "as a list": lambda a: str(list(a)),
    "in a box": lambda a: f"\\boxed{{{a}}}",
    "in a tag": lambda a: f"<answer>{a}</answer>",
    "in bold": lambda a: f"**{a}**",
    "as code": lambda a: f"```\n{a}\n```",
    "as a formula": lambda a: f"${a}$",
    "with spaces between": lambda a: " ".join(a),
    "with commas between": lambda a: ",".join(a),
    "with lines between": lambda a: "\n".join(a),
    "with a space in the middle": lambda a: f"{a[: len(a) // 2]} {a[len(a) // 2 :]}",
    "with a no-break space in the middle": lambda a: f"{a[: len(a) // 2]}\u00a0{a[len(a) // 2 :]}",
    "with a zero-width space": lambda a: f"{a[0]}\u200b{a[1:]}",
    "with a zero-width space behind": lambda a: f"{a}\u200b",
    "with a byte order mark": lambda a: f"\ufeff{a}",
    "with a null character": lambda a: f"{a}\0",
    "with a combining mark": lambda a: f"{a}\u0301",
    "full-width": lambda a: "".join(chr(ord(c) + 0xFEE0) for c in a),
    "look-alikes": lambda a: "".join(UNITS.get(c, c + "\u0307") for c in a),
    "Arabic digits": lambda a: "".join(chr(0x660 + int(c)) if c.isdigit() else c + "\u0307" for c in a),
    "with an end of thought before": lambda a: f"</think>{a}",
    "with an end of thought behind": lambda a: f"{a}</think>",
    "with a thought before": lambda a: f"<think></think>{a}",
    "with a thought's beginning": lambda a: f"<think>{a}",
    "an end of text sign": lambda a: f"{a}<|endoftext|>",
    "too long": lambda a: a * 10_000,
    "a long tail": lambda a: a + "0" * 100_000,
    "a long tail of spaces and a sign": lambda a: a + " " * 100_000 + "x",
    "zeros": lambda a: "0" * len(a) + "0" * 40,
    "question marks": lambda a: "?" * len(a),
    "dots": lambda a: "." * len(a),
    "underscores": lambda a: "_" * len(a),
    "None": lambda a: "None",
    "nan": lambda a: "nan",
    "a power": lambda a: f"{a}e0",
    "hexadecimal": lambda a: "0x" + a,
}  # fmt: skip


def task_of(name):
    options = dict(TASKS[name])
    return load_task(options.pop("family", name), **options)


@pytest.fixture(scope="module", params=TASKS)
def given(request):
    """A task, with problems whose answers have no form that another of the forms makes right again."""
    task = task_of(request.param)
    problems = task.generate("test", 12, 0)
    return task, [p for p in problems if len(set(task.answer_text(p))) > 1][:6]


def judged(task, problem, completion, style):
    verdict = task.verify(problem, read_completion(task, problem, completion, style))
    assert verdict.correct == (not verdict.reason)
    assert verdict.correct == (verdict.exact if task.measure == "exact" else verdict.valid)
    assert verdict.valid or not verdict.exact
    return verdict.correct


def both(task, problem, text):
    """The verdict on an answer, which is the same in both styles; an end of thought in it is none of the thought's."""
    alone = judged(task, problem, text, "answer_only")
    assert judged(task, problem, f"thinking{'</think>'}{text}", "cot") == alone
    return alone


def test_there_are_many_forms():
    assert len(RIGHT) + len(WRONG) >= 60


@pytest.mark.parametrize("form", RIGHT)
def test_right_forms(given, form):
    task, problems = given
    for p in problems:
        assert both(task, p, RIGHT[form](task.answer_text(p)))


@pytest.mark.parametrize("form", WRONG)
def test_wrong_forms(given, form):
    task, problems = given
    for p in problems:
        assert not both(task, p, WRONG[form](task.answer_text(p))), task.answer_text(p)


def test_the_thought_must_end_once(given):
    task, problems = given
    for p in problems:
        a = task.answer_text(p)
        for text in (
            a, f"{a}</think>", f"<think>{a}", f"</think>{a}</think>", f"</think></think>{a}", f"a</think>b</think>{a}",
            f"</THINK>{a}", f"</think >{a}", f"</think{a}", f"/think>{a}", f"{a}</think>{a[:-1]}", "</think>", "",
            f"thinking {a}", f"</think>\n\n</think>{a}",
        ):  # fmt: skip
            assert not judged(task, p, text, "cot"), text
        for text in (
            f"</think>{a}",
            f"{a}</think>{a}",
            f"wrong</think>{a}",
            f"</think>\n{a}",
            "x" * 50_000 + f"</think>{a}",
        ):
            assert judged(task, p, text, "cot"), text[:60]


def test_questions_and_answers_of_others(given):
    task, problems = given
    for p in problems:
        assert not both(task, p, task.question_text(p))
        assert not both(task, p, p.question)
        assert not both(task, p, task.question_text(p) + task.answer_text(p))
        for q in problems:
            text = task.answer_text(q)
            assert both(task, p, text) == right(task, p, text)


def test_every_change_of_one_character(given):
    task, problems = given
    accepted = 0
    for p in problems[:4]:
        a = task.answer_text(p)
        signs = "0123456789abcABCDLRU/.+- " + "".join(sorted(set(a)))
        texts = {a[:i] + c + a[i + 1 :] for i in range(len(a)) for c in signs}
        texts |= {a[:i] + c + a[i:] for i in range(len(a) + 1) for c in signs}
        texts |= {a[:i] + a[i + 1 :] for i in range(len(a))}
        texts |= {a[:i] + a[i + 1] + a[i] + a[i + 2 :] for i in range(len(a) - 1)}
        for text in texts:
            expected = right(task, p, text.strip())
            assert both(task, p, text) == expected, (p.question, text)
            accepted += expected
    assert accepted >= 4  # at least the answers themselves


def test_other_right_answers_count_where_the_measure_says_so():
    """All texts of a small alphabet, against the judgement of :func:`right`."""
    found = 0
    for name in TASKS:
        task = task_of(name)
        for p in task.generate("test", 2, 1):
            for text in itertools.islice(candidates(task, p), 8_000):
                expected = right(task, p, text)
                assert judged(task, p, text, "answer_only") == expected, (name, p.question, text)
                found += expected and text != task.answer_text(p)
    assert found > 10


def candidates(task, problem):
    a = task.answer_text(problem)
    if task.family == "satisfiability":
        yield from map("".join, itertools.product(*((c, c.upper()) for c in task.letters)))
    elif task.family in ("graph-coloring", "sudoku") and len(a) <= 7:
        yield from map("".join, itertools.product(task.digits, repeat=len(a)))
    elif task.family == "maze":
        yield from sorted(set(map("".join, itertools.permutations(a[:8]))))
        yield from map("".join, itertools.product("DLRU", repeat=min(len(a), 6)))
        for at in range(len(a)):  # longer by a way around
            yield from (a[:at] + there + a[at] + back + a[at + 1 :] for there, back in ("UD", "DU", "LR", "RL"))
        for swap in range(len(a) - 1):
            for other in range(swap + 1, len(a)):
                moved = list(a)
                moved[swap], moved[other] = moved[other], moved[swap]
                yield "".join(moved)
    elif task.family == "job-shop":
        jobs = a.split("/")
        for at, job in enumerate(jobs):
            for digits in itertools.product("0123456789", repeat=len(job)):
                yield "/".join([*jobs[:at], "".join(digits), *jobs[at + 1 :]])
    elif task.family == "arithmetic":
        yield from map(str, range(3_000))


# --- the judgement of a careful person ----------------------------------------------------------------


def right(task, problem, text):
    """Whether a text is a right answer, by code of its own; ``text`` is without spaces at its ends."""
    if not text.isascii():
        return False
    checks = {
        "sudoku": right_sudoku,
        "arithmetic": right_number,
        "maze": right_path,
        "graph-coloring": right_coloring,
        "satisfiability": right_assignment,
        "job-shop": right_schedule,
    }
    fits = checks[task.family](task, problem, text)
    many = task.family in ("maze", "graph-coloring", "satisfiability", "job-shop")
    if task.measure == "exact" and many:
        return fits and text == task.answer_text(problem)
    return fits


def right_sudoku(task, problem, text):
    n, (height, width) = task.size, {4: (2, 2), 6: (2, 3)}[task.size]
    if len(text) != n * n or any(g not in (".", c) for g, c in zip(problem.question, text, strict=True)):
        return False
    whole = [str(d) for d in range(1, n + 1)]
    rows = [sorted(text[r * n : r * n + n]) for r in range(n)]
    columns = [sorted(text[c::n]) for c in range(n)]
    boxes = [
        sorted(text[(top + r) * n + left + c] for r in range(height) for c in range(width))
        for top in range(0, n, height)
        for left in range(0, n, width)
    ]
    return all(unit == whole for unit in rows + columns + boxes)


def right_number(task, problem, text):
    return set(text) <= set("0123456789") and text != "" and int(text) == eval(problem.question)


def right_path(task, problem, text):
    moves = {"D": (1, 0), "L": (0, -1), "R": (0, 1), "U": (-1, 0)}
    n, board = task.size, problem.question
    distance = {board.index("S"): 0}
    queue = [board.index("S")]
    for cell in queue:
        for down, along in moves.values():
            r, c = cell // n + down, cell % n + along
            if 0 <= r < n and 0 <= c < n and board[r * n + c] != "#" and r * n + c not in distance:
                distance[r * n + c] = distance[cell] + 1
                queue.append(r * n + c)
    r, c = divmod(board.index("S"), n)
    for move in text:
        if move not in moves:
            return False
        r, c = r + moves[move][0], c + moves[move][1]
        if not (0 <= r < n and 0 <= c < n) or board[r * n + c] == "#":
            return False
    goal = board.index("G")
    return r * n + c == goal and len(text) == distance[goal]


def right_coloring(task, problem, text):
    edges, _, givens = problem.question.partition("|")
    if len(text) != task.nodes or not set(text) <= set("123"):
        return False
    color = dict(zip("abcdefghij", text, strict=False))
    apart = all(color[edges[i]] != color[edges[i + 1]] for i in range(0, len(edges), 2))
    return apart and all(color[givens[i]] == givens[i + 1] for i in range(0, len(givens), 2))


def right_assignment(task, problem, text):
    if text.lower() != "abcde":
        return False
    clauses = [problem.question[i : i + 3] for i in range(0, len(problem.question), 3)]
    return all(set(clause) & set(text) for clause in clauses)


def right_schedule(task, problem, text):
    jobs, deadline = task.question_text(problem).split("=")
    rows = jobs.split("/")
    starts = text.split("/")
    if len(starts) != len(rows) or not set(text) <= set("0123456789/"):
        return False
    busy, width = {}, len(deadline)
    for row, times in zip(rows, starts, strict=True):
        operations = [(row[i], int(row[i + 1])) for i in range(0, len(row), 2)]
        if len(times) != width * len(operations):
            return False
        free = 0
        for (machine, duration), at in zip(operations, range(0, len(times), width), strict=True):
            start = int(times[at : at + width])
            if start < free:
                return False
            free = start + duration
            for time in range(start, free):
                if time in busy.setdefault(machine, set()):
                    return False
                busy[machine].add(time)
        if free > int(deadline):
            return False
    return True
