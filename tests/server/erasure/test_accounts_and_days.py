"""An account of nobody, and days, can be erased too; shut-out accounts are let go at their end."""

from __future__ import annotations

import random

import msgspec
import pytest
from sqlalchemy import delete, func, select

from event_schema.ocsf_events import Event
from event_schema.ocsf_objects import Actor
from server.alerts.proof import verify_evidence
from server.alerts.views import alert_detail
from server.erasure.counting import count_rows
from server.erasure.erasing import carry_out
from server.erasure.plan import BelongsToPerson, NotFound, account_target, days_target
from server.erasure.record import erasure_state, let_accounts_go
from server.people.pseudonyms import account_subject, pseudonym
from server.store.tables import (
    alerts,
    block_seals,
    channel_days,
    dead_letters,
    erasures,
    event_blocks,
    subject_agents,
    subject_events,
    subject_places,
)
from tests.server.erasure.shared_machine import (
    SEAL_KEY,
    erase,
    flow,
    outcome_of_others,
    prepare,
    quiet,
    start,
    take_over,
)
from tests.server.pipeline.company import TODAY
from tests.server.pipeline.conftest import DAY, NOW, NewServer, Server
from tests.server.pipeline.endpoint import Endpoint, copied_file


def _erase_account(server: Server, name: str) -> dict[str, int]:
    with server.database.begin() as connection:
        target = account_target(connection, name)
    number = start(server, target)
    return carry_out(server.database, number, seal_key=SEAL_KEY, actor="test", progress=quiet)


def _erase_days(server: Server, first: int, last: int) -> dict[str, int]:
    with server.database.begin() as connection:
        target = days_target(connection, first, last, "days")
    number = start(server, target)
    return carry_out(server.database, number, seal_key=SEAL_KEY, actor="test", progress=quiet)


def _subjects(server: Server) -> list[str]:
    with server.database.read() as connection:
        return sorted(set(connection.execute(select(channel_days.c.subject)).scalars()))


def test_an_account_of_nobody_goes_on_all_hosts_or_on_one(server: Server) -> None:
    desks = [Endpoint("desk-0", epoch="0" * 16), Endpoint("desk-4", epoch="4" * 16)]
    prepare(server, desks)
    for desk in desks:
        accounts = ("temp", "temp@corp.example", "tempest", "svc")
        server.take(desk.record([copied_file(NOW, account=name, host=desk.name) for name in accounts]))
    assert _erase_account(server, "SVC@desk-4")["events"] == 1
    assert _erase_account(server, "temp")["events"] == 2
    assert _subjects(server) == [
        "account:svc@desk-0",
        "account:temp@corp.example@desk-0",
        "account:temp@corp.example@desk-4",
        "account:tempest@desk-0",
        "account:tempest@desk-4",
    ]
    # On the other host it is as before.
    server.take(*(d.record([copied_file(NOW, account="svc", host=d.name)]) for d in desks))
    with server.database.read() as connection:
        assert erasure_state(connection).events_dropped == 1


def test_an_account_of_a_domain_is_found_with_its_domain_and_only_so(server: Server) -> None:
    desk = Endpoint("desk-0")
    prepare(server, [desk])
    accounts = ("CORP\\temp", "corp\\temp2", "temp", "TEST\\temp")
    server.take(desk.record([copied_file(NOW, account=name, host="desk-0") for name in accounts]))
    assert _erase_account(server, "Corp\\TEMP")["events"] == 1
    assert _erase_account(server, "corp\\temp2@desk-0")["events"] == 1
    assert _subjects(server) == ["account:temp@desk-0", "account:test\\temp@desk-0"]


def test_what_a_domain_account_did_before_hr_listed_it_goes_with_the_person(server: Server) -> None:
    desk = Endpoint("desk-0")
    prepare(server, [desk])
    server.take(desk.record([copied_file(NOW, account="CORP\\xan", host="desk-0")]))
    take_over(server, "id,accounts\nE9,CORP\\xan\n")
    assert erase(server, person="E9")["events"] == 1
    assert _subjects(server) == []


