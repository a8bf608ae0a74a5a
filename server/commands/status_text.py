"""A snapshot for people: one line a subject, then what needs a look, grouped so that it stays short."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec

from analytics.anomaly_training import DRIFT_DAYS_MIN
from event_schema.byte_size import byte_size
from event_schema.printable import printable_name
from server.agents.health import AgentHealth
from server.commands.tables import age, span
from server.pipeline.worker_rows import WorkerRow
from server.policies.state import PolicyState
from server.status_types import HELD_DAYS, SCORE_BANDS, Status, StatusFinding

SHOWN_OF_A_KIND = 3
_LABEL = 14
_DAY_SECONDS = 86_400


class Line(msgspec.Struct, frozen=True):
    text: str
    is_finding: bool = False


def status_lines(status: Status, *, width: int) -> Iterator[Line]:
    """Lines of at most `width` characters, as far as words allow."""
    for label, words in _subjects(status):
        for text in _wrap(f"{label:<{_LABEL}}", words, width):
            yield Line(text)
    for text in _findings(status.findings):
        kind, _, detail = text.partition(": ")
        for line in _wrap(f"! {kind}: ", detail, width, indent=4):
            yield Line(line, is_finding=True)


def _wrap(first: str, words: str, width: int, *, indent: int = _LABEL) -> list[str]:
    # Agents' names and details may come from an endpoint, or a broker.
    return textwrap.wrap(
        printable_name(" ".join(words.split())),
        max(40, width),
        initial_indent=first,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _subjects(status: Status) -> Iterator[tuple[str, str]]:
    process = status.process
    if process is None:
        yield "server", "not running"
    else:
        yield "server", f"{process.address}, started {age(process.since, status.at)}"
        yield "loops", _loops(status)
    for worker in status.workers:
        yield "worker", _worker(worker, status.at)
    yield "log", _log(status)
    yield "events", _events(status)
    dead = ", ".join(f"{number:,} {reason}" for reason, number in status.dead_letters.items())
    yield "dead letters", f"{sum(status.dead_letters.values()):,}: {dead}" if dead else "none"
    if gone := _gone(status):
        yield "gone", gone
    if looked := _looked_back(status):
        yield "looking back", looked
    yield "agents", _agents(status)
    yield "alerts", _alerts(status)
    if status.policies is not None:
        yield "policies", _policies(status.policies)
    yield "database", _database(status)
    yield "model", _model(status)


def _policies(policies: PolicyState) -> str:
    if not policies.version:
        return "the shipped rules; leaver up takes them over"
    words = f"{policies.rules} {'rule' if policies.rules == 1 else 'rules'}"
    if policies.exceptions or policies.ended:
        words += f", {policies.exceptions} {'exception' if policies.exceptions == 1 else 'exceptions'}"
    return f"{words}, version {policies.version} of the set"


def _loops(status: Status) -> str:
    assert status.process is not None
    words = []
    for name, part in status.process.parts.items():
        state = name if part.state == "running" else f"{name} ({part.state})"
        words.append(f"{state}, {part.restarts} restarts" if part.restarts else state)
    return "; ".join(words) if any("," in each for each in words) else ", ".join(words)


def _worker(worker: WorkerRow, now: int) -> str:
    last = "no batch yet" if worker.batch_at is None else f"last batch {age(worker.batch_at, now)}"
    again = f", {worker.conflicts:,} of {worker.batches:,} batches done again" if worker.conflicts else ""
    number = len(worker.partitions)
    return f"{worker.name}: {number} partition{'s' if number != 1 else ''}, {last}{again}"


def _log(status: Status) -> str:
    log = status.log
    if log.lag is None:
        return f"{log.kind}, not reached"
    if not log.partitions:
        return f"{log.kind}, begins with the first leaver up"
    waiting = (
        "nothing waits"
        if not log.lag
        else f"{log.lag:,} {'record waits' if log.lag == 1 else 'records wait'}"
    )
    if log.oldest_waiting_at is not None:
        waiting += f", the oldest for {span(status.at - log.oldest_waiting_at)}"
    kept = "" if status.storage.log is None else f", {byte_size(status.storage.log)}"
    return f"{log.kind}, {waiting}{kept}"


def _events(status: Status) -> str:
    kept = status.retention
    words = f"{status.events_stored:,}"
    if kept.oldest_day is not None:
        words += f" since {datetime.fromtimestamp(kept.oldest_day * _DAY_SECONDS, UTC).date()}"
    words += f", kept {kept.events_days} days"
    if kept.next_drop_at is not None:
        words += f", next sweep in {span(kept.next_drop_at - status.at)}"
    return words


def _gone(status: Status) -> str:
    """What retention and erasures did; empty where they had nothing to do."""
    last, erased = status.retention.last_drop, status.erasures
    words = []
    if last is not None and last.rows:
        went = ", ".join(f"{number:,} {table.replace('_', ' ')}" for table, number in last.rows.items())
        words.append(f"{went} in the last sweep, {age(last.at, status.at)}")
    if erased.last_at is not None:
        words.append(f"last erasure {age(erased.last_at, status.at)}")
    if erased.accounts:
        words.append(
            f"{erased.accounts:,} erased accounts shut out, {erased.events_dropped:,} events dropped"
        )
    return "; ".join(words)


def _looked_back(status: Status) -> str:
    """Empty where nobody's past ever changed."""
    found = status.look_backs
    if found is None or not (found.waiting or found.finished):
        return ""
    words = []
    if found.waiting:
        since = "" if found.oldest_at is None else f", since {span(status.at - found.oldest_at)}"
        scored = f", {found.events:,} events scored again so far" if found.events else ""
        words.append(
            f"{found.waiting:,} {'person waits' if found.waiting == 1 else 'people wait'}{since}{scored}"
            f"{f', {found.failed:,} failed' if found.failed else ''}"
        )
    if found.finished:
        at = "" if found.last_at is None else f", the last {age(found.last_at, status.at)}"
        words.append(
            f"{found.finished:,} done{at}: {found.events_finished:,} events scored again,"
            f" {found.opened:,} {'alert' if found.opened == 1 else 'alerts'} opened, {found.joined:,} changed"
        )
    return "; ".join(words)


