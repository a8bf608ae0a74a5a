"""Writes one batch, all or nothing: events, dead letters, state, alerts, and the position on the log.

The position moves only from where this worker knows it to be, under this worker's fence: a zombie (a
worker that was thought dead and replaced) changes no row, and its whole transaction is rolled back.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import msgspec
from sqlalchemy import Column, ColumnElement, Connection, case, delete, func, insert, select, update

from server.evidence_seal import SealKey, value_digest
from server.ingest.admission import DATA_KEPT_BYTES
from server.ingest.redaction import without_events
from server.pipeline.agent_state import AgentState, Finding, FindingKind
from server.pipeline.anomaly_day import anomaly_rows
from server.pipeline.batch_outcome import Batch, Block
from server.pipeline.subject_activities import activity_rows
from server.pipeline.subject_state import SubjectState
from server.store.column_types import WHOLE_MAX
from server.store.tables import (
    activity_days,
    agent_epochs,
    agent_findings,
    agents,
    anomaly_days,
    block_seals,
    channel_days,
    collector_days,
    correlation_groups,
    days_watched_anywhere,
    dead_letters,
    erased_accounts,
    event_blocks,
    known_exports,
    log_positions,
    rule_days,
    subject_agents,
    subject_events,
    subject_places,
    suspect_traits,
    trait_uses,
)
from server.store.upsert import insert_missing, insert_new, upsert

FINDINGS_OF_UNKNOWN_MAX = 1000
"""Open findings about names that nobody enrolled; beyond, they count under one name."""
_OTHERS = "(others)"
_NOTHING = "-"


class FencedOut(Exception):
    """Another worker has taken over this partition, or moved its position. Start anew from the database."""


def claim_positions(connection: Connection, first_offsets: Mapping[int, int]) -> dict[int, tuple[int, int]]:
    """Takes over these partitions: (fence, next offset) by partition. Older owners are fenced out.
    first_offsets: where to begin with those that nobody ever read."""
    new = [{"partition": p, "fence": 0, "next_offset": first} for p, first in sorted(first_offsets.items())]
    insert_missing(connection, log_positions, new)
    claimed: dict[int, tuple[int, int]] = {}
    for partition in sorted(first_offsets):
        row = connection.execute(
            update(log_positions)
            .where(log_positions.c.partition == partition)
            .values(fence=log_positions.c.fence + 1)
            .returning(log_positions.c.fence, log_positions.c.next_offset)
        ).one()
        claimed[partition] = (row.fence, row.next_offset)
    return claimed


def move_positions(
    connection: Connection, moved: Mapping[int, int], owned: Mapping[int, tuple[int, int]]
) -> None:
    """Raises FencedOut."""
    for partition, next_offset in sorted(moved.items()):
        fence, expected = owned[partition]
        hit = connection.execute(
            update(log_positions)
            .where(
                log_positions.c.partition == partition,
                log_positions.c.fence == fence,
                log_positions.c.next_offset == expected,
            )
            .values(next_offset=next_offset)
        ).rowcount
        if hit != 1:
            raise FencedOut(f"partition {partition} is no longer at {expected} under fence {fence}")


def write_batch(connection: Connection, batch: Batch, seal_key: SealKey, *, now: int) -> None:
    """Everything of the batch but its alerts and positions. `seal_key`: for records of which something must
    not be stored. now: ms UTC."""
    _write_blocks(connection, [block for block in batch.blocks if not block.erased])
    for block in batch.blocks:
        if block.erased:
            _write_rest(connection, block, seal_key, now)
    _count_erased(connection, batch)
    _write_dead_letters(connection, batch)
    _write_agents(connection, batch.agents.values())
    _write_findings(connection, batch.findings)
    write_subjects(connection, batch.subjects.values())
    write_correlations(connection, batch.subjects.values())
    batch.hidden.write(connection)
    upsert(connection, trait_uses, batch.uses)
    insert_missing(connection, days_watched_anywhere, batch.watched_anywhere)
    insert_new(connection, known_exports, [msgspec.structs.asdict(export) for export in batch.exports])


def _write_blocks(connection: Connection, blocks: list[Block]) -> None:
    insert_new(connection, event_blocks, [_block_row(block, block.record.value) for block in blocks])


def _block_row(block: Block, value: bytes) -> dict[str, Any]:
    return {
        "agent": block.record.agent,
        "epoch": block.record.epoch,
        "first_seq": block.record.first_seq,
        "count": block.record.count,
        "received_at": block.received_at,
        "last_day": block.last_day,
        "signature": block.record.signature,
        "value": value,
        "leaver": block.leaver,
    }


def _write_rest(connection: Connection, block: Block, seal_key: SealKey, now: int) -> None:
    """A record without the events of erased accounts. Its agent's signature was found good at admission."""
    rest = without_events(block.record, block.erased)
    sealed = seal_key.seal(rest, value_digest(block.record.value), erased=len(block.erased), at=now)
    seal_key.register(connection, at=now)
    row = _block_row(block, rest.value)
    number = connection.execute(insert(event_blocks).values(row).returning(event_blocks.c.id)).scalar_one()
    connection.execute(insert(block_seals).values(block=number, **msgspec.structs.asdict(sealed)))


