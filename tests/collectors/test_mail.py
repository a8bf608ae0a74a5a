"""The mail collector beside a real Postfix: each mail that leaves once, by whom, with its attachments."""

from __future__ import annotations

import json
import os
import pwd
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from agent.spool_segment import CURSOR_BYTES_MAX
from collectors.contract import Collector, Unsupported
from collectors.mail import LOST_LINES, NO_ARCHIVE, NO_LOG
from collectors.mail_config import MailConfig
from collectors.mail_join import NOT_ARCHIVED, NOT_LOGGED, SENT_LATER
from event_schema.codec import encode_event
from tests.collectors.collector_contract import CollectorContract
from tests.collectors.drives import needs_root, open_folder
from tests.collectors.mail_lab import SECRET, as_seen, collector_of, files_of, mail, mails
from tests.collectors.observing import Observing
from tests.postfix_server.server import OWN, MailServer

pytestmark = [pytest.mark.long, pytest.mark.root, needs_root]
MAILS = 100


@pytest.fixture(scope="module")
def server() -> Iterator[MailServer]:
    with open_folder() as folder:
        made = MailServer(folder / "postfix")
        yield made
        made.stop()


@pytest.fixture(scope="module")
def mbox_server() -> Iterator[MailServer]:
    with open_folder() as folder:
        made = MailServer(folder / "postfix", archive="archive", tells_login=False)
        made.send(mail(f"boss@{OWN}"), f"boss@{OWN}")
        made.wait_until_idle()
        yield made
        made.stop()


class TestMailContract(CollectorContract):
    """With both halves."""

    @pytest.fixture
    def collector(self, server: MailServer) -> Iterator[Collector]:
        self._server = server
        made = collector_of(server, join_wait_s=1.0)
        yield made
        made.close()

    def act(self, number: int) -> None:
        self._server.send(mail("x@gmail.com", (f"{number}.zip", b"x")), "x@gmail.com")
        self._server.wait_until_idle()


class TestMboxWithoutLogContract(CollectorContract):
    """With an mbox alone."""

    @pytest.fixture
    def collector(self, mbox_server: MailServer) -> Iterator[Collector]:
        self._server = mbox_server
        made = collector_of(mbox_server, log="")
        yield made
        made.close()

    def act(self, number: int) -> None:
        for name in (f"{number}.zip", "next.zip"):
            self._server.send(mail("x@gmail.com", (name, b"x")), "x@gmail.com")
        self._server.wait_until_idle()


def test_a_hundred_mails_are_found_once_each_through_rotation_and_from_every_cursor(
    server: MailServer,
) -> None:
    dice = random.Random(7)
    names = ("customers.xlsx", "客户名单 2026.zip", "price list.pdf", "a.tar.gz", "crm.sql", "données.csv")
    done: list[tuple[str, tuple[str, ...], list[tuple[str, int, str]]]] = []
    with Observing(collector_of(server)) as observing:
        for number in range(MAILS):
            files = [
                (f"{number} {dice.choice(names)}", dice.randbytes(dice.choice((1, 500, 40_000, 1_000_000))))
                for _ in range(dice.choice((0, 1, 1, 2)))
            ]
            outside = dice.sample(
                ["a@gmail.com", "b@163.com", "c@rival.example", "d@gmail.com"], dice.randint(1, 3)
            )
            inside = dice.sample([f"boss@{OWN}", f"lin@{OWN}"], dice.randint(0, 2))
            user = dice.choice(["lin", "wang", None])
            leaves = number % 5 != 4
            recipients = [*outside, *inside] if leaves else [f"boss@{OWN}"]
            server.send(mail(", ".join(recipients[:2]), *files), *recipients, sender=f"lin@{OWN}", user=user)
            if leaves:
                domains = tuple(sorted({f"*@{address.partition('@')[2]}" for address in outside}))
                done.append((f"{user or 'lin'}@{OWN}", domains, [as_seen(*file) for file in files]))
            if number in {30, 60}:
                server.rotate()
        server.wait_until_idle()
        observing.wait_for(lambda: len(observing.events) >= len(done), 60, "all")
        observing.settle(2)
        assert observing.collector.dropped() == {}
    assert max(len(str(each.cursor)) for each in observing.observations) < CURSOR_BYTES_MAX
    found = mails(observing)
    assert sorted(
        (str(event.actor.user and event.actor.user.name), event.email.to, files_of(event)) for event in found
    ) == sorted(done)
    for event in found:
        assert SECRET.encode() not in encode_event(event)
        assert event.email.sender_address == f"lin@{OWN}"
        assert event.unmapped.evidence.gap is None
        is_free = {"*@gmail.com", "*@163.com"} & set(event.email.to)
        assert event.unmapped.transfer.category == ("webmail" if is_free else "other")
    whole = [encode_event(event) for event in found]
    for stop_at in (0, 24, 25, 50, len(found) - 1):
        with Observing(collector_of(server), observing.observations[stop_at].cursor) as again:
            again.wait_for(lambda: len(again.events) >= len(found) - 1 - stop_at, 60, "the rest")  # noqa: B023
            again.settle(1.5)
        assert [encode_event(event) for event in again.events] == whole[stop_at + 1 :], stop_at


