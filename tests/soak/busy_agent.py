"""The real agent on an endpoint that never rests (busy_script.py). The argument is its settings file."""

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
from event_schema.ocsf_events import FileSystemActivity
from event_schema.ocsf_objects import Host
from tests.soak.busy_script import busy_event


class BusyConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    enabled: bool = True
    count: int = 0
    first_time: int = 0
    """Of event 0, ms UTC."""
    every_ms: int = 10
    """From one event's own time to the next one's."""
    real_time: bool = False
    """Each event happens at its own time, not before."""


class BusyCollector:
    """A Collector (see collectors/contract.py) with history: the cursor is the event's number."""

    name: ClassVar[str] = "busy"
    emits: ClassVar[tuple[type, ...]] = (FileSystemActivity,)

    def __init__(self, config: BusyConfig, host: Host, version: str) -> None:
        self._config, self._host, self._version = config, host, version

    def check_supported(self) -> None:
        return

    def observe(self, resume_from: str | None, stop: threading.Event) -> Iterator[Observation | None]:
        config = self._config
        first = 0 if resume_from is None else int(resume_from) + 1
        yield None
        for number in range(first, config.count):
            at = config.first_time + number * config.every_ms
            while config.real_time and not stop.is_set() and (wait := at / 1000 - time.time()) > 0:
                stop.wait(min(wait, 0.5))
            if stop.is_set():
                return
            yield Observation(busy_event(number, at, self._host, self._version), cursor=str(number))
        while not stop.is_set():
            stop.wait(0.5)
            yield None

    def dropped(self) -> Mapping[str, int]:
        return {}

    def detail(self) -> str | None:
        return None

    def close(self) -> None:
        return


KINDS = (
    CollectorKind("busy", "tests.soak.busy_agent", "BusyCollector", "tests.soak.busy_agent", "BusyConfig"),
)


def main() -> None:
    config = load_config(Path(sys.argv[1]), KINDS)
    start_log(config.agent.log_level)
    Agent(config, kinds=KINDS).run()


if __name__ == "__main__":
    main()
