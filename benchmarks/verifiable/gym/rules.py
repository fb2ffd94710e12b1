"""Which answers to a reasoning-gym question are right besides its gold answer.

Many of reasoning-gym's scorers give 1.0 to wrong answers (``game_of_life_halting``: any text; ``gsm_symbolic`` and
``knights_knaves``: a sentence with the answer in it; ``puzzle24``: other numbers), and nine hand the answer to Python's
``eval``, some by way of sympy. So a scorer is asked only where a question has several right answers, its scorer was
read and tried, and the answer has the form that the question asks for (:data:`FORMS`); where even then it is wrong, a
rule of our own stands in its place (:data:`RULES`). Everywhere else the answer must be the gold one.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from benchmarks.verifiable.countdown import expressions
from benchmarks.verifiable.gym.labels import boxnet_is_solved, rush_hour_is_solved

HANOI = "Move disk [0-9]+ from Peg [0-9]+ to Peg [0-9]+"
JSON_LIST = r'\[[\w\s",>\[\]-]*\]'

# What the scorer may be asked about, for datasets whose questions have several right answers.
FORMS = {
    "cryptarithm": r"[A-Z]=[0-9](, ?[A-Z]=[0-9])*",
    "group_anagrams": JSON_LIST,
    "jugs": JSON_LIST,
    "kakurasu": r"[01]( [01])*(\n[01]( [01])*)*",
    "knight_swap": JSON_LIST,
    "palindrome_generation": "[a-z]+",
    "palindrome_partitioning": JSON_LIST,
    "propositional_logic": "[A-Z¬∧∨→↔() ]+",  # noqa: RUF001
    "quantum_lock": "[A-C]( → [A-C])*",
    "rubiks_cube": "[UDLRFB]'?( [UDLRFB]'?)*",
    "shortest_path": "(up|down|left|right)( (up|down|left|right))*",
    "tower_of_hanoi": rf"{HANOI}(\n{HANOI})*",
    "word_ladder": "[A-Z]+(,[A-Z]+)*",
}


def has_form(dataset: str, answer: str) -> bool:
    """Whether a dataset's scorer may be asked about an answer."""
    depth = 0
    for char in answer:
        depth += (char == "(") - (char == ")")
        if depth < 0:
            return False
    return depth == 0 and re.fullmatch(FORMS[dataset], answer) is not None


NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?")


def same(answer: str, gold: str) -> bool:
    """Whether an answer says what the gold one says: the same text but for spaces at the ends of lines, the same plain
    number (``5.40`` and ``5.4``), or the same list or mapping but for spaces and the kind of quotes."""
    if _lines(answer) == _lines(gold):
        return True
    answer, gold = answer.strip(), gold.strip()
    if NUMBER.fullmatch(answer) and NUMBER.fullmatch(gold):
        return Decimal(answer) == Decimal(gold)
    if gold[:1] in ("[", "{") and answer[:1] == gold[:1] and len(answer) <= 2 * len(gold) + 100:
        known, said = _literal(gold), _literal(answer)
        return known is not None and repr(known) == repr(said)
    return False


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip().split("\n")]


def _literal(text: str) -> Any:
    """A list or mapping, written as in JSON, or a list as in Python; ``None`` for anything else."""
    try:
        value = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        if "{" in text:
            return None
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            return None
    return value if isinstance(value, list | dict) else None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a key comes twice")
    return dict(pairs)


# --- rules of our own -------------------------------------------------------------------------------


def _makes_target(answer: str, known: Mapping[str, Any]) -> str:
    try:
        tree = expressions.parse(answer)
    except expressions.ExpressionError as error:
        return str(error)
    return expressions.fault(tree, list(known["numbers"]), known.get("target", 24))


def _colors_graph(answer: str, known: Mapping[str, Any]) -> str:
    puzzle = known["puzzle"]
    try:
        colors = json.loads(answer, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        return "it is no JSON map of vertices to colours"
    if not isinstance(colors, dict) or sorted(colors) != sorted(map(str, puzzle["vertices"])):
        return "it is no JSON map of all vertices to colours"
    if not all(type(color) is int and color in puzzle["color_options"] for color in colors.values()):
        return "a colour is none of the possible ones"
    clash = next(((a, b) for a, b in puzzle["edges"] if colors[str(a)] == colors[str(b)]), None)
    return "" if clash is None else f"vertices {clash[0]} and {clash[1]} are neighbours of one colour"


def _places_queens(answer: str, known: Mapping[str, Any]) -> str:
    boards = [_lines(board) for board in known["valid_answers"]]
    return "" if _lines(answer) in boards else "it is no board with all queens that keeps those given"


def _moves_boxes(answer: str, known: Mapping[str, Any]) -> str:
    try:
        plan = json.loads(answer, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        return "it is no JSON list of action plans"
    return boxnet_is_solved(plan, known["initial_state"])


def _frees_car(answer: str, known: Mapping[str, Any]) -> str:
    return rush_hour_is_solved(answer, known["board_config"])


def _pushes_boxes(answer: str, known: Mapping[str, Any]) -> str:
    rows = [line.replace(" ", "") for line in known["gamestr"].strip().split("\n")]
    cells: dict[tuple[int, int], str] = {}
    for number, row in enumerate(rows):
        cells |= {(number, column): char for column, char in enumerate(row)}
    at = next(place for place, char in cells.items() if char in "*%")
    boxes = {place for place, char in cells.items() if char in "@$"}
    goals = {place for place, char in cells.items() if char in "X$%"}
    for number, move in enumerate(answer, start=1):
        if move not in STEPS:
            return f"{move!a} is no move"
        down, right = STEPS[move]
        ahead, behind = ((at[0] + n * down, at[1] + n * right) for n in (1, 2))
        blocked = cells.get(ahead, "+") == "+"
        if not blocked and ahead in boxes:
            blocked = behind in boxes or cells.get(behind, "+") == "+"
            boxes ^= set() if blocked else {ahead, behind}
        if blocked:
            return f"move {number}, {move}, is not possible"
        at = ahead
    return "" if boxes <= goals else "not every box is on a goal"


STEPS = {"U": (-1, 0), "D": (1, 0), "L": (0, -1), "R": (0, 1)}

# In the place of a scorer that is wrong: what is wrong with the answer, in words; empty if it is right.
RULES: dict[str, Callable[[str, Mapping[str, Any]], str]] = {
    "boxnet": _moves_boxes,  # the scorer passes over impossible moves
    "countdown": _makes_target,  # the scorer evaluates the answer as Python
    "graph_color": _colors_graph,
    "n_queens": _places_queens,  # the scorer evaluates the answer as Python
    "puzzle24": _makes_target,  # the scorer evaluates the answer as Python, and takes any four numbers
    "rush_hour": _frees_car,  # the scorer passes over impossible moves
    "sokoban": _pushes_boxes,  # the scorer passes over impossible moves and other characters
}
NEEDED = {*FORMS, *RULES}  # the datasets of which a problem keeps what the dataset knows about it
