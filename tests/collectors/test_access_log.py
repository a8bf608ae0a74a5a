"""The access_log collector on a real nginx with an application behind it, and the mission's cases."""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent.spool_segment import CURSOR_BYTES_MAX
from collectors.access_log import AccessLogCollector, AccessLogConfig
from collectors.access_log_config import SOURCES_MAX
from collectors.contract import Advice, Collector, Observation, Unsupported
from event_schema.codec import encode_event
from event_schema.ocsf_account_events import ApiActivity, Outcome
from event_schema.ocsf_events import Event
from event_schema.ocsf_objects import Host, HostType
from tests.back_office.acts import SECRET, acts_source, order
from tests.back_office.office import BackOffice
from tests.collectors.collector_contract import CollectorContract
from tests.collectors.observing import Observing

pytestmark = pytest.mark.long
HOST = Host(hostname="web-1", type_id=HostType.SERVER)
HOME, ABROAD = "198.51.100.7", "203.0.113.66"


@pytest.fixture(scope="module")
def office() -> Iterator[BackOffice]:
    # Not in pytest's folder, which is root's alone: nginx works as nobody.
    folder = Path(tempfile.mkdtemp(prefix="leaver-back-office-"))
    folder.chmod(0o755)
    office = BackOffice(folder)
    yield office
    office.stop()
    shutil.rmtree(folder, ignore_errors=True)


