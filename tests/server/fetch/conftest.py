"""A hub on loopback, and fetches from it into one folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from peers.fetching import Fetch, model
from peers.hugging_face import Hub, running


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running(model()) as one:
        yield one


@pytest.fixture
def fetch(tmp_path: Path) -> Fetch:
    return Fetch(tmp_path / "model")
