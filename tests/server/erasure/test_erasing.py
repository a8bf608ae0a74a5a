"""A person is erased while events flow: nothing of hers is left, all of others' is as it would have been."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, func, select

from event_schema.wire import WireRecord
from server.alerts.proof import verify_evidence
from server.audit import verify
from server.erasure.erasing import Progress, carry_out
from server.erasure.plan import NotFound, person_target
from server.erasure.record import erasure_state, list_erasures
from server.erasure.undone_imports import undo_import
from server.people.dates import day_text
from server.people.erased import erased_digest
from server.people.pseudonyms import pseudonym, pseudonym_key
from server.store.tables import (
    accounts,
    alerts,
    audit,
    block_seals,
    dead_letters,
    people,
    state_versions,
)
from tests.server.erasure.shared_machine import (
    PERSON,
    SEAL_KEY,
    TRACES,
    clear,
    erase,
    file_of,
    flow,
    outcome_of_others,
    prepare,
    quiet,
    start,
    take_over,
    traces_in_files,
    traces_in_rows,
)
from tests.server.pipeline.conftest import DAY, NOW, NewServer, Server
from tests.server.pipeline.endpoint import Endpoint, copied_file


class Killed(Exception):
    """Stands for kill -9 between two transactions."""


class _Transactions:
    """Counts a server's write transactions; the process dies right after one of them is committed."""

    def __init__(self, server: Server) -> None:
        self.done = 0
        self.until_killed = 0
        self._begin = server.database.begin
        server.database.begin = self._begin_and_die  # type: ignore[method-assign]

    @contextmanager
    def _begin_and_die(self, *, alone: bool = True, brief: bool = False) -> Iterator[Connection]:
        with self._begin(alone=alone, brief=brief) as connection:
            yield connection
        self.done += 1
        self.until_killed -= 1
        if self.until_killed == 0:
            raise Killed


