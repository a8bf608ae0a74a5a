"""Maildir and mbox: each message once, whoever moves it, whatever else lies there."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from collectors.mail_archive import (
    DONE_MAX,
    LOST_PLACE,
    NOT_A_MESSAGE,
    ArchiveCursor,
    Archived,
    Maildir,
    Mbox,
    ReadMessages,
)

FROM_THE_BEGINNING = ArchiveCursor((0, ""))


def maildir(path: Path, resume: ArchiveCursor | None = FROM_THE_BEGINNING) -> Maildir:
    for part in ("new", "cur", "tmp"):
        (path / part).mkdir(exist_ok=True)
    return Maildir(path, resume)


def put(path: Path, name: str, at: int) -> None:
    (path / "new" / name).write_text(f"X: {name}\n\n")
    os.utime(path / "new" / name, ns=(at, at))


def names(archive: Maildir, messages: list[Archived]) -> list[str]:
    found = []
    for message in messages:
        with archive.open(message) as file:
            found.append(file.readline().decode().split()[1])
    return found


def test_messages_come_in_the_order_of_their_time_and_once(tmp_path: Path) -> None:
    archive = maildir(tmp_path)
    for name, at in (("b", 20), ("a", 10), ("c", 30)):
        put(tmp_path, name, at)
    assert names(archive, archive.new()) == ["a", "b", "c"]
    (tmp_path / "new" / "b").rename(tmp_path / "cur" / "b:2,S")
    put(tmp_path, "late", 5)
    assert names(archive, archive.new()) == ["late"]
    assert archive.new() == []


def test_a_message_that_a_mail_reader_moved_is_opened_where_it_is_now(tmp_path: Path) -> None:
    archive = maildir(tmp_path)
    put(tmp_path, "a", 10)
    found = archive.new()
    (tmp_path / "new" / "a").rename(tmp_path / "cur" / "a:2,S")
    assert names(archive, found) == ["a"]
    (tmp_path / "cur" / "a:2,S").unlink()
    with pytest.raises(FileNotFoundError):
        archive.open(found[0])


def test_what_was_there_at_the_first_start_is_not_read_and_what_came_while_away_is(tmp_path: Path) -> None:
    put_there = maildir(tmp_path)
    put(tmp_path, "old", 10)
    first = maildir(tmp_path, None)
    put(tmp_path, "seen", 20)
    put(tmp_path, "unseen", 20)
    seen, _ = first.new()
    first.read.add(seen.order)
    cursor = first.read.cursor(())
    put(tmp_path, "while away", 30)
    again = maildir(tmp_path, cursor)
    assert len(names(again, again.new())) == 2
    assert len(put_there.new()) == 4


def test_links_folders_and_hidden_files_are_no_messages(tmp_path: Path) -> None:
    archive = maildir(tmp_path)
    (tmp_path / "new" / "link").symlink_to("/etc/passwd")
    (tmp_path / "new" / "folder").mkdir()
    (tmp_path / "new" / ".hidden").touch()
    os.mkfifo(tmp_path / "cur" / "fifo")
    assert archive.new() == []
    assert archive.dropped()[NOT_A_MESSAGE] >= 3


def test_an_archive_that_is_not_there_yet_may_come(tmp_path: Path) -> None:
    archive = Maildir(tmp_path / "later", None)
    assert archive.new() == []
    (tmp_path / "later" / "new").mkdir(parents=True)
    put(tmp_path / "later", "a", 10)
    assert names(archive, archive.new()) == ["a"]


def test_settled_messages_stay_settled_in_a_cursor_of_bounded_size() -> None:
    read = ReadMessages(ArchiveCursor((0, "")))
    orders = [(at, "x") for at in range(1, 1_000)]
    waiting = orders[100]
    for order in orders:
        if order != waiting:
            read.add(order)
    cursor = read.cursor([waiting])
    assert (len(cursor.done), cursor.waiting) == (DONE_MAX, (waiting,))
    again = ReadMessages(cursor)
    assert [order for order in orders if not again.has(order)] == [waiting]


def test_a_large_message_that_appears_after_many_later_ones_is_still_new(tmp_path: Path) -> None:
    """Its time is that of its last byte; it appears when all of it is on the disk."""
    archive = maildir(tmp_path)
    for at in range(100, 100 + 10 * DONE_MAX):
        put(tmp_path, str(at), at)
    first = archive.new()
    assert archive.has_more
    later = archive.new()
    assert (len(first) + len(later), archive.has_more) == (10 * DONE_MAX, False)
    for message in (*first, *later):
        archive.read.add(message.order)
    put(tmp_path, "large", 50)
    assert names(archive, archive.new()) == ["large"]


def test_a_link_in_the_place_of_a_folder_leads_nowhere(tmp_path: Path) -> None:
    """Whoever delivers mail could have root read, and delete, what is none of its own."""
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "a").write_text("X: a\n\n")
    (tmp_path / "mail" / "cur").mkdir(parents=True)
    archive = Maildir(tmp_path / "mail", FROM_THE_BEGINNING)
    (tmp_path / "mail" / "new").symlink_to(tmp_path / "theirs")
    with pytest.raises(OSError, match=r"symbolic|directory"):
        archive.new()
    (tmp_path / "mail" / "new").unlink()
    put_there = tmp_path / "mail" / "new"
    put_there.mkdir()
    put(tmp_path / "mail", "a", 10)
    (message,) = archive.new()
    (put_there / "a").rename(tmp_path / "kept")
    put_there.rmdir()
    put_there.symlink_to(tmp_path / "theirs")
    with pytest.raises(OSError, match=r"symbolic|directory"):
        archive.delete(message)
    assert (tmp_path / "theirs" / "a").exists()


def test_a_message_is_deleted_where_it_is_now(tmp_path: Path) -> None:
    archive = maildir(tmp_path)
    put(tmp_path, "a", 10)
    put(tmp_path, "b", 20)
    found = archive.new()
    (tmp_path / "new" / "a").rename(tmp_path / "cur" / "a:2,S")
    assert archive.still_there([found[0].order, (30, "gone")])[0].order == found[0].order
    archive.delete(found[0])
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["b"]
    with pytest.raises(FileNotFoundError):
        archive.delete(found[0])


def quiet(path: Path) -> None:
    past = time.time() - 10
    os.utime(path, (past, past))


def bodies(archive: Mbox, messages: list[Archived]) -> list[bytes]:
    found = []
    for message in messages:
        with archive.open(message) as file:
            found.append(b"".join(iter(file.readline, b"")))
        archive.read.add(message.order)
    return found


def test_an_mbox_gives_whole_messages_as_they_are_added(tmp_path: Path) -> None:
    path = tmp_path / "mbox"
    path.write_text("From old\nX: 0\n\n")
    archive = Mbox(path, None)
    long = "y" * 3_000_000
    with path.open("a") as file:
        file.write("From a\nX: 1\n\nwords\n>From here\n\nFrom b\nX: 2\n\n" + long)
    found: list[bytes] = []
    for _ in range(8):
        found += bodies(archive, archive.new())
    assert found == [b"X: 1\n\nwords\n>From here\n\n"]
    with path.open("a") as file:
        file.write("\n\n")
    quiet(path)
    for _ in range(8):
        found += bodies(archive, archive.new())
    assert found[1:] == [b"X: 2\n\n" + long.encode() + b"\n\n"]
    cursor = archive.read.cursor(())
    with path.open("a") as file:
        file.write("From c\nX: 3\n\n")
    quiet(path)
    again = Mbox(path, cursor)
    assert [each for _ in range(8) for each in bodies(again, again.new())] == [b"X: 3\n\n"]
    path.write_text("From d\nX: 4\n\n")
    quiet(path)
    assert [each for _ in range(3) for each in bodies(again, again.new())] == [b"X: 4\n\n"]
    assert again.dropped() == {LOST_PLACE: 1}
