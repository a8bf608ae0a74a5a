"""A collector that fails is started again and says so; one that is not supported is asked again later."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import ClassVar

import msgspec
import pytest

from agent.backoff import Backoff
from agent.collector_registry import CollectorKind
from agent.collector_set import CollectorSet
from agent.spool import Spool
from agent.spool_segment import NewEntry
from agent.spool_writer import SpoolWriter
from agent.supervisor import Supervisor
from collectors.contract import Observation, Unsupported
from event_schema.codec import decode_event
from event_schema.ocsf_events import FileSystemActivity
from event_schema.ocsf_objects import Host, HostType
from tests.agent.scripted_collector import Asking, ScriptedCollector, ScriptedConfig

SCRIPTED = "tests.agent.scripted_collector"
HOST = Host(hostname="h", type_id=HostType.UNKNOWN)


class Faulty(ScriptedCollector):
    """Yields ten files a life, then breaks, ends, or is closed with an error."""

    lives: ClassVar[int] = 0
    way: ClassVar[str] = "raise"

    def observe(self, resume_from: str | None, stop: threading.Event) -> Iterator[Observation | None]:
        type(self).lives += 1
        for index, observation in enumerate(super().observe(resume_from, stop)):
            if index == 10:
                if self.way == "raise":
                    raise OSError(5, "broken", "/media/alice/x")
                return
            yield observation

    def dropped(self) -> Mapping[str, int]:
        return {"per_life": 1}


def fast() -> Backoff:
    return Backoff(0.01, 0.05, jitter=lambda: 0.5)


def until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not done():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


@pytest.fixture
def stop() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


@pytest.mark.parametrize("way", ["raise", "end"])
def test_a_collector_that_breaks_or_ends_is_restarted_after_its_last_event(
    way: str, stop: threading.Event
) -> None:
    Faulty.lives, Faulty.way = 0, way
    taken: list[NewEntry] = []
    supervisor = Supervisor(
        "faulty",
        lambda: Faulty(ScriptedConfig(count=35), HOST, "0"),
        taken.append,
        resume_from="4",
        stop=stop,
        restart=fast(),
    )
    supervisor.start()
    until(lambda: len(taken) == 30)
    events = [decode_event(entry.data) for entry in taken]
    names = [event.file.name for event in events if isinstance(event, FileSystemActivity)]
    assert names == [f"file-{n}" for n in range(5, 35)]
    until(lambda: supervisor.state().restarts >= 3)
    assert supervisor.state().observed == 30
    assert "alice" not in (supervisor.state().detail or "")
    stop.set()
    assert supervisor.join(2)
    assert Faulty.lives >= 3
    assert supervisor.state().state == "stopped"
    assert supervisor.state().dropped["per_life"] == Faulty.lives


def test_an_unsupported_collector_says_why_and_is_tried_again(stop: threading.Event) -> None:
    tries = 0

    class Later(ScriptedCollector):
        def check_supported(self) -> None:
            nonlocal tries
            tries += 1
            if tries < 3:
                raise Unsupported("udev is missing: install udev")

    supervisor = Supervisor(
        "later",
        lambda: Later(ScriptedConfig(), HOST, "0"),
        lambda _entry: None,
        resume_from=None,
        stop=stop,
        unsupported_retry=0.2,
    )
    supervisor.start()
    until(lambda: supervisor.state().state == "unsupported")
    assert supervisor.state().detail == "udev is missing: install udev"
    until(lambda: supervisor.state().state == "running")
    assert supervisor.state().restarts == 0


def test_an_event_that_cannot_be_encoded_is_counted_and_the_next_one_taken(stop: threading.Event) -> None:
    class Odd(ScriptedCollector):
        def _event(self, number: int) -> FileSystemActivity:
            event = super()._event(number)
            if number != 1:
                return event
            unencodable = msgspec.structs.replace(event.file, name="lone \ud800 surrogate")
            return msgspec.structs.replace(event, file=unencodable)

    taken: list[NewEntry] = []
    supervisor = Supervisor(
        "odd", lambda: Odd(ScriptedConfig(count=3), HOST, "0"), taken.append, resume_from=None, stop=stop
    )
    supervisor.start()
    until(lambda: len(taken) == 2)
    assert supervisor.state().dropped == {"not_encodable": 1, "scripted": 1}


def test_a_collector_that_asks_is_told_what_the_spool_has_synced_and_nothing_sooner(tmp_path: Path) -> None:
    kind = CollectorKind("scripted", SCRIPTED, "Asking", SCRIPTED, "ScriptedConfig")
    plain = CollectorKind("plain", SCRIPTED, "ScriptedCollector", SCRIPTED, "ScriptedConfig")
    spool = Spool(tmp_path / "spool")
    writer = SpoolWriter(spool)
    config = ScriptedConfig(count=3)
    Asking.told.clear()
    collectors = CollectorSet(HOST, "0", writer.hand_on, spool.cursor, [(kind, config), (plain, config)])
    collectors.start()
    until(lambda: len(Asking.told) > 5)
    assert set(Asking.told) == {None}, "the events wait for their writer"
    writer.start()
    until(lambda: Asking.told[-1:] == ["2"])
    collectors.stop()
    assert collectors.join(5) == []
    assert writer.finish(5)
    spool.close()


def test_waits_double_up_to_the_cap_and_start_again_after_success() -> None:
    backoff = Backoff(1.0, 60.0, jitter=lambda: 1.0)
    assert [backoff.failed() for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    backoff.succeeded()
    assert backoff.failed() == 1
    assert Backoff(1.0, 60.0, jitter=lambda: 0.0).failed() == 0.5
