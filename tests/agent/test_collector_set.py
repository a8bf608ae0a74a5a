"""Collectors under settings that change, one of which takes its time to end."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import msgspec
import pytest

from agent.collector_set import CollectorSet
from agent.spool_segment import NewEntry
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