def _count_erased(connection: Connection, batch: Batch) -> None:
    for digest, number in sorted(batch.erased.items()):
        counted = erased_accounts.c.dropped + number
        connection.execute(
            update(erased_accounts).where(erased_accounts.c.digest == digest).values(dropped=counted)
        )


def _write_dead_letters(connection: Connection, batch: Batch) -> None:
    rows = [
        {
            "partition": letter.partition,
            "offset": letter.offset,
            "event_index": letter.event_index,
            "agent": letter.agent,
            "received_at": letter.received_at,
            "reason": letter.reason.value,
            "message": letter.message,
            "size": len(letter.data),
            "data": letter.data[:DATA_KEPT_BYTES],
        }
        for letter in batch.dead_letters
    ]
    insert_missing(connection, dead_letters, rows)


def _write_agents(connection: Connection, changed: Collection[AgentState]) -> None:
    epochs: list[dict[str, Any]] = []
    watched: list[dict[str, Any]] = []
    for agent in changed:
        epochs += [
            {
                "agent": agent.name,
                "epoch": name,
                "first_seen": agent.epochs[name].first_seen,
                "seen": str(agent.epochs[name].seen),
                "lost": agent.epochs[name].lost,
                "duplicates": agent.epochs[name].duplicates,
            }
            for name in sorted(agent.dirty_epochs)
        ]
        watched += [{"agent": agent.name, "collector": c, "day": d} for c, d in agent.new_watched]
    upsert(connection, agent_epochs, epochs)
    insert_missing(connection, collector_days, watched)
    for agent in changed:
        if agent.heartbeat is not None or agent.clock_changed:
            _write_heartbeat(connection, agent)
    _write_gaps(connection, [agent for agent in changed if agent.gap_changed])


def _write_heartbeat(connection: Connection, agent: AgentState) -> None:
    values: dict[str, Any] = {
        "clock_offset": agent.clock.offset,
        "clock_doubted_since": agent.clock.doubted_since,
        "clock_doubted": agent.clock.doubted,
    }
    if agent.heartbeat is not None:
        received_at, heartbeat = agent.heartbeat
        values |= {"heartbeat_at": received_at, "heartbeat": msgspec.to_builtins(heartbeat)}
    connection.execute(update(agents).where(agents.c.name == agent.name).values(values))


def _write_gaps(connection: Connection, changed: Collection[AgentState]) -> None:
    """One open finding an agent says how many numbers are missing now; it is resolved when all have come."""
    open_gap = (agent_findings.c.kind == FindingKind.GAP.value) & agent_findings.c.resolved_at.is_(None)
    names = [agent.name for agent in changed]
    query = select(agent_findings.c.agent).where(open_gap, agent_findings.c.agent.in_(names))
    gapped = set(connection.execute(query).scalars()) if names else set()
    for agent in changed:
        missing = min(agent.missing(), WHOLE_MAX)
        # Most agents have none, and had none.
        if missing or agent.name in gapped:
            _write_gap(connection, agent, missing, open_gap & (agent_findings.c.agent == agent.name))


def _write_gap(
    connection: Connection, agent: AgentState, missing: int, open_gap: ColumnElement[bool]
) -> None:
    now = agent.last_received
    if not missing:
        connection.execute(update(agent_findings).where(open_gap).values(resolved_at=now))
        return
    changed = connection.execute(
        update(agent_findings).where(open_gap).values(count=missing, detail=agent.first_gap(), last_at=now)
    ).rowcount
    if not changed:
        connection.execute(
            insert(agent_findings).values(
                agent=agent.name,
                kind=FindingKind.GAP.value,
                detail=agent.first_gap(),
                first_at=now,
                last_at=now,
                count=missing,
            )
        )


