"""The printing collector beside a real CUPS: who printed how many pages, each job once, never its title."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.spool_segment import CURSOR_BYTES_MAX
from collectors.contract import Collector, Unsupported
from collectors.printing import LOST_LINES, MORE_PAGES, NO_PAGES, NOT_A_PAGE, PrintingCollector
from collectors.printing_config import PrintingConfig
from event_schema.codec import encode_event
from event_schema.ocsf_objects import Host, HostType, PeripheralType
from tests.collectors.collector_contract import CollectorContract
from tests.collectors.drives import needs_root, open_folder
from tests.collectors.observing import Observing
from tests.cups_server.server import CupsServer

HOST = Host(hostname="printserver", type_id=HostType.SERVER)
TITLE = 'x 7 [22/Nov/2026:11:06:31 +0000] total 999 "secret" title'
JOBS = (("lin", 5, 2), ("wang", 1, 1), ("lin", 12, 1), ("wang fang", 3, 4), ("lin", 1, 30), ("wang", 40, 1))
"""User, pages, copies."""


def collector_of(page_log: Path, **settings: object) -> PrintingCollector:
    settings = {"quiet_s": 0.3, **settings}
    return PrintingCollector(PrintingConfig(enabled=True, page_log=str(page_log), **settings), HOST, "0.1.0")  # type: ignore[arg-type]


def printed(observing: Observing) -> list[tuple[str | None, str, int]]:
    """User, printer, pages."""
    found = []
    for event in observing.devices():
        assert event.actor.user is not None
        assert event.unmapped.print_job is not None
        assert event.peripheral_device.type_id is PeripheralType.PRINTER
        found.append((event.actor.user.name, event.peripheral_device.name, event.unmapped.print_job.pages))
    return found


def unmet(collector: PrintingCollector) -> list[str]:
    return [each.text for each in collector.advice() if not each.is_met]


def line(user: str, job: int, page: str, copies: int, title: str = "t") -> str:
    return f"p1 {user} {job} [22/Nov/2026:11:06:31 +0000] {page} {copies} - localhost {title} - -\n"


def write(log: Path, *lines: str) -> None:
    with log.open("a", encoding="utf-8") as file:
        file.writelines(lines)


@pytest.fixture(scope="module")
def server() -> Iterator[CupsServer]:
    with open_folder() as folder:
        made = CupsServer(folder / "cups")
        yield made
        made.stop()


@pytest.mark.root
@needs_root
class TestPrintingContract(CollectorContract):
    """On a real page_log."""

    @pytest.fixture
    def collector(self, server: CupsServer) -> Iterator[Collector]:
        self._server = server
        made = collector_of(server.page_log)
        yield made
        made.close()

    def act(self, number: int) -> None:
        self._server.print_pages("lin", number)
        self._server.wait_until_idle()


@pytest.mark.root
@needs_root
def test_each_job_is_told_once_with_its_user_printer_and_pages_with_copies(server: CupsServer) -> None:
    with Observing(collector_of(server.page_log)) as observing:
        for user, pages, copies in JOBS:
            server.print_pages(user, pages, copies=copies, title=TITLE)
        server.wait_until_idle()
        server.restart()
        server.print_pages("lin", 2, printer="raw", title=TITLE)
        server.wait_until_idle()
        observing.wait_for(lambda: len(observing.events) > len(JOBS), 30, "all jobs")
        observing.settle(1)
        assert observing.collector.dropped() == {}
    wanted = [(user, "counting", pages * copies) for user, pages, copies in JOBS]
    assert Counter(printed(observing)) == Counter([*wanted, ("lin", "raw", 0)])
    assert [event.unmapped.evidence.gap for event in observing.devices() if event.unmapped.evidence.gap] == [
        NO_PAGES
    ]
    for event in observing.events:
        assert b"title" not in encode_event(event)
        assert b"999" not in encode_event(event)


@pytest.mark.root
@needs_root
def test_doctor_is_told_whether_pages_are_logged_and_in_which_form(
    server: CupsServer, tmp_path: Path
) -> None:
    conf = tmp_path / "cupsd.conf"

    def told() -> list[str]:
        return unmet(collector_of(server.page_log, cupsd_conf=str(conf)))

    server.print_pages("lin", 1)
    server.wait_until_idle()
    assert unmet(collector_of(server.page_log, cupsd_conf=str(server.cupsd_conf))) == []
    conf.write_text("PageLogFormat\n")
    assert "is empty" in told()[0]
    conf.write_text('PageLogFormat "%u %p"\n')
    assert "PageLogFormat %p %u %j %T %P %C" in told()[0]
    conf.write_text("PageLogFormat %p %u %j %T %P %C\n")
    assert told() == []
    is_well = collector_of(server.page_log, cupsd_conf=str(conf)).advice()
    assert is_well[-1].text == f"%p %u %j %T %P %C, in {conf}"
    (missing,) = unmet(collector_of(tmp_path / "none", cupsd_conf=str(conf)))
    assert f"not there yet: set PageLog in {tmp_path / 'cups-files.conf'}" in missing
    with pytest.raises(Unsupported, match="page_log"):
        PrintingCollector(PrintingConfig(), HOST, "0").check_supported()


@pytest.mark.root
@needs_root
def test_an_empty_form_logs_nothing_and_the_recommended_one_leaves_titles_out() -> None:
    with open_folder() as folder:
        for name, form, wanted in (("a", "", []), ("b", "%p %u %j %T %P %C", [("lin", "counting", 6)])):
            server = CupsServer(folder / name, form)
            try:
                with Observing(collector_of(server.page_log)) as observing:
                    server.print_pages("lin", 3, copies=2, title=TITLE)
                    server.wait_until_idle()
                    observing.settle(1)
                assert printed(observing) == wanted
                if wanted:
                    assert "secret" not in server.page_log.read_text()
            finally:
                server.stop()


def test_pages_of_the_older_form_are_summed_and_a_total_holds_over_them(tmp_path: Path) -> None:
    log = tmp_path / "page_log"
    log.touch()
    with Observing(collector_of(log, quiet_s=0.8)) as observing:
        write(log, line("lin", 1, "1", 2), line("lin", 1, "2", 2), line("lin", 2, "1", 1))
        write(log, line("lin", 2, "2", 1), line("lin", 2, "total", 2))
        observing.wait_for(lambda: len(observing.events) == 2, 10, "two jobs")
        write(log, line("lin", 1, "3", 2), line("lin", 2, "total", 3))
        observing.wait_for(lambda: len(observing.events) == 4, 10, "the rest")
    assert printed(observing) == [("lin", "p1", 4), ("lin", "p1", 2), ("lin", "p1", 2), ("lin", "p1", 3)]
    assert [event.unmapped.evidence.gap for event in observing.devices()] == [
        None,
        None,
        MORE_PAGES,
        MORE_PAGES,
    ]


def test_from_any_cursor_nothing_is_lost_or_doubled_even_where_many_print_at_once(tmp_path: Path) -> None:
    log = tmp_path / "page_log"
    log.touch()
    with Observing(collector_of(log)) as observing:
        for turn in range(3):
            write(log, *(line(f"u{turn}", turn * 100 + job, "total", job) for job in range(1, 41)))
            observing.settle(0.5)
            log.rename(tmp_path / f"page_log.{3 - turn}")
            log.touch()
        observing.wait_for(lambda: len(observing.events) == 120, 10, "all")
        assert observing.collector.dropped() == {}
    whole = printed(observing)
    assert sum(pages for _, _, pages in whole) == 3 * 820
    for stop_at in (0, 3, 39, 40, 90, 119):
        with Observing(collector_of(log), observing.observations[stop_at].cursor) as again:
            again.settle(1)
        assert Counter(whole[: stop_at + 1] + printed(again)) == Counter(whole), stop_at


def test_jobs_under_very_long_names_fit_into_a_cursor_too(tmp_path: Path) -> None:
    log = tmp_path / "page_log"
    log.touch()
    with Observing(collector_of(log, quiet_s=60)) as observing:
        write(log, *(line("𝕝" * 127 + f"{job}", job, "total", job) for job in range(1, 9)))
        observing.wait_for(lambda: len(observing.events) > 3, 10, "what does not fit")
        cursor = str(observing.observations[-1].cursor)
        told = printed(observing)
        observing.settle(0.5)
    assert len(cursor.encode()) < CURSOR_BYTES_MAX
    with Observing(collector_of(log), cursor) as again:
        again.settle(1)
    assert sorted(pages for _, _, pages in told + printed(again)) == list(range(1, 9))


def test_hostile_lines_are_counted_and_what_is_between_them_is_read(tmp_path: Path) -> None:
    log = tmp_path / "page_log"
    log.touch()
    good = line("lin", 1, "total", 7).encode()
    hostile = (
        b"\xff\xfe\x00\n",
        b"x" * 2_000_000 + b"\n",
        b"p1 lin 1 [99/Foo/2026:11:06:31 +0000] total 1\n",
        b"p1 lin 1 [31/Feb/2026:11:06:31 +0000] total 1\n",
        b"p1 lin 1 [22/Nov/2026:11:06:31 +0000] total 99999999999\n",
        b"p1  [22/Nov/2026:11:06:31 +0000] total 1\n",
    )
    with Observing(collector_of(log)) as observing:
        with log.open("ab") as file:
            file.write(
                b"".join(hostile) + b"\x1b[31m evil\xff\x1b 2 [22/Nov/2026:11:06:31 +0000] total 3\n" + good
            )
        observing.wait_for(lambda: len(observing.events) == 2, 10, "two jobs")
        log.write_bytes(b"")
        observing.settle(0.5)
        dropped = dict(observing.collector.dropped())
    assert dropped.pop(LOST_LINES, 0) <= 1
    assert dropped == {NOT_A_PAGE: 5, "lines of page_log that are too long": 1}
    assert printed(observing) == [("evil\\xff\\x1b", "\\x1b[31m", 3), ("lin", "p1", 7)]
