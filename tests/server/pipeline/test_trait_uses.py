"""Uses of machines, addresses and accounts through the whole pipeline: kept once, whatever the cuts."""

from __future__ import annotations

import random
from collections.abc import Iterable

import msgspec
import orjson
import pytest
import zstandard
from sqlalchemy import select, update

from event_schema.ocsf_events import Event
from server.people.directory import people_version, raise_people_version
from server.store.tables import account_bindings, accounts, event_blocks, trait_bindings, trait_uses
from tests.server.enrich.people_who_left import act
from tests.server.pipeline.conftest import DAY, NOW, NewServer, Server
from tests.server.pipeline.endpoint import Endpoint, copied_file

TODAY = NOW // DAY
HOME = "198.51.100.7"


def _rows(server: Server) -> list[tuple[object, ...]]:
    with server.database.read() as connection:
        return sorted(tuple(row) for row in connection.execute(select(trait_uses)))


def _leaver(server: Server) -> list[dict[str, dict[str, object]]]:
    """What enrichment knew of each event, in the order in which they were stored."""
    with server.database.read() as connection:
        blocks = connection.execute(select(event_blocks.c.leaver).order_by(event_blocks.c.id)).scalars().all()
    return [
        known[1]
        for block in blocks
        for known in orjson.loads(zstandard.ZstdDecompressor().decompress(bytes(block)))
        if known is not None
    ]


def _share(server: Server, account: str) -> None:
    with server.database.begin() as connection:
        named = {"system": "", "account": account}
        connection.execute(accounts.insert().values(kind="shared", source="flag", changed_at=0, **named))
        connection.execute(
            account_bindings.insert().values(
                person_id="p2", relation="owner", source="flag", confidence=1.0, **named
            )
        )


def _company(server: Server) -> Endpoint:
    """Alice left 60 days ago; Bob stays."""
    server.employ("p1", "alice", last_working_day=TODAY - 60)
    server.employ("p2", "bob")
    _share(server, "kefu")
    endpoint = Endpoint()
    endpoint.enrol(server.database)
    return endpoint


def test_an_act_from_the_device_and_address_of_who_left_is_seen_in_the_event(server: Server) -> None:
    endpoint = _company(server)
    server.take(
        endpoint.record([act("alice", NOW - n * DAY, device="phone-1", ip=HOME) for n in (100, 80, 70)]),
        endpoint.record([act("bob", NOW - n * DAY, device="pc-2", ip="198.51.100.8") for n in (100, 20, 3)]),
        endpoint.record([act("bob", NOW - DAY, device="phone-1", ip=HOME)]),
    )
    *before, last = _leaver(server)
    assert not any(known["device"].get("bound_to_left_person") for known in before)
    assert last["person"]["id"] == "p2"
    assert last["device"] == {"bound_to_left_person": True}
    assert last["remote"] == {
        "historical_users": 1,
        "corporate_network": False,
        "bound_to_left_person": True,
    }
    assert last["account"] == {
        "kind": "personal",
        "owner_id": "p2",
        "known_to_left": False,
        "first_seen_ip": True,
        "first_seen_device": True,
    }


def test_a_shared_account_that_who_left_had_used_is_known_to_have_been_known(server: Server) -> None:
    endpoint = _company(server)
    server.take(
        endpoint.record([copied_file(NOW - 100 * DAY, account="alice", host="laptop-1")]),
        endpoint.record([act("kefu", NOW - 90 * DAY, host="laptop-1")]),
        records_per_batch=1,
    )
    server.take(endpoint.record([act("kefu", NOW, ip=HOME)]))
    last = _leaver(server)[-1]["account"]
    assert (last["known_to_left"], last["rotated_since_left"]) == (True, False)
    with server.database.begin() as connection:
        changed = update(accounts).where(accounts.c.account == "kefu").values(rotated_at=NOW - DAY)
        connection.execute(changed)
        version = str(people_version(connection) + 1)
        connection.exec_driver_sql(
            f"UPDATE installation SET value = '{version}' WHERE key = 'people_version'"
        )
    server.take(endpoint.record([act("kefu", NOW + 1000, ip=HOME)]))
    last = _leaver(server)[-1]["account"]
    assert (last["known_to_left"], last["rotated_since_left"]) == (False, True)