def combined_source(path: Path, *rules: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": "shop", "path": str(path), "format": "combined", "rules": list(rules), **more}


ORDERED = {"action": "ordered", "activity": "create", "method": ["POST"], "path": "/orders/manual"}
VIEWED = {"action": "viewed", "activity": "read", "path": "/pages/.*", "aggregate_s": 60}


def collector_of(*sources: dict[str, Any]) -> AccessLogCollector:
    config = msgspec.convert({"enabled": True, "sources": list(sources)}, AccessLogConfig)
    return AccessLogCollector(config, HOST, "0")


def acts(events: list[Event]) -> list[ApiActivity]:
    assert all(isinstance(event, ApiActivity) for event in events)
    return [event for event in events if isinstance(event, ApiActivity)]


def who(event: ApiActivity) -> str | None:
    return None if event.actor.user is None else event.actor.user.name


def what(event: ApiActivity) -> str | None:
    return None if event.resources is None else event.resources[0].name


class TestContract(CollectorContract):
    @pytest.fixture
    def collector(self, office: BackOffice) -> Iterator[Collector]:
        self.office = office
        collector = collector_of(
            combined_source(office.combined, ORDERED), acts_source(office.acts, name="acts")
        )
        yield collector
        collector.close()

    def act(self, number: int) -> None:
        assert order(self.office, number, "kefu", HOME, datetime.now(UTC)) == 201


def test_153_manual_orders_in_four_days_by_the_shared_account_are_153_events(office: BackOffice) -> None:
    """Case 2 of the mission: a clerk who left uses the brand's shared login from where it was never used."""
    began = datetime(2026, 11, 18, 9, tzinfo=UTC)
    with Observing(collector_of(acts_source(office.acts))) as observing:
        assert order(office, 1, "kefu", HOME, began - timedelta(days=3), "till-2") == 201
        for number in range(153):
            at = began + timedelta(days=number % 4, minutes=number)
            assert order(office, 1_000 + number, "kefu", ABROAD, at) == 201
            if number % 10 == 0:
                assert office.ask("GET", f"/pages/{number}?{SECRET}") == 200
                # Attempts with a wrong password create nothing.
                assert order(office, number, "lin", ABROAD, at) == 403
        observing.wait_for(lambda: len(observing.events) >= 154, 20, "orders")
        observing.settle(0.5)
    first, *found = acts(observing.events)
    assert (who(first), first.src_endpoint.ip, first.src_endpoint.uid, what(first)) == (
        "kefu",
        HOME,
        "till-2",
        "M-0001",
    )
    assert len(found) == 153
    assert {(who(e), e.src_endpoint.ip, e.api.operation, e.status_id) for e in found} == {
        ("kefu", ABROAD, "manual_order_created", Outcome.SUCCESS)
    }
    assert {what(event) for event in found} == {f"M-{1_000 + number:04}" for number in range(153)}
    days = Counter(datetime.fromtimestamp(event.time / 1000, UTC).date().isoformat() for event in found)
    assert days == {"2026-11-18": 39, "2026-11-19": 38, "2026-11-20": 38, "2026-11-21": 38}
    assert SECRET.encode() not in b"".join(map(encode_event, observing.events))


def test_an_enquiry_that_is_opened_months_after_leaving_is_told_with_who_and_which(
    office: BackOffice,
) -> None:
    """Case 1 of the mission: a former employer's enquiries, opened by a former supervisor's account."""
    at = datetime(2026, 6, 1, 22, tzinfo=UTC)
    headers = {"x-user": "old.team", "x-password": "qq", "x-forwarded-for": ABROAD}
    with Observing(collector_of(acts_source(office.acts))) as observing:
        for number in range(6):
            now = str(int((at + timedelta(days=30 * number)).timestamp() * 1000))
            path = f"/enquiries/{4_711 + number}?{SECRET}"
            assert office.ask("GET", path, {**headers, "x-test-time": now}) == 200
        refused = {**headers, "x-password": "changed"}
        assert office.ask("GET", "/enquiries/9", refused) == 403
        assert office.ask("GET", f"/customers/export?rows=6321&{SECRET}", headers) == 200
        observing.wait_for(lambda: len(observing.events) >= 8, 20, "acts")
    found = acts(observing.events)
    opened, (last, exported) = found[:6], found[6:]
    assert [what(event) for event in opened] == [str(4_711 + number) for number in range(6)]
    assert {(who(e), e.src_endpoint.ip, e.api.operation) for e in opened} == {
        ("old.team", ABROAD, "enquiry_opened")
    }
    assert [event.time for event in opened] == [
        int((at + timedelta(days=30 * number)).timestamp() * 1000) for number in range(6)
    ]
    assert (who(last), what(last), last.status_id) == (None, "9", Outcome.FAILURE)
    assert (who(exported), what(exported), exported.count) == ("old.team", "customers", 6321)


def test_nginx_rotates_its_logs_and_no_line_is_lost_or_told_twice(office: BackOffice) -> None:
    json_rules = [{**ORDERED, "action": "ordered_json", "outcome": "success"}]
    fields = {"address": "remote_addr", "path": "uri"}
    collector = collector_of(
        combined_source(office.combined, ORDERED, name="combined"),
        {"name": "json", "path": str(office.json), "format": "json", "fields": fields, "rules": json_rules},
    )
    before = datetime.now(UTC)
    with Observing(collector) as observing:
        for number in range(90):
            if number in (30, 60):
                office.rotate()
            assert order(office, number, "kefu", HOME, before) == 201
        observing.wait_for(lambda: len(observing.events) >= 180, 20, "orders")
        observing.settle(0.5)
    found = acts(observing.events)
    assert Counter(event.api.operation for event in found) == {"ordered": 90, "ordered_json": 90}
    assert {(who(event), event.src_endpoint.ip) for event in found} == {("kefu", "127.0.0.1")}
    assert all(abs(event.time / 1000 - before.timestamp()) < 60 for event in found)
    assert not collector.dropped()


def test_page_views_are_put_together_and_orders_are_not(office: BackOffice) -> None:
    with Observing(collector_of(combined_source(office.combined, VIEWED, ORDERED))) as observing:
        for number in range(40):
            assert office.ask("GET", f"/pages/{number}", {"x-user": "lin"}) == 200
        for number in range(3):
            assert order(office, number, "kefu", HOME, datetime.now(UTC)) == 201
        observing.wait_for(lambda: len(observing.events) >= 4, 20, "acts")
    found = [(event.api.operation, who(event), event.count) for event in acts(observing.events)]
    assert found == [("viewed", "lin", None), *[("ordered", "kefu", None)] * 3, ("viewed", "lin", 39)]


def combined_line(at: datetime, request: str, address: str = HOME, forwarded: str = "-") -> str:
    when = at.strftime("%d/%b/%Y:%H:%M:%S %z")
    return f'{address} - lin [{when}] "{request}" 200 5 "-" "curl" "{forwarded}"\n'


def begun(*sources: dict[str, Any], cursor: str | None = None) -> Callable[[], list[Observation]]:
    """Begins to observe; the call ends it when nothing more comes."""
    stop = threading.Event()
    turns = collector_of(*sources).observe(cursor, stop)
    found = [turn for turn in [next(turns)] if turn is not None]

    def finish() -> list[Observation]:
        quiet = 0
        while quiet < 2:
            turn = next(turns)
            quiet = quiet + 1 if turn is None else 0
            found.extend([] if turn is None else [turn])
        stop.set()
        return found + [turn for turn in turns if turn is not None]

    return finish


def test_resumed_after_any_event_nothing_is_lost_and_nothing_told_twice(tmp_path: Path) -> None:
    first, second = tmp_path / "first.log", tmp_path / "second.log"
    sources = (
        combined_source(first, VIEWED, ORDERED, name="first"),
        combined_source(second, VIEWED, ORDERED, name="second"),
    )
    for log in (first, second):
        log.touch()
    finish = begun(*sources)
    at = datetime(2026, 11, 22, 8, tzinfo=UTC)
    for log in (first, second):
        lines = [
            combined_line(
                at + timedelta(seconds=7 * n),
                f"GET /pages/{n} HTTP/1.1" if n % 3 else "POST /orders/manual HTTP/1.1",
            )
            for n in range(60)
        ]
        log.write_text("".join(lines))
    whole = finish()
    total = _counted(whole)
    assert total == {
        ("first", "viewed"): 40,
        ("first", "ordered"): 20,
        ("second", "viewed"): 40,
        ("second", "ordered"): 20,
    }
    for place in range(0, len(whole), 5):
        rest = begun(*sources, cursor=whole[place].cursor)()
        assert _counted([*whole[: place + 1], *rest]) == total, place


def _counted(observations: list[Observation]) -> Counter[tuple[str, str]]:
    found: Counter[tuple[str, str]] = Counter()
    for event in acts([each.event for each in observations]):
        assert event.api.service is not None
        found[event.api.service.name, event.api.operation] += event.count or 1
    return found


def test_hostile_lines_are_counted_and_the_others_are_told(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.touch()
    collector = collector_of(combined_source(log, ORDERED))
    good = combined_line(datetime.now(UTC), "POST /orders/manual HTTP/1.1").encode()
    hostile = [
        b"\xff\xfe\x00 nothing\n",
        b"x" * 10_000_000 + b"\n",
        b'1.1.1.1 - - [99/Foo/2026:02:01:54 +0000] "GET / HTTP/1.1" 200 1 "-" "-"\n',
        b'1.1.1.1 - - [22/Nov/2026:02:01:54 +0000] "\\x16\\x03\\x01" 400 1 "-" "-"\n',
        b'1.1.1.1 - \x1b[31m\xe9 [22/Nov/2026:02:01:54 +0000] "POST /orders/manual HTTP/1.1" 200 1 "-" "-"\n',
        b'1.1.1.1 - - [22/Nov/2026:02:01:54 +0000] "' + b"\\\\" * 60_000 + b"\n",
        b'1.1.1.1 - - [22/Nov/2026:02:01:54 +0000] "POST /' + b"a/" * 5_000 + b' HTTP/1.1" 200 1 "-" "-"\n',
    ]
    began = time.process_time()
    with Observing(collector) as observing:
        log.write_bytes(good + b"".join(line + good for line in hostile))
        observing.wait_for(lambda: len(observing.events) >= 9, 20, "orders")
        observing.settle(0.5)
    assert time.process_time() - began < 20
    names = Counter(who(event) for event in acts(observing.events))
    assert names == {"lin": 8, "\\x1b[31m\\xe9": 1}
    assert collector.dropped() == {
        "shop: a line that cannot be read: not in the combined format": 2,
        "shop: a line that cannot be read: its time is not as nginx and Apache write it": 1,
        "shop: a line that is too long": 1,
    }


def test_one_log_that_is_none_keeps_no_other_from_being_read(tmp_path: Path) -> None:
    log, folder = tmp_path / "a.log", tmp_path / "folder"
    log.touch()
    folder.mkdir()
    below = log / "b.log"
    collector = collector_of(
        combined_source(folder, ORDERED, name="folder"),
        combined_source(below, ORDERED, name="below"),
        combined_source(log, ORDERED),
    )
    collector.check_supported()
    assert {each.about: each.text for each in collector.advice()} == {
        "folder": f"{folder} is no file",
        "below": f"{below} is not there (yet)",
    }
    good = combined_line(datetime.now(UTC), "POST /orders/manual HTTP/1.1")
    with Observing(collector) as observing:
        log.write_text(good)
        observing.wait_for(lambda: len(observing.events) == 1, 20, "order")
        assert "folder: " in (collector.detail() or "")
        folder.rmdir()
        folder.write_text(good)
        observing.wait_for(
            lambda: f"{folder} cannot" not in (collector.detail() or ""), 60, "look at the new file"
        )
        observing.settle(0.5)
        with folder.open("a") as late:
            late.write(good)
        observing.wait_for(lambda: len(observing.events) >= 2, 20, "order in the other log")


def test_a_log_that_jumps_back_tells_each_act_once_whenever_it_is_resumed(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.touch()
    finish = begun(combined_source(log, VIEWED, ORDERED))
    at = datetime(2027, 1, 1, tzinfo=UTC)
    seconds = [*range(-20, 20), *range(-4_000, -3_960), *range(20, 40)]
    requests = ["GET /pages/1 HTTP/1.1", "POST /orders/manual HTTP/1.1"]
    lines = [combined_line(at + timedelta(seconds=s), requests[s % 2]) for s in seconds]
    lines.insert(30, "nothing\n")
    log.write_text("".join(lines))
    whole = finish()
    total = _counted(whole)
    assert total == {("shop", "viewed"): 50, ("shop", "ordered"): 50}
    for place, each in enumerate(whole):
        rest = begun(combined_source(log, VIEWED, ORDERED), cursor=each.cursor)()
        assert _counted([*whole[: place + 1], *rest]) == total, place


def test_the_places_in_as_many_logs_as_can_be_set_fit_into_one_cursor(tmp_path: Path) -> None:
    sources = []
    for number in range(SOURCES_MAX):
        log = tmp_path / f"{number}.log"
        log.write_text("x" * 600 + "\n")
        sources.append(combined_source(log, VIEWED, ORDERED, name=f"{number:032}"))
    finish = begun(*sources)
    for source in sources:
        with Path(source["path"]).open("a") as file:
            file.write(combined_line(datetime.now(UTC), "POST /orders/manual HTTP/1.1"))
    found = finish()
    assert len(found) == SOURCES_MAX
    # With the largest numbers that a disk can bring.
    assert max(len(each.cursor or "") for each in found) + SOURCES_MAX * 40 < CURSOR_BYTES_MAX


def test_without_a_source_it_says_how_to_describe_one() -> None:
    with pytest.raises(
        Unsupported, match=r"say what its lines mean in \[\[collectors.access_log.sources\]\]"
    ):
        collector_of().check_supported()


def test_logs_that_are_not_there_are_told(tmp_path: Path) -> None:
    there, missing = tmp_path / "a.log", tmp_path / "b.log"
    there.touch()
    with pytest.raises(Unsupported, match=r"b\.log is not there"):
        collector_of(combined_source(missing, ORDERED)).check_supported()
    both = collector_of(combined_source(there, ORDERED), combined_source(missing, ORDERED, name="other"))
    both.check_supported()
    assert both.advice() == [Advice("other", is_met=False, text=f"{missing} is not there (yet)")]
