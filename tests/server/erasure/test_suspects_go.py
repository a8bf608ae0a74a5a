"""Who was suspected, and whose account it was: erased, each is in nobody's alert any more."""

from __future__ import annotations

import zstandard
from sqlalchemy import select

from server.alerts.views import alert_views
from server.erasure.erasing import carry_out
from server.erasure.plan import person_target
from server.store.tables import alerts, event_blocks, suspect_traits
from tests.server.erasure.shared_machine import SEAL_KEY, quiet, start
from tests.server.pipeline.conftest import Server
from tests.server.pipeline.test_suspects import _company, _earlier, _later


def _erase(server: Server, person: str) -> dict[str, int]:
    with server.database.begin() as connection:
        target = person_target(connection, person)
    return carry_out(server.database, start(server, target), seal_key=SEAL_KEY, actor="test", progress=quiet)


def _case(server: Server) -> None:
    endpoint = _company(server)
    server.take(endpoint.record(_earlier()), endpoint.record(_later()), records_per_batch=1)
    assert len(alert_views(server.database)) == 1


def test_an_erased_suspect_is_in_no_alert_no_trait_and_no_event_of_the_colleague(server: Server) -> None:
    _case(server)
    _erase(server, "p1")
    with server.database.read() as connection:
        assert connection.execute(select(suspect_traits)).all() == []
        assert connection.execute(select(alerts)).all() == []
        blocks = [bytes(row) for row in connection.execute(select(event_blocks.c.leaver)).scalars()]
    known = [zstandard.ZstdDecompressor().decompress(block) for block in blocks]
    assert len(known) == 2
    assert b'"suspect":null' in known[1]
    assert not any(b'"p1"' in each for each in known)


def test_an_erased_colleague_leaves_the_alert_of_the_suspect_without_naming_them(server: Server) -> None:
    _case(server)
    removed = _erase(server, "p2")
    assert removed["suspect_traits"] == 3
    [alert] = alert_views(server.database)
    assert alert.who.pseudonym.startswith("P-")
    assert alert.account_owner is None
    assert {trait.kind for trait in alert.traits} == {"device", "address"}
    assert all(trait.through is None for trait in alert.traits)
    with server.database.read() as connection:
        assert connection.execute(select(suspect_traits)).all() == []
