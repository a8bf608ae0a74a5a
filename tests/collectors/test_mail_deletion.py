"""Messages of the archive are deleted once nothing can need them any more, beside a real Postfix."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from collectors.mail_archive import ArchiveCursor, Maildir
from collectors.mail_deletion import TOO_MANY, MailDeletion
from tests.collectors.drives import needs_root, open_folder
from tests.collectors.mail_lab import collector_of, mail
from tests.collectors.observing import Observing
from tests.postfix_server.server import OWN, MailServer

pytestmark = [pytest.mark.long, pytest.mark.root, needs_root]


@pytest.fixture(scope="module")
def server() -> Iterator[MailServer]:
    with open_folder() as folder:
        made = MailServer(folder / "postfix")
        yield made
        made.stop()


def new_in(server: MailServer, there: set[Path]) -> int:
    return len(set((server.archive / "new").glob("*")) - there)


def test_messages_are_deleted_when_their_event_is_on_disk_and_not_before(server: MailServer) -> None:
    there = set((server.archive / "new").glob("*"))
    collector = collector_of(server, delete_after_reading=True)
    saved: list[str | None] = [None]
    with Observing(collector, saved=lambda: saved[0]) as observing:
        server.send(mail(f"boss@{OWN}", ("a.zip", b"abc")), f"boss@{OWN}")
        server.wait_until_idle()
        observing.wait_for(lambda: new_in(server, there) == 0, 20, "deletion of what stays in the house")
        server.send(mail("x@163.com", ("a.zip", b"abc")), "x@163.com")
        observing.wait_for(lambda: len(observing.events) > 0, 20, "the mail")
        server.send(mail(f"boss@{OWN}", ("a.zip", b"abc")), f"boss@{OWN}")
        server.wait_until_idle()
        observing.settle(1)
        assert new_in(server, there) == 2, "the agent may die now, and tells the first mail again then"
        saved[0] = observing.observations[-1].cursor
        observing.wait_for(lambda: new_in(server, there) == 0, 20, "deletion")
    assert set((server.archive / "new").glob("*")) == there, "what was read before stays"


def test_what_was_left_undeleted_goes_at_the_next_start(server: MailServer) -> None:
    there = set((server.archive / "new").glob("*"))
    with Observing(collector_of(server, delete_after_reading=True)) as observing:
        for number in range(3):
            server.send(mail("x@163.com", (f"{number}.zip", b"abc")), "x@163.com")
        observing.wait_for(lambda: len(observing.events) == 3, 20, "the mails")
    cursor = observing.observations[1].cursor
    again = collector_of(server, delete_after_reading=True)
    with Observing(again, cursor, saved=lambda: cursor) as resumed:
        resumed.wait_for(lambda: len(resumed.events) == 1, 20, "the third")
        resumed.wait_for(lambda: new_in(server, there) == 1, 20, "deletion of the first two")
        resumed.settle(0.5)
        assert new_in(server, there) == 1, "the third one's event is not on disk"


def test_what_waits_for_its_deletion_is_bounded_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collectors.mail_deletion.WAITING_MAX", 3)
    (tmp_path / "new").mkdir()
    archive = Maildir(tmp_path, ArchiveCursor((0, "")))
    deletion = MailDeletion(archive, None, ())
    for at in range(1, 6):
        (tmp_path / "new" / str(at)).touch()
        os.utime(tmp_path / "new" / str(at), ns=(at, at))
    deletion.settled(archive.new(), "cursor")
    deletion.saved("another")
    assert len(list((tmp_path / "new").iterdir())) == 5
    deletion.saved("cursor")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["1", "2"]
    assert deletion.dropped() == {TOO_MANY: 2}
