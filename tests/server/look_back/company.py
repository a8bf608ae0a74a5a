"""A small company of whom HR says things late."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from event_schema.ocsf_events import Event
from server.people.facts import LeaverFlag
from server.people.flags import flag_person, unflag_person
from server.people.hr_import import import_people
from tests.server.pipeline.conftest import DAY, NOW, Server
from tests.server.pipeline.endpoint import Endpoint, copied_file

TODAY = NOW // DAY
STAYS = "id,accounts,department,last working day\nE1,alice,sales,\nE2,bob,sales,\nE3,carol,lab,\n"


def date_of(day: int) -> str:
    return (date(1970, 1, 1) + timedelta(days=day)).isoformat()


def take_over(server: Server, text: str) -> None:
    with server.database.begin() as connection:
        import_people(connection, text.encode(), actor="HR", at=server.now)


def flag(server: Server, last_day: int = TODAY + 6, person: str = "E1", notice: int | None = None) -> None:
    with server.database.begin() as connection:
        said = LeaverFlag(last_day=last_day, notice_day=notice)
        flag_person(connection, person, said, actor="x", at=server.now, reason="r")


def unflag(server: Server, person: str = "E1") -> None:
    with server.database.begin() as connection:
        unflag_person(connection, person, actor="x", at=server.now, reason="r")


def enrolled(server: Server, endpoints: Sequence[Endpoint]) -> None:
    for endpoint in endpoints:
        endpoint.enrol(server.database)


def archive(
    time: int, *, account: str = "alice", name: str = "customers.zip", size: int = 50_000_000
) -> Event:
    """An archive on a stick: policies look at it once its person is leaving."""
    return copied_file(time, name=name, size=size, account=account)
