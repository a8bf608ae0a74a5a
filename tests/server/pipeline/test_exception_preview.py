"""What an exception would hide is counted on what is stored: hits, people, and alerts that would not be."""

from __future__ import annotations

import datetime

from policies.exceptions import ParsedException
from policies.rule_file import RuleText, parse_text
from server.policies.making_exceptions import Wanted, exception_text
from server.policies.preview import Preview, preview
from server.policies.versions import current_versions, save
from tests.server.pipeline.conftest import DAY, NOW, Server
from tests.server.pipeline.endpoint import Endpoint, copied_file
from tests.server.pipeline.test_policy_versions import HIGH
from tests.server.policies.rule_texts import RULE


def _counted(server: Server, wanted: Wanted) -> Preview:
    text = exception_text(
        wanted, [(RULE, "A rule")], until=datetime.date(2026, 12, 31), owner="lin", reason="x"
    )
    parsed = parse_text(RuleText("x.yml", text))
    assert isinstance(parsed.parsed, ParsedException), parsed.errors
    with server.database.read() as connection:
        held = list(current_versions(connection).values())
        return preview(connection, parsed.parsed, held, now=server.now, days=30)


def _history(server: Server) -> None:
    """alice copies on two days, to two sticks on the second; bob once, longer ago than is looked at."""
    with server.database.begin() as connection:
        save(connection, HIGH, file="a.yml", actor="cli:lin", reason="x", now=server.now)
    server.employ("p1", "alice")
    server.employ("p2", "bob")
    endpoint = Endpoint()
    endpoint.enrol(server.database)
    server.take(
        endpoint.record(
            [
                copied_file(NOW - 40 * DAY, account="bob"),
                copied_file(NOW - DAY),
                copied_file(NOW - 2000),
                copied_file(NOW - 1000, device="0781:5591:S2"),
            ]
        )
    )


def test_hits_people_and_alerts_are_counted(server: Server) -> None:
    _history(server)
    assert _counted(server, Wanted(person="p1")) == Preview(30, 3, 3, 1, 1, 1, True)
    assert _counted(server, Wanted(device="0781:5591:S2")) == Preview(30, 3, 1, 1, 1, 0, True)
    assert _counted(server, Wanted(person="p2")) == Preview(30, 3, 0, 0, 1, 0, True)
    assert _counted(server, Wanted(host="LAPTOP-1", fields=(("file.size", "1000"),))).hidden == 3


def test_what_the_text_of_an_exception_means_is_taken_as_it_stands(server: Server) -> None:
    _history(server)
    assert _counted(server, Wanted(host="lap*")).hidden == 0, "a star in a name is a star"
    assert _counted(server, Wanted(fields=(("device.hostname", "lap*"),))).hidden == 3
