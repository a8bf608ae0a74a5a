"""`leaver-agent doctor`: what works on this host, and what to install or change where it does not.

Looks only: marks nothing, adds no audit rule, and needs no running agent.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import shutil
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from typing import Literal

import msgspec

from agent.collector_registry import COLLECTORS, CollectorKind
from agent.config import DEFAULT_PATH, AgentConfig, ConfigError, enabled_collectors
from agent.host import this_host
from agent.identity import Identity, IdentityError, NotEnrolled, load_identity
from agent.json_log import exception_facts
from agent.missing_package import missing_package, without_package
from agent.server_client import ServerClient, ServerUnreachable, Timeouts, verified_context
from agent.settings_keeper import settings_in_force
from agent.shippers.choose import make_shipper
from agent.status_file import is_running
from agent.version import agent_version
from collectors.contract import Unsupported
from collectors.install_command import install_command
from event_schema.byte_size import byte_size
from event_schema.printable import printable_name

_TIME_ERROR = 5
_ADJTIMEX_BYTES = 512
"""More than any architecture's struct timex."""
_ENROL = "leaver agents enrol NAME  # on the server: prints a line\nleaver-agent enrol  # paste it here"
_DOCTOR_TIMEOUTS = Timeouts(connect_seconds=5.0, answer_seconds=5.0)

State = Literal["ok", "degraded", "off", "limit"]
SOURCES: tuple[tuple[str, str], ...] = (
    ("who: audit", "collectors.linux.audit"),
    ("who: process events", "collectors.linux.proc_events"),
    ("who: /proc", "collectors.linux.proc"),
    ("devices: hot-plug", "collectors.linux.hotplug"),
    ("devices: identity", "collectors.linux.block_devices"),
    ("labels", "collectors.labels.support"),
    ("uploads: files as they are opened", "collectors.linux.opened_files"),
    ("uploads: who connects", "collectors.linux.audit_connects"),
    ("uploads: bytes sent", "collectors.linux.tcp_sockets"),
)
"""What to name it, and the module whose check() raises Unsupported with the remedy."""


class Finding(msgspec.Struct, frozen=True):
    """`off`: nobody asked for it; `limit`: nothing can bring it. `remedy`: what brings what is missing, ready
    to be pasted: commands, or lines of settings; empty where there is none, or `detail` says it all."""

    check: str
    state: State
    detail: str
    remedy: str = ""


_REMEDIES: dict[State, str] = {
    "degraded": "What brings what is missing:",
    "off": f"What switches on what is off, in {DEFAULT_PATH} (the paths as they are here):",
}


def examine(
    config: AgentConfig, *, clock: Callable[[], int], kinds: Sequence[CollectorKind] = COLLECTORS
) -> list[Finding]:
    """All checks; one that fails in an unforeseen way is a finding, and does not end the others."""
    own = config
    config, _ = settings_in_force(own, kinds)
    checks: list[tuple[str, Callable[[], Iterable[Finding]]]] = [
        ("privileges", _privileges),
        *((f"collector {kind.name}", partial(_collector, config, kind, kinds)) for kind in kinds),
        ("files: fanotify with names", _fanotify_names),
        ("files: fanotify", _fanotify_plain),
        *((name, partial(_source, name, module)) for name, module in SOURCES),
        ("clock", _clock_synchronised),
        ("spool", partial(_state_dir, config)),
        ("enrolment", partial(_enrolment, config, clock)),
        ("settings", partial(_settings, own, kinds)),
        ("server", partial(_server, config)),
        ("shipping", partial(_shipping, config)),
        ("phones and cameras", _limits),
    ]
    return [finding for name, check in checks for finding in _guarded(name, check)]


def _guarded(name: str, check: Callable[[], Iterable[Finding]]) -> list[Finding]:
    found: list[Finding] = []
    try:
        # What was found before something fails stays.
        for finding in check():
            found.append(finding)  # noqa: PERF402
    except Unsupported as error:
        found.append(Finding(name, "degraded", str(error), error.remedy))
    except ImportError as error:
        found.append(Finding(name, "degraded", missing_package(error), without_package(error).remedy))
    except OSError as error:
        found.append(Finding(name, "degraded", error.strerror or type(error).__name__))
    except Exception as error:  # noqa: BLE001 - one check must not hide what the others found
        found.append(Finding(name, "degraded", f"the check itself failed: {exception_facts(error)}"))
    return [_printable(finding) for finding in found]


