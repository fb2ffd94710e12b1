"""The process in which reasoning-gym runs: makes items and scores answers, one JSON request and reply per line.

It runs with ``PYTHONHASHSEED=0`` and a seeded global generator per item, because the items of several datasets
(``isomorphic_strings``, ``polynomial_multiplication``, ``ransom_note``) and the gold answers of others depend on the
order of Python's sets, so otherwise every process would see others. And a scorer that hangs can be stopped with it.
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
import random
import sys
from functools import lru_cache
from typing import Any

from benchmarks.verifiable.gym.labels import label
from benchmarks.verifiable.gym.rules import FORMS, NEEDED

BLOCK = 500  # items of one reasoning-gym dataset object, the library's usual size


@lru_cache(maxsize=4)
def _dataset(name: str, config: str, block: int) -> Any:
    from reasoning_gym.composite import DatasetSpec
    from reasoning_gym.factory import create_dataset

    options = json.loads(config)
    if name == "composite":
        options["datasets"] = [DatasetSpec(**{"weight": 1.0, "config": {}} | spec) for spec in options["datasets"]]
    # Item i's state is seed + i, so blocks of consecutive seeds are one long dataset.
    return create_dataset(name, **options, seed=block * BLOCK, size=BLOCK)


def _item(name: str, config: str, index: int) -> dict[str, Any] | None:
    """An item with a label; ``None`` where it has none, or is not well posed."""
    import numpy as np

    dataset = _dataset(name, config, index // BLOCK)
    random.seed(index)
    np.random.seed(index)
    entry = dataset[index % BLOCK]
    known = {key: value for key, value in entry["metadata"].items() if key not in ("difficulty", "board_states")}
    source = known.get("source_dataset", name)
    answer = label(source, known) if entry["answer"] is None else str(entry["answer"])
    if not answer or not answer.strip():
        return None
    if source in FORMS and dataset.score_answer(answer, entry) != 1.0:
        return None
    if source == "propositional_logic" and dataset.score_answer(f"¬({answer})", entry) == 1.0:
        return None  # the premises contradict each other, so that everything follows from them
    kept = ""
    if source in NEEDED:
        kept = repr(known)
        if ast.literal_eval(kept) != known:
            raise ValueError(f"what {source} knows of an item cannot be written down")
    return {"index": index, "question": entry["question"], "answer": answer, "source": source, "known": kept}


def _reply(request: dict[str, Any]) -> Any:
    name, config = request["dataset"], request["config"]
    if request["ask"] == "item":
        return _item(name, config, request["index"])
    entry = {"answer": request["gold"], "metadata": ast.literal_eval(request["known"])}
    return float(_dataset(name, config, 0).score_answer(request["answer"], entry))


def main() -> None:
    """Until the standard input ends. What datasets print goes to the standard error stream, which nobody reads."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as replies, contextlib.redirect_stdout(sys.stderr):
        for line in sys.stdin:
            try:
                reply = {"ok": _reply(json.loads(line))}
            except Exception as error:  # whatever a dataset, its configuration or its scorer raises
                reply = {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"}
            replies.write(json.dumps(reply) + "\n")
            replies.flush()


if __name__ == "__main__":
    main()
