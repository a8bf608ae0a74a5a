"""`leaver-agent status`: the running agent's own words, and whether they are fresh."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from agent.status_file import AgentStatus, NoStatus, StatusUnreadable, is_running, read_status
from event_schema.byte_size import byte_size
from event_schema.control_records import Heartbeat

STALE_MS = 30_000
FULL_BYTES = 256 << 10
"""With less not even the status can be written."""
FOOTPRINT_SECONDS = 60
"""Before, starting is most of what the agent did: no percentage."""
RENEWAL_GRACE_DAYS = 30
"""As the server has it."""

_TOO_SHORT: Final = frozenset({"process_ended_before_it_was_read"})
"""Counted with the drops, but these are all programs that lived for milliseconds: hardly ever one of those
looked for."""


class StatusReport(msgspec.Struct, frozen=True):
    """`problem` says in words why things are not well; None when they are. The agent is starting where there
    is neither that nor a `status`."""

    running: bool
    problem: str | None
    status: AgentStatus | None


def report(state_dir: Path, *, as_json: bool, now: int) -> tuple[str, bool]:
    """Text for standard output, and whether all is well."""
    found = examine(state_dir, now=now)
    if as_json:
        return msgspec.json.encode(found).decode(), found.problem is None
    return "\n".join(_lines(found, now)), found.problem is None


def examine(state_dir: Path, *, now: int) -> StatusReport:
    running = is_running(state_dir)
    try:
        status = read_status(state_dir)
    except NoStatus:
        if running:
            # It holds its spool, and has not come to its first word.
            return StatusReport(running, None, None)
        return StatusReport(running, f"{state_dir}: the agent has not run here yet", None)
    except StatusUnreadable as error:
        return StatusReport(running, str(error), None)
    try:
        free = shutil.disk_usage(state_dir).free
    except OSError:
        free = None
    return StatusReport(running, _problem(status, running, now, free), status)


def _problem(status: AgentStatus, running: bool, now: int, disk_free: int | None) -> str | None:
    if not running:
        return "the agent does not run"
    if abs(now - status.written_at) > STALE_MS:
        if disk_free is not None and disk_free < FULL_BYTES:
            return "the disk of its state folder is full: what it sees waits, and is saved when there is room"
        return f"the agent has said nothing for {abs(now - status.written_at) // 1000} s"
    if status.shipping.fault is not None:
        return f"{_end_of_certificate(status, now)}nothing is sent: {status.shipping.fault}"
    if status.heartbeat.failed_reports > 0:
        return f"failed {status.heartbeat.failed_reports} times to say how it is: its log says why"
    failing = [c.name for c in status.heartbeat.collectors if c.state not in {"running", "starting"}]
    return f"not running: {', '.join(failing)}" if failing else None


def _end_of_certificate(status: AgentStatus, now: int) -> str:
    if now <= status.certificate_until:
        return ""
    ended = datetime.fromtimestamp(status.certificate_until / 1000, UTC).date()
    return (
        f"its certificate ended on {ended}: within {RENEWAL_GRACE_DAYS} days it renews itself when the server"
        " answers, later it needs a new line (leaver agents enrol, then leaver-agent enrol --replace, which"
        " keeps its events); "
    )


def _lines(found: StatusReport, now: int) -> list[str]:
    status = found.status
    if status is None:
        return [found.problem or "the agent is starting"]
    beat, shipping = status.heartbeat, status.shipping
    sent = "nothing sent since the start"
    if shipping.last_success is not None:
        ago = (now - shipping.last_success) // 1000
        sent = f"last success {ago} s ago; {shipping.shipped_events} events since the start"
    lines = [
        f"agent       {status.agent}, {'running' if found.running else 'stopped'}, version {beat.version}",
        f"sending     {shipping.to}; {sent}",
        f"backlog     {beat.backlog_events} events, {byte_size(beat.backlog_bytes)}",
        *_held_back(status),
        f"lost        {beat.lost_events} events",
        *_footprint(status),
        *_settings(beat),
    ]
    for collector in beat.collectors:
        lost = {why: number for why, number in collector.dropped.items() if why not in _TOO_SHORT}
        lines.append(
            f"collector   {collector.name}: {readable_state(collector.state)}, {collector.observed:,} seen, "
            f"{sum(lost.values()):,} dropped, {collector.restarts} restarts"
        )
        lines += [f"            dropped: {line}" for line in _reasons(lost)]
        rest = {why: number for why, number in collector.dropped.items() if why in _TOO_SHORT}
        lines += [f"            not looked at: {line}" for line in _reasons(rest)]
        if collector.detail:
            lines.append(f"            {collector.detail}")
    if found.problem is not None:
        lines.append(f"problem     {found.problem}")
    return lines


def readable_state(state: str) -> str:
    """Most that keeps a collector from running is missing here, not unsupported: its detail says what."""
    return "cannot run" if state == "unsupported" else state


def _reasons(dropped: Mapping[str, int]) -> list[str]:
    return [f"{number:,} × {why.replace('_', ' ')}" for why, number in sorted(dropped.items())]


def _settings(beat: Heartbeat) -> list[str]:
    lines = []
    if beat.settings_version is not None:
        lines.append(f"settings    version {beat.settings_version} of the installation's")
    if beat.settings_problem is not None:
        lines.append(f"            {beat.settings_problem}")
    return lines


def _held_back(status: AgentStatus) -> list[str]:
    times = status.shipping.held_back
    if not times:
        return []
    return [f"held back   {times:,} times since the start: more was to be sent than this agent may"]


def _footprint(status: AgentStatus) -> list[str]:
    beat, seconds = status.heartbeat, (status.written_at - status.started_at) / 1000
    if beat.cpu_seconds is None or beat.memory_bytes is None or seconds <= 0:
        return []
    if seconds < FOOTPRINT_SECONDS:
        cpu = f"{beat.cpu_seconds:.1f} s of CPU"
    else:
        cpu = f"{100 * beat.cpu_seconds / seconds:.1f} % CPU"
    return [f"this agent  {cpu} since its start, {byte_size(beat.memory_bytes)}"]
