"""What of a snapshot needs a look, in one line each. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from event_schema.byte_size import byte_size
from server.agents.health import AgentHealth
from server.pipeline.worker_rows import SILENT_MS
from server.policies.state import PolicyState
from server.status_types import Status, StatusFinding
from server.training.model_watch import ModelWatch
from server.trusted_clock import CONFIRMED_MS, GAP_MS, STANDS_MS, ClockState

WAITING_MS_MAX = 5 * 60 * 1000
"""A record that waits longer for the pipeline is a finding."""
LOOK_BACK_MS_MAX = 15 * 60 * 1000
"""Whoever waits longer to be looked back at is a finding."""
DISK_FREE_MIN = 1 << 30
OVERDUE_DAYS = 2
"""So many days past its end old data may lie: the sweep is hourly, and a block's youngest event counts."""
_DAY = 24 * 3600 * 1000


def status_findings(status: Status) -> Iterator[StatusFinding]:
    yield from _process(status)
    yield from _workers(status)
    yield from _log(status)
    yield from _storage(status)
    if status.policies is not None:
        yield from _policies(status.policies)
    if status.anomaly_model is not None:
        yield from model_findings(status.anomaly_model)
    for agent in status.agents:
        yield from _agent(agent)


def _process(status: Status) -> Iterator[StatusFinding]:
    process = status.process
    if process is None:
        yield StatusFinding("not_running", "leaver up does not run, nothing is received")
        return
    yield from _clock(process.clock)
    if process.waits_for is not None:
        what, why = process.waits_for
        yield StatusFinding(what, f"the pipeline waits: {why}")
    if process.hr_folder_fault is not None:
        words = f"HR's watched folder ([people] watch_folder) does not work: {process.hr_folder_fault}"
        yield StatusFinding("hr_folder_waits", words)
    for name, part in process.parts.items():
        if part.state == "hanging":
            yield StatusFinding("part_hangs", f"{name} has not turned for {part.turned:.0f} s")
        elif part.state != "running":
            yield StatusFinding(
                "part_down", f"{name} is {part.state} after {part.restarts} restarts: {part.last_error}"
            )

    for agent, refused in process.held_back.items():
        yield StatusFinding("agent_floods", f"{agent} sends more than it may; held back {refused:,} times")


def _clock(clock: ClockState) -> Iterator[StatusFinding]:
    if clock.leap:
        side = "ahead of" if clock.leap > 0 else "behind"
        minutes = STANDS_MS // 60_000
        yield StatusFinding(
            "clock_leapt",
            f"this machine's clock is {_span(abs(clock.leap))} {side} the time that the server goes by; it is"
            f" followed when agents agree with it, or when it has stood for {minutes} min",
        )
    if clock.deletion_behind > GAP_MS:
        yield StatusFinding(
            "clock_unsure",
            f"the clock went {_span(clock.deletion_behind)} ahead; old data is dropped by the time before,"
            f" until agents agree, or for {CONFIRMED_MS // 3_600_000} h",
        )


def _span(ms: int) -> str:
    return f"{ms / _DAY:,.1f} days" if ms >= _DAY else f"{ms / 60_000:.0f} min"


def _workers(status: Status) -> Iterator[StatusFinding]:
    for worker in status.workers:
        if status.at - worker.seen_at > SILENT_MS:
            words = f"worker {worker.name} says nothing; start it again under its name"
            yield StatusFinding("worker_silent", words)
    process = status.process
    heard = any(status.at - worker.seen_at <= SILENT_MS for worker in status.workers)
    if process is not None and "pipeline" not in process.parts and not heard:
        yield StatusFinding("no_worker", "leaver up leaves the pipeline to leaver worker, and none works")


def _log(status: Status) -> Iterator[StatusFinding]:
    log, dead = status.log, status.dead_letters
    if log.fault is not None:
        yield StatusFinding("log_unavailable", log.fault)
    if log.oldest_waiting_at is not None and status.at - log.oldest_waiting_at > WAITING_MS_MAX:
        minutes = (status.at - log.oldest_waiting_at) // 60_000
        yield StatusFinding("behind", f"the oldest of {log.lag:,} waiting records came {minutes} min ago")
    if dead:
        words = ", ".join(f"{count} {reason}" for reason, count in dead.items())
        yield StatusFinding("dead_letters", f"{words}; see leaver dead-letters list")


