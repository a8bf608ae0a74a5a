"""`leaver-agent watch`: what the collectors see, live, on standard output. No server, no spool.

With JSON: one OCSF event a line, as it would go to the server. Else a line a person reads. Nothing else
is written to standard output.
"""

from __future__ import annotations

import queue
import signal
import sys
import threading
import time
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import IO

import msgspec

from agent.collector_registry import COLLECTORS, CollectorKind
from agent.config import AgentConfig, enabled_collectors
from agent.host import this_host
from agent.identity import IdentityError, NotEnrolled, load_identity
from agent.spool_segment import NewEntry
from agent.supervisor import Supervisor
from agent.version import agent_version
from collectors.storage_config import RemovableStorageConfig
from event_schema.byte_size import byte_size
from event_schema.codec import decode_event
from event_schema.ocsf_events import Event, FileActivity, FileSystemActivity, PeripheralActivityKind
from event_schema.ocsf_objects import Actor

QUEUE_ENTRIES = 1000
STORAGE = "removable_storage"
STOP_SECONDS = 3.0
_FILE_ACTS = {
    FileActivity.CREATE: "new",
    FileActivity.UPDATE: "changed",
    FileActivity.DELETE: "deleted",
    FileActivity.RENAME: "renamed",
}
_DEVICE_ACTS = {PeripheralActivityKind.CONNECT: "plugged in", PeripheralActivityKind.DISCONNECT: "taken out"}
_ROW = "{:<12} {:<12} {:<10} {:>9}  {:<16} {:<24} {}"


def watching_too(config: AgentConfig, folders: Sequence[Path]) -> AgentConfig:
    """The settings, with these folders as further places of the storage collector, which then runs."""
    if not folders:
        return config
    storage = config.collectors[STORAGE]
    assert isinstance(storage, RemovableStorageConfig)
    places = (*storage.extra_mounts, *(str(folder.absolute()) for folder in folders))
    changed = msgspec.structs.replace(storage, enabled=True, extra_mounts=places)
    return msgspec.structs.replace(config, collectors=config.collectors | {STORAGE: changed})


def watch(config: AgentConfig, *, as_json: bool, kinds: Sequence[CollectorKind] = COLLECTORS) -> None:
    """Until SIGINT, SIGTERM or a closed standard output. Only from the main thread."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    seen: queue.Queue[NewEntry] = queue.Queue(QUEUE_ENTRIES)
    host = this_host(_agent_name(config))
    supervisors = [
        Supervisor(
            kind.name,
            partial(kind.make, settings, host, agent_version()),
            partial(_put, seen, stop),
            resume_from=None,
            stop=stop,
        )
        for kind, settings in enabled_collectors(config, kinds)
    ]
    for supervisor in supervisors:
        supervisor.start()
    try:
        if not as_json:
            _say_what_is_watched(supervisors, stop)
            _write(sys.stdout, _ROW.format("TIME", "USER", "ACT", "SIZE", "PROGRAM", "DEVICE", "FILE"))
        while not (stop.is_set() and not _any_alive(supervisors) and seen.empty()):
            try:
                entry = seen.get(timeout=0.1)
            except queue.Empty:
                continue
            line = entry.data.decode() if as_json else readable_line(decode_event(entry.data))
            _write(sys.stdout, line)
    except BrokenPipeError:
        stop.set()
        # What is left in the buffer must not fail again when Python flushes it at the end.
        sys.stdout = open("/dev/null", "w", encoding="utf-8")  # noqa: SIM115 - lives until the end
    finally:
        stop.set()
        until = time.monotonic() + STOP_SECONDS
        for supervisor in supervisors:
            supervisor.join(max(0.0, until - time.monotonic()))


def _any_alive(supervisors: Sequence[Supervisor]) -> bool:
    return any(not supervisor.join(0.0) for supervisor in supervisors)


def readable_line(event: Event) -> str:
    """One line: when, who, what was done, how much, by which program, where to, which file."""
    when = datetime.fromtimestamp(event.time / 1000).astimezone().strftime("%H:%M:%S.%f")[:12]
    if isinstance(event, FileSystemActivity):
        device = event.unmapped.peripheral_device
        where = device.name if device is not None else (event.file.volume or "")
        # Where a folder stands for the device it is said once.
        folder = f"{where.rstrip('/')}/" if where.startswith("/") else ""
        name = (event.file.path or event.file.name).removeprefix(folder)
        if event.file_result is not None:
            name += f" → {(event.file_result.path or event.file_result.name).removeprefix(folder)}"
        act, size = _FILE_ACTS[event.activity_id], _size(event.file.size)
        if event.file.is_deleted and event.activity_id is not FileActivity.DELETE:
            act = "new, gone"
        return _ROW.format(when, _user(event.actor), act, size, _program(event.actor), where, name)
    device = event.peripheral_device
    act = _DEVICE_ACTS[event.activity_id]
    return _ROW.format(when, _user(event.actor), act, "", "", device.name, device.uid or "").rstrip()


def _size(size: int | None) -> str:
    return "?" if size is None else byte_size(size)


def _user(actor: Actor) -> str:
    if actor.user is not None:
        return actor.user.name or actor.user.uid or "?"
    return actor.app_name or "?"


def _program(actor: Actor) -> str:
    process = actor.process
    if process is None:
        return ""
    return process.file.name if process.file is not None else (process.name or f"pid {process.pid}")


def _say_what_is_watched(supervisors: Sequence[Supervisor], stop: threading.Event) -> None:
    """On standard error, once the collectors have said how they are (or after two seconds)."""
    until = time.monotonic() + 2.0
    while time.monotonic() < until and not stop.wait(0.05):
        states = [supervisor.state() for supervisor in supervisors]
        if all(state.state not in {"starting"} for state in states):
            break
    for state in (supervisor.state() for supervisor in supervisors):
        _write(sys.stderr, f"{state.name}: {state.state}{f', {state.detail}' if state.detail else ''}")
    _write(sys.stderr, "Ctrl-C ends it.")


def _put(seen: queue.Queue[NewEntry], stop: threading.Event, entry: NewEntry) -> None:
    until = None
    while until is None or time.monotonic() < until:
        try:
            seen.put(entry, timeout=0.2)
        except queue.Full:
            if stop.is_set() and until is None:
                until = time.monotonic() + 1.0
            continue
        return


def _write(stream: IO[str], line: str) -> None:
    stream.write(line + "\n")
    stream.flush()


def _agent_name(config: AgentConfig) -> str | None:
    try:
        return load_identity(config.state_dir).facts.agent
    except (NotEnrolled, IdentityError):
        return None


__all__ = ["readable_line", "watch", "watching_too"]
