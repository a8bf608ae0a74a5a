"""Account names from a name service that may be slow."""

from __future__ import annotations

import threading
import time

import pytest

from collectors.linux.user_names import FRESH_S, MOST_NAMES, PATIENCE_S, UserNames


def test_name_is_asked_for_once_and_again_only_when_it_is_old() -> None:
    asked: list[int] = []
    now = [0.0]

    def ask(uid: int) -> str:
        asked.append(uid)
        return f"user{uid}-{len(asked)}"

    names = UserNames(ask, monotonic=lambda: now[0])
    assert [names.name(7), names.name(7), names.name(8)] == ["user7-1", "user7-1", "user8-2"]
    now[0] = FRESH_S + 1
    assert names.name(7) == "user7-1"
    deadline = time.monotonic() + 5
    while names.name(7) != "user7-3" and time.monotonic() < deadline:
        time.sleep(0.005)
    assert (names.name(7), asked) == ("user7-3", [7, 8, 7])
    names.close()


def test_slow_directory_delays_the_first_question_only_and_its_answer_is_used_when_it_comes() -> None:
    answer = threading.Event()
    names = UserNames(lambda uid: "alice" if answer.wait(10) else None)
    begun = time.monotonic()
    assert names.name(7) is None
    assert time.monotonic() - begun >= PATIENCE_S * 0.9
    begun = time.monotonic()
    assert [names.name(7) for _ in range(100)] == [None] * 100
    assert time.monotonic() - begun < PATIENCE_S
    answer.set()
    deadline = time.monotonic() + 5
    while names.name(7) is None and time.monotonic() < deadline:
        time.sleep(0.005)
    assert names.name(7) == "alice"
    names.close()


def test_unknown_uid_and_no_uid_have_no_name_and_root_has_one() -> None:
    names = UserNames()
    assert (names.name(4_123_456), names.name(None), names.name(0)) == (None, None, "root")
    names.close()


def test_directory_that_fails_is_asked_again_instead_of_ending_the_thread_and_named_in_no_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def ask(uid: int) -> str:
        if uid == 7:
            raise RuntimeError("directory is down for alice, 7")
        return "bob"

    names = UserNames(ask)
    assert (names.name(7), names.name(8)) == (None, "bob")
    (record,) = caplog.records
    assert vars(record)["facts"] == {"error": "RuntimeError"}
    assert "7" not in record.getMessage()
    assert record.exc_info is None
    assert "alice" not in caplog.text
    names.close()


def test_cache_is_bounded() -> None:
    names = UserNames(str)
    for uid in range(MOST_NAMES + 10):
        names.name(uid)
    assert len(names) == MOST_NAMES
    names.close()