def _split(by_endpoint: dict[Endpoint, list[WireRecord]]) -> tuple[list[WireRecord], list[WireRecord]]:
    before = [r for records in by_endpoint.values() for r in records[: len(records) // 2]]
    after = [r for records in by_endpoint.values() for r in records[len(records) // 2 :]]
    return before, after


def test_what_is_others_is_as_in_a_run_without_the_erasure_and_nothing_of_hers_is_left(
    new_server: NewServer,
) -> None:
    by_endpoint = flow(random.Random(1), 10)
    before, after = _split(by_endpoint)
    plain, erasing = new_server(), new_server()
    for server in (plain, erasing):
        prepare(server, by_endpoint)
        server.take(*before)
    assert {trace for trace in TRACES if any(repr(trace) in t for t in traces_in_rows(erasing))} == set(
        TRACES
    )
    # The pipeline works between every two transactions of the erasure.
    worker = erasing.worker(1)
    worker.step(0)
    waiting = list(after)

    def meanwhile(_what: str, _done: int, _of: int) -> None:
        if waiting:
            erasing.log.append([waiting.pop(0)])
        worker.step(0)

    removed = erase(erasing, meanwhile)
    erasing.take(*waiting)
    plain.take(*after)
    assert removed["events"] > 5
    assert removed["alerts"] >= 1
    assert removed["blocks_rewritten"] > 3
    expected, found = outcome_of_others(plain), outcome_of_others(erasing)
    for name, rows in expected.items():
        assert found[name] == rows, name
    assert len(expected["events"]) > 30
    assert len(expected["alerts"]) >= 1
    assert traces_in_rows(erasing) == []
    with erasing.database.read() as connection:
        assert verify(connection) is None
        assert connection.execute(select(people.c.manager_id)).scalars().all().count(PERSON) == 0
        for alert in connection.execute(select(alerts.c.id)).scalars().all():
            proof = verify_evidence(connection, alert)
            assert proof.good, proof
        assert erasure_state(connection).events_dropped > 0


def test_nothing_is_left_in_the_files(new_server: NewServer, request: pytest.FixtureRequest) -> None:
    server = new_server()
    by_endpoint = flow(random.Random(5), 30)
    prepare(server, by_endpoint)
    for records in by_endpoint.values():
        server.take(*records)
    assert traces_in_rows(server)
    erase(server)
    assert clear(server) == ()
    server.log.trim(server.log.end_offsets())
    folder = server.folder
    if server.database.dialect == "postgresql":
        folder = request.getfixturevalue("postgres_server").directory / "data"
    assert traces_in_files(server, folder) == []


def test_killed_after_any_transaction_it_goes_on_when_it_is_called_again(
    new_server: NewServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.erasure.erasing.BLOCKS_PER_TRANSACTION", 2)
    by_endpoint = flow(random.Random(3), 8)
    records = [record for each in by_endpoint.values() for record in each]
    whole = new_server()
    prepare(whole, by_endpoint)
    whole.take(*records)
    transactions = _Transactions(whole)
    removed = erase(whole)
    expected = outcome_of_others(whole)
    server = new_server()
    prepare(server, by_endpoint)
    server.take(*records)
    deadly = _Transactions(server)
    killed = 0
    while True:
        deadly.until_killed = killed + 1
        try:
            # Nothing: it was killed when all was done.
            assert erase(server) in (removed, {})
            break
        except Killed:
            killed += 1
    # Each time it comes further, but for the last transaction: after that there is nothing more to do.
    assert deadly.done > killed >= 5
    assert transactions.done > 10
    assert outcome_of_others(server) == expected
    assert traces_in_rows(server) == []
    with server.database.read() as connection:
        (erasure,) = list_erasures(connection)
        assert erasure.removed == removed
        actions = connection.execute(select(audit.c.action).order_by(audit.c.seq)).scalars().all()
        assert actions == ["people.import", "erasure.begin", "erasure.finish"]


def test_the_record_names_nobody_and_who_knows_the_id_finds_it(server: Server) -> None:
    prepare(server, [])
    erase(server)
    with server.database.begin() as connection:
        digest = erased_digest(pseudonym_key(connection), f"person:{PERSON}")
        rows = connection.execute(select(audit).where(audit.c.action.startswith("erasure."))).all()
        assert [row.object for row in rows] == [f"person:{digest}"] * 2
        again = person_target(connection, PERSON)
        assert (again.plan.subjects, again.erased_at) == ((), server.now)
        with pytest.raises(NotFound):
            person_target(connection, "E404")


def test_a_pseudonym_names_the_person_too(server: Server) -> None:
    prepare(server, [])
    with server.database.begin() as connection:
        shown = pseudonym(connection, f"person:{PERSON}")
        assert person_target(connection, shown.lower()).plan.person == PERSON


def test_late_events_of_hers_are_dropped_and_counted_and_their_neighbours_keep_their_proof(
    server: Server,
) -> None:
    desk = Endpoint("desk-4")
    prepare(server, [desk])
    erase(server)
    dice = random.Random(1)
    hers, bobs = file_of("xanthippe", dice), file_of("bob", dice)
    future = copied_file(
        server.now + DAY, name="quixotry", account="xanthippe", host="desk-4", device="xan-stick-1"
    )
    mixed = desk.record([hers, bobs, file_of("xanthippe2", dice), future])
    server.take(mixed, mixed, desk.record([hers]))
    assert traces_in_rows(server) == []
    with server.database.read() as connection:
        assert connection.execute(select(func.count()).select_from(dead_letters)).scalar_one() == 0
        assert connection.execute(select(block_seals.c.erased)).scalars().all() == [3]
        (alert,) = connection.execute(select(alerts.c.id)).scalars().all()
        proof = verify_evidence(connection, alert)
        assert (proof.good, proof.events, proof.sealed) == (True, 1, 1)
        # One is future-dated: it counts once all the same. The same account elsewhere is somebody else's.
        assert erasure_state(connection).events_dropped == 4
    server.take(desk.record([copied_file(NOW, account="xanthippe2", host="desk-9", name="other")]))
    with server.database.read() as connection:
        assert erasure_state(connection).events_dropped == 4


def test_an_account_that_somebody_else_has_by_then_counts_as_theirs_from_then_on(server: Server) -> None:
    desk = Endpoint("desk-4")
    prepare(server, [desk])
    erase(server)
    take_over(server, "id,accounts\nE9,xanthippe\n")
    server.take(desk.record([file_of("xanthippe", random.Random(1))]))
    with server.database.read() as connection:
        assert connection.execute(select(state_versions.c.key)).scalars().all() == ["agent:desk-4"]
        assert erasure_state(connection).events_dropped == 1
    assert traces_in_rows(server) == [
        "accounts.account: b'xanthippe'",
        "account_bindings.account: b'xanthippe'",
    ]
    server.take(desk.record([copied_file(server.now, account="xanthippe")]))
    with server.database.read() as connection:
        assert connection.execute(select(alerts.c.subject)).scalars().all() in ([], ["person:E9"])
        keys = connection.execute(select(state_versions.c.key)).scalars().all()
        assert "person:E9" in keys
        assert erasure_state(connection).events_dropped == 1


def test_an_hr_file_brings_nobody_back_unnoticed(server: Server) -> None:
    prepare(server, [])
    erase(server)
    report = take_over(server)
    (problem,) = report.problems
    assert (report.refused, problem.column, problem.value) == (1, "id", PERSON)
    day = day_text(server.now // DAY)
    assert problem.message == f"erased on {day}; --restore-erased takes the person back"
    with server.database.read() as connection:
        assert set(connection.execute(select(people.c.id, people.c.manager_id)).all()) == {
            ("E2", None), ("E3", None),
        }  # fmt: skip
    assert take_over(server).changed == 0
    assert take_over(server, restore_erased=True).added == 1
    with server.database.read() as connection:
        assert connection.execute(select(accounts.c.account)).scalars().all().count("xanthippe") == 1
        assert connection.execute(
            select(audit.c.action).order_by(audit.c.seq.desc()).limit(2)
        ).scalars().all() == ["people.import", "erasure.restore_person"]
    assert take_over(server).refused == 0
    # And once more.
    erase(server)
    assert take_over(server).refused == 1


def test_who_was_taken_back_by_an_import_that_is_undone_is_erased_again(server: Server) -> None:
    prepare(server, [])
    erase(server)
    back = take_over(server, restore_erased=True)
    assert (back.added, take_over(server).refused) == (1, 0)
    assert back.import_id is not None
    server.now += 1
    with server.database.begin() as connection:
        undo_import(connection, back.import_id, actor="test", at=server.now)
    with server.database.read() as connection:
        last = connection.execute(select(audit).order_by(audit.c.seq.desc()).limit(2)).all()
    assert [row.action for row in last] == ["people.undo", "erasure.undo_restore"]
    assert PERSON not in last[1].object
    assert take_over(server).refused == 1
    assert take_over(server, restore_erased=True).added == 1


def test_nobody_is_taken_back_before_the_erasure_is_finished(server: Server) -> None:
    prepare(server, [])
    with server.database.begin() as connection:
        target = person_target(connection, PERSON)
    start(server, target)
    report = take_over(server, restore_erased=True)
    (problem,) = report.problems
    assert problem.message == "the erasure is not finished: call leaver erase again first"
    with server.database.read() as connection:
        assert set(connection.execute(select(people.c.manager_id)).scalars()) == {None}
    erase(server)
    assert take_over(server, restore_erased=True).added == 1


def test_a_manager_who_was_erased_and_is_not_in_the_file_keeps_nobody_out(server: Server) -> None:
    prepare(server, [])
    erase(server)
    erase(server, person="E3")
    rows = f"id,manager\nE3,{PERSON}\nE2,{PERSON}\n"
    assert [problem.line for problem in take_over(server, rows).problems] == [2]
    report = take_over(server, rows, restore_erased=True)
    assert (report.added, report.refused) == (1, 0)
    with server.database.read() as connection:
        assert set(connection.execute(select(people.c.id, people.c.manager_id)).all()) == {
            ("E2", None), ("E3", None),
        }  # fmt: skip


def test_two_who_carry_out_one_erasure_end_it_once(server: Server) -> None:
    desk = Endpoint("desk-4")
    prepare(server, [desk])
    server.take(desk.record([file_of("xanthippe", random.Random(1))]))
    with server.database.begin() as connection:
        target = person_target(connection, PERSON)
    number = start(server, target)
    others: list[dict[str, int]] = []

    def run(progress: Progress) -> dict[str, int]:
        return carry_out(server.database, number, seal_key=SEAL_KEY, actor="test", progress=progress)

    def meanwhile(_what: str, _done: int, _of: int) -> None:
        if not others:
            others.append({})
            others[0] = run(quiet)

    assert run(meanwhile) == others[0]
    assert run(quiet) == others[0]
    with server.database.begin() as connection:
        (erasure,) = list_erasures(connection)
        assert erasure.removed == others[0]
        actions = connection.execute(select(audit.c.action).order_by(audit.c.seq)).scalars().all()
        assert actions == ["people.import", "erasure.begin", "erasure.finish"]
        nothing = person_target(connection, PERSON)
    with pytest.raises(NotFound):
        start(server, nothing)


def test_who_is_taken_back_begins_anew_though_a_worker_remembers_more(server: Server) -> None:
    desk = Endpoint("desk-4")
    prepare(server, [desk])
    dice = random.Random(2)
    worker = server.worker()
    server.log.append([desk.record([file_of("xanthippe", dice)])])
    worker.step(0)
    erase(server)
    take_over(server, restore_erased=True)
    server.log.append([desk.record([copied_file(NOW, account="xanthippe", size=5)])])
    worker.step(0)
    found = outcome_rows(server)
    assert found == [(f"person:{PERSON}", 5, 1)]


def outcome_rows(server: Server) -> list[tuple[str, int, int]]:
    from server.store.tables import channel_days  # noqa: PLC0415 - only here

    with server.database.read() as connection:
        query = select(channel_days.c.subject, channel_days.c.bytes, channel_days.c.files)
        return [(row[0], row[1], row[2]) for row in connection.execute(query)]


def test_dead_letters_that_hold_something_of_hers_go_and_others_stay(server: Server) -> None:
    desk = Endpoint("desk-4")
    prepare(server, [desk])
    dice = random.Random(6)
    server.take(
        desk.raw_record([b'{"user": "xanthippe"}', b'{"user": "bob"}', b'{"user": "\\u0058anthippe"}']),
        Endpoint("stranger").record([file_of("xanthippe", dice)]),
        Endpoint("stranger-2").record([file_of("bob", dice)]),
    )
    removed = erase(server)
    assert removed["dead_letters"] == 3
    with server.database.read() as connection:
        left = connection.execute(select(dead_letters.c.reason, dead_letters.c.agent)).all()
        assert sorted(tuple(row) for row in left) == [
            ("bad_event", "desk-4"), ("unknown_agent", "stranger-2"),
        ]  # fmt: skip
    assert traces_in_rows(server) == []
