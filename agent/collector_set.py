"""All collectors that run, and their change to other settings while the agent goes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from agent.collector_registry import NOTHING_SHARED, CollectorKind, SharedSettings
from agent.spool_segment import NewEntry
from agent.supervisor import Supervisor
from event_schema.control_records import CollectorState
from event_schema.ocsf_objects import Host

Enabled = Sequence[tuple[CollectorKind, msgspec.Struct]]
REPLACE_SECONDS = 5.0


class _Running(msgspec.Struct, frozen=True):
    settings: tuple[msgspec.Struct, SharedSettings]
    """Its own, and what it goes by of the shared ones."""
    supervisor: Supervisor
    stop: threading.Event


class CollectorSet:
    """`states` is anybody's; all else is one thread's. Nothing runs before `start`."""

    def __init__(
        self,
        host: Host,
        version: str,
        hand_on: Callable[[NewEntry], None],
        resume_from: Callable[[str], str | None],
        enabled: Enabled,
        shared: SharedSettings = NOTHING_SHARED,
        switched_off: Callable[[str, str | None], None] = lambda _name, _cursor: None,
    ) -> None:
        """`switched_off` hears of each collector that no longer runs, and where it stood."""
        self._host, self._version = host, version
        self._hand_on, self._resume_from, self._switched_off = hand_on, resume_from, switched_off
        self._running: dict[str, _Running] = {}
        self._ended: dict[str, Supervisor] = {}
        self._off: set[str] = set()
        for kind, settings in enabled:
            self._add(kind, _all(kind, settings, shared), self._resume_from(kind.name), None)

    def start(self) -> None:
        for running in self._running.values():
            running.supervisor.start()

    def replace(self, enabled: Enabled, shared: SharedSettings = NOTHING_SHARED) -> bool:
        """Collectors whose settings changed begin anew behind what they handed on; others go on untouched.
        One that was switched off begins with what comes when it is switched on again.

        False: one does not end, and nothing takes its place before it has; call again later."""
        wanted = {kind.name: _all(kind, settings, shared) for kind, settings in enabled}
        # One that was told to end ends, even if its settings are wanted again before it has.
        ending = [
            name
            for name, known in self._running.items()
            if known.stop.is_set() or wanted.get(name) != known.settings
        ]
        for name in ending:
            self._running[name].stop.set()
        until = time.monotonic() + REPLACE_SECONDS
        for name in ending:
            supervisor = self._running[name].supervisor
            if supervisor.join(max(0.0, until - time.monotonic())):
                self._ended[name] = supervisor
                if name not in wanted:
                    self._off.add(name)
                    self._switched_off(name, supervisor.cursor)
                self._running = {n: running for n, running in self._running.items() if n != name}
        for kind, settings in enabled:
            if kind.name not in self._running:
                old = self._ended.pop(kind.name, None)
                cursor = self._resume_from(kind.name) if old is None else old.cursor
                if kind.name in self._off:
                    self._off.discard(kind.name)
                    cursor = None
                self._add(kind, _all(kind, settings, shared), cursor, old).start()
        return all(name not in self._running or not self._running[name].stop.is_set() for name in ending)

    def states(self) -> list[CollectorState]:
        return [running.supervisor.state() for running in self._running.values()]

    def stop(self) -> None:
        for running in self._running.values():
            running.stop.set()

    def join(self, timeout: float) -> list[str]:
        """Names of those that did not end in time."""
        until = time.monotonic() + timeout
        return [
            name
            for name, running in self._running.items()
            if not running.supervisor.join(max(0.0, until - time.monotonic()))
        ]

    def _add(
        self,
        kind: CollectorKind,
        settings: tuple[msgspec.Struct, SharedSettings],
        cursor: str | None,
        before: Supervisor | None,
    ) -> Supervisor:
        stop = threading.Event()
        supervisor = Supervisor(
            kind.name,
            partial(kind.make, settings[0], self._host, self._version, settings[1]),
            self._hand_on,
            resume_from=cursor,
            stop=stop,
            before=None if before is None else before.state(),
            saved=partial(self._resume_from, kind.name),
        )
        running = _Running(settings, supervisor, stop)
        self._running = self._running | {kind.name: running}
        return supervisor


def _all(
    kind: CollectorKind, settings: msgspec.Struct, shared: SharedSettings
) -> tuple[msgspec.Struct, SharedSettings]:
    return settings, kind.shared_of(shared)