def test_accounts_too_long_for_a_key_are_found_by_their_whole_name(server: Server) -> None:
    desk = Endpoint("desk-0")
    prepare(server, [desk])
    long, longer = "q" * 125, "q" * 125 + "r"

    def use(account: str) -> None:
        server.take(desk.record([copied_file(NOW, account=account, host="far-away")]))

    use(long)
    use(longer)
    use("CORP\\" + long)
    assert len(_subjects(server)) == 3
    assert _erase_account(server, "corp\\" + long)["events"] == 1
    (kept, gone) = (account_subject(name, "far-away") for name in (longer, long))
    with server.database.begin() as connection:
        shown = pseudonym(connection, gone)
    assert _erase_account(server, shown)["events"] == 1
    assert _subjects(server) == [kept]
    take_over(server, f"id,accounts\nE9,{longer}\n")
    assert erase(server, person="E9")["events"] == 1
    assert _subjects(server) == []
    # Nothing but a pseudonym is left of it, and the endpoint has the host's name.
    with server.database.begin() as connection:
        pseudonym(connection, account_subject("z" * 125, "desk-0"))
    assert _erase_account(server, "z" * 125) == {"pseudonyms": 1}


def test_events_that_name_no_account_go_and_later_ones_of_anybody_stay(server: Server) -> None:
    desks = [Endpoint("desk-0", epoch="0" * 16), Endpoint("desk-4", epoch="4" * 16)]
    prepare(server, desks)

    def unnamed(host: str) -> Event:
        found = copied_file(NOW, account="bob", host=host, name="left-behind.txt")
        return msgspec.structs.replace(found, actor=Actor(app_name="x"))

    server.take(desks[0].record([unnamed("desk-0")]), desks[0].raw_record([b'{"odd": "unknown"}']))
    removed = _erase_account(server, "unknown")
    assert (removed["events"], removed["event_blocks"]) == (1, 1)
    assert "dead_letters" not in removed
    server.take(desks[1].record([unnamed("desk-4")]))
    assert _erase_account(server, "unknown@desk-4")["events"] == 1
    server.take(desks[1].record([unnamed("desk-4")]))
    assert _subjects(server) == ["account:unknown@desk-4"]
    with server.database.read() as connection:
        assert erasure_state(connection).events_dropped == 0


def test_an_account_that_json_writes_otherwise_is_found(server: Server) -> None:
    desk = Endpoint("desk-0")
    prepare(server, [desk])
    server.take(desk.record([copied_file(NOW, account='o"neil', host="desk-0")]))
    assert _erase_account(server, 'o"neil')["events"] == 1


def test_an_account_that_is_somebodys_or_unknown_is_refused(server: Server) -> None:
    prepare(server, [])
    with server.database.begin() as connection:
        with pytest.raises(BelongsToPerson, match="erase person E2"):
            account_target(connection, "BOB")
        with pytest.raises(NotFound):
            account_target(connection, "never-seen")


def test_shut_out_accounts_are_let_go_at_their_end_and_known_by_the_pipeline_at_once(server: Server) -> None:
    desk = Endpoint("desk-0")
    prepare(server, [desk])
    server.take(desk.record([copied_file(NOW, account="temp", host="desk-0")]))
    _erase_account(server, "temp")
    worker = server.worker()
    server.log.append([desk.record([copied_file(NOW, account="temp", host="desk-0")])])
    assert worker.step(0).erased == 1
    assert let_accounts_go(server.database, server.now + 365 * DAY) == 0
    assert let_accounts_go(server.database, server.now + 365 * DAY + 1) == 1
    server.log.append([desk.record([copied_file(NOW, account="temp", host="desk-0")])])
    assert worker.step(0).erased == 0
    assert _subjects(server) == ["account:temp@desk-0"]