def _printable(finding: Finding) -> Finding:
    remedy = "\n".join(map(printable_name, finding.remedy.splitlines()))
    return msgspec.structs.replace(finding, detail=printable_name(finding.detail), remedy=remedy)


def is_degraded(findings: Sequence[Finding]) -> bool:
    return any(finding.state == "degraded" for finding in findings)


def finding_lines(findings: Sequence[Finding], *, width: int) -> list[str]:
    """For people: a finding a line; what does not fit goes on under its beginning. Then what can be done,
    each line whole, so that it can be pasted."""
    column = max(len(finding.check) for finding in findings)
    lines = []
    for finding in findings:
        begins = f"{finding.check:<{column}}  {finding.state:<8}  "
        lines += textwrap.wrap(
            finding.detail,
            max(width, len(begins) + 30),
            initial_indent=begins,
            subsequent_indent=" " * len(begins),
            break_long_words=False,
            break_on_hyphens=False,
        )
    for state, heading in _REMEDIES.items():
        found = [finding for finding in findings if finding.state == state and finding.remedy]
        lines += ["", heading] if found else []
        for finding in found:
            # Details that end so say where to paste.
            where = f": {finding.detail}" if finding.detail.endswith(":") else ""
            lines.append(f"  # {finding.check}{where}")
            lines += [f"  {line}" for line in finding.remedy.splitlines()]
    return lines


def _privileges() -> Iterator[Finding]:
    if os.geteuid() == 0:
        yield Finding("privileges", "ok", "runs as root")
    else:
        yield Finding("privileges", "degraded", "not root: start it by systemd, or as root")


def _collector(config: AgentConfig, kind: CollectorKind, kinds: Sequence[CollectorKind]) -> Iterator[Finding]:
    name = f"collector {kind.name}"
    enabled = dict(enabled_collectors(config, kinds))
    if kind not in enabled:
        settings = kind.config_type()
        off = getattr(settings, "to_enable", "switched off in the settings")
        yield Finding(name, "off", off, getattr(settings, "lines_to_enable", str)())
        return
    collector = kind.make(enabled[kind], this_host(None), agent_version(), config.shared)
    is_missing = False
    try:
        try:
            collector.check_supported()
            detail = collector.detail()
            yield Finding(name, "ok", "can run" if detail is None else f"can run; {detail}")
        except Unsupported as error:
            is_missing = True
            yield Finding(name, "degraded", str(error), error.remedy)
        # Of what else is set up here: not every collector has any.
        with contextlib.suppress(ImportError) if is_missing else contextlib.nullcontext():
            for advice in getattr(collector, "advice", tuple)():
                state: State = "ok" if advice.is_met else "degraded"
                yield Finding(f"{name}: {advice.about}", state, advice.text, advice.remedy)
    finally:
        collector.close()


def _fanotify_names() -> Iterator[Finding]:
    """FAN_REPORT_DFID_NAME is of Linux 5.9, but what a rename was from and to (FAN_RENAME, and
    FAN_REPORT_TARGET_FID, which the group asks for) of 5.17."""
    yield _fanotify(
        "files: fanotify with names",
        "open_fid_group",
        "needs Linux 5.17",
        "only written files are seen, no renames",
    )


def _fanotify_plain() -> Iterator[Finding]:
    """Marks of a mount, with descriptors, are as old as fanotify itself."""
    yield _fanotify(
        "files: fanotify",
        "open_fd_group",
        "needs Linux 2.6.37 with CONFIG_FANOTIFY",
        "watchdog is used: slower, misses some deletes",
    )


def _fanotify(name: str, opener: str, kernel: str, without: str) -> Finding:
    module = import_module("collectors.linux.fanotify")
    try:
        os.close(getattr(module, opener)())
    except OSError as error:
        refused = error.errno in (errno.EPERM, errno.EACCES)
        needed = "needs root (CAP_SYS_ADMIN)" if refused else kernel
        return Finding(name, "degraded", f"{error.strerror}: {needed}; without it {without}")
    return Finding(name, "ok", "available")


