"""The mail collector on files as Postfix writes them: a backlog, and places that cannot be read."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from collectors.mail import MailCollector
from collectors.mail_config import MailConfig
from collectors.mail_join import NOT_ARCHIVED, NOT_LOGGED
from event_schema.ocsf_objects import Host, HostType
from event_schema.ocsf_transfer_events import EmailActivity
from tests.collectors.observing import Observing

HOST = Host(hostname="mx", type_id=HostType.SERVER)
MAILS = 300


def collector_of(folder: Path, **settings: object) -> MailCollector:
    places = {"archive": str(folder / "archive"), "log": str(folder / "mail.log"), **settings}
    config = MailConfig(enabled=True, own_domains=("firm.example",), **places)  # type: ignore[arg-type]
    return MailCollector(config, HOST, "0")


def lines_of(number: int) -> list[str]:
    queue_id = f"{number:010X}"
    sent = "relay=mx[192.0.2.1]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 OK)"
    return [
        f"smtpd[7]: {queue_id}: client=pc[192.0.2.7], sasl_method=PLAIN, sasl_username=lin@firm.example",
        f"qmgr[7]: {queue_id}: from=<lin@firm.example>, size=99, nrcpt=1 (queue active)",
        f"smtp[7]: {queue_id}: to=<x@n{number}.example>, {sent}",
        f"qmgr[7]: {queue_id}: removed",
    ]


def write(folder: Path, *lines: str) -> None:
    when = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
    with (folder / "mail.log").open("a", encoding="ascii") as log:
        log.writelines(f"{when} mx postfix/{line}\n" for line in lines)


def test_a_backlog_is_read_no_faster_than_it_is_told_and_told_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a day of standing still; each mail waits for its archived half, and none is there."""
    monkeypatch.setattr("collectors.mail_join.QUEUE_MAX", 50)
    for module in ("log_lines", "mail"):
        monkeypatch.setattr(f"collectors.{module}.READ_BYTES", 8 << 10)
    write(tmp_path)
    waited = [0]
    with Observing(collector_of(tmp_path, join_wait_s=0.5)) as observing:
        write(tmp_path, *(line for number in range(MAILS) for line in lines_of(number)))

        def is_all_told() -> bool:
            words = (observing.collector.detail() or "").split("; ")
            waited.extend(
                int(word.split()[0]) for word in words if word.endswith("wait for their other half")
            )
            return len(observing.events) == MAILS

        observing.wait_for(is_all_told, 60, "all mails")
        assert observing.collector.dropped() == {}
    assert 50 <= max(waited) < 100
    events = [event for event in observing.events if isinstance(event, EmailActivity)]
    assert [event.email.to for event in events] == [(f"*@n{number}.example",) for number in range(MAILS)]
    assert {event.unmapped.evidence.gap for event in events} == {NOT_ARCHIVED}


def archive(folder: Path, *numbers: int) -> None:
    for number in numbers:
        head = (
            f"Received: from pc (pc [192.0.2.7])\n\tby mx (Postfix) with ESMTPSA id {number:010X};\n\tnow\n"
        )
        text = f"{head}From: lin@firm.example\nTo: x@n{number}.example\n\nwords\n"
        (folder / "archive/new" / f"{number:06d}.mx").write_text(text, encoding="ascii")


def test_archived_mails_wait_for_a_log_that_is_behind_and_none_is_told_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those in front are in no archive, so that the log stands still for longer than a mail waits for it."""
    monkeypatch.setattr("collectors.mail_join.QUEUE_MAX", 50)
    for module in ("log_lines", "mail"):
        monkeypatch.setattr(f"collectors.{module}.READ_BYTES", 8 << 10)
    write(tmp_path)
    (tmp_path / "archive/new").mkdir(parents=True)
    (tmp_path / "archive/cur").mkdir()
    with Observing(collector_of(tmp_path, join_wait_s=0.5)) as observing:
        write(tmp_path, *(line for number in range(MAILS) for line in lines_of(number)))
        archive(tmp_path, MAILS - 1, MAILS, 2 * MAILS)
        observing.wait_for(lambda: len(observing.events) >= MAILS + 2, 60, "all mails")
        write(tmp_path, *lines_of(MAILS))
        observing.settle(1.5)
        assert observing.collector.dropped() == {}
    events = [event for event in observing.events if isinstance(event, EmailActivity)]
    gaps = {event.email.to[0]: event.unmapped.evidence.gap for event in events}
    assert len(events) == len(gaps) == MAILS + 2
    assert gaps[f"*@n{MAILS - 1}.example"] is None, "its log came late, and is waited for"
    assert gaps[f"*@n{MAILS}.example"] == NOT_LOGGED, "its log came after it was told"


def test_an_archived_mail_waits_for_the_whole_log_also_where_it_was_rotated_while_the_collector_stood_still(
    tmp_path: Path,
) -> None:
    """As where labels of the mail before took longer than a mail waits for its log."""
    write(tmp_path, *lines_of(1))
    (tmp_path / "archive/new").mkdir(parents=True)
    (tmp_path / "archive/cur").mkdir()
    stop = threading.Event()
    collector = collector_of(tmp_path, join_wait_s=2)
    turns = collector.observe(None, stop)
    assert next(turns) is None
    archive(tmp_path, 2)
    while "1 mails wait" not in (collector.detail() or ""):
        assert next(turns) is None
    write(tmp_path, "smtpd[7]: disconnect from pc[192.0.2.7]")
    (tmp_path / "mail.log").rename(tmp_path / "mail.log.1")
    write(tmp_path, *lines_of(2))
    time.sleep(2.2)
    limit = time.monotonic() + 10
    found = None
    while found is None and time.monotonic() < limit:
        found = next(turns)
    stop.set()
    list(turns)
    assert found is not None
    assert isinstance(found.event, EmailActivity)
    assert found.event.unmapped.evidence.gap is None
    assert found.event.actor.user is not None
    assert found.event.actor.user.name == "lin@firm.example"


def test_a_place_that_cannot_be_read_is_named_for_as_long_as_that_lasts(tmp_path: Path) -> None:
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive" / "cur").mkdir()
    write(tmp_path)
    with Observing(collector_of(tmp_path)) as observing:
        (tmp_path / "archive" / "new").symlink_to(tmp_path)

        def says_so() -> bool:
            return "the archive cannot be read" in (observing.collector.detail() or "")

        observing.wait_for(says_so, 10, "word of it")
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            assert says_so(), "it is as unreadable as before"
            time.sleep(0.05)
        (tmp_path / "archive" / "new").unlink()
        observing.wait_for(lambda: not says_so(), 10, "its end")
