"""A log is followed through rotation, truncation and restarts: each line once, nothing torn."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest

from collectors.log_lines import LINES_MAX
from collectors.log_tail import LogTail
from tests.collectors.log_writing import texts_of, write_to


def test_without_a_cursor_only_what_comes_from_now_on_is_read(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    write_to(log, "old")
    tail = LogTail(log, None)
    assert tail.take() == []
    write_to(log, "one", "two")
    assert texts_of(tail) == ["one", "two"]
    assert tail.lost_places == 0


def test_a_log_that_appears_later_is_read_from_its_beginning(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    tail = LogTail(log, None)
    assert tail.take() == []
    write_to(log, "one")
    assert texts_of(tail) == ["one"]


def test_a_half_written_line_is_waited_for(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    tail = LogTail(log, None)
    log.write_text("one\ntw")
    assert texts_of(tail) == ["one"]
    write_to(log, "o", "three")
    assert texts_of(tail) == ["two", "three"]


def test_ends_of_line_and_bytes_that_are_no_text_come_as_they_are(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    tail = LogTail(log, None)
    log.write_bytes(b"dos\r\n\xff\xfe\n\n")
    assert [line.content for line in tail.take()] == [b"dos", b"\xff\xfe", b""]


def test_a_line_without_end_is_left_out_and_counted(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    tail = LogTail(log, None, line_bytes_max=1000)
    write_to(log, "a", "x" * 5000, "b", "y" * 1001, "c")
    assert texts_of(tail) == ["a", "b", "c"]
    assert tail.too_long == 2


@pytest.mark.parametrize("name", ["app.log.1", "app.log-20261122"])
def test_rotation_by_renaming_loses_nothing(tmp_path: Path, name: str) -> None:
    log = tmp_path / "app.log"
    tail = LogTail(log, None)
    write_to(log, "one")
    assert texts_of(tail) == ["one"]
    with log.open("a") as still_open:
        log.rename(tmp_path / name)
        still_open.write("two\nthree")
        still_open.flush()
        assert texts_of(tail) == ["two"]
        still_open.write("!\n")
    write_to(log, "four")
    assert texts_of(tail) == ["three!", "four"]
    assert tail.lost_places == 0


def test_the_last_line_of_a_rotated_file_counts_without_its_end(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.touch()
    tail = LogTail(log, None)
    log.write_text("one\nlast words")
    assert texts_of(tail) == ["one"]
    log.rename(tmp_path / "app.log.1")
    write_to(log, "new")
    assert texts_of(tail) == ["last words", "new"]


def test_copy_and_truncate_loses_nothing_that_is_in_the_copy(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    tail = LogTail(log, None)
    write_to(log, "one")
    assert texts_of(tail) == ["one"]
    write_to(log, "two")
    shutil.copy(log, tmp_path / "app.log.1")
    os.truncate(log, 0)
    write_to(log, "three, and the new file is longer than the old one by now")
    assert texts_of(tail) == ["two", "three, and the new file is longer than the old one by now"]
    assert tail.lost_places == 0


def test_a_log_that_is_cut_without_a_copy_says_so_and_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    tail = LogTail(log, None)
    write_to(log, "one", "two")
    assert texts_of(tail) == ["one", "two"]
    os.truncate(log, 0)
    write_to(log, "new")
    assert texts_of(tail) == ["new"]
    assert tail.lost_places == 1


@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_log_that_jumps_back_is_not_read_again(tmp_path: Path, is_restarted: bool) -> None:
    log = tmp_path / "app.log"
    tail = LogTail(log, None)
    write_to(log, *(f"{number} {'x' * 60}" for number in range(20)))
    earlier = log.read_bytes()
    write_to(log, "lost")
    assert len(texts_of(tail)) == 21
    log.write_bytes(earlier)
    if is_restarted:
        tail = LogTail(log, tail.position())
    assert texts_of(tail) == []
    write_to(log, "new")
    assert texts_of(tail) == ["new"]
    assert tail.lost_places == 1


def test_after_a_restart_it_goes_on_behind_the_line_that_was_safe(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    tail = LogTail(log, None)
    write_to(log, "one", "two", "three")
    safe = tail.take()[1].cursor
    tail.close()
    write_to(log, "four")
    assert texts_of(LogTail(log, safe)) == ["three", "four"]


def test_a_cursor_into_a_file_that_is_gone_says_so_and_reads_the_new_one(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    tail = LogTail(log, None)
    write_to(log, "one")
    safe = tail.take()[0].cursor
    log.unlink()
    write_to(log, "another")
    tail = LogTail(log, safe)
    assert texts_of(tail) == ["another"]
    assert tail.lost_places == 1


@pytest.mark.parametrize("cursor", ["", "{}", "nonsense", '{"inode": "x"}'])
def test_a_cursor_that_nobody_of_us_wrote_is_a_lost_place(tmp_path: Path, cursor: str) -> None:
    log = tmp_path / "app.log"
    write_to(log, "one")
    tail = LogTail(log, cursor)
    assert texts_of(tail) == ["one"]
    assert tail.lost_places == 1


def test_a_long_line_of_an_older_file_is_counted_and_can_be_given_cut(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.touch()
    begin = LogTail(log, None).position()
    write_to(log, "one", "x" * 3_000_000, "two")
    log.rename(tmp_path / "app.log.1")
    write_to(log, "three")
    tail = LogTail(log, begin, line_bytes_max=1000)
    assert texts_of(tail) == ["one", "two", "three"]
    assert tail.too_long == 1
    tail = LogTail(log, begin, line_bytes_max=1000, cut_long=True)
    assert [text[:3] for text in texts_of(tail)] == ["one", "xxx", "two", "thr"]


def test_a_restart_inside_a_long_line_tears_no_piece_out_of_it(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    tail = LogTail(log, None, line_bytes_max=1000)
    with log.open("ab") as file:
        file.write(b"one\n" + b"x" * 5000)
    assert texts_of(tail) == ["one"]
    place = tail.position()
    write_to(log, "the end of it", "two")
    tail = LogTail(log, place, line_bytes_max=1000)
    assert texts_of(tail) == ["two"]
    assert tail.too_long == 1


def test_very_many_empty_lines_are_given_in_parts(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    tail = LogTail(log, None)
    log.write_bytes(b"\n" * 100_000 + b"last\n")
    sizes = []
    while not tail.is_at_end:
        sizes.append(len(tail.take()))
    assert (sum(sizes), max(sizes)) == (100_001, LINES_MAX)


def test_what_is_written_while_the_log_is_cut_is_never_torn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "app.log"
    tail = LogTail(log, None)
    write_to(log, "a long first line", "b")
    assert texts_of(tail) == ["a long first line", "b"]
    real = os.pread

    def cut_first(*arguments: int) -> bytes:
        # Cut and written anew between two of the reader's own calls.
        monkeypatch.setattr(os, "pread", real)
        log.write_text("another beginning of the log\nwhole\n")
        return real(*arguments)

    write_to(log, "c")
    monkeypatch.setattr(os, "pread", cut_first)
    assert texts_of(tail) == ["another beginning of the log", "whole"]
    assert tail.lost_places == 1


def test_a_pipe_with_the_name_of_a_log_holds_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "app.log")
    with pytest.raises(OSError, match="not a regular file"):
        LogTail(tmp_path / "app.log", None)
    log = tmp_path / "other.log"
    tail = LogTail(log, None)
    write_to(log, "one")
    first = tail.take()[0].cursor
    log.unlink()
    os.mkfifo(tmp_path / "other.log.1")
    write_to(log, "two")
    assert texts_of(LogTail(log, first)) == ["two"]


@pytest.mark.parametrize("seed", range(20))
def test_whatever_happens_each_line_comes_once_and_in_order(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    log = tmp_path / "app.log"
    log.touch()
    tail, cursor = LogTail(log, None), None
    seen: list[str] = []
    rotations = 0
    for number in range(400):
        write_to(log, f"{number} {'x' * dice.randrange(200)}")
        kind = dice.random()
        if kind < 0.4:
            for line in tail.take():
                seen.append(line.content.decode())
                cursor = line.cursor
        elif kind < 0.45:
            rotations += 1
            log.rename(tmp_path / f"app.log.{rotations}")
            os.utime(tmp_path / f"app.log.{rotations}", ns=(0, rotations * 10**9))
            log.touch()
        elif kind < 0.5 and cursor is not None:
            tail.close()
            tail = LogTail(log, cursor)
    seen += texts_of(tail)
    assert [int(text.split()[0]) for text in seen] == list(range(400))
    assert tail.lost_places == 0


def test_a_long_line_can_be_given_cut_and_what_follows_is_whole(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    tail = LogTail(log, None, line_bytes_max=1000, cut_long=True)
    write_to(log, "one", "x" * 3_000_000, "two", "y" * 1001, "three")
    found = []
    while not tail.is_at_end:
        found += tail.take()
    assert [line.content[:5] for line in found] == [b"one", b"xxxxx", b"two", b"yyyyy", b"three"]
    assert max(len(line.content) for line in found) == 1000
    assert tail.too_long == 2
    again = LogTail(log, found[1].cursor, line_bytes_max=1000, cut_long=True)
    assert [line.content[:5] for line in again.take()] == [b"two", b"yyyyy", b"three"]