def _source(name: str, module: str) -> Iterator[Finding]:
    import_module(module).check()
    yield Finding(name, "ok", "available")


def _clock_synchronised() -> Iterator[Finding]:
    libc = ctypes.CDLL(None)
    state = libc.adjtimex(ctypes.create_string_buffer(_ADJTIMEX_BYTES))
    if state < 0 or state == _TIME_ERROR:
        advice = "not synchronised (the server corrects by heartbeats)"
        yield Finding("clock", "degraded", advice, install_command("chrony", "chrony"))
    else:
        yield Finding("clock", "ok", "synchronised")


def _state_dir(config: AgentConfig) -> Iterator[Finding]:
    folder = config.state_dir
    existing = next(p for p in (folder, *folder.parents) if p.exists())
    if not os.access(existing, os.W_OK | os.X_OK):
        yield Finding("spool", "degraded", f"{existing} cannot be written by this user")
        return
    free = shutil.disk_usage(existing).free
    running = ", in use by a running agent" if is_running(folder) else ""
    if free < config.spool.max_bytes:
        text = f"{folder}: {byte_size(free)} free, but spool.max_bytes is {byte_size(config.spool.max_bytes)}"
        yield Finding("spool", "degraded", text + running)
    else:
        yield Finding("spool", "ok", f"{folder}: {byte_size(free)} free{running}")


def _identity(config: AgentConfig) -> Identity | None:
    try:
        return load_identity(config.state_dir)
    except (NotEnrolled, IdentityError):
        return None


def _enrolment(config: AgentConfig, clock: Callable[[], int]) -> Iterator[Finding]:
    try:
        identity = load_identity(config.state_dir)
    except (NotEnrolled, IdentityError) as error:
        yield Finding("enrolment", "degraded", str(error), _ENROL)
        return
    now = clock()
    until = datetime.fromtimestamp(identity.facts.not_after / 1000, UTC).date().isoformat()
    if now >= identity.facts.not_after:
        yield Finding("enrolment", "degraded", f"the certificate ended on {until}: enrol again", _ENROL)
    elif now >= identity.facts.renew_at:
        yield Finding("enrolment", "degraded", f"the certificate ends on {until}, and was not renewed yet")
    else:
        yield Finding("enrolment", "ok", f"{identity.facts.agent}, certificate until {until}")


def _settings(own: AgentConfig, kinds: Sequence[CollectorKind]) -> Iterator[Finding]:
    """Nothing where the endpoint's own file is all there is."""
    config, state = settings_in_force(own, kinds)
    if state.problem is not None:
        yield Finding("settings", "degraded", state.problem)
    if config.overruled:
        keys = ", ".join(config.overruled)
        yield Finding("settings", "limit", f"the installation's value holds, not that of the file: {keys}")
    elif state.version is not None:
        yield Finding("settings", "ok", f"version {state.version} of the installation's")


def _server(config: AgentConfig) -> Iterator[Finding]:
    """Nothing without an enrolment: that is the finding."""
    identity = _identity(config)
    if identity is None:
        return
    server = identity.facts.server
    try:
        client = ServerClient(server, verified_context(identity.ca_pem), _DOCTOR_TIMEOUTS)
        try:
            answer = client.request("GET", "/readyz")
        finally:
            client.close()
    except ServerUnreachable as error:
        yield Finding("server", "degraded", f"{server}: {error}")
        return
    if answer.status != 200:
        yield Finding("server", "degraded", f"{server} answers, but is not well (status {answer.status})")
    else:
        yield Finding("server", "ok", f"{server} answers")


def _shipping(config: AgentConfig) -> Iterator[Finding]:
    identity = _identity(config)
    if identity is None:
        return
    try:
        shipper = make_shipper(identity, config.shipper)
    except ConfigError as error:
        yield Finding("shipping", "degraded", str(error))
    else:
        yield Finding("shipping", "ok", shipper.describe())
        shipper.close()


def _limits() -> Iterator[Finding]:
    text: str = import_module("collectors.removable_storage").MTP_NOT_SEEN
    yield Finding("phones and cameras", "limit", text)


__all__ = ["SOURCES", "Finding", "examine", "finding_lines", "is_degraded"]
