"""A running `leaver up` on data of its own; whatever a test starts ends with it, passed or failed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.server.up.up_process import UpProcess

Start = Callable[[Path], UpProcess]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts one on the data directory given."""
    started: list[UpProcess] = []

    def start_one(data: Path) -> UpProcess:
        started.append(UpProcess(data))
        return started[-1]

    yield start_one
    for process in started:
        process.close()


@pytest.fixture
def up(tmp_path: Path, start: Start) -> UpProcess:
    return start(tmp_path / "data")
