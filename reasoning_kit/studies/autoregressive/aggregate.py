"""Runs measured by ``bench refinement``, over seeds: the price of a cache policy, bytes to serve, depth by difficulty.

Everything is for the problems of one task. Accuracies and their differences have the intervals of
:mod:`benchmarks.statistics`; loss and steps over seeds the least and the greatest value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from benchmarks.errors import UserError
from benchmarks.statistics import accuracy_interval, paired_difference
from reasoning_kit.comparison.claims import MARGIN
from reasoning_kit.studies.autoregressive.cache_policies import Scored
from reasoning_kit.studies.autoregressive.difficulty import ordered

LENGTHS = (1024, 4096)  # tokens at which the bytes to serve are stated, beside the task's longest
LONGEST = "longest"


@dataclass(frozen=True)
class Measured:
    """What was measured of one run.

    Attributes:
        training: mode of an autoregressive TRM; of a model that has none, its architecture.
        own: the cache policy of its configuration.
        most: supervision steps at full depth.
        ids, orbits: of the problems.
        longest: tokens of the longest prompt with its answer, and the thought before it.
        weights: bytes.
        caches: policy -> tokens, or ``longest`` -> bytes.
        answered: policy -> of each problem, whether greedy decoding at full depth solves it.
        kinds: way to group tokens -> of each problem, the kind of each of its answer's characters.
        lock_step: :func:`reasoning_kit.studies.autoregressive.decoding_cost.against_lock_step`; ``None`` without a
            halting head.
    """

    run: str
    task: str
    method: str
    seed: int
    training: str
    own: str
    most: int
    ids: list[str]
    orbits: list[str]
    longest: int
    weights: int
    caches: dict[str, dict[str, int]]
    ways: list[Scored]
    answered: dict[str, list[bool]]
    kinds: dict[str, list[list[str]]]
    lock_step: dict[str, Any] | None

    def to_dict(self) -> dict[str, Any]:
        left_out = ("ids", "orbits", "kinds", "ways", "lock_step")
        plain = {name: value for name, value in vars(self).items() if name not in left_out}
        return plain | {
            "problems": len(self.ids),
            "ways": [way.to_dict() for way in self.ways],
            "difficulty": difficulty([self]),
            "lock_step": self.lock_step,
        }


def sections(runs: Sequence[Measured], sure: float | None = None) -> list[dict[str, Any]]:
    """The tables of each task.

    Args:
        sure: halting probability above which tokens halted; ``None``: each model's own.

    Raises:
        UserError: if runs of a task were measured on different problems, or a method's seed comes twice.
    """
    found = []
    for task in dict.fromkeys(run.task for run in runs):
        own = [run for run in runs if run.task == task]
        methods = _by_method(own)
        rows = chain.from_iterable(_served(same) for same in methods.values())
        served = _beside_the_best(list(rows), own[0].orbits)
        found.append(
            {
                "task": task,
                "halts_above": sure,
                "problems": len(own[0].ids),
                "longest": max(run.longest for run in own),
                "gap": list(chain.from_iterable(_gap(same) for same in methods.values())),
                "served": served,
                "fewest": fewest(served),
                "difficulty": {name: difficulty(same) for name, same in methods.items() if difficulty(same)},
                "lock_step": [
                    {"method": run.method, "seed": run.seed, "policy": run.own, **run.lock_step}
                    for run in own
                    if run.lock_step is not None
                ],
            }
        )
    return found


def _by_method(runs: Sequence[Measured]) -> dict[str, list[Measured]]:
    methods: dict[str, list[Measured]] = {}
    for run in runs:
        if run.ids != runs[0].ids:
            raise UserError(
                f"its test problems are not those of {runs[0].run}.", where=run.run, cure="Give test_size and seed."
            )
        same = methods.setdefault(run.method, [])
        for other in same:
            if other.seed == run.seed:
                raise UserError(
                    f"{run.method} with seed {run.seed} was named twice, also as {other.run}.",
                    where=run.run,
                    cure="Leave one of them out.",
                )
        same.append(run)
    return methods


# --- the price of a policy ----------------------------------------------------------------------


def _gap(same: Sequence[Measured]) -> list[dict[str, Any]]:
    """One method's rows: mean over seeds."""
    rows = []
    for number, way in enumerate(same[0].ways):
        ways = [run.ways[number] for run in same]
        whole = accuracy_interval([np.asarray(each.whole, float) for each in ways], same[0].orbits)
        rows.append(
            {
                "method": same[0].method,
                "training": same[0].training,
                "policy": way.policy,
                "own": way.policy == same[0].own,
                "halting": way.halting,
                "seeds": len(same),
                "loss": _spread([each.loss for each in ways]),
                "tokens": _spread([each.tokens for each in ways]),
                "steps": _spread([each.steps for each in ways]),
                "whole": whole.to_metric(),
                "whole_of_seeds": [float(np.mean(each.whole)) for each in ways],
            }
        )
    return rows


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"value": float(np.mean(values)), "low": min(values), "high": max(values)}


