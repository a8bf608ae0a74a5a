"""`leaver-agent doctor`: what works on this host, and what to install or change where it does not.

Looks only: marks nothing, adds no audit rule, and needs no running agent.
"""

from __future__ import annotations

import ctypes
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from importlib import import_module
from typing import Literal

import msgspec

from agent.collector_registry import COLLECTORS, CollectorKind
from agent.config import AgentConfig, ConfigError, enabled_collectors
from agent.host import this_host
from agent.identity import Identity, IdentityError, NotEnrolled, load_identity
from agent.server_client import ServerClient, ServerUnreachable, Timeouts, verified_context
from agent.shippers.choose import make_shipper
from agent.status_file import is_running
from agent.version import agent_version
from collectors.contract import Unsupported

_TIME_ERROR = 5
_ADJTIMEX_BYTES = 512
"""More than any architecture's struct timex."""
_DOCTOR_TIMEOUTS = Timeouts(connect_seconds=5.0, answer_seconds=5.0)

State = Literal["ok", "degraded", "limit"]
SOURCES: tuple[tuple[str, str], ...] = (
    ("who: audit", "collectors.linux.audit"),
    ("who: process events", "collectors.linux.proc_events"),
    ("who: /proc", "collectors.linux.proc"),
    ("devices: hot-plug", "collectors.linux.hotplug"),
    ("devices: identity", "collectors.linux.block_devices"),
)
"""What to name it, and the module whose check() raises Unsupported with the remedy."""


class Finding(msgspec.Struct, frozen=True):
    """`limit` is what no setting can change."""

    check: str
    state: State
    detail: str


def examine(
    config: AgentConfig, *, clock: Callable[[], int], kinds: Sequence[CollectorKind] = COLLECTORS
) -> list[Finding]:
    """All checks; one that fails in an unforeseen way is a finding, and does not end the others."""
    return [
        _privileges(),
        *_collectors(config, kinds),
        _fanotify("files: fanotify with names", "open_fid_group", "only written files are seen, no renames"),
        _fanotify("files: fanotify", "open_fd_group", "watchdog is used: slower, misses some deletes"),
        *(_source(name, module) for name, module in SOURCES),
        _clock_synchronised(),
        _state_dir(config),
        *_enrolment(config, clock()),
        *_limits(),
    ]


def is_degraded(findings: Sequence[Finding]) -> bool:
    return any(finding.state == "degraded" for finding in findings)


def _privileges() -> Finding:
    if os.geteuid() == 0:
        return Finding("privileges", "ok", "runs as root")
    return Finding("privileges", "degraded", "not root: start it by systemd, or as root")


def _collectors(config: AgentConfig, kinds: Sequence[CollectorKind]) -> Iterator[Finding]:
    enabled = dict(enabled_collectors(config, kinds))
    for kind in kinds:
        name = f"collector {kind.name}"
        if kind not in enabled:
            yield Finding(name, "limit", "switched off in the settings")
            continue
        collector = kind.make(enabled[kind], this_host(None), agent_version())
        try:
            collector.check_supported()
        except Unsupported as error:
            yield Finding(name, "degraded", str(error))
        else:
            yield Finding(name, "ok", "can run")
        finally:
            collector.close()


def _fanotify(name: str, opener: str, without: str) -> Finding:
    module = import_module("collectors.linux.fanotify")
    try:
        os.close(getattr(module, opener)())
    except OSError as error:
        return Finding(name, "degraded", f"{error.strerror}: needs root and Linux 5.17; without it {without}")
    return Finding(name, "ok", "available")


def _source(name: str, module: str) -> Finding:
    try:
        import_module(module).check()
    except Unsupported as error:
        return Finding(name, "degraded", str(error))
    except OSError as error:
        return Finding(name, "degraded", error.strerror or type(error).__name__)
    return Finding(name, "ok", "available")


def _clock_synchronised() -> Finding:
    libc = ctypes.CDLL(None)
    state = libc.adjtimex(ctypes.create_string_buffer(_ADJTIMEX_BYTES))
    if state < 0 or state == _TIME_ERROR:
        advice = "not synchronised: install chrony or systemd-timesyncd (the server corrects by heartbeats)"
        return Finding("clock", "degraded", advice)
    return Finding("clock", "ok", "synchronised")


def _state_dir(config: AgentConfig) -> Finding:
    folder = config.state_dir
    existing = next(p for p in (folder, *folder.parents) if p.exists())
    if not os.access(existing, os.W_OK | os.X_OK):
        return Finding("spool", "degraded", f"{existing} cannot be written by this user")
    free = shutil.disk_usage(existing).free
    running = ", in use by a running agent" if is_running(folder) else ""
    if free < config.spool.max_bytes:
        text = f"{folder}: {free >> 20} MiB free, but spool.max_bytes is {config.spool.max_bytes >> 20} MiB"
        return Finding("spool", "degraded", text + running)
    return Finding("spool", "ok", f"{folder}: {free >> 20} MiB free{running}")


def _enrolment(config: AgentConfig, now: int) -> Iterator[Finding]:
    try:
        identity = load_identity(config.state_dir)
    except (NotEnrolled, IdentityError) as error:
        yield Finding("enrolment", "degraded", str(error))
        return
    until = datetime.fromtimestamp(identity.facts.not_after / 1000, UTC).date().isoformat()
    if now >= identity.facts.not_after:
        yield Finding("enrolment", "degraded", f"the certificate ended on {until}: enrol again")
    elif now >= identity.facts.renew_at:
        yield Finding("enrolment", "degraded", f"the certificate ends on {until}, and was not renewed yet")
    else:
        yield Finding("enrolment", "ok", f"{identity.facts.agent}, certificate until {until}")
    yield _server(identity)
    try:
        shipper = make_shipper(identity, config.shipper)
    except ConfigError as error:
        yield Finding("shipping", "degraded", str(error))
    else:
        yield Finding("shipping", "ok", shipper.describe())
        shipper.close()


def _server(identity: Identity) -> Finding:
    server = identity.facts.server
    try:
        client = ServerClient(server, verified_context(identity.ca_pem), _DOCTOR_TIMEOUTS)
        try:
            answer = client.request("GET", "/healthz")
        finally:
            client.close()
    except ServerUnreachable as error:
        return Finding("server", "degraded", f"{server}: {error}")
    if answer.status != 200:
        return Finding("server", "degraded", f"{server} answers, but is not well (status {answer.status})")
    return Finding("server", "ok", f"{server} answers")


def _limits() -> Iterator[Finding]:
    text: str = import_module("collectors.removable_storage").MTP_NOT_SEEN
    yield Finding("phones and cameras", "limit", text)


__all__ = ["SOURCES", "Finding", "examine", "is_degraded"]
