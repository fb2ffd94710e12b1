"""For all tests: one core for each worker; the served model that several packages ask, started where a test asks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from jaxtyping import install_import_hook
from typecheck import modules

if TYPE_CHECKING:
    from serving import Proxy, Server

# Shapes and types of every annotated function are checked while the tests run; production code is not slowed down.
CHECKED = modules("benchmarks", "cot_distill", "grpo", "reasoning_kit", "trm")
install_import_hook(CHECKED, "typecheck.checked")

if "PYTEST_XDIST_WORKER" in os.environ:  # before torch is loaded: threads of several workers would wait for each other
    os.environ["OMP_NUM_THREADS"] = "1"


@pytest.fixture(scope="session")
def adder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the small model, inside a hub cache."""
    from serving import cached_model

    return cached_model(tmp_path_factory.mktemp("hub"))


@pytest.fixture(scope="session")
def served(adder: Path) -> Iterator[Server]:
    """``transformers serve`` with the small model."""
    from serving import Server

    server = Server(adder.parents[2])
    server.start()
    yield server
    server.kill()


@pytest.fixture
def proxy(served) -> Iterator[Proxy]:
    """A fresh one in front of the server, without faults."""
    from serving import Proxy

    proxy = Proxy(served)
    yield proxy
    proxy.close()
