"""The real agent with a collector that sees a numbered file every moment. The argument is its settings file.

Unlike the script of the soak test it dates its events by the clock that the agent gives it, as collectors do.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

import msgspec

from agent.collector_registry import CollectorKind
from agent.config import load_config
from agent.json_log import clock_ms, start_log
from agent.runner import Agent
from collectors.contract import Observation
from collectors.steady_clock import SteadyClock
from event_schema.ocsf_events import FileActivity, FileSystemActivity, event_metadata, file_system_activity
from event_schema.ocsf_objects import (
    Actor,
    DriveType,
    File,
    FileType,
    Host,
    PeripheralDevice,
    PeripheralType,
    User,
)
from event_schema.ocsf_unmapped import Evidence, Unmapped

_STICK = PeripheralDevice(name="Stick", type_id=PeripheralType.EXTERNAL_STORAGE, uid="0781:5591:0001")


class NumberedConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`gate`: a file with the number up to which files may be copied now."""

    enabled: bool = True
    gate: str = ""
    pause_s: float = 0.01


class NumberedCollector:
    name: ClassVar[str] = "numbered"
    emits: ClassVar[tuple[type, ...]] = (FileSystemActivity,)

    def __init__(self, config: NumberedConfig, host: Host, version: str) -> None:
        self._config, self._host, self._version = config, host, version
        self._clock = SteadyClock(clock_ms)

    def check_supported(self) -> None:
        return

    def observe(self, resume_from: str | None, stop: threading.Event) -> Iterator[Observation | None]:
        number = 0 if resume_from is None else int(resume_from) + 1
        while not stop.wait(self._config.pause_s):
            if number < int(Path(self._config.gate).read_text(encoding="ascii")):
                yield Observation(self._event(number), cursor=str(number))
                number += 1
            else:
                yield None

    def dropped(self) -> Mapping[str, int]:
        return {}

    def detail(self) -> str | None:
        return None

    def close(self) -> None:
        return

    def _event(self, number: int) -> FileSystemActivity:
        name = f"file-{number}"
        return file_system_activity(
            FileActivity.CREATE,
            time=self._clock.wall_ms(self._clock.now_ms()),
            metadata=event_metadata("removable_storage", self._version),
            actor=Actor(user=User(name="alice")),
            device=self._host,
            file=File(
                name=name,
                type_id=FileType.REGULAR,
                path=f"/media/stick/{name}",
                size=1000 + number,
                drive_type_id=DriveType.REMOVABLE,
            ),
            unmapped=Unmapped(
                evidence=Evidence(fidelity="exact", observed_by="simulated", actor_from="simulated"),
                peripheral_device=_STICK,
            ),
        )


KINDS = (
    CollectorKind(
        "numbered",
        "tests.faults.numbered_agent",
        "NumberedCollector",
        "tests.faults.numbered_agent",
        "NumberedConfig",
    ),
)


def main() -> None:
    config = load_config(Path(sys.argv[1]), KINDS)
    start_log(config.agent.log_level)
    Agent(config, kinds=KINDS).run()


if __name__ == "__main__":
    main()
