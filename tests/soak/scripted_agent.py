"""The real agent with a collector whose events are known beforehand. The argument is its settings file.

Only the collector is another one: spool, cursors, shipping, heartbeats and enrolment are the product's.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

import msgspec

from agent.collector_registry import CollectorKind
from agent.config import load_config
from agent.json_log import start_log
from agent.runner import Agent
from collectors.contract import Observation
from event_schema.ocsf_events import FileSystemActivity, PeripheralActivity
from event_schema.ocsf_objects import Host
from tests.soak.script import numbers_on, scripted_event


class ScriptConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`gate`: a file with the number up to which events may happen now; none: all may. `count`: events of
    all `places` endpoints together; this is the one at `place`."""

    enabled: bool = True
    count: int = 0
    place: int = 0
    places: int = 1
    base_time: int = 0
    gate: str = ""
    pause_s: float = 0.0
    """After each event."""


class ScriptCollector:
    """A Collector (see collectors/contract.py) with history: the cursor is the event's number."""

    name: ClassVar[str] = "script"
    emits: ClassVar[tuple[type, ...]] = (FileSystemActivity, PeripheralActivity)

    def __init__(self, config: ScriptConfig, host: Host, version: str) -> None:
        self._config, self._host, self._version = config, host, version

    def check_supported(self) -> None:
        return

    def observe(self, resume_from: str | None, stop: threading.Event) -> Iterator[Observation | None]:
        config = self._config
        last = -1 if resume_from is None else int(resume_from)
        allowed = 0
        yield None
        for number in numbers_on(config.place, config.places, config.count):
            if number <= last:
                continue
            while number >= allowed and not stop.is_set():
                allowed = self._allowed()
                if number >= allowed:
                    stop.wait(0.02)
                    yield None
            if stop.is_set():
                return
            event = scripted_event(number, config.count, config.base_time, self._host, self._version)
            yield Observation(event, cursor=str(number))
            time.sleep(config.pause_s)
        while not stop.is_set():
            stop.wait(0.2)
            yield None

    def dropped(self) -> Mapping[str, int]:
        return {}

    def detail(self) -> str | None:
        return None

    def close(self) -> None:
        return

    def _allowed(self) -> int:
        if not self._config.gate:
            return self._config.count
        return min(self._config.count, int(Path(self._config.gate).read_text(encoding="ascii")))


KINDS = (
    CollectorKind(
        "script",
        "tests.soak.scripted_agent",
        "ScriptCollector",
        "tests.soak.scripted_agent",
        "ScriptConfig",
    ),
)


def main() -> None:
    config = load_config(Path(sys.argv[1]), KINDS)
    start_log(config.agent.log_level)
    Agent(config, kinds=KINDS).run()


if __name__ == "__main__":
    main()