def test_stopping_and_going_on_in_mid_stream_loses_and_doubles_nothing(server: MailServer) -> None:
    cursor: str | None = None
    seen: list[str] = []
    with Observing(collector_of(server)) as observing:
        server.send(mail("x@gmail.com", ("first", b"x")), "x@gmail.com")
        observing.wait_for(lambda: len(observing.events) == 1, 20, "the first")
    cursor = observing.observations[-1].cursor
    for turn in range(4):
        with Observing(collector_of(server), cursor) as observing:
            for number in range(5):
                server.send(mail("x@gmail.com", (f"{turn}-{number}", b"x")), "x@gmail.com")
        seen += [file[0] for event in mails(observing) for file in files_of(event)]
        cursor = observing.observations[-1].cursor if observing.observations else cursor
    server.wait_until_idle()
    with Observing(collector_of(server), cursor) as observing:
        observing.settle(2)
    seen += [file[0] for event in mails(observing) for file in files_of(event)]
    assert sorted(seen) == sorted(f"{turn}-{number}" for turn in range(4) for number in range(5))


def test_a_log_that_is_gone_after_a_restart_holds_up_nothing_that_comes_later(
    server: MailServer, tmp_path: Path
) -> None:
    log = tmp_path / "mail.log"
    log.touch()
    with Observing(collector_of(server, log=str(log), archive="")) as observing:
        server.send(mail("x@163.com"), "x@163.com", user="wang")
        server.wait_until_idle()
        log.write_bytes(b"".join(server.log.read_bytes().splitlines(keepends=True)[-12:]))
        observing.wait_for(lambda: len(observing.events) > 0, 20, "the mail")
    cursor = msgspec.json.decode(str(observing.observations[-1].cursor))
    log.unlink()
    log.write_text("another log\n")
    cursor["lines"] = 1_000
    with Observing(collector_of(server, log=str(log), archive=""), json.dumps(cursor)) as again:
        again.settle(0.5)
        server.send(mail("x@163.com"), "x@163.com", user="wang")
        server.wait_until_idle()
        with log.open("ab") as file:
            file.write(b"".join(server.log.read_bytes().splitlines(keepends=True)[-12:]))
        again.wait_for(lambda: len(again.events) > 0, 20, "the next mail")
        assert again.collector.dropped()[LOST_LINES] == 1


def test_mail_that_someone_sends_on_the_server_itself_names_the_account(server: MailServer) -> None:
    with Observing(collector_of(server)) as observing:
        subprocess.run(
            ["sendmail", "-C", str(server.folder / "etc"), "-f", f"boss@{OWN}", "x@gmail.com"],
            input=mail("x@gmail.com", ("a.zip", b"abc")).as_bytes(),
            check=True,
        )
        observing.wait_for(lambda: len(observing.events) > 0, 30, "the mail")
    (event,) = mails(observing)
    assert event.actor.user is not None
    uid = os.getuid()
    assert (event.actor.user.uid, event.actor.user.name) == (str(uid), pwd.getpwuid(uid).pw_name)
    assert event.unmapped.evidence.fidelity == "exact"
    assert files_of(event) == [as_seen("a.zip", b"abc")]


def test_the_log_alone_tells_of_a_mail_without_its_attachments_and_of_blind_copies(
    server: MailServer,
) -> None:
    with Observing(collector_of(server, archive="")) as observing:
        server.send(mail(f"boss@{OWN}", ("a.zip", b"abc")), f"boss@{OWN}", "blind@163.com", user="wang")
        observing.wait_for(lambda: len(observing.events) > 0, 20, "the mail")
    (event,) = mails(observing)
    assert (event.email.to, event.email.files, event.unmapped.evidence.gap) == (
        ("*@163.com",),
        None,
        NO_ARCHIVE,
    )
    assert event.email.size is not None


def test_the_archive_alone_tells_attachments_and_the_login_that_the_server_wrote_on_top(
    server: MailServer,
) -> None:
    with Observing(collector_of(server, log="")) as observing:
        server.send(mail("x@163.com", ("a.zip", b"abc")), "x@163.com", sender=f"boss@{OWN}", user="wang")
        server.send(mail(f"boss@{OWN}", ("a.zip", b"abc")), f"boss@{OWN}")
        observing.wait_for(lambda: len(observing.events) > 0, 20, "the mail")
        observing.settle(1.5)
    (event,) = mails(observing)
    assert event.actor.user is not None
    assert (event.actor.user.name, event.email.sender_address) == (f"wang@{OWN}", f"boss@{OWN}")
    assert event.unmapped.evidence.gap == NO_LOG
    assert event.unmapped.evidence.fidelity == "exact"
    assert files_of(event) == [as_seen("a.zip", b"abc")]


