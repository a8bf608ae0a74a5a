"""A log is followed through rotation, truncation and restarts: each line once, nothing torn."""

from __future__ import annotations

import gzip
import os
import random
import shutil
from pathlib import Path

import pytest

from collectors.log_tail import LogTail


def _texts(tail: LogTail) -> list[str]:
    found: list[str] = []
    while lines := tail.take():
        found += [line.content.decode() for line in lines]
    # Once more: what a rotation left is found after the end of the file before it.
    for line in (line for _ in range(3) for line in tail.take()):
        found.append(line.content.decode())
    return found


def _write(path: Path, *lines: str) -> None:
    with path.open("a") as file:
        file.writelines(line + "\n" for line in lines)


def test_without_a_cursor_only_what_comes_from_now_on_is_read(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    _write(log, "old")
    tail = LogTail(log, None)
    assert tail.take() == []
    _write(log, "one", "two")
    assert _texts(tail) == ["one", "two"]
    assert tail.lost_places == 0


def test_a_log_that_appears_later_is_read_from_its_beginning(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    tail = LogTail(log, None)
    assert tail.take() == []
    _write(log, "one")
    assert _texts(tail) == ["one"]


def test_a_half_written_line_is_waited_for(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    tail = LogTail(log, None)
    log.write_text("one\ntw")
    assert _texts(tail) == ["one"]
    _write(log, "o", "three")
    assert _texts(tail) == ["two", "three"]


def test_ends_of_line_and_bytes_that_are_no_text_come_as_they_are(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    tail = LogTail(log, None)
    log.write_bytes(b"dos\r\n\xff\xfe\n\n")
    assert [line.content for line in tail.take()] == [b"dos", b"\xff\xfe", b""]


def test_a_line_without_end_is_left_out_and_counted(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    tail = LogTail(log, None, line_bytes_max=1000)
    _write(log, "a", "x" * 5000, "b", "y" * 1001, "c")
    assert _texts(tail) == ["a", "b", "c"]
    assert tail.too_long == 2


@pytest.mark.parametrize("name", ["app.log.1", "app.log-20261122"])
def test_rotation_by_renaming_loses_nothing(tmp_path: Path, name: str) -> None:
    log = tmp_path / "app.log"
    tail = LogTail(log, None)
    _write(log, "one")
    assert _texts(tail) == ["one"]
    with log.open("a") as still_open:
        log.rename(tmp_path / name)
        still_open.write("two\nthree")
        still_open.flush()
        assert _texts(tail) == ["two"]
        still_open.write("!\n")
    _write(log, "four")
    assert _texts(tail) == ["three!", "four"]
    assert tail.lost_places == 0


def test_the_last_line_of_a_rotated_file_counts_without_its_end(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.touch()
    tail = LogTail(log, None)
    log.write_text("one\nlast words")
    assert _texts(tail) == ["one"]
    log.rename(tmp_path / "app.log.1")
    _write(log, "new")
    assert _texts(tail) == ["last words", "new"]


def test_copy_and_truncate_loses_nothing_that_is_in_the_copy(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    tail = LogTail(log, None)
    _write(log, "one")
    assert _texts(tail) == ["one"]
    _write(log, "two")
    shutil.copy(log, tmp_path / "app.log.1")
    os.truncate(log, 0)
    _write(log, "three, and the new file is longer than the old one by now")
    assert _texts(tail) == ["two", "three, and the new file is longer than the old one by now"]
    assert tail.lost_places == 0


def test_a_log_that_is_cut_without_a_copy_says_so_and_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    tail = LogTail(log, None)
    _write(log, "one", "two")
    assert _texts(tail) == ["one", "two"]
    os.truncate(log, 0)
    _write(log, "new")
    assert _texts(tail) == ["new"]
    assert tail.lost_places == 1


def test_after_a_restart_it_goes_on_behind_the_line_that_was_safe(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    tail = LogTail(log, None)
    _write(log, "one", "two", "three")
    safe = tail.take()[1].cursor
    tail.close()
    _write(log, "four")
    assert _texts(LogTail(log, safe)) == ["three", "four"]


@pytest.mark.parametrize("compressed", [False, True])
def test_after_a_restart_several_rotations_later_nothing_is_missing(tmp_path: Path, compressed: bool) -> None:
    log = tmp_path / "app.log"
    tail = LogTail(log, None)
    _write(log, "one", "two", "three")
    safe = tail.take()[0].cursor
    tail.close()
    for number, word in enumerate(("four", "five")):
        for older in (1, 0):
            for name in (f"app.log.{older}", f"app.log.{older}.gz"):
                if (tmp_path / name).exists():
                    (tmp_path / name).rename(tmp_path / name.replace(f".{older}", f".{older + 1}"))
        log.rename(tmp_path / "app.log.0")
        os.utime(tmp_path / "app.log.0", ns=(number, 10**9 * (number + 1)))
        if compressed:
            with gzip.open(tmp_path / "app.log.0.gz", "wb") as packed:
                packed.write((tmp_path / "app.log.0").read_bytes())
            shutil.copystat(tmp_path / "app.log.0", tmp_path / "app.log.0.gz")
            (tmp_path / "app.log.0").unlink()
        _write(log, word)
    tail = LogTail(log, safe)
    assert _texts(tail) == ["two", "three", "four", "five"]
    assert tail.lost_places == 0


def test_a_cursor_into_a_file_that_is_gone_says_so_and_reads_the_new_one(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    tail = LogTail(log, None)
    _write(log, "one")
    safe = tail.take()[0].cursor
    log.unlink()
    _write(log, "another")
    tail = LogTail(log, safe)
    assert _texts(tail) == ["another"]
    assert tail.lost_places == 1


@pytest.mark.parametrize("cursor", ["", "{}", "nonsense", '{"inode": "x"}'])
def test_a_cursor_that_nobody_of_us_wrote_is_a_lost_place(tmp_path: Path, cursor: str) -> None:
    log = tmp_path / "app.log"
    _write(log, "one")
    tail = LogTail(log, cursor)
    assert _texts(tail) == ["one"]
    assert tail.lost_places == 1


def test_a_damaged_copy_says_so_and_stops_nothing(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    tail = LogTail(log, None)
    _write(log, *(f"{number} {random.Random(number).random()}" for number in range(5000)))
    first = tail.take()[0].cursor
    tail.close()
    packed = gzip.compress(log.read_bytes())
    (tmp_path / "app.log.1.gz").write_bytes(packed[: len(packed) // 2])
    log.unlink()
    _write(log, "new")
    tail = LogTail(log, first)
    texts = _texts(tail)
    assert texts[0].startswith("1 ")
    assert texts[-1] == "new"
    assert tail.lost_places == 1


@pytest.mark.parametrize("seed", range(20))
def test_whatever_happens_each_line_comes_once_and_in_order(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    log = tmp_path / "app.log"
    log.touch()
    tail, cursor = LogTail(log, None), None
    seen: list[str] = []
    rotations = 0
    for number in range(400):
        _write(log, f"{number} {'x' * dice.randrange(200)}")
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
    seen += _texts(tail)
    assert [int(text.split()[0]) for text in seen] == list(range(400))
    assert tail.lost_places == 0


def test_a_long_line_can_be_given_cut_and_what_follows_is_whole(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    tail = LogTail(log, None, line_bytes_max=1000, cut_long=True)
    _write(log, "one", "x" * 3_000_000, "two", "y" * 1001, "three")
    found = []
    while not tail.is_at_end:
        found += tail.take()
    assert [line.content[:5] for line in found] == [b"one", b"xxxxx", b"two", b"yyyyy", b"three"]
    assert max(len(line.content) for line in found) == 1000
    assert tail.too_long == 2
    again = LogTail(log, found[1].cursor, line_bytes_max=1000, cut_long=True)
    assert [line.content[:5] for line in again.take()] == [b"two", b"yyyyy", b"three"]
