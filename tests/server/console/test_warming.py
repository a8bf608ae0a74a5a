"""What the first pages would wait for is read after the start."""

from __future__ import annotations

import threading

import pytest

from server.console import warming
from server.console.page import Console
from server.console.policies.sheets import Sheets
from tests.server.console.published_policies import publish_shipped
from tests.server.console.site import Site


@pytest.mark.databases("sqlite")
def test_the_sheet_of_policies_is_there_before_anybody_asks(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_shipped(site)
    console = Console(site.server.service)
    warming.warm(console)
    for thread in threading.enumerate():
        if thread.name == "console-warm":
            thread.join(60)
    counted: list[int] = []
    sheets = console.made(Sheets).of
    monkeypatch.setattr(sheets, "_count", counted.append)
    assert len(sheets.sheet(now=site.clock()).rows) > 90
    assert counted == [], "counted already"
