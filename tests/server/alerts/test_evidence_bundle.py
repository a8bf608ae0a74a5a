"""What an alert's page reads: once, anew when anything of it changed, and on both databases."""

from __future__ import annotations

from sqlalchemy import delete, insert, select, update

from server.alerts.evidence_bundle import AROUND_MS, YOUNG_MS, Bundles
from server.alerts.evidence_marks import MarkMask
from server.alerts.evidence_search import EvidenceFilter, evidence_page, masked_choices
from server.alerts.queries import Alert, Verdict, close_alert, get_alert
from server.alerts.related import judged_before, similar_alerts
from server.alerts.sight import Sight
from server.people.directory import load_directory
from server.people.unmaskings import Grant
from server.store.database import Database
from server.store.tables import alerts, collector_days, event_blocks, subject_events, subject_places
from tests.server.alerts.recorded_leak import AGENT, CHANNEL, DAY, EPOCH, NOW, record_leak

ALICE = "person:E1007"


def _alert(database: Database, alert_id: int = 1) -> Alert:
    with database.read() as connection:
        return get_alert(connection, alert_id)


def _mask(database: Database, alert: Alert, grants: dict[str, Grant] | None = None) -> MarkMask:
    with database.read() as connection:
        directory = load_directory(connection)
    return MarkMask(Sight(database, directory, [alert], (("Alice", "alice-laptop"),), grants=grants).masker)


def test_a_bundle_is_read_once_and_anew_when_something_changed(database: Database) -> None:
    record_leak(database, 30)
    bundles = Bundles()
    alert = _alert(database)
    with database.read() as connection:
        first = bundles.of(connection, alert, NOW)
        assert bundles.of(connection, alert, NOW + 1) is first
    assert (len(first.marks), first.listed_all, first.evidence.total, first.proof.good) == (
        30,
        True,
        30,
        True,
    )
    assert not first.is_purged
    with database.begin() as connection:
        oldest = select(event_blocks.c.id).order_by(event_blocks.c.id).limit(1)
        connection.execute(
            update(event_blocks).where(event_blocks.c.id > oldest.scalar_subquery()).values(last_day=DAY + 1)
        )
        connection.execute(delete(event_blocks).where(event_blocks.c.last_day == DAY))
    with database.read() as connection:
        second = bundles.of(connection, alert, NOW)
        assert (len(second.marks), second.evidence.missing) == (20, 10)
    with database.begin() as connection:
        connection.execute(delete(event_blocks))
    with database.read() as connection:
        assert bundles.of(connection, alert, NOW).is_purged


def test_what_surrounds_a_young_alert_is_read_anew_after_a_minute(database: Database) -> None:
    record_leak(database, 30)
    bundles = Bundles()
    alert = _alert(database)
    now = alert.last_time + 3_600_000
    with database.read() as connection:
        first = bundles.of(connection, alert, now)
    with database.begin() as connection:
        connection.execute(insert(collector_days), [{"agent": AGENT, "collector": CHANNEL, "day": DAY}])
    with database.read() as connection:
        assert bundles.of(connection, alert, now + YOUNG_MS - 1) is first
        second = bundles.of(connection, alert, now + YOUNG_MS)
        assert (first.watched, second.watched) == ({}, {CHANNEL: frozenset({DAY})})
        # Once the day after it is over, it stays as it is.
        later = alert.last_time + AROUND_MS + 1
        third = bundles.of(connection, alert, later)
        assert bundles.of(connection, alert, later + 10 * YOUNG_MS) is third


def test_what_else_was_done_around_it_is_beside_it_and_gaps_are_known(database: Database) -> None:
    record_leak(database, 30)
    with database.begin() as connection:
        # The last ten events are of a channel that is none of the alert's.
        place = {"subject": ALICE, "agent": AGENT, "epoch": EPOCH, "day": DAY}
        connection.execute(delete(subject_events))
        rows = [
            {"channel": CHANNEL, "first_seq": 0, "last_seq": 19},
            {"channel": "x", "first_seq": 20, "last_seq": 29},
        ]
        connection.execute(insert(subject_events), [place | row for row in rows])
        connection.execute(insert(collector_days), [{"agent": AGENT, "collector": CHANNEL, "day": DAY}])
    with database.read() as connection:
        found = Bundles().of(connection, _alert(database), NOW)
    assert (len(found.marks), len(found.context), found.context_all) == (20, 10, True)
    assert found.watched == {CHANNEL: frozenset({DAY})}


def test_marks_show_no_name_but_of_whom_was_unmasked(database: Database) -> None:
    record_leak(database, 3)
    alert = _alert(database)
    with database.read() as connection:
        found = Bundles().of(connection, alert, NOW)
    hidden = _mask(database, alert).shown(found.marks[0])
    assert "alice" not in str(hidden).casefold()
    assert hidden.names == ("customers-000.xlsx",)
    named = _mask(database, alert, {ALICE: Grant(ALICE, NOW, "Alice Wang")}).shown(found.marks[0])
    assert named.path is not None
    assert named.path.startswith("/run/media/alice/")
    assert named.key == hidden.key
    assert named.host == hidden.host != "alice-laptop"


def test_pages_follow_each_other_and_places_are_chosen_as_they_are_shown(database: Database) -> None:
    record_leak(database, 30)
    alert = _alert(database)
    with database.read() as connection:
        found = Bundles().of(connection, alert, NOW)
    mask = _mask(database, alert)
    first = evidence_page(found.marks, mask, EvidenceFilter(), limit=20)
    second = evidence_page(found.marks, mask, EvidenceFilter(), after=first.next or 0, limit=20)
    assert [row.time for row in (*first.rows, *second.rows)] == [mark.time for mark in found.marks]
    assert (first.total, first.next, second.next) == (30, 20, None)
    [(place, number)] = masked_choices(found.choices, mask).places
    assert (number, "Alice" in place) == (30, False)
    assert evidence_page(found.marks, mask, EvidenceFilter(place=place)).total == 30
    assert evidence_page(found.marks, mask, EvidenceFilter(place="Alice_Wang's stick")).total == 0


def test_how_the_same_was_judged_and_what_is_alike(database: Database) -> None:
    record_leak(database, 3)
    with database.begin() as connection:
        close_alert(connection, 1, Verdict.EXPECTED, "x", "user:omar", NOW)
        row = dict(connection.execute(select(alerts)).one()._mapping)
        fresh = {"status": "open", "verdict": None, "reason": None, "closed_at": None, "closed_by": None}
        others = [
            row | fresh | {"id": 2},
            row | fresh | {"id": 3, "subject": "person:E1001", "family": "upload"},
            row | fresh | {"id": 4, "subject": "person:E1001"},
            row | fresh | {"id": 5, "subject": "person:E9", "status": "held"},
        ]
        connection.execute(insert(alerts), others)
        used = {"channel": CHANNEL, "place": "device:4C53", "first_time": NOW, "last_time": NOW}
        connection.execute(
            insert(subject_places), [used | {"subject": who} for who in (ALICE, "person:E1001")]
        )
    alert = _alert(database, 2)
    with database.read() as connection:
        directory = load_directory(connection)
        [before] = judged_before(connection, alert)
        alike = {each.id: each.alike for each in similar_alerts(connection, alert, directory)}
    assert (before.verdict, before.number, before.by, before.last) == ("expected", 1, "user:omar", 1)
    assert alike == {1: "person", 3: "place", 4: "place"}