def _storage(status: Status) -> Iterator[StatusFinding]:
    free = status.storage.disk_free
    if free is not None and free < DISK_FREE_MIN:
        yield StatusFinding("disk_full", f"{byte_size(free)} are left on the disk")
    if status.erasures.unfinished:
        words = f"{status.erasures.unfinished} begun and not finished: call leaver erase again, or let it end"
        yield StatusFinding("erasure_unfinished", words)
    folder = status.hr_folder
    if folder is not None and (folder.stopped is not None or folder.refused):
        words = f"left out {folder.refused:,} bad rows"
        if folder.stopped:
            words = f"was not taken over ({folder.stopped})"
        detail = f"HR's last file (import {folder.import_id}) {words}: see the report in the watched folder"
        yield StatusFinding("hr_file_refused", detail)
    for token in status.tokens_ending:
        day = datetime.fromtimestamp(token.expires_at / 1000, UTC).strftime("%Y-%m-%d")
        word = "ended" if token.expires_at <= status.at else "ends"
        detail = f"the token of {token.name} ({token.role}) {word} on {day}: leaver token create, then revoke"
        yield StatusFinding("token_ends", detail)
    if status.passwords_known:
        words = (
            f"{status.passwords_known:,} with a password that somebody who left still knows: leaver leavers"
        )
        yield StatusFinding("password_not_changed", words)
    looked = status.look_backs
    if (
        looked is not None
        and looked.oldest_at is not None
        and status.at - looked.oldest_at > LOOK_BACK_MS_MAX
    ):
        minutes = (status.at - looked.oldest_at) // 60_000
        why = "an erasure is unfinished" if status.erasures.unfinished else "is leaver up running?"
        words = f"what HR said of {looked.waiting:,} people {minutes} min ago is not looked back at: {why}"
        yield StatusFinding("look_back_late", words)
    if looked is not None and looked.failed:
        words = f"of {looked.failed:,} people looking back fails, see the log (look_back_failed); it goes on"
        yield StatusFinding("look_back_failed", words)
    kept = status.retention
    overdue = kept.next_drop_at is None or kept.next_drop_at < status.at
    past_end = status.at // _DAY - kept.events_days - OVERDUE_DAYS
    if overdue and kept.oldest_day is not None and kept.oldest_day < past_end:
        yield StatusFinding("retention_late", f"events older than {kept.events_days} days are still there")


def _policies(policies: PolicyState) -> Iterator[StatusFinding]:
    for fault in policies.faults:
        yield StatusFinding("policy_refused", f"{fault.file}:{fault.line}: {fault.message}")
    for ended in policies.ended:
        day = datetime.fromtimestamp(ended.until / 1000 - 1, UTC).date()
        words = (
            f"exception {ended.exception_id} ran out on {day} and hides nothing any more: renew or disable it"
        )
        yield StatusFinding("exception_ended", words)


def model_findings(model: ModelWatch) -> Iterator[StatusFinding]:
    if model.stale is None:
        return
    remedy = "leaver model train learns the days of now"
    if model.chosen:
        remedy = f"it was chosen by hand, so none replaces it: {remedy}, leaver model activate another one"
    yield StatusFinding(
        "model_stale", f"anomaly model {model.model_id} fits no longer: {model.stale}; {remedy}"
    )


def _agent(agent: AgentHealth) -> Iterator[StatusFinding]:
    if agent.state == "silent":
        yield StatusFinding("agent_silent", f"{agent.name} says nothing")
    if agent.waits_for_disk and agent.state == "enrolled":
        yield StatusFinding("agent_disk", f"{agent.name} cannot write its spool: what it sees waits")
    if agent.lost_events and all(finding.kind != "events_lost" for finding in agent.findings):
        yield StatusFinding("events_lost", f"{agent.name} lost {agent.lost_events} events")
    for finding in agent.findings:
        yield StatusFinding(finding.kind, f"{agent.name}: {finding.detail}")
