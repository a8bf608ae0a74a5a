"""Acts of every channel go with whom they were about, and all others' stay."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from sqlalchemy import func, insert, select

from event_schema.ocsf_account_events import Authentication, AuthenticationActivity, DatastoreActivity
from event_schema.ocsf_endpoint_events import FileSystemActivity
from event_schema.ocsf_events import Event, account_of
from event_schema.ocsf_objects import Actor, Host, HostType, User
from event_schema.ocsf_transfer_events import EmailActivity, FileHostingActivity
from server.erasure.counting import count_rows
from server.erasure.erasing import carry_out
from server.erasure.plan import days_target, person_target
from server.store.tables import (
    channel_days,
    dead_letters,
    known_exports,
    queue_days,
    subject_agents,
    subject_events,
    subject_places,
)
from tests.event_schema.sample_events import sample_events
from tests.server.erasure.shared_machine import (
    PERSON,
    SEAL_KEY,
    erase,
    outcome_of_others,
    prepare,
    quiet,
    start,
    take_over,
    traces_in_rows,
)
from tests.server.pipeline.conftest import DAY, NOW, NewServer, Server
from tests.server.pipeline.endpoint import Endpoint, copied_file

HERS = ("xanthippe", "xanthippe@company.example")
PEOPLE = (
    "id,name,accounts,department\n"
    f"{PERSON},Xanthippe Zymborska,{' '.join(HERS)},sales\n"
    "E2,Bob Berg,bob bob@company.example,sales\n"
)
HOST = Host(hostname="srv-1", type_id=HostType.SERVER, uid="srv-1")


def _by(event: Event, account: str) -> Event:
    """The event as this account did it, with everything that names somebody naming them."""
    user = User(name=account, uid=None, credential_uid="SHA256:key")
    changes: dict[str, Any] = {"time": NOW, "device": HOST}
    match event:
        case Authentication(activity_id=AuthenticationActivity.ACCOUNT_SWITCH):
            changes |= {"actor": Actor(user=user), "user": User(name="root")}
        case Authentication():
            changes["user"] = user
        case EmailActivity():
            sender = msgspec.structs.replace(
                event.email, sender_address=f"{account.partition('@')[0]}@m.example"
            )
            changes |= {"actor": Actor(user=user), "email": sender}
        case _:
            changes["actor"] = Actor(user=user)
    event = msgspec.structs.replace(event, **changes)
    if isinstance(event, (FileSystemActivity, FileHostingActivity)):
        path = f"/home/{account}/quixotry.csv" if account in HERS else f"/home/{account}/plan.csv"
        name = path.rpartition("/")[2]
        file = msgspec.structs.replace(event.file, path=path, name=name)
        event = msgspec.structs.replace(event, file=file)
        if isinstance(event, FileSystemActivity) and event.file_result is not None:
            event = msgspec.structs.replace(event, file_result=file)
    return event


def _flow(endpoint: Endpoint, *accounts: str) -> list[Any]:
    """All samples by each account in turn, two kinds in a record."""
    events = [_by(sample, account) for sample in sample_events() for account in accounts]
    return [endpoint.record(events[at : at + 3]) for at in range(0, len(events), 3)]


def _prepared(server: Server) -> Endpoint:
    endpoint = Endpoint("srv-1")
    prepare(server, [endpoint])
    take_over(server, PEOPLE)
    # With room for all: nobody is held for another's sake (test_places_go.py).
    days = {event.time // DAY + step for event in sample_events() for step in (-1, 0, 1)}
    with server.database.begin() as connection:
        connection.execute(insert(queue_days), [{"queue": "day", "day": day, "cap": 99} for day in days])
    return endpoint


@pytest.mark.parametrize("account", HERS)
def test_acts_of_every_channel_go_with_the_person_and_leave_others_as_they_were(
    new_server: NewServer, account: str
) -> None:
    undisturbed, server = new_server(), new_server()
    for each in (undisturbed, server):
        endpoint = _prepared(each)
        records = _flow(endpoint, "bob", account, "bob@company.example")
        each.take(*records, records_per_batch=10)
    removed = erase(server)
    assert removed["events"] == len(sample_events())
    assert removed["channel_days"] >= 2
    assert removed["activity_days"] >= 7
    assert traces_in_rows(server) == []
    assert outcome_of_others(server) == outcome_of_others(undisturbed)
    # Late ones are dropped as they come.
    server.take(*_flow(endpoint, account))
    assert traces_in_rows(server) == []


def test_a_server_that_wrote_down_what_she_did_is_no_endpoint_of_hers_but_is_looked_through(
    server: Server,
) -> None:
    endpoint = _prepared(server)
    statement = next(e for e in sample_events() if isinstance(e, DatastoreActivity))
    server.take(endpoint.record([_by(statement, "xanthippe")]))
    letter = {"partition": 0, "offset": 7, "event_index": -1, "received_at": NOW, "reason": "truncated"}
    letter |= {"agent": "srv-1", "message": "x", "size": 2, "data": b"\x00\x00"}
    with server.database.begin() as connection:
        connection.execute(insert(dead_letters).values(letter))
        assert connection.execute(select(subject_events.c.agent)).scalars().all() == ["srv-1"]
        # What its own sticks see says nothing of her.
        assert connection.execute(select(func.count()).select_from(subject_agents)).scalar_one() == 0
        assert person_target(connection, PERSON).plan.agents == ("srv-1",)
    assert erase(server)["dead_letters"] == 1


def test_hashes_of_exports_go_with_the_days_on_which_they_were_made(server: Server) -> None:
    endpoint = _prepared(server)
    dump = next(e for e in sample_events() if isinstance(e, FileSystemActivity))
    assert account_of(dump) is not None
    for age in (5, 3):
        sha256 = (
            msgspec.structs.replace(dump.file.hashes[0], value=f"{age}0" * 32) if dump.file.hashes else None
        )
        assert sha256 is not None
        file = msgspec.structs.replace(dump.file, hashes=(sha256,))
        server.take(
            endpoint.record([msgspec.structs.replace(_by(dump, "bob"), time=NOW - age * DAY, file=file)])
        )
    day = NOW // DAY - 3
    with server.database.begin() as connection:
        target = days_target(connection, day, day, "day")
        counted = count_rows(server.database, target.plan)
    number = start(server, target)
    removed = carry_out(server.database, number, seal_key=SEAL_KEY, actor="test", progress=quiet)
    assert counted["known_exports"] == removed["known_exports"] == 1
    with server.database.read() as connection:
        assert connection.execute(select(known_exports.c.sha256)).scalars().all() == ["50" * 32]
    # What comes afterwards is counted as ever.
    stick = copied_file(NOW, account="bob")
    assert isinstance(stick, FileSystemActivity)
    server.take(endpoint.record([stick]))
    with server.database.read() as connection:
        places = connection.execute(select(subject_places.c.channel, subject_places.c.place)).all()
        days = connection.execute(select(func.count()).select_from(channel_days)).scalar_one()
    assert ("removable_storage", "device:0781:5591:S1") in map(tuple, places)
    assert days == 2
