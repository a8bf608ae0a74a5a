"""Reads a folder's files once, and gives their rows in the order of time, a day at a time.

Rows may stand in any order: they are sorted in runs of 200,000 that lie in a temporary folder (one row a
line, JSON), which are merged. So memory holds one run and one day, whatever the files' size. Visits to
hosts that no catalogue knows are counted and let go at once, since nothing is made of them (acts.py); that
somebody was active on that day is kept. A row that cannot be read is counted, by file and reason, and the
first of them are told with file and line.
"""

from __future__ import annotations

import csv
import heapq
import io
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Final

import msgspec
import orjson

from event_schema.catalogue import Catalogue
from server.evaluation.cert.layout import (
    DAY_MS,
    LAYOUTS,
    BadRow,
    Kind,
    Layout,
    Row,
    machine_name,
    mail_domain,
    moment,
    user_name,
)

RUN_ROWS: Final = 200_000
SHOWN_MAX: Final = 10
_FIELD_CHARACTERS_MAX: Final = 16 * 1024 * 1024
_HOSTS_KEPT: Final = 200_000
_TELL_EVERY: Final = 20_000

Progress = Callable[[str, int, int], None]
"""(what, done, of)."""


class UnreadableFolder(Exception):
    """Nothing can be made of the folder, or of one of its files. The message says which, and why."""


class BadRows(msgspec.Struct):
    """`shown`: (file, line, why), the first ones. `counts`: (file, why): rows."""

    counts: Counter[tuple[str, str]] = msgspec.field(default_factory=Counter)
    shown: list[tuple[str, int, str]] = msgspec.field(default_factory=list)

    def add(self, file: str, line: int, why: str) -> None:
        self.counts[file, why] += 1
        if len(self.shown) < SHOWN_MAX:
            self.shown.append((file, line, why))


class RowsOnDisk:
    """All that was read. `users`: everybody who did anything. `active`: users by day, of any row. `rows`: by
    file. `senders`: how many mails each domain sent, which tells the company's own. `not_told`: rows of
    which Leaver would collect nothing, by kind."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._runs: list[Path] = []
        self._waiting: list[tuple[int, int, Row]] = []
        self._number = 0
        self.users: dict[str, None] = {}
        self.active: dict[int, set[str]] = {}
        self.rows: dict[str, int] = {}
        self.senders: Counter[str] = Counter()
        self.not_told: Counter[Kind] = Counter()
        self.bad = BadRows()

    def note(self, row: Row, *, told: bool) -> None:
        """told: whether it is kept beyond the day that it makes active."""
        user = row.user
        self.users.setdefault(user)
        self.active.setdefault(row.time // DAY_MS, set()).add(user)
        if not told:
            self.not_told[row.kind] += 1
            return
        if row.kind == "email":
            self.senders[mail_domain(row.what.split(" ")[2])] += 1
        self._waiting.append((row.time, self._number, row))
        self._number += 1
        if len(self._waiting) >= RUN_ROWS:
            self.flush()

    def flush(self) -> None:
        self._waiting.sort(key=lambda each: each[:2])
        path = self._folder / f"run-{len(self._runs)}"
        with path.open("wb") as file:
            file.writelines(orjson.dumps([number, *row]) + b"\n" for _, number, row in self._waiting)
        self._runs.append(path)
        self._waiting.clear()

    def days(self) -> Iterator[tuple[int, list[Row]]]:
        """(day since 1970, its rows in the order of time); days with kept rows only. Call flush before."""
        merged = heapq.merge(*(_run(path) for path in self._runs))
        for day, found in groupby(merged, key=lambda each: each[0] // DAY_MS):
            yield day, [row for _, _, row in found]


def _run(path: Path) -> Iterator[tuple[int, int, Row]]:
    with path.open("rb") as file:
        for line in file:
            number, time, kind, user, pc, what = orjson.loads(line)
            yield time, number, Row(time, kind, user, pc, what)


def read_folder(folder: Path, scratch: Path, catalogue: Catalogue, progress: Progress) -> RowsOnDisk:
    """`scratch`: an empty folder for what does not fit into memory. Raises UnreadableFolder."""
    found = [(name, layout) for name, layout in LAYOUTS.items() if (folder / name).is_file()]
    if not found:
        raise UnreadableFolder(f"{folder}: none of {', '.join(LAYOUTS)} is there")
    rows = RowsOnDisk(scratch)
    known: dict[str, bool] = {}

    def is_told(row: Row) -> bool:
        if row.kind != "http":
            return True
        if row.what not in known:
            if len(known) >= _HOSTS_KEPT:
                known.clear()
            known[row.what] = catalogue.of_host(row.what) is not None
        return known[row.what]

    for name, layout in found:
        _read_file(folder / name, layout, rows, is_told, progress)
    rows.flush()
    return rows


def _read_file(
    path: Path, layout: Layout, rows: RowsOnDisk, is_told: Callable[[Row], bool], progress: Progress
) -> None:
    size = path.stat().st_size
    before = csv.field_size_limit(_FIELD_CHARACTERS_MAX)
    try:
        with (
            path.open("rb") as raw,
            io.TextIOWrapper(raw, encoding="utf-8-sig", errors="replace", newline="") as file,
        ):
            count = 0
            for row in _rows(path, csv.reader(file), layout, rows):
                count += 1
                if count % _TELL_EVERY == 0:
                    progress(f"reading {path.name}", raw.tell(), size)
                if row is not None:
                    rows.note(row, told=is_told(row) and row.what != "")
            rows.rows[path.name] = count
            progress(f"reading {path.name}", size, size)
    except OSError as error:
        raise UnreadableFolder(f"{path}: {error.strerror}") from error
    finally:
        csv.field_size_limit(before)


def _rows(path: Path, reader: Iterator[list[str]], layout: Layout, rows: RowsOnDisk) -> Iterator[Row | None]:
    """None: a row that could not be read, and was counted."""
    header = _next(reader)
    if not isinstance(header, list):
        raise UnreadableFolder(f"{path}: {header or 'it is empty'}")
    places = {name.strip().casefold(): place for place, name in reversed(list(enumerate(header)))}
    missing = [column for column in layout.columns if column not in places]
    if missing:
        raise UnreadableFolder(f"{path}, line 1: no column {', '.join(missing)}")
    wanted = [(c, places[c]) for c in (*layout.columns, *layout.optional) if c in places]
    longest = max(place for _, place in wanted)
    while (cells := _next(reader)) is not None:
        line: int = reader.line_num  # type: ignore[attr-defined]
        if isinstance(cells, str):
            rows.bad.add(path.name, line, cells)
            yield None
        elif cells:
            if len(cells) <= longest:
                rows.bad.add(path.name, line, "columns are missing")
                yield None
                continue
            try:
                yield _row({column: cells[place] for column, place in wanted}, layout)
            except BadRow as error:
                rows.bad.add(path.name, line, str(error))
                yield None


def _row(cells: dict[str, str], layout: Layout) -> Row:
    time = moment(cells["date"].strip())
    what = layout.what(cells)
    return Row(time, layout.kind, user_name(cells["user"]), machine_name(cells["pc"]), what or "")


def _next(reader: Iterator[list[str]]) -> list[str] | str | None:
    """A row; why there is none; None at the end."""
    try:
        return next(reader)
    except StopIteration:
        return None
    except csv.Error as error:
        return f"no CSV: {error}"
