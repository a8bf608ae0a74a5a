"""The queue: what it finds, in which order, page by page; snoozed, merged and judged alerts; what it never
tells."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Connection, delete, event, insert, update
from starlette.datastructures import QueryParams

from server.alerts.queue.filters import Cursor, QueueFilter, read_cursor, read_filter
from server.alerts.queue.leaving import leaving_subjects
from server.alerts.queue.reading import (
    Asked,
    Places,
    read_above,
    read_asleep,
    read_parts,
    read_places,
    read_rows,
)
from server.alerts.queue.rows import fill_rows
from server.alerts.queue.saved import VIEWS_MAX, ViewRefused, delete_view, save_view, saved_of
from server.alerts.queue.searching import search
from server.alerts.queue.state import read_mark, read_state
from server.alerts.queue.views import QueueRowView, Sight, row_views
from server.alerts.severity import Severity, scores_of, severity_of
from server.people.directory import load_directory
from server.people.pseudonyms import known_pseudonyms, label, pseudonym_key
from server.store.database import Database
from server.store.tables import agents, alert_rows, alerts, subject_events
from tests.server.alerts.queue.full_queue import DAY_MS, NOW, full_queue

COUNT = 260
UTC = ZoneInfo("UTC")


@pytest.fixture
def queue(database: Database) -> Iterator[Connection]:
    full_queue(database, count=COUNT, people=80)
    with database.begin() as connection:
        yield connection


def asked(connection: Connection, **wanted: object) -> Asked:
    found = QueueFilter(**wanted)  # type: ignore[arg-type]
    searched = search(connection, found, pseudonym_key(connection), lambda: {"own-1": "Copies of [name]"})
    directory = load_directory(connection)
    return Asked(found, "omar", UTC, NOW, searched, lambda: leaving_subjects(directory, NOW))


def places(connection: Connection, **wanted: object) -> Places:
    return read_places(connection, asked(connection, **wanted))


def ids(connection: Connection, **wanted: object) -> list[int]:
    return [each.alert for each in places(connection, **wanted).rows]


def views(connection: Connection, **wanted: object) -> list[QueueRowView]:
    found = places(connection, **wanted).rows
    numbers = [each.alert for each in found]
    stored = read_rows(connection, numbers)
    sight = Sight(
        directory=load_directory(connection),
        key=pseudonym_key(connection),
        pseudonyms=known_pseudonyms(connection, [row.subject for row in stored.values()]),
        parts=read_parts(connection, numbers),
        asleep=read_asleep(connection, numbers, NOW),
        cases={},
        mask=lambda texts: texts,
        now=NOW,
    )
    return row_views(found, stored, sight)


def change(connection: Connection, alert: int, **values: object) -> None:
    connection.execute(update(alerts).where(alerts.c.id == alert).values(**values))


def test_pages_follow_each_other_without_a_gap_in_either_order(queue: Connection) -> None:
    for sort in ("score", "last"):
        seen: list[Cursor] = []
        after: Cursor | None = None
        while True:
            page = read_places(queue, asked(queue, sort=sort), after=after)
            seen += [each.cursor for each in page.rows]
            assert page.total == COUNT
            if page.next is None:
                break
            after = page.next
        key = [(c.score, c.last_time, c.alert) if sort == "score" else (c.last_time, c.alert) for c in seen]
        assert len(seen) == COUNT
        assert key == sorted(key, reverse=True)
        assert len({each.alert for each in seen}) == COUNT


def test_a_thousand_are_counted_and_no_more(database: Database) -> None:
    full_queue(database, count=1010, people=300)
    with database.begin() as connection:
        page = places(connection)
    assert page.total == 1001
    assert not page.is_counted


def test_words_for_scores() -> None:
    assert [severity_of(score).value for score in (100, 90, 89, 70, 69, 50, 49, 0)] == [
        "critical", "critical", "high", "high", "medium", "medium", "low", "low",
    ]  # fmt: skip
    assert [scores_of(each) for each in Severity] == [(90, 100), (70, 89), (50, 69), (0, 49)]


def test_each_filter_finds_what_its_rows_say(queue: Connection) -> None:
    for severity in Severity:
        assert {row.severity for row in views(queue, severity=(severity,))} <= {severity}
    mail = views(queue, channel="mail")
    assert mail
    assert {row.channels for row in mail} == {("mail",)}
    leavers = views(queue, leavers=True)
    assert leavers
    assert {row.status.value for row in leavers} == {"notice", "left"}
    assert any(row.days_to_last_day is not None and row.days_to_last_day < 0 for row in leavers)
    change(queue, 7, owner="omar")
    change(queue, 8, owner="eve")
    assert ids(queue, owner="me") == [7]
    assert ids(queue, owner="eve") == [8]
    assert {7, 8}.isdisjoint(ids(queue, owner="none"))
    policy = f"{3:08x}-5d52-4a0e-8a3d-4a1f0e6c1a11"
    assert all(f"Rule {3:08x} of our own" == row.title.words for row in views(queue, policy=policy))
    since = read_filter(QueryParams("since=2026-11-20")).since
    assert all(row.last_time >= NOW - 2 * DAY_MS for row in views(queue, since=since))


def test_text_is_found_in_what_is_seen_and_never_in_names(queue: Connection) -> None:
    row = views(queue)[0]
    assert row.id in ids(queue, text=row.pseudonym)
    assert row.id in ids(queue, text=row.pseudonym.lower())
    assert ids(queue, text=f"#{row.id}") == [row.id]
    assert ids(queue, text=f"#{row.id} {row.pseudonym}") == [row.id]
    assert ids(queue, text="复制到移动存储") == ids(queue, channel="removable_storage")
    assert ids(queue, text="REMOVABLE storage") == ids(queue, channel="removable_storage")
    change(queue, row.id, facts={"rules": [], "person": "E00001"})
    for name in ("Zhanna", "Quillfeather1", "quillfeather", "E00001", "acct00001x", "00001x", "%", "_", "\\"):
        assert places(queue, text=name).total == 0, name
    assert places(queue, text="copied zzz").total == 0


def test_titles_that_people_wrote_are_found_as_they_are_shown(queue: Connection) -> None:
    queue.execute(update(alert_rows).where(alert_rows.c.alert == 5).values(rules=",own-1,"))
    assert ids(queue, text="copies of") == [5]


def test_an_endpoint_is_found_by_its_label(queue: Connection) -> None:
    (row,) = views(queue, text="#9")
    stored = read_rows(queue, [9])[9]
    queue.execute(insert(agents).values(name="Zhannas-laptop", created_at=0, clock_offset=0))
    seen = {"agent": "Zhannas-laptop", "epoch": "e", "first_seq": 0, "last_seq": 3}
    day = stored.facts["day"]
    queue.execute(
        insert(subject_events).values(subject=stored.subject, channel=row.channels[0], day=day, **seen)
    )
    shown = label(pseudonym_key(queue), "H", "zhannas-laptop")
    assert ids(queue, agent=shown) == [9]
    assert ids(queue, text=shown.lower()) == [9]
    assert places(queue, agent="Zhannas-laptop").total == 0
    assert places(queue, text="zhannas-laptop").total == 0
    assert places(queue, agent="H-000000").total == 0


def test_a_snoozed_alert_wakes_at_its_time_and_when_something_is_new(queue: Connection) -> None:
    stored = read_rows(queue, [3])[3]
    change(queue, 3, score=100)
    asleep = {
        "snoozed_until": NOW + 1,
        "snoozed_score": 100,
        "snoozed_events": stored.events,
        "snoozed_last": stored.last_time,
    }
    change(queue, 3, **asleep)
    assert ids(queue, status="snoozed") == [3]
    assert 3 not in ids(queue, severity=(Severity.CRITICAL,))
    (row,) = views(queue, status="snoozed")
    assert (row.standing, row.snoozed_until) == ("snoozed", NOW + 1)
    change(queue, 3, events=stored.events + 1)
    assert 3 in ids(queue)
    change(queue, 3, events=stored.events, snoozed_until=NOW)
    assert 3 in ids(queue)


def test_a_merged_part_shows_under_its_main_alert_and_lifts_it(queue: Connection) -> None:
    change(queue, 10, score=51, owner="omar")
    change(queue, 11, score=60, merged_into=10)
    (row,) = views(queue, owner="me")
    assert (row.parts, row.part_score, row.score, row.severity) == (1, 60, 51, Severity.MEDIUM)
    assert ids(queue, text="#11") == [10]
    change(queue, 11, score=101)
    assert ids(queue)[0] == 10
    assert 10 in ids(queue, severity=(Severity.CRITICAL,))
    assert 10 not in ids(queue, severity=(Severity.MEDIUM,))
    page = read_places(queue, asked(queue), limit=1)
    latest = max(row.last_time for row in read_rows(queue, [10, 11]).values())
    assert page.next == Cursor(101, latest, 10)
    assert 10 not in [each.alert for each in read_places(queue, asked(queue), after=page.next).rows]


def test_a_main_alert_is_found_by_what_its_parts_tell(queue: Connection) -> None:
    change(queue, 11, merged_into=10, last_time=NOW + 5)
    part = read_rows(queue, [11])[11]
    words = known_pseudonyms(queue, [part.subject])[part.subject]
    for wanted in ({"text": words}, {"channel": (part.channels or "").split(",")[1]}):
        found = set(ids(queue, **wanted))
        assert 10 in found
        assert 11 not in found
    assert ids(queue, sort="last")[0] == 10
    row = next(each for each in views(queue, sort="last") if each.id == 10)
    assert (row.last_time, row.seen.split(":")[3]) == (NOW + 5, str(NOW + 5))
    change(queue, 10, status="closed")
    change(queue, 11, status="closed")
    assert ids(queue, text="#11", status="closed") == [10]


def test_held_alerts_are_in_no_list(queue: Connection) -> None:
    change(queue, 4, status="held", score=100)
    for status in ("open", "closed", "all", "snoozed"):
        assert 4 not in ids(queue, status=status)
    assert read_rows(queue, [4]) == {}


def test_what_is_above_the_end_of_a_page_tells_what_is_new_there(queue: Connection) -> None:
    page = places(queue)
    shown = {each.alert for each in page.rows}
    lowest = read_places(queue, asked(queue), after=page.next).rows[-1].alert
    change(queue, lowest, score=100)
    above = [each.alert for each in read_above(queue, asked(queue), page.next)]
    assert set(above) - shown == {lowest}
    change(queue, page.rows[0].alert, status="closed")
    above = [each.alert for each in read_above(queue, asked(queue), page.next)]
    assert set(above) - shown == {lowest}


def test_the_mark_differs_after_each_kind_of_change(queue: Connection) -> None:
    marks = [read_mark(queue, NOW)]
    before = read_rows(queue, [6])[6]
    for values in (
        {"updated_at": NOW + 9},
        {"updated_at": before.updated_at},
        {"triage_version": 1, "owner": "omar"},
        {"triage_version": 2, "snoozed_until": NOW + 5},
    ):
        change(queue, 6, **values)
        marks.append(read_mark(queue, NOW))
    marks.append(read_mark(queue, NOW + 6))
    queue.execute(delete(alerts).where(alerts.c.id == 6))
    marks.append(read_mark(queue, NOW))
    marks.append(read_mark(queue, NOW + DAY_MS))
    assert all(one != other for one, other in pairwise(marks))


def test_a_row_has_no_name_and_its_stamp_tells_whether_it_changed(queue: Connection) -> None:
    before = views(queue, text="#12")[0]
    assert before.pseudonym.startswith("P-")
    assert views(queue, text="#12")[0].stamp == before.stamp
    change(queue, 12, owner="eve", triage_version=1)
    after = views(queue, text="#12")[0]
    assert after.stamp != before.stamp
    assert (after.standing, before.standing) == ("in_work", "new")
    shown = repr(views(queue))
    for name in ("Zhanna", "Quillfeather", "E000", "acct"):
        assert name not in shown


def test_rows_of_alerts_from_before_are_written_later(queue: Connection) -> None:
    kept = {row.alert: row for row in queue.execute(alert_rows.select())}
    queue.execute(delete(alert_rows))
    assert len(places(queue).rows) == 100
    assert places(queue, channel="mail").total == 0
    while fill_rows(queue, limit=100):
        pass
    now = {row.alert: row for row in queue.execute(alert_rows.select())}
    assert now.keys() == kept.keys()
    for number, row in now.items():
        assert (row.channels, row.rules, row.words) == (
            kept[number].channels, kept[number].rules, kept[number].words,
        )  # fmt: skip


def test_filters_stand_in_the_address_and_nonsense_counts_as_nothing() -> None:
    query = (
        "status=closed&severity=critical&severity=high&channel=mail&policy=r-1&owner=none&agent=H-1&text=a+b"
        "&leavers=1&since=2026-11-01&until=2026-11-20&sort=last"
    )
    assert read_filter(QueryParams(read_filter(QueryParams(query)).query())) == read_filter(
        QueryParams(query)
    )
    assert read_filter(QueryParams(query)).query() == query
    odd = (
        "status=x&severity=x&channel=x&owner=a,b&agent=%00&text=%00&since=x&until=9999-99-99&sort=x&leavers=2"
    )
    assert read_filter(QueryParams(odd)) == QueueFilter()
    assert QueueFilter().query() == ""
    for bad in ("", "1", "1.2", "a.b.c", "1.2.-3", "1.2.3.4", "9" * 40 + ".1.1", "¹.1.1"):
        assert read_cursor(bad) is None
    assert read_cursor(Cursor(1, 2, 3).text()) == Cursor(1, 2, 3)


def test_views_are_kept_for_each_account_by_itself(queue: Connection) -> None:
    wanted = QueueFilter(severity=(Severity.HIGH,), text="a & b")
    saved = save_view(queue, "omar", "  My  view ", wanted, actor="user:omar", at=NOW)
    save_view(queue, "omar", "My view", QueueFilter(owner="me"), actor="user:omar", at=NOW)
    save_view(queue, "eve", "My view", wanted, actor="user:eve", at=NOW)
    (view,) = saved_of(queue, "omar")
    assert (view.name, view.query) == ("My view", "owner=me")
    assert saved.query == "severity=high&text=a+%26+b"
    (other,) = saved_of(queue, "eve")
    assert not delete_view(queue, "omar", other.id, actor="user:omar", at=NOW)
    assert delete_view(queue, "eve", other.id, actor="user:eve", at=NOW)
    for name in ("", "x" * 81, "a\x00b"):
        with pytest.raises(ViewRefused, match="name"):
            save_view(queue, "omar", name, wanted, actor="user:omar", at=NOW)
    for number in range(VIEWS_MAX - 1):
        save_view(queue, "omar", f"view {number}", wanted, actor="user:omar", at=NOW)
    with pytest.raises(ViewRefused, match="at most"):
        save_view(queue, "omar", "one more", wanted, actor="user:omar", at=NOW)


def test_the_state_of_an_empty_queue(database: Database) -> None:
    with database.read() as connection:
        state = read_state(connection, since=NOW - DAY_MS, now=NOW)
    assert (state.ever, state.closed_today, state.heard) == (False, 0, None)


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    "wanted",
    [{}, {"leavers": True}, {"text": "removable"}, {"text": "P-7"}, {"channel": "mail", "text": "9"}],
)
def test_no_filter_looks_up_each_alert_that_may_fit(queue: Connection, wanted: dict[str, object]) -> None:
    plans: list[str] = []

    def note(_c: Connection, _cursor: object, statement: str, given: object, _x: object, _m: object) -> None:
        if statement.startswith("SELECT alerts.id, alerts.score, alerts.last_time \nFROM alerts"):
            rows = queue.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", given)  # type: ignore[arg-type]
            plans.append("\n".join(row[-1] for row in rows))

    event.listen(queue, "after_cursor_execute", note)
    read_places(queue, asked(queue, **wanted))
    event.remove(queue, "after_cursor_execute", note)
    assert plans
    for plan in plans:
        assert "COVERING INDEX ix_alerts_by_score" in plan, plan
        assert "MULTI-INDEX OR" not in plan, plan


@pytest.mark.databases("sqlite")
def test_how_many_agents_there_are_is_told_without_what_they_said(queue: Connection) -> None:
    query = "SELECT count(*), max(created_at) FROM agents"
    (row,) = queue.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}")
    assert "COVERING INDEX ix_agents_created" in row[-1]
