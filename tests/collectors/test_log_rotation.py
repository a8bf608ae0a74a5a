"""What a rotation did to a log while nobody looked is found again, whatever it is called now."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from collectors.log_rotation import OLDER_MAX, is_rotated_name
from collectors.log_tail import LogTail
from tests.collectors.log_writing import texts_of, write_to


@pytest.mark.parametrize("compressed", [False, True])
def test_after_a_restart_several_rotations_later_nothing_is_missing(tmp_path: Path, compressed: bool) -> None:
    log = tmp_path / "app.log"
    tail = LogTail(log, None)
    write_to(log, "one", "two", "three")
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
        write_to(log, word)
    tail = LogTail(log, safe)
    assert texts_of(tail) == ["two", "three", "four", "five"]
    assert tail.lost_places == 0


def test_a_damaged_copy_says_so_and_stops_nothing(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    tail = LogTail(log, None)
    write_to(log, *(f"{number} {random.Random(number).random()}" for number in range(5000)))
    first = tail.take()[0].cursor
    tail.close()
    packed = gzip.compress(log.read_bytes())
    (tmp_path / "app.log.1.gz").write_bytes(packed[: len(packed) // 2])
    log.unlink()
    write_to(log, "new")
    tail = LogTail(log, first)
    texts = texts_of(tail)
    assert texts[0].startswith("1 ")
    assert texts[-1] == "new"
    assert tail.lost_places == 1


def test_a_damaged_copy_does_not_hide_the_ones_after_it(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    tail = LogTail(log, None)
    write_to(log, *(f"{number} {random.Random(number).random()}" for number in range(5000)))
    first = tail.take()[0].cursor
    tail.close()
    packed = gzip.compress(log.read_bytes())
    (tmp_path / "app.log.2.gz").write_bytes(packed[: len(packed) // 2])
    os.utime(tmp_path / "app.log.2.gz", (1, 1))
    log.rename(tmp_path / "gone")
    write_to(tmp_path / "app.log.1", "between")
    write_to(log, "new")
    assert texts_of(LogTail(log, first))[-2:] == ["between", "new"]


@pytest.mark.parametrize("pack", [bz2.compress, lzma.compress])
def test_other_compressions_are_read_too(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    log = tmp_path / "app.log"
    tail = LogTail(log, None)
    write_to(log, "one", "two", "three")
    first = tail.take()[0].cursor
    end = {bz2.compress: ".bz2", lzma.compress: ".xz"}[pack]
    (tmp_path / f"app.log.1{end}").write_bytes(pack(log.read_bytes()))
    log.unlink()
    write_to(log, "new")
    assert texts_of(LogTail(log, first)) == ["two", "three", "new"]


def test_a_file_that_is_just_being_compressed_is_read_once(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    tail = LogTail(log, None)
    write_to(log, *(f"{number} {'x' * 60}" for number in range(100)))
    cursor = tail.take()[9].cursor
    log.rename(tmp_path / "app.log.1")
    with gzip.open(tmp_path / "app.log.1.gz", "wb") as packed:
        packed.write((tmp_path / "app.log.1").read_bytes())
    write_to(log, "new")
    assert [text.split()[0] for text in texts_of(LogTail(log, cursor))] == [*map(str, range(10, 100)), "new"]


@pytest.mark.parametrize(
    ("log", "other"),
    [
        ("mail", "mail.err"),
        ("app.log", "app.log.json"),
        ("app.log", "app.log.1.copy"),
        ("a.log", "a_2.log.x"),
    ],
)
def test_another_log_whose_name_begins_alike_is_not_read(tmp_path: Path, log: str, other: str) -> None:
    tail = LogTail(tmp_path / log, None)
    write_to(tmp_path / log, "one")
    (line,) = tail.take()
    (tmp_path / log).rename(tmp_path / f"{log}.1")
    os.utime(tmp_path / f"{log}.1", (1, 1))
    write_to(tmp_path / other, "not ours")
    write_to(tmp_path / log, "two")
    assert texts_of(tail) == ["two"]
    assert texts_of(LogTail(tmp_path / log, line.cursor)) == ["two"]


@pytest.mark.parametrize(
    "name",
    [
        "app.log.1",
        "app.log.01",
        "app.log-20261122",
        "app.log-2026112213",
        "app.log.2026-11-22_10",
        "app.log.old",
        "app.log.gz",
        "app.log-20261122-1795312662",
        "app.log-20261122.gz",
        "app-20261122.log",
        "app.1.log.gz",
    ],
)
def test_the_names_that_rotation_gives_are_known(name: str) -> None:
    assert is_rotated_name(name, "app.log")


def test_of_very_many_rotated_files_the_newest_are_looked_at(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    tail = LogTail(log, None)
    write_to(log, "one", "two")
    first = tail.take()[0].cursor
    for number in range(OLDER_MAX + 50):
        old = tmp_path / f"app.log-2020{number:04}"
        write_to(old, f"old {number}")
        os.utime(old, (number, number))
    log.rename(tmp_path / "app.log-20261122")
    write_to(log, "three")
    tail = LogTail(log, first)
    assert texts_of(tail) == ["two", "three"]
    assert tail.lost_places == 0


def test_logs_that_all_begin_with_one_heading_are_told_apart(tmp_path: Path) -> None:
    log = tmp_path / "slow.log"
    tail = LogTail(log, None)
    write_to(log, "heading")
    (line,) = tail.take()
    write_to(log, "one")
    log.rename(tmp_path / "slow.log.1")
    write_to(tmp_path / "slow.log.2", "heading", "long read")
    os.utime(tmp_path / "slow.log.2", (1, 1))
    write_to(log, "heading", "two")
    tail = LogTail(log, line.cursor)
    assert texts_of(tail) == ["one", "heading", "two"]
    assert tail.lost_places == 0


def test_a_restart_before_anything_was_read_finds_what_was_rotated_meanwhile(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.touch()
    begin = LogTail(log, None).position()
    write_to(log, "one")
    log.rename(tmp_path / "app.log.1")
    write_to(log, "two")
    assert texts_of(LogTail(log, begin)) == ["one", "two"]


def test_the_position_after_a_restart_is_where_it_resumes_and_not_the_new_file(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    tail = LogTail(log, None)
    write_to(log, "one", "two")
    first = tail.take()[0].cursor
    log.rename(tmp_path / "app.log.1")
    write_to(log, "three")
    again = LogTail(log, first)
    assert texts_of(LogTail(log, again.position())) == ["two", "three"]
    again.take()
    assert texts_of(LogTail(log, again.position())) == ["three"]


def test_a_log_that_is_late_is_read_from_where_it_was(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    tail = LogTail(log, None)
    write_to(log, "one", "two")
    first = tail.take()[0].cursor
    log.rename(tmp_path / "not mounted yet")
    tail = LogTail(log, first)
    assert tail.take() == []
    assert tail.position() == first
    (tmp_path / "not mounted yet").rename(log)
    assert texts_of(tail) == ["two"]
    assert tail.lost_places == 0


def test_a_file_beyond_four_gigabytes_goes_on_after_it_was_rotated(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    with log.open("wb") as file:
        file.write(b"beginning\n")
        file.seek(5 << 30)
        file.write(b"\n")
    tail = LogTail(log, None)
    write_to(log, "one", "two")
    first = tail.take()[0].cursor
    log.rename(tmp_path / "app.log.1")
    write_to(log, "three")
    assert texts_of(LogTail(log, first)) == ["two", "three"]
