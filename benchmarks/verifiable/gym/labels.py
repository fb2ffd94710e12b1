"""Labels for the reasoning-gym datasets that give no answer, and the rules of two of them.

``graph_color``, ``propositional_logic`` and ``rubiks_cube`` hold an example of a right answer among what they know of a
question; for ``rush_hour`` (the shortest solution) and ``boxnet`` (box after box along its row, then its column) we
find one.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

SIDE = 6  # rows and columns of Rush Hour
EXIT = 2 * SIDE + 4  # where the red car's left half must come to
Car = tuple[int, int, int]  # position of its first cell, cells, step between cells


def label(dataset: str, known: Mapping[str, Any]) -> str | None:
    """A right answer to a question without a gold one; ``None`` if there is none."""
    if dataset == "graph_color":
        return json.dumps({str(vertex): color for vertex, color in known["possible_answer"].items()})
    if dataset == "propositional_logic":
        return known["example_answer"]
    if dataset == "rubiks_cube":
        return " ".join(known["example_correct_answer"].split())
    if dataset == "rush_hour":
        return _free_the_car(known["board_config"])
    if dataset == "boxnet":
        return _carry_boxes(known["initial_state"])
    return None


# --- Rush Hour ------------------------------------------------------------------------------------


def _cars(board: str) -> tuple[list[Car], set[int]]:
    """The cars in the order of their letters, which is that of the letters A, B, ... shown, and the walls."""
    cars = []
    for letter in sorted(set(board) - set("ox")):
        cells = [cell for cell, char in enumerate(board) if char == letter]
        cars.append((cells[0], len(cells), cells[1] - cells[0]))
    return cars, {cell for cell, char in enumerate(board) if char == "x"}


def _cells(position: int, car: Car) -> range:
    return range(position, position + car[1] * car[2], car[2])


def _next_cell(position: int, car: Car, ahead: bool) -> int | None:
    """The cell that the car enters when it moves by one; ``None`` at the edge."""
    step = car[2]
    end = position + (car[1] - 1) * step if ahead else position
    row, column = divmod(end, SIDE)
    at_edge = (column if step == 1 else row) == (SIDE - 1 if ahead else 0)
    return None if at_edge else end + (step if ahead else -step)


def _free_the_car(board: str) -> str | None:
    """The moves of a breadth-first search, each by as many cells as it makes."""
    cars, walls = _cars(board)
    start = tuple(car[0] for car in cars)
    before: dict[tuple[int, ...], tuple[tuple[int, ...], str]] = {}
    seen, queue = {start}, deque([start])
    while queue:
        state = queue.popleft()
        if state[0] == EXIT:
            moves = []
            while state != start:
                state, move = before[state]
                moves.append(move)
            return " ".join(reversed(moves)) or "A+0"
        for after, move in _moves(state, cars, walls):
            if after not in seen:
                seen.add(after)
                before[after] = (state, move)
                queue.append(after)
    return None


def _moves(state: tuple[int, ...], cars: list[Car], walls: set[int]) -> Iterator[tuple[tuple[int, ...], str]]:
    taken = walls.union(*(_cells(position, car) for position, car in zip(state, cars, strict=True)))
    for i, car in enumerate(cars):
        for ahead, sign in ((True, "+"), (False, "-")):
            position = state[i]
            for count in range(1, SIDE):
                cell = _next_cell(position, car, ahead)
                if cell is None or cell in taken:
                    break
                position += car[2] if ahead else -car[2]
                yield (*state[:i], position, *state[i + 1 :]), f"{chr(ord('A') + i)}{sign}{count}"


def rush_hour_is_solved(answer: str, board: str) -> str:
    """What is wrong with a list of moves, in words; empty if each is possible and the red car ends at the exit."""
    if not re.fullmatch("[A-Z][+-][0-9]( [A-Z][+-][0-9])*", answer):
        return "it is no list of moves"
    cars, walls = _cars(board)
    state = tuple(car[0] for car in cars)
    for move in answer.split(" "):
        after = state if move[1:] == "+0" else {m: s for s, m in _moves(state, cars, walls)}.get(move)
        if after is None:
            return f"the move {move} is not possible"
        state = after
    return "" if state[0] == EXIT else "the red car is not at the exit"


# --- Boxnet ---------------------------------------------------------------------------------------


def _carry_boxes(state: Mapping[str, list[str]]) -> str | None:
    """One plan of one action after another: along the first coordinate, then along the second, then to the target."""
    targets = []
    for key, items in state.items():
        targets += [(item.removeprefix("target_"), _place(key)) for item in items if item.startswith("target_")]

    plans = []
    for key, items in state.items():
        for box in (item for item in items if item.startswith("box_")):
            color = box.removeprefix("box_")
            goal = next((place for name, place in targets if name == color), None)
            if goal is None:
                return None
            targets.remove((color, goal))
            x, y = _place(key)
            while (x, y) != goal:
                dx = (goal[0] > x) - (goal[0] < x)
                dy = 0 if dx else (goal[1] > y) - (goal[1] < y)
                plans.append({f"Agent[{x}, {y}]": f"move({box}, square[{x + dx}, {y + dy}])"})
                x, y = x + dx, y + dy
            plans.append({f"Agent[{x}, {y}]": f"move({box}, target_{color})"})
    return json.dumps(plans)


def _place(key: str) -> tuple[float, float]:
    x, y = key.split("_")
    return float(x), float(y)


def boxnet_is_solved(plans: Any, state: Mapping[str, list[str]]) -> str:
    """What is wrong with a list of plans, in words; empty if every action is possible and every box meets its target.

    The actions of one plan are taken one after another, as the scorer takes them.
    """
    if not isinstance(plans, list) or not all(isinstance(plan, dict) for plan in plans):
        return "it is no list of action plans"
    left = {_place(key): list(items) for key, items in state.items()}
    for agent, action in chain.from_iterable(plan.items() for plan in plans):
        at = re.fullmatch(r"Agent\[([0-9]{1,3}\.5), ([0-9]{1,3}\.5)\]", agent)
        does = re.fullmatch(
            r"move\((box_\w{1,20}), (?:(target_\w{1,20})|square\[([0-9]{1,3}\.5), ([0-9]{1,3}\.5)\])\)", str(action)
        )
        place = at and (float(at[1]), float(at[2]))
        if not place or not does or does[1] not in left.get(place, ()):
            return f"'{agent[:40]}: {str(action)[:60]}' is no possible action"
        if does[2]:
            if does[2] not in left[place] or does[2].removeprefix("target_") != does[1].removeprefix("box_"):
                return f"{does[1]} is not on {does[2]}"
            left[place].remove(does[2])
        else:
            to = float(does[3]), float(does[4])
            if to not in left or abs(to[0] - place[0]) + abs(to[1] - place[1]) != 1:
                return f"{does[1]} cannot go from {place} to {to}"
            left[to].append(does[1])
        left[place].remove(does[1])
    remaining = chain.from_iterable(left.values())
    waiting = next((item for item in remaining if item.startswith("box_")), None)
    return "" if waiting is None else f"{waiting} does not reach a target"
