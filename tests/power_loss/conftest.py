"""A disk of one's own, and a seed that is told where a test fails."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.power_loss.disk import Disk


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with Disk(tmp_path) as mounted:
        yield mounted


@pytest.fixture
def seed() -> int:
    """LEAVER_SEED repeats one, as far as time allows."""
    return int(os.environ.get("LEAVER_SEED", time.time_ns() % 1_000_000))


@contextlib.contextmanager
def told(seed: int, number: int) -> Iterator[None]:
    """What fails says at which cut."""
    try:
        yield
    except Exception as error:
        raise AssertionError(f"LEAVER_SEED={seed}, cut {number}") from error
