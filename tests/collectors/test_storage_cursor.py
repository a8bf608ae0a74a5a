"""The place to resume from fits into the spool however much it lists, and drops what is least worth first."""

from __future__ import annotations

from hypothesis import given
from hypothesis.strategies import lists, text

from agent.spool_segment import CURSOR_BYTES_MAX
from collectors.storage_cursor import path_id, read_cursor, write_cursor


@given(lists(text(max_size=300), max_size=40), lists(text(max_size=300), max_size=100))
def test_any_cursor_fits_into_the_spool(devices: list[str], opened: list[str]) -> None:
    names = [f"{number:08x}" for number in range(300)]
    written = write_cursor(1, names[:40], devices, names, [(False, each) for each in opened])
    assert len(written.encode()) <= CURSOR_BYTES_MAX
    cursor = read_cursor(written)
    assert cursor is not None
    assert cursor.open == tuple(map(path_id, opened[-64:]))
    assert cursor.done == tuple(names[len(names) - len(cursor.done) :])
    assert cursor.places == tuple(names[:32])


def test_what_is_seldom_too_long_keeps_all_that_it_may_list() -> None:
    done = [f"{number:08x}" for number in range(200)]
    cursor = read_cursor(write_cursor(5, ["a"], ["0781:5567:4C530001"], done, [(True, "/a"), (False, "/b")]))
    assert cursor is not None
    assert cursor.done == tuple(done[-192:])
    assert (cursor.at, cursor.devices, len(cursor.open)) == (5, ("0781:5567:4C530001",), 2)


def test_of_many_files_those_are_named_that_nothing_else_finds() -> None:
    files = [(number % 2 == 0, f"/{number}") for number in range(100)]
    cursor = read_cursor(write_cursor(5, [], [], [], files))
    assert cursor is not None
    assert set(cursor.open) >= {path_id(path) for is_held, path in files if not is_held}
    assert len(cursor.open) == 64