def _acts(dice: random.Random) -> list[Event]:
    found: list[Event] = []
    for _ in range(60):
        time = NOW - dice.randrange(120 * DAY)
        account = dice.choice(("alice", "bob", "kefu", "temp"))
        if dice.random() < 0.4:
            found.append(copied_file(time, account=account, host=f"laptop-{dice.randrange(3)}"))
        else:
            found.append(
                act(account, time, device=dice.choice(("a", "b", None)), ip=f"198.51.100.{dice.randrange(4)}")
            )
    return found


def _records(endpoint: Endpoint, events: list[Event], dice: random.Random) -> Iterable[object]:
    while events:
        size = dice.randint(1, 9)
        yield endpoint.record(events[:size])
        events = events[size:]


@pytest.mark.parametrize("seed", range(3))
def test_how_acts_were_cut_into_batches_shows_neither_in_uses_nor_in_what_was_known(
    new_server: NewServer, seed: int
) -> None:
    events = _acts(random.Random(seed))
    outcomes = []
    for records_per_batch in (1, 3, 100):
        server = new_server()
        endpoint = _company(server)
        records = _records(endpoint, list(events), random.Random(seed))
        server.take(*records, records_per_batch=records_per_batch)  # type: ignore[arg-type]
        outcomes.append((_rows(server), _leaver(server)))
    assert outcomes[0] == outcomes[1] == outcomes[2]


def test_uses_end_with_their_own_retention_whether_housekeeping_came_or_not(server: Server) -> None:
    endpoint = _company(server)
    server.log.append([endpoint.record([act("bob", NOW - 99 * DAY, device="pc-2")])])
    server.worker(events_days=200, uses_days=100).step(0)
    assert {row[0] for row in _rows(server)} == {"account:bob", "device:pc-2"}
    server.now += 5 * DAY
    server.log.append([endpoint.record([act("bob", server.now, device="pc-2")])])
    server.worker(events_days=200, uses_days=100).step(0)
    assert "dormant_days" not in _leaver(server)[-1]["account"]
    assert {row[3] for row in _rows(server)} == {server.now}
    # One that comes too late for its own end is none.
    server.log.append([endpoint.record([act("bob", server.now - 150 * DAY, device="pc-3")])])
    server.worker(events_days=200, uses_days=100).step(0)
    assert "device:pc-3" not in {row[0] for row in _rows(server)}


def test_a_machine_of_who_left_is_recognised_as_long_as_uses_are_kept_and_a_declared_one_without_end(
    server: Server,
) -> None:
    """Case 1 went on for over a year after leaving."""
    endpoint = _company(server)
    last_use = NOW - 61 * DAY

    def device_of(*acts: Event, days: int) -> dict[str, object]:
        server.now = last_use + days * DAY
        server.log.append([endpoint.record(list(acts))])
        server.worker(events_days=200, uses_days=730).step(0)
        return dict(_leaver(server)[-1]["device"])

    assert not device_of(act("alice", last_use, device="phone-1"), days=61).get("bound_to_left_person")
    late = act("bob", last_use + 729 * DAY, device="phone-1")
    assert device_of(late, days=729)["bound_to_left_person"]
    gone = act("bob", last_use + 732 * DAY, device="phone-1")
    assert not device_of(gone, days=732).get("bound_to_left_person")
    with server.database.begin() as connection:
        theirs = {"trait": "host:laptop-9", "person_id": "p1", "source": "import", "confidence": 1.0}
        connection.execute(trait_bindings.insert().values(theirs))
        raise_people_version(connection)
    declared = act("bob", last_use + 2000 * DAY, host="laptop-9")
    assert device_of(declared, days=2000)["bound_to_left_person"]


def test_a_name_of_any_length_is_kept_within_its_column(server: Server) -> None:
    endpoint = _company(server)
    long = msgspec.structs.replace(act("bob", NOW), status_id=None)
    event = act("n" * 500, NOW, device="\U0001f600" * 500)
    server.take(endpoint.record([event, long]))
    assert all(len(str(row[0])) <= 320 and len(str(row[2])) <= 320 for row in _rows(server))
    assert any(str(row[0]).startswith("device:\U0001f600") for row in _rows(server))