def test_erased_days_are_as_if_nothing_had_happened_on_them(new_server: NewServer) -> None:
    by_endpoint = flow(random.Random(11), 10)
    records = [record for each in by_endpoint.values() for record in each]
    server = new_server()
    prepare(server, by_endpoint)
    worker = server.worker(5)
    server.log.append(records[:-6])
    while worker.step(0).records:
        pass
    before = outcome_of_others(server)
    removed = _erase_days(server, TODAY - 3, TODAY - 2)
    assert removed["events"] > 10
    assert removed["blocks_rewritten"] > 5
    after = outcome_of_others(server)
    gone = {TODAY - 3, TODAY - 2}
    for name, place in (("channel_days", 2), ("activity_days", 2), ("rule_days", 3), ("subject_events", 1)):
        assert after[name] == [row for row in before[name] if row[place] not in gone], name
        assert len(after[name]) < len(before[name])
    assert after["events"] == [row for row in before["events"] if row[3] // DAY not in gone]
    with server.database.read() as connection:
        found = connection.execute(select(alerts.c.id)).scalars().all()
        assert found
        assert all(not verify_evidence(connection, alert).bad for alert in found)
        assert connection.execute(select(func.count()).select_from(block_seals)).scalar_one() > 5
    # A worker that remembers these days takes in what comes late, and nothing of what was there.
    server.log.append(records[-6:])
    while worker.step(0).records:
        pass
    with server.database.read() as connection:
        counted = connection.execute(
            select(channel_days.c.subject, func.sum(channel_days.c.events)).group_by(channel_days.c.subject)
        ).all()
        numbers = subject_events.c.last_seq - subject_events.c.first_seq + 1
        indexed = connection.execute(
            select(subject_events.c.subject, func.sum(numbers)).group_by(subject_events.c.subject)
        ).all()
    assert sorted(map(tuple, counted)) == sorted(map(tuple, indexed))


def test_erased_days_are_no_gap_in_the_proof_of_who_lives_far_from_utc(server: Server) -> None:
    desk = Endpoint("desk-0")
    prepare(server, [desk])
    take_over(server, "id,accounts,notice date,time zone\nE2,bob,2026-11-10,Asia/Shanghai\n")
    day = NOW // DAY - 2

    def forty(start: int) -> list[Event]:
        return [copied_file(start + n, account="bob", size=10**9, name=f"{start}-{n}") for n in range(40)]

    # One local day, over two UTC days, half of it in one block with the rest.
    late, early = forty(day * DAY + 17 * 3_600_000), forty((day + 1) * DAY + 3_600_000)
    server.take(desk.record(late[:20]), desk.record(late[20:] + early[:20]), desk.record(early[20:]))
    with server.database.read() as connection:
        (alert,) = connection.execute(select(alerts.c.id)).scalars().all()
        assert verify_evidence(connection, alert).events == 80
    removed = _erase_days(server, day, day)
    assert (removed["events"], removed["event_blocks"], removed["blocks_rewritten"]) == (40, 1, 1)
    with server.database.read() as connection:
        proof = verify_evidence(connection, alert)
    assert (proof.good, proof.events, proof.missing, proof.erased) == (True, 40, 0, 40)
    detail = alert_detail(server.database, alert)
    assert detail.evidence.missing == 0
    # What goes without an erasure is missed all the same.
    with server.database.begin() as connection:
        connection.execute(delete(erasures))
        proof = verify_evidence(connection, alert)
    assert (proof.good, proof.missing, proof.erased) == (False, 40, 0)


def test_devices_and_endpoints_that_were_seen_on_erased_days_only_go(server: Server) -> None:
    desks = [Endpoint("desk-0", epoch="0" * 16), Endpoint("desk-4", epoch="4" * 16)]
    prepare(server, desks)

    def use(desk: Endpoint, device: str, time: int) -> None:
        server.take(desk.record([copied_file(time, account="bob", host=desk.name, device=device)]))

    use(desks[0], "stick-1", NOW - 3 * DAY)
    use(desks[1], "stick-2", NOW - 3 * DAY)
    use(desks[1], "stick-2", NOW)
    day = NOW // DAY - 3
    with server.database.begin() as connection:
        counted = count_rows(server.database, days_target(connection, day, day, "day").plan)
    removed = _erase_days(server, day, day)
    gone = {"subject_places": 1, "subject_agents": 1, "trait_uses": 1}
    assert removed.items() >= gone.items()
    assert counted.items() >= gone.items()
    with server.database.read() as connection:
        assert connection.execute(select(subject_places.c.place)).scalars().all() == ["device:stick-2"]
        assert connection.execute(select(subject_agents.c.agent)).scalars().all() == ["desk-4"]


def test_days_take_their_dead_letters_along_and_no_others(server: Server) -> None:
    desk = Endpoint("desk-0")
    prepare(server, [desk])
    server.take(desk.raw_record([b'{"odd": 1}']))
    today = server.now // DAY
    server.now += DAY
    server.take(desk.raw_record([b'{"odd": 2}']))
    assert _erase_days(server, today, today) == {"dead_letters": 1}
    with server.database.read() as connection:
        assert connection.execute(select(dead_letters.c.data)).scalars().all() == [b'{"odd": 2}']
        assert connection.execute(select(func.count()).select_from(event_blocks)).scalar_one() == 0