# --- bytes to serve -----------------------------------------------------------------------------


def _served(same: Sequence[Measured]) -> list[dict[str, Any]]:
    first = same[0]
    return [
        {
            "method": first.method,
            "policy": policy,
            "own": policy == first.own,
            "seeds": len(same),
            "longest": first.longest,
            "weights": first.weights,
            "caches": caches,
            "bytes": {tokens: first.weights + size for tokens, size in caches.items()},
            "solved": [run.answered[policy] for run in same],
        }
        for policy, caches in first.caches.items()
    ]


def _beside_the_best(rows: list[dict[str, Any]], orbits: Sequence[str]) -> list[dict[str, Any]]:
    """With accuracies in the place of answers, and what the interval of the difference to the best row says."""
    solved = {id(row): [np.asarray(seed, float) for seed in row.pop("solved")] for row in rows}
    for row in rows:
        row["accuracy"] = accuracy_interval(solved[id(row)], orbits).to_metric()
    best = max(rows, key=lambda row: row["accuracy"]["value"])
    for row in rows:
        same = row["method"] == best["method"]  # under two policies
        gap = None if row is best else paired_difference(solved[id(row)], solved[id(best)], orbits, same_training=same)
        row["best"] = row is best
        row["behind"] = None if gap is None else {"value": gap.value, "low": gap.low, "high": gap.high}
        row["as_good"] = gap is None or gap.low > -MARGIN  # that no difference was found is not enough
    return rows


def fewest(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """At each length in words: which method and policy needs the fewest bytes of those as good as the best."""
    best = next(row for row in rows if row["best"])
    if best["accuracy"]["value"] == 0:
        return dict.fromkeys(best["bytes"], "No method solved a problem, so there is no equal accuracy to compare at.")
    good = [row for row in rows if row["as_good"]]
    top = f"{best['method']} with {best['policy']}"
    if good == [best]:
        return dict.fromkeys(
            best["bytes"],
            f"{top} solves the most, and of none of the other {len(rows) - 1} rows it is shown that it loses less than "
            f"{100 * MARGIN:g} points to it.",
        )
    found = {}
    for tokens in best["bytes"]:
        least = min(good, key=lambda row: (int(row["bytes"][tokens]), not row["best"]))
        which = (
            "which is the best itself" if least is best else f"{least['bytes'][tokens] / best['bytes'][tokens]:.2f} of "
        )
        which += "" if least is best else f"those of the best, {top}"
        found[tokens] = (
            f"of the {len(good)} of {len(rows)} rows that lose less than {100 * MARGIN:g} points to the best, "
            f"{least['method']} with {least['policy']} needs the fewest bytes, {which}."
        )
    return found


# --- depth against difficulty -------------------------------------------------------------------


def difficulty(same: Sequence[Measured]) -> dict[str, dict[str, dict[str, Any]]]:
    """One method's tokens by kind, over its seeds, under the model's own policy: grouping -> halting -> kind ->
    ``tokens``, ``steps`` and ``right`` with intervals in which problems are the clusters.

    An interval of steps is one of the share of the steps after the first, so that it is wide rather than narrow where
    nearly all tokens take equally many.
    """
    first = same[0]
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for grouping, kinds in first.kinds.items():
        for number, way in enumerate(first.ways):
            if way.policy == first.own:
                ways = [run.ways[number] for run in same]
                found.setdefault(grouping, {})[way.halting] = _kinds(kinds, ways, first)
    return found


def _kinds(kinds: Sequence[Sequence[str]], ways: Sequence[Scored], run: Measured) -> dict[str, Any]:
    found = {}
    for name in ordered(chain.from_iterable(kinds)):
        # Places of the tokens of this kind: the problem's number, and the token's in its answer.
        at: list[tuple[int, int]] = []
        for i, row in enumerate(kinds):
            at += [(i, j) for j, kind in enumerate(row) if kind == name]

        # One array of tokens for each seed.
        clusters = [run.orbits[i] for i, _ in at]
        right = [np.asarray([way.right[i][j] for i, j in at], float) for way in ways]
        steps = [np.asarray([way.depths[i][j] for i, j in at], float) for way in ways]
        share = accuracy_interval([(each - 1) / max(run.most - 1, 1) for each in steps], clusters)
        found[name] = {
            "tokens": len(at),
            "steps": {end: 1 + getattr(share, end) * (run.most - 1) for end in ("value", "low", "high")},
            "right": accuracy_interval(right, clusters).to_metric(),
        }
    return found
