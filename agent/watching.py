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
from functools import partial
from pathlib import Path
from typing import IO

import msgspec

from agent.collector_registry import COLLECTORS, CollectorKind
from agent.config import AgentConfig, enabled_collectors
from agent.event_lines import HEADING, readable_line
from agent.host import this_host
from agent.identity import IdentityError, NotEnrolled, load_identity
from agent.settings_keeper import settings_in_force
from agent.spool_segment import NewEntry
from agent.status_report import readable_state
from agent.supervisor import Supervisor
from agent.version import agent_version
from collectors.storage_config import RemovableStorageConfig
from event_schema.codec import decode_event

QUEUE_ENTRIES = 1000
STORAGE = "removable_storage"
STOP_SECONDS = 3.0


def watching_too(config: AgentConfig, folders: Sequence[Path]) -> AgentConfig:
    """The settings, with these folders as further places of the storage collector, which then runs."""
    if not folders:
        return config
    storage = config.collectors[STORAGE]
    assert isinstance(storage, RemovableStorageConfig)
    places = (*storage.extra_mounts, *(str(folder.absolute()) for folder in folders))
    changed = msgspec.structs.replace(storage, enabled=True, extra_mounts=places)
    return msgspec.structs.replace(config, collectors=config.collectors | {STORAGE: changed})


def watch(
    config: AgentConfig,
    folders: Sequence[Path] = (),
    *,
    as_json: bool,
    kinds: Sequence[CollectorKind] = COLLECTORS,
) -> None:
    """Until SIGINT, SIGTERM or a closed standard output. Only from the main thread. config: the endpoint's
    own file; folders: see watching_too."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    seen: queue.Queue[NewEntry] = queue.Queue(QUEUE_ENTRIES)
    host = this_host(_agent_name(config))
    # Last, so that no settings of the installation take the folders away again.
    in_force = watching_too(settings_in_force(config, kinds)[0], folders)
    supervisors = [
        Supervisor(
            kind.name,
            partial(kind.make, settings, host, agent_version(), in_force.shared),
            partial(_put, seen, stop),
            resume_from=None,
            stop=stop,
        )
        for kind, settings in enabled_collectors(in_force, kinds)
    ]
    for supervisor in supervisors:
        supervisor.start()
    try:
        if not as_json:
            _say_what_is_watched(supervisors, stop)
            _write(sys.stdout, HEADING)
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


def _say_what_is_watched(supervisors: Sequence[Supervisor], stop: threading.Event) -> None:
    """On standard error, once the collectors have said how they are (or after ten seconds)."""
    until = time.monotonic() + 10.0
    while time.monotonic() < until and not stop.wait(0.05):
        states = [supervisor.state() for supervisor in supervisors]
        if all(state.state not in {"starting"} for state in states):
            break
    for state in (supervisor.state() for supervisor in supervisors):
        _write(
            sys.stderr,
            f"{state.name}: {readable_state(state.state)}{f', {state.detail}' if state.detail else ''}",
        )
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
