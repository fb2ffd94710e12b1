"""The served model that tests of several packages ask; started once, and only where a test asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def adder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the small model, inside a hub cache."""
    from serving import cached_model

    return cached_model(tmp_path_factory.mktemp("hub"))


@pytest.fixture(scope="session")
def served(adder: Path) -> Iterator["Server"]:  # noqa: UP037
    """``transformers serve`` with the small model."""
    from serving import Server

    server = Server(adder.parents[2])
    server.start()
    yield server
    server.kill()


@pytest.fixture
def proxy(served) -> Iterator["Proxy"]:  # noqa: UP037
    """A fresh one in front of the server, without faults."""
    from serving import Proxy

    proxy = Proxy(served)
    yield proxy
    proxy.close()