def _agents(status: Status) -> str:
    agents = status.agents
    if not agents:
        return "none yet: leaver agents enrol NAME"
    states = Counter(_state(agent, status) for agent in agents)
    words = ", ".join(
        f"{number:,} {state}"
        for state in (
            "well heard",
            "enrolled",
            "without a heartbeat yet",
            "silent",
            "stopped",
            "invited",
            "revoked",
        )
        if (number := states[state])
    )
    gapped = sum(any(finding.kind == "gap" for finding in agent.findings) for agent in agents)
    backlog = sum(agent.backlog_events or 0 for agent in agents)
    if gapped:
        words += f"; {gapped:,} with gaps"
    return f"{words}; {backlog:,} events in spools" if backlog else words


def _state(agent: AgentHealth, status: Status) -> str:
    if agent.state != "enrolled":
        return agent.state
    if status.process is None:
        # Nobody hears anybody.
        return "enrolled"
    return "without a heartbeat yet" if agent.heartbeat_at is None else "well heard"


def _alerts(status: Status) -> str:
    total = sum(status.alerts_open.values())
    bands = ", ".join(
        f"{number:,} at {band}" for band in reversed(SCORE_BANDS) if (number := status.alerts_open.get(band))
    )
    words = f"{total:,} open: {bands}" if total else "none open"
    if status.alerts_held:
        words += f"; {status.alerts_held:,} held in the last {HELD_DAYS} days (leaver alerts below)"
    return f"{words}; closed ones kept {status.retention.alerts_days} days"


def _database(status: Status) -> str:
    free = status.storage.disk_free
    words = byte_size(status.storage.database)
    return words if free is None else f"{words}, {byte_size(free)} free on the disk"


def _model(status: Status) -> str:
    training = status.training
    if (watched := status.anomaly_model) is None:
        words = "none yet"
    else:
        start = ", still a cold start" if training.cold_start else ""
        stale = ", stale" if watched.stale else ""
        words = (
            f"model {watched.model_id}, trained {age(watched.trained_at, status.at)} on"
            f" {training.subjects or 0:,} people{start}{stale}; alerts from risk {watched.risk_line} on"
        )
        if watched.over_budget:
            words += ", the highest line: rules and anomalies ask for more than the budget"
    kept = status.retention.activity_days
    if kept < DRIFT_DAYS_MIN:
        words += f"; no drift is looked for: that takes {DRIFT_DAYS_MIN} days, and sums are kept for {kept}"
    return words if training.fault is None else f"{words}; the last training failed: {training.fault}"


def _findings(findings: tuple[StatusFinding, ...]) -> Iterator[str]:
    by_kind: dict[str, list[str]] = {}
    for finding in findings:
        by_kind.setdefault(finding.kind, []).append(finding.detail)
    for kind, details in by_kind.items():
        for detail in details[:SHOWN_OF_A_KIND]:
            yield f"{kind}: {detail}"
        if len(details) > SHOWN_OF_A_KIND:
            yield f"{kind}: {len(details) - SHOWN_OF_A_KIND:,} more of it (--json shows all)"
