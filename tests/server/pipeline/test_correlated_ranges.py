"""How an alert's correlated evidence is written: what is new, not all of it again."""

from __future__ import annotations

from typing import Any

from sqlalchemy import event

from server.store.tables import alerts, correlated_ranges
from tests.server.pipeline.conftest import NOW, Server
from tests.server.pipeline.correlated import policies
from tests.server.pipeline.endpoint import copied_file
from tests.server.pipeline.test_correlations import enrolled, evidence_names, take
from tests.server.pipeline.test_worker import rows


def test_one_more_event_writes_its_own_range_and_no_other(server: Server) -> None:
    (laptop,) = enrolled(server, "laptop")
    copies = [
        copied_file(NOW + at, name=f"{at:02}.{'jpg' if at % 2 else 'doc'}", size=1_000) for at in range(44)
    ]
    take(server, policies(), laptop.record(copies[:40]))
    before = rows(server, correlated_ranges)
    assert len(before) == 20
    written: list[tuple[str, int]] = []

    def look(_connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if "correlated_ranges" in statement and not statement.lstrip().startswith("SELECT"):
            written.append((statement.split(maxsplit=1)[0], cursor.rowcount))

    engine = server.database._engine
    event.listen(engine, "after_cursor_execute", look)
    try:
        take(server, policies(), laptop.record(copies[40:41]))
        assert written == [("INSERT", 1)]
        written.clear()
        adjoining = copied_file(NOW + 41, name="41.doc", size=1_000)
        take(server, policies(), laptop.record([adjoining]))
        assert written == [("DELETE", 1), ("INSERT", 1)]
        written.clear()
        take(server, policies(), laptop.record([copies[43]]))
        assert written == []
    finally:
        event.remove(engine, "after_cursor_execute", look)
    after = rows(server, correlated_ranges)
    assert after[:20] == before
    assert [each["last_seq"] - each["first_seq"] for each in after[20:]] == [1]
    (alert,) = rows(server, alerts)
    names = [f"{at:02}.doc" for at in range(0, 42, 2)]
    assert evidence_names(server, alert["id"]) == sorted([*names, "41.doc"])
