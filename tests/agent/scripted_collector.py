"""A collector whose events are known beforehand: numbered files, from where its cursor says."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping
from typing import ClassVar

import msgspec

from collectors.contract import Observation, Unsupported
from event_schema.ocsf_events import FileActivity, FileSystemActivity, event_metadata, file_system_activity
from event_schema.ocsf_objects import Actor, File, FileType, Host, User
from event_schema.ocsf_unmapped import Evidence, Unmapped


class ScriptedConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    enabled: bool = True
    count: int = 0
    """Files in all."""
    pause_s: float = 0.0
    """Between two of them."""
    fail_at: int = -1
    """Breaks when this file's turn comes, the first time."""
    unsupported: str = ""


class ScriptedCollector:
    name: ClassVar[str] = "scripted"
    emits: ClassVar[tuple[type, ...]] = (FileSystemActivity,)
    _broken: ClassVar[set[int]] = set()

    def __init__(self, config: ScriptedConfig, host: Host, version: str) -> None:
        self._config, self._host, self._version = config, host, version
        self._at = 0

    def check_supported(self) -> None:
        if self._config.unsupported:
            raise Unsupported(self._config.unsupported)

    def observe(self, resume_from: str | None, stop: threading.Event) -> Iterator[Observation | None]:
        self._at = 0 if resume_from is None else int(resume_from) + 1
        while not stop.is_set():
            if self._at >= self._config.count:
                stop.wait(0.05)
                yield None
                continue
            if self._at == self._config.fail_at and self._at not in self._broken:
                self._broken.add(self._at)
                raise FileNotFoundError(2, "gone", "/media/alice/secret.txt")
            yield Observation(self._event(self._at), cursor=str(self._at))
            self._at += 1
            if self._config.pause_s:
                time.sleep(self._config.pause_s)

    def dropped(self) -> Mapping[str, int]:
        return {"scripted": 1}

    def detail(self) -> str | None:
        return f"at {self._at}"

    def close(self) -> None:
        self._at = -1

    def _event(self, number: int) -> FileSystemActivity:
        return file_system_activity(
            FileActivity.CREATE,
            time=1_795_305_600_000 + number,
            metadata=event_metadata(self.name, self._version),
            actor=Actor(user=User(name="alice")),
            device=self._host,
            file=File(name=f"file-{number}", type_id=FileType.REGULAR, size=number),
            unmapped=Unmapped(evidence=Evidence(fidelity="exact", observed_by="simulated")),
        )


class Asking(ScriptedCollector):
    """Wants to know what is on disk."""

    told: ClassVar[list[str | None]] = []

    def saved(self, cursor: str | None) -> None:
        self.told.append(cursor)


class OddlyMounted(ScriptedCollector):
    """Speaks of a mount point that is not UTF-8, as mountinfo gives it."""

    def detail(self) -> str | None:
        return "fanotify FID on " + os.fsdecode(b"/mnt/caf\xe9")


class Unspeakable(ScriptedCollector):
    """Drops for a reason that no encoder takes."""

    def dropped(self) -> Mapping[str, int]:
        return {"not UTF-8: \udce9": 1}
