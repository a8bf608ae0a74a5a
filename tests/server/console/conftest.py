"""Fixtures: the running console with people who sign in, and Chromium to see it with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.console.browser import Browsers
from tests.server.console.site import Site


@pytest.fixture
def site(tmp_path: Path, database_url: str) -> Iterator[Site]:
    """The console over the recorded leak (tests/server/alerts/recorded_leak.py); one user a role."""
    opened = Site(tmp_path, database_url=database_url)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def browsers() -> Iterator[Browsers]:
    opened = Browsers()
    yield opened
    opened.close()
