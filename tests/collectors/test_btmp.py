"""Failed logins in btmp, through rotation at any moment."""

from __future__ import annotations

from pathlib import Path

import pytest

from collectors.linux.btmp import RECORD, BtmpTail


def record(second: int, user: bytes = b"root", line: bytes = b"ssh:notty") -> bytes:
    return RECORD.pack(
        6, 7, line, b"", user, b"host", 0, 0, 0, second, 0, b"\xcb\x00\x71\x09" + bytes(12)
    ).ljust(RECORD.size, b"\0")


def _append(path: Path, *records: bytes) -> None:
    with path.open("ab") as file:
        file.write(b"".join(records))


@pytest.fixture
def btmp(tmp_path: Path) -> Path:
    path = tmp_path / "btmp"
    path.touch()
    return path


def test_what_is_written_between_the_last_look_and_the_renaming_is_told(
    btmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tail = BtmpTail(btmp, None)
    look = tail._has_new_name

    def rotated_meanwhile() -> bool:
        _append(btmp, record(1))
        btmp.rename(btmp.with_name("btmp.1"))
        _append(btmp, record(2))
        return look()

    monkeypatch.setattr(tail, "_has_new_name", rotated_meanwhile)
    found = tail.take()
    monkeypatch.undo()
    for _ in range(3):
        found += tail.take()
    assert [(failure.time, failure.host) for failure in found] == [
        (1_000, "203.0.113.9"),
        (2_000, "203.0.113.9"),
    ]
    tail.close()


def test_a_rotated_file_is_read_to_its_end_also_where_much_of_it_says_nothing(btmp: Path) -> None:
    tail = BtmpTail(btmp, None)
    _append(btmp, *[record(0)] * 2_500, record(1))
    btmp.rename(btmp.with_name("btmp.1"))
    _append(btmp, record(2))
    found = [failure.time for _ in range(8) for failure in tail.take()]
    assert found == [1_000, 2_000]
    tail.close()


def test_a_half_record_waits_and_a_name_that_no_account_has_is_not_told(btmp: Path) -> None:
    tail = BtmpTail(btmp, None)
    whole = record(1, b"s3cret\xff", b"tty1")
    _append(btmp, whole[:100])
    assert tail.take() == []
    _append(btmp, whole[100:])
    (failure,) = tail.take()
    assert failure.user is None
    assert "s3cret" not in repr(failure)
    tail.close()
