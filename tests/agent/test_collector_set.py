"""Collectors under settings that change, one of which takes its time to end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from agent.collector_set import CollectorSet
from agent.spool_segment import NewEntry
from agent.switched_off import FILE, SwitchedOff
from event_schema.ocsf_objects import Host, HostType
from tests.agent.scripted_agent import KINDS
from tests.agent.scripted_collector import ScriptedConfig
from tests.agent.test_runner import until

(KIND,) = KINDS
HOST = Host(hostname="laptop-1", type_id=HostType.LAPTOP)
QUICK = ScriptedConfig(count=1)
SLOW = ScriptedConfig(count=1_000, pause_s=1.5)
"""It hears that it shall end only after each pause."""


@pytest.fixture
def handed_on() -> list[NewEntry]:
    return []


@pytest.fixture
def collectors(handed_on: list[NewEntry], monkeypatch: pytest.MonkeyPatch) -> Iterator[CollectorSet]:
    monkeypatch.setattr("agent.collector_set.REPLACE_SECONDS", 0.05)
    made = CollectorSet(HOST, "0", handed_on.append, lambda _: None, [(KIND, SLOW)])
    made.start()
    until(lambda: bool(handed_on))
    yield made
    made.stop()
    assert made.join(5) == []


def test_settings_that_come_back_while_their_collector_ends_hold_again(
    collectors: CollectorSet, handed_on: list[NewEntry]
) -> None:
    assert not collectors.replace([(KIND, QUICK)])
    # Taken back before it has ended.
    while not collectors.replace([(KIND, SLOW)]):
        pass
    before = len(handed_on)
    until(lambda: len(handed_on) > before)
    assert [state.state for state in collectors.states()] == ["running"]
    numbers = [entry.cursor for entry in handed_on]
    assert numbers == [str(number) for number in range(len(numbers))]


def test_no_second_one_begins_before_the_first_has_ended(collectors: CollectorSet) -> None:
    assert not collectors.replace([(KIND, QUICK)])
    assert not collectors.replace([(KIND, QUICK)])
    threads = [each.name for each in threading.enumerate()]
    assert threads.count("collector scripted") == 1


def test_one_that_refuses_its_new_settings_says_why_and_comes_back_with_others(
    collectors: CollectorSet, handed_on: list[NewEntry]
) -> None:
    refused = msgspec.structs.replace(SLOW, unsupported="no such log")
    while not collectors.replace([(KIND, refused)]):
        pass
    until(lambda: collectors.states()[0].state == "unsupported")
    assert collectors.states()[0].detail == "no such log"
    before = len(handed_on)
    while not collectors.replace([(KIND, SLOW)]):
        pass
    until(lambda: len(handed_on) > before)


def test_what_was_done_while_a_collector_was_switched_off_is_not_collected(
    handed_on: list[NewEntry], tmp_path: Path
) -> None:
    spool = {"scripted": "41"}
    off = SwitchedOff(tmp_path, spool.get)
    collectors = CollectorSet(
        HOST,
        "0",
        handed_on.append,
        off.resume_from,
        [(KIND, ScriptedConfig(count=44))],
        switched_off=off.note,
    )
    collectors.start()
    until(lambda: len(handed_on) == 2)
    assert collectors.replace([])
    spool["scripted"] = "43"
    # Switched on again by another start of the agent, and by this one: it begins with what comes.
    assert SwitchedOff(tmp_path, spool.get).resume_from("scripted") is None
    assert collectors.replace([(KIND, ScriptedConfig(count=3))])
    until(lambda: len(handed_on) == 5)
    assert [entry.cursor for entry in handed_on] == ["42", "43", "0", "1", "2"]
    collectors.stop()
    assert collectors.join(5) == []
    # From then on it goes on where it stands.
    spool["scripted"] = "2"
    assert SwitchedOff(tmp_path, spool.get).resume_from("scripted") == "2"


def test_without_room_on_disk_a_collector_that_is_switched_off_is_noted_at_the_next_start(
    tmp_path: Path,
) -> None:
    blocked = tmp_path / f"{FILE}.new"
    blocked.mkdir()
    off = SwitchedOff(tmp_path, lambda _: "7")
    off.note("logins", "7")
    assert off.resume_from("logins") is None
    assert SwitchedOff(tmp_path, lambda _: "7").resume_from("logins") == "7"
    blocked.rmdir()
    SwitchedOff(tmp_path, lambda _: "7").note("logins", "7")
    assert SwitchedOff(tmp_path, lambda _: "7").resume_from("logins") is None
    (tmp_path / FILE).write_bytes(b"{")
    assert SwitchedOff(tmp_path, lambda _: "7").resume_from("logins") == "7"