def _write_findings(connection: Connection, findings: Iterable[Finding]) -> None:
    merged: dict[tuple[str, FindingKind], Finding] = {}
    for found in findings:
        key = (found.agent or _NOTHING, found.kind)
        before = merged.get(key)
        count = found.count + (before.count if before is not None else 0)
        merged[key] = msgspec.structs.replace(found, count=min(count, WHOLE_MAX))
    for (agent, kind), found in merged.items():
        _write_finding(connection, agent, kind, found)


def _write_finding(connection: Connection, agent: str, kind: FindingKind, found: Finding) -> None:
    is_open = (
        (agent_findings.c.agent == agent)
        & (agent_findings.c.kind == kind.value)
        & agent_findings.c.resolved_at.is_(None)
    )
    changed = connection.execute(
        update(agent_findings)
        .where(is_open)
        .values(count=_sum(agent_findings.c.count, found.count), detail=found.detail, last_at=found.at)
    ).rowcount
    if changed:
        return
    if kind is FindingKind.UNKNOWN_AGENT and agent != _OTHERS:
        number = connection.execute(
            select(func.count()).select_from(agent_findings).where(agent_findings.c.kind == kind.value)
        ).scalar_one()
        if number >= FINDINGS_OF_UNKNOWN_MAX:
            _write_finding(connection, _OTHERS, kind, found)
            return
    connection.execute(
        insert(agent_findings).values(
            agent=agent,
            kind=kind.value,
            detail=found.detail,
            first_at=found.at,
            last_at=found.at,
            count=found.count,
        )
    )


def _sum(column: Column[Any], more: int) -> ColumnElement[int]:
    """Not above what a column holds: an endpoint may claim any numbers."""
    return case((column > WHOLE_MAX - more, WHOLE_MAX), else_=column + more)


def write_subjects(connection: Connection, subjects: Iterable[SubjectState]) -> None:
    """All that is dirty."""
    days: list[dict[str, Any]] = []
    rules: list[dict[str, Any]] = []
    anomalies: list[dict[str, Any]] = []
    places: list[dict[str, Any]] = []
    traits: list[dict[str, Any]] = []
    seen_on: list[dict[str, Any]] = []
    ranges: list[dict[str, Any]] = []
    activities = {}
    for state in subjects:
        activities[state.subject] = state.activities
        anomalies += anomaly_rows(state.subject, state.anomalies, state.dirty_anomalies)
        name = {"subject": state.subject}
        days += [
            name | msgspec.structs.asdict(state.channels[channel][day]) for channel, day in state.dirty_days
        ]
        rules += [name | msgspec.structs.asdict(state.rules[key]) for key in state.dirty_rules]
        places += [
            name | {"channel": channel, "place": place} | msgspec.structs.asdict(state.places[place][channel])
            for channel, place in state.dirty_places
        ]
        traits += [name | msgspec.structs.asdict(state.suspect_traits[key]) for key in state.dirty_traits]
        seen_on += [
            name | {"agent": agent, "first_time": state.agents[agent]} for agent in state.dirty_agents
        ]
        ranges += [
            name
            | dict(zip(("day", "channel", "agent", "epoch"), where, strict=True))
            | {"first_seq": first, "last_seq": last}
            for (where, first), last in state.dirty_ranges.items()
        ]
    upsert(connection, channel_days, days)
    upsert(connection, activity_days, activity_rows(connection, activities))
    upsert(connection, anomaly_days, anomalies)
    upsert(connection, rule_days, rules)
    upsert(connection, subject_places, places)
    upsert(connection, suspect_traits, traits)
    upsert(connection, subject_agents, seen_on)
    upsert(connection, subject_events, ranges)


def write_correlations(connection: Connection, subjects: Iterable[SubjectState]) -> None:
    """Groups that changed."""
    rows: list[dict[str, Any]] = []
    for state in subjects:
        changed, gone = state.correlations.changes()
        rows += [{"subject": state.subject} | row._asdict() for row in changed]
        for place in gone:
            connection.execute(
                delete(correlation_groups).where(
                    correlation_groups.c.subject == state.subject,
                    correlation_groups.c.fingerprint == place.fingerprint,
                    correlation_groups.c.group_digest == place.group_digest,
                )
            )
    upsert(connection, correlation_groups, rows)
