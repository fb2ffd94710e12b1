from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of published data sets."""
    folder = Path(os.environ.get("REASONING_KIT_DATA", Path(__file__).parents[4] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no data sets at {folder}: set REASONING_KIT_DATA to the folder that holds gsm8k/")
    return folder
