"""A log whose writer begins new files under new names is one log: each line once, in order."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from collectors import log_series
from collectors.log_progress import HELD_MAX, LogProgress
from collectors.log_series import LogSeries


@pytest.fixture(autouse=True)
def _look_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_series, "_LOOK_EVERY_S", 0.0)


class Writer:
    """Each file is a second newer than the one before it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.at = folder, 1_700_000_000

    def write(self, name: str, *lines: str, end: str = "\n") -> None:
        self.at += 1
        path = self.folder / name
        with path.open("a") as file:
            file.write("".join(line + end for line in lines))
        os.utime(path, (self.at, self.at))


def series(folder: Path, cursor: str | None = None) -> LogSeries:
    return LogSeries(str(folder / "*.json"), cursor, line_bytes_max=1000)


def taken(log: LogSeries) -> list[str]:
    found: list[str] = []
    for _ in range(10):
        found += [line.content.decode() for line in log.take()]
    return found


def test_the_newest_file_is_read_from_its_end_and_the_next_ones_from_their_beginning(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    writer.write("b.json", "older")
    writer.write("a.json", "old")
    log = series(tmp_path)
    assert taken(log) == []
    writer.write("a.json", "1")
    writer.write("c.json", "2")
    writer.write("b2.json", "3", "4")
    writer.write("other.txt", "no")
    assert taken(log) == ["1", "2", "3", "4"]
    assert log.lost_places == 0


def test_a_series_that_begins_later_is_read_from_its_beginning(tmp_path: Path) -> None:
    log = series(tmp_path)
    assert taken(log) == []
    assert log.position() == ""
    Writer(tmp_path).write("a.json", "1")
    assert taken(log) == ["1"]
    assert taken(series(tmp_path, "")) == ["1"]


def test_reading_goes_on_after_any_line_over_all_files(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    writer.write("a.json", "0")
    log = series(tmp_path)
    writer.write("a.json", "1", "2")
    writer.write("b.json", "3")
    writer.write("c.json", "4", "5")
    lines = [line for _ in range(9) for line in log.take()]
    assert [line.content for line in lines] == [b"1", b"2", b"3", b"4", b"5"]
    for number, line in enumerate(lines, 1):
        rest = [str(each) for each in range(number + 1, 6)]
        assert taken(series(tmp_path, line.cursor)) == rest


def test_a_file_with_a_line_longer_than_one_look_is_read_to_its_end_first(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    writer.write("a.json", "0")
    log = series(tmp_path)
    writer.write("a.json", "x" * 5_000_000, "1")
    writer.write("b.json", "2")
    assert [text[:1] for text in taken(log)] == ["x", "1", "2"]


def test_a_file_that_is_gone_is_told_and_the_newest_goes_on(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    writer.write("a.json", "0")
    log = series(tmp_path)
    writer.write("a.json", "1")
    (line,) = log.take()
    writer.write("b.json", "2")
    (tmp_path / "a.json").unlink()
    again = series(tmp_path, line.cursor)
    assert taken(again) == ["2"]
    assert again.lost_places == 1
    assert taken(series(tmp_path, "no cursor")) == ["2"]


def test_a_name_that_comes_again_after_a_week_is_read_from_where_it_had_ended(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    writer.write("mon.json", "last week's")
    writer.write("sun.json", "0")
    log = series(tmp_path)
    writer.write("sun.json", "1")
    writer.write("mon.json", "2")
    writer.write("tue.json", "3")
    assert taken(log) == ["1", "2", "3"]
    (tmp_path / "sun.json").write_text("")
    writer.write("sun.json", "anew")
    assert taken(log) == ["anew"]
    assert log.lost_places == 0


def test_files_after_one_that_was_removed_are_all_read(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    writer.write("a.json", "0")
    log = series(tmp_path)
    writer.write("a.json", "1")
    assert taken(log) == ["1"]
    (tmp_path / "a.json").unlink()
    writer.write("b.json", "2")
    writer.write("c.json", "3")
    assert taken(log) == ["2", "3"]
    assert log.lost_places == 0


def test_two_restarts_over_a_rotation_lose_nothing(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    log.touch()
    one = LogSeries(str(log), None, line_bytes_max=1000)
    log.write_text("1\n2\n3\n4\n")
    progress = LogProgress(None)
    progress.begin_at(one.position())
    for line in one.take()[:2]:
        progress.took(line.cursor)
        progress.flushed()
    log.rename(tmp_path / "audit.log.1")
    log.write_text("5\n6\n")
    # The first one comes to nothing more than to begin, and to hold a line.
    two = LogSeries(str(log), LogProgress(progress.cursor()).start, line_bytes_max=1000)
    again = LogProgress(progress.cursor())
    again.begin_at(two.position())
    again.took(two.take()[0].cursor)
    again.hold(again.line)
    assert taken(LogSeries(str(log), LogProgress(again.cursor()).start, line_bytes_max=1000)) == list("3456")


def _run(lines: int, cursor: str | None, stop_at: int | None = None) -> tuple[list[int], list[int], str]:
    """Reads numbered lines: every third waits until ten later ones came, then is told by itself; others are
    summed, and all sums told at every seventh line. Returns the lines told, those summed, and the cursor of
    the last report."""
    progress = LogProgress(cursor)
    start = 0 if progress.start in {None, ""} else int(str(progress.start))
    progress.begin_at(str(start) if start else "")
    told: list[int] = []
    summed: list[int] = []
    pending: list[tuple[int, int]] = []
    sums: list[int] = []
    last = cursor or ""
    for number in range(start + 1, lines + 1):
        progress.took(str(number))
        own = progress.line
        if number % 3 == 0:
            if not progress.is_told(own):
                progress.hold(own)
                pending.append((number, own))
        elif not progress.is_summed(own):
            sums.append(number)
        if number % 7 == 0:
            summed += sums
            sums = []
            progress.flushed()
            last = progress.cursor()
        while pending and pending[0][0] <= number - 10:
            done, line = pending.pop(0)
            progress.release(line)
            told.append(done)
            last = progress.cursor()
        if stop_at is not None and number >= start + stop_at:
            break
    return told, summed, last


def test_what_was_told_is_not_told_again_wherever_reading_was_cut_off() -> None:
    whole_told, whole_summed, _ = _run(200, None)
    for stop in range(1, 40):
        told: list[int] = []
        summed: list[int] = []
        cursor: str | None = None
        for _ in range(400):
            more_told, more_summed, after = _run(200, cursor, stop + 20)
            told += more_told
            summed += more_summed
            if after == cursor:
                break
            cursor = after
        assert (told, summed) == (whole_told, whole_summed), stop


def test_a_cursor_fits_into_the_spool_however_much_is_held() -> None:
    progress = LogProgress(None)
    progress.begin_at("x" * 400)
    for number in range(5_000):
        progress.took(f"{number:400}")
        progress.hold(progress.line)
    cursor = progress.cursor()
    assert len(cursor) < 2_000
    again = LogProgress(cursor)
    assert not again.is_told(HELD_MAX + 1), "rather twice than not at all"


def test_a_cursor_of_nobody_begins_anew() -> None:
    assert LogProgress("rubbish").start == ""
