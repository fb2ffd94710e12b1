"""Rows of a data set on the Hugging Face hub, or of a local folder of the same form, by the ``datasets`` library.

The name of a split is ``hub:OWNER/NAME:SPLIT``, for example ``hub:sapientinc/sudoku-extreme:test``, or
``hub:FOLDER:SPLIT``; ``hub:OWNER/NAME:CONFIGURATION:SPLIT`` where the set has several configurations
(``hub:openai/gsm8k:main:test``). A set is downloaded once; later it comes from the library's cache, also without a
network.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from datasets import Dataset
else:
    Dataset = Any

PREFIX = "hub:"
FORM = re.compile(rf"{PREFIX}(?P<source>.+?)(:(?P<configuration>[\w.-]+))?:(?P<split>\w+(\.\w+)*)")
PATIENCE = 10.0  # seconds in which the hub must answer; the library itself would retry for more than a minute
BATCH = 1_000  # rows that are in memory at once
TEXT_COLUMNS = ("source", "question", "answer")


def is_hub(name: str) -> bool:
    """Whether this names a split of a data set, and no file."""
    return name.startswith(PREFIX)


def hub_rows(name: str) -> Iterator[dict[str, Any]]:
    """The rows of a split, in order, as plain Python values.

    Raises:
        UserError: if the name is malformed, there is no such data set or split, its files cannot be read or hold no
            row, or it is not in the cache and the hub cannot be reached.
    """
    for _, row in chosen_hub_rows(name, lambda numbers: numbers):
        yield row


def chosen_hub_rows(name: str, choose: Callable[[range], Sequence[int]]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Some rows, in the order chosen, each with its number from 0; the others are not read, however many they are.

    Args:
        choose: takes the numbers of all rows and gives those of the chosen ones.

    Raises:
        UserError: as :func:`hub_rows`.
    """
    dataset = _load(name)
    numbers = choose(range(len(dataset)))
    tables = dataset.select(numbers).with_format("arrow").iter(BATCH)
    rows = chain.from_iterable(table.to_pylist() for table in tables)
    yield from zip(numbers, rows, strict=True)


def whole_name(name: str) -> str:
    """The name with the whole path of its local folder, so that it means the same elsewhere; others stay as they are.

    Raises:
        UserError: if it is malformed.
    """
    source, configuration, split = _parts(name)
    middle = f":{configuration}" if configuration else ""
    return f"{PREFIX}{Path(source).absolute()}{middle}:{split}" if Path(source).is_dir() else name


def _parts(name: str) -> tuple[str, str | None, str]:
    """Data set or folder, configuration, and split."""
    match = FORM.fullmatch(name)
    if not match:
        raise UserError(
            "this names no split of a data set.",
            where=name,
            cure=f"Write {PREFIX}OWNER/NAME:SPLIT, for example {PREFIX}sapientinc/sudoku-extreme:train "
            f"({PREFIX}OWNER/NAME:CONFIGURATION:SPLIT where it has several); "
            "a local folder may stand in the place of OWNER/NAME.",
        )
    source = match["source"]
    return str(Path(source).expanduser()) if source.startswith("~") else source, match["configuration"], match["split"]


def _load(name: str) -> Dataset:
    """The split, memory-mapped from the library's cache."""
    import datasets
    from datasets.packaged_modules.csv.csv import CsvConfig

    source, configuration, split = _parts(name)
    trouble = None if Path(source).is_dir() else _trouble(name, source)
    try:
        with _without_bars(), _only_from_cache(trouble is not None):
            builder = datasets.load_dataset_builder(source, configuration)
            if isinstance(builder.config, CsvConfig):
                # Otherwise it guesses types: the 81 digits of an answer are then a number, too large to be stored.
                builder.config.converters = dict.fromkeys(TEXT_COLUMNS, str)
            builder.download_and_prepare()
            splits = builder.info.splits or {}
            if split in splits and splits[split].num_examples:
                return builder.as_dataset(split=split)
    except Exception as error:  # the library has no class for all that it finds wrong with files
        reason = " ".join(str(error.__cause__ or error).split())[:200]
        raise (
            _wrong_configuration(name, str(error))
            or trouble
            or UserError(
                f"it cannot be loaded ({type(error).__name__}: {reason}).",
                where=name,
                cure="Name a data set of CSV, JSON or Parquet files, or a CSV file.",
            )
        ) from None
    if split in splits:
        raise UserError("the split holds no row.", where=name, cure="Name another split or data set.")
    raise UserError(f"there is no split '{split}'.", where=name, cure=did_you_mean(split, splits))


def _wrong_configuration(name: str, message: str) -> UserError | None:
    """What the library says of a missing or unknown configuration, with the names that there are."""
    _, configuration, split = _parts(name)
    found = re.search(r"(?:available configs|Available): (\[[^]]*\])", message)
    known = re.findall(r"'([^']+)'", found[1]) if found else []
    if not known:
        return None
    if configuration is None:
        return UserError(
            f"the data set has several configurations: {', '.join(known)}.",
            where=name,
            cure=f"Name one: {name.removesuffix(split)}{known[0]}:{split}.",
        )
    return UserError(
        f"there is no configuration '{configuration}'.", where=name, cure=did_you_mean(configuration, known)
    )


def _trouble(name: str, source: str) -> UserError | None:
    """What keeps a data set from being fetched, asked with one quick question: then only the cache can help."""
    from datasets import config
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(source)
        if config.HF_HUB_OFFLINE:
            return UserError(
                "HF_HUB_OFFLINE is set, and there is no copy of it in the cache.",
                where=name,
                cure="Unset it and load the data set once with internet access, or name a local file.",
            )
        HfApi(endpoint=config.HF_ENDPOINT).dataset_info(source, timeout=PATIENCE)
    except (HFValidationError, RepositoryNotFoundError):
        return UserError(
            f"there is neither a folder '{source}' here nor an open data set of that name on the hub.",
            where=name,
            cure="Correct the name; for one that is private, log in with `hf auth login`.",
        )
    except Exception as error:  # whatever the network answers
        return UserError(
            f"the hub cannot be reached ({type(error).__name__}), and there is no copy of it in the cache.",
            where=name,
            cure="Load it once with internet access (later it comes from the cache, with HF_HUB_OFFLINE=1 without "
            "asking), or name a local file.",
        )
    return None


@contextmanager
def _only_from_cache(only: bool) -> Iterator[None]:
    from datasets import config

    before = config.HF_HUB_OFFLINE
    config.HF_HUB_OFFLINE = before or only
    try:
        yield
    finally:
        config.HF_HUB_OFFLINE = before


@contextmanager
def _without_bars() -> Iterator[None]:
    """Without the bars of both libraries, which would run through what the command line shows."""
    import datasets.utils
    import huggingface_hub.utils

    shown = [m for m in (datasets.utils, huggingface_hub.utils) if not m.are_progress_bars_disabled()]
    for module in shown:
        module.disable_progress_bars()
    try:
        yield
    finally:
        for module in shown:
            module.enable_progress_bars()