def test_an_mbox_and_the_log_are_joined_too(mbox_server: MailServer) -> None:
    server, done = mbox_server, []
    with Observing(collector_of(server)) as observing:
        for number in range(12):
            content = f"From nobody\nFrom {number}\n".encode() * number * 1000
            done.append(as_seen(f"{number}.txt", content))
            server.send(mail("x@163.com", (f"{number}.txt", content)), "x@163.com", user="wang")
        observing.wait_for(lambda: len(observing.events) >= len(done), 60, "all")
        observing.settle(1)
    told = [file for event in mails(observing) for file in files_of(event)]
    assert sorted(told) == sorted(done)
    assert {event.unmapped.evidence.gap for event in mails(observing)} == {None}
    for stop_at in (0, 5, 11):
        with Observing(collector_of(server), observing.observations[stop_at].cursor) as again:
            again.settle(2)
        assert [file for event in mails(again) for file in files_of(event)] == told[stop_at + 1 :]


def test_a_mail_that_is_not_archived_is_told_after_a_while_and_one_that_is_not_logged_too(
    server: MailServer, tmp_path: Path
) -> None:
    empty = tmp_path / "archive"
    with Observing(collector_of(server, archive=str(empty), join_wait_s=0.5)) as observing:
        server.send(mail("x@163.com", ("a.zip", b"abc")), "x@163.com")
        observing.wait_for(lambda: len(observing.events) > 0, 20, "the mail")
    assert [event.unmapped.evidence.gap for event in mails(observing)] == [NOT_ARCHIVED]
    (tmp_path / "log").touch()
    with Observing(collector_of(server, log=str(tmp_path / "log"), join_wait_s=0.5)) as observing:
        server.send(mail("x@163.com", ("a.zip", b"abc")), "x@163.com")
        observing.wait_for(lambda: len(observing.events) > 0, 20, "the mail")
    assert [event.unmapped.evidence.gap for event in mails(observing)] == [NOT_LOGGED]


def test_what_could_not_be_delivered_has_not_left_and_is_told_when_it_does(server: MailServer) -> None:
    with Observing(collector_of(server, join_wait_s=0.5)) as observing:
        server.stop_sink()
        server.send(mail("x@163.com", ("a.zip", b"abc")), "x@163.com", user="wang")
        observing.settle(3)
        assert observing.events == []
        server.start_sink()
        observing.wait_for(lambda: len(observing.events) > 0, 60, "the mail")
        server.wait_until_idle()
        observing.settle(1)
    (event,) = mails(observing)
    assert files_of(event) == [as_seen("a.zip", b"abc")]
    assert event.unmapped.evidence.gap is None
    assert SENT_LATER not in str(event)


def test_a_mail_that_waits_for_one_recipient_is_told_of_and_the_rest_when_it_went(
    server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collectors.mail_join.PARTIAL_AFTER_MS", 500)
    server.change("transport_maps = inline:{slow.example=smtp:[127.0.0.1]:9}")
    with Observing(collector_of(server)) as observing:
        server.send(mail("x@163.com", ("a.zip", b"abc")), "x@163.com", "y@slow.example", user="wang")
        observing.wait_for(lambda: len(observing.events) == 1, 30, "the first half")
    with Observing(collector_of(server), observing.observations[0].cursor) as again:
        again.settle(2)
        assert again.events == []
        server.change("transport_maps =")
        again.wait_for(lambda: len(again.events) > 0, 60, "the other half")
        server.wait_until_idle()
        again.settle(1)
    (first,), (later,) = mails(observing), mails(again)
    assert (first.email.to, later.email.to) == (("*@163.com",), ("*@slow.example",))
    assert (files_of(first), first.unmapped.evidence.gap) == ([as_seen("a.zip", b"abc")], None)
    assert later.unmapped.evidence.gap is not None
    assert SENT_LATER in later.unmapped.evidence.gap
    assert (later.actor, later.email.files) == (first.actor, None)


def test_it_says_what_it_needs_and_what_is_missing(server: MailServer, tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="own_domains"):
        collector_of(server, own_domains=()).check_supported()
    with pytest.raises(Unsupported, match="always_bcc"):
        collector_of(server, archive="", log="").check_supported()
    assert [each.is_met for each in collector_of(server).advice()] == [True, True]
    archive, log = collector_of(server, archive="", log=str(tmp_path / "none")).advice()
    assert (archive.is_met, log.is_met) == (False, False)
    assert "always_bcc" in archive.text
    assert "not there yet" in log.text
    with pytest.raises(ValueError, match="own_domains: 'a b'"):
        MailConfig(own_domains=("a b",))
