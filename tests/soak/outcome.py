"""What an installation has stored, in a form that two runs can be compared in.

Left out is only what must differ: row ids, the server's own clock, and the spool's random epoch, which is
called by its place in the agent's life instead. Duplicates are counted and may differ; nothing else may.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import zstandard
from sqlalchemy import Connection, Table, select

from event_schema.wire import WireRecord, unpack_content
from server.commands.opening import open_installation
from server.detection.alert_text import LATE_EN
from server.store.tables import (
    activity_days,
    agent_epochs,
    agent_findings,
    alert_days,
    alerts,
    anomaly_days,
    channel_days,
    correlated_ranges,
    dead_letters,
    event_blocks,
    log_positions,
    pseudonyms,
    rule_days,
    subject_agents,
    subject_events,
    subject_places,
    trait_uses,
)

_NOT_OF_EVENTS = frozenset({"id", "opened_at", "updated_at"})
Place = tuple[str, str, int]
"""(agent, epoch's place, sequence number)."""
Row = tuple[Any, ...]


class StoredEvent(msgspec.Struct, frozen=True):
    """`leaver`: JSON of [corrected time, leaver fields]."""

    event: bytes
    leaver: bytes


class Outcome(msgspec.Struct, frozen=True):
    """`twice`: places stored more than once. `tables`: rows by table, sorted."""

    events: dict[Place, StoredEvent]
    twice: tuple[Place, ...]
    tables: dict[str, list[Row]]
    epochs: dict[str, list[str]]
    """By agent: which numbers of each of its epochs are accounted for."""
    duplicates: int
    lost: int
    findings: tuple[str, ...]
    dead: tuple[str, ...]
    lag: int


def read_outcome(data: Path) -> Outcome:
    """The server may be running or not."""
    with open_installation(data) as installation:
        log = installation.open_log()
        ends = dict(log.end_offsets())
        log.close()
        with installation.database.read() as connection:
            return _read(connection, ends)


def _read(connection: Connection, ends: dict[int, int]) -> Outcome:
    epochs = connection.execute(
        select(agent_epochs).order_by(agent_epochs.c.agent, agent_epochs.c.first_seen, agent_epochs.c.epoch)
    ).all()
    place_of: dict[tuple[str, str], str] = {}
    accounted: dict[str, list[str]] = {}
    for row in epochs:
        of_agent = accounted.setdefault(row.agent, [])
        place_of[row.agent, row.epoch] = f"epoch {len(of_agent) + 1}"
        of_agent.append(row.seen)
    events, twice = _events(connection, place_of)
    positions = {row.partition: row.next_offset for row in connection.execute(select(log_positions))}
    return Outcome(
        events=events,
        twice=tuple(twice),
        tables=_tables(connection, place_of),
        epochs=accounted,
        duplicates=sum(row.duplicates for row in epochs),
        lost=sum(row.lost for row in epochs),
        findings=tuple(f"{row.agent}: {row.kind}" for row in connection.execute(select(agent_findings))),
        dead=tuple(f"{row.reason}: {row.message}" for row in connection.execute(select(dead_letters))),
        lag=sum(end - positions.get(partition, 0) for partition, end in ends.items()),
    )


def _events(
    connection: Connection, place_of: dict[tuple[str, str], str]
) -> tuple[dict[Place, StoredEvent], list[Place]]:
    found: dict[Place, StoredEvent] = {}
    twice: list[Place] = []
    raw_list = msgspec.json.Decoder(list[msgspec.Raw])
    for row in connection.execute(select(event_blocks).order_by(event_blocks.c.id)):
        known = raw_list.decode(zstandard.decompress(row.leaver))
        record = WireRecord(
            row.agent, "1", "events", row.epoch, row.first_seq, len(known), row.signature, row.value
        )
        events = raw_list.decode(unpack_content(record))
        for index, (event, leaver) in enumerate(zip(events, known, strict=True)):
            if bytes(leaver) == b"null":
                continue
            place = (row.agent, place_of[row.agent, row.epoch], row.first_seq + index)
            if place in found:
                twice.append(place)
            found[place] = StoredEvent(bytes(event), bytes(leaver))
    return found, twice


def _whenever_it_came(row: Row) -> Row:
    """An alert without its marks of what came late: the order of arrival may show in these."""
    return tuple(_without_late(value) for value in row)


def _without_late(value: Any) -> Any:
    if isinstance(value, dict) and "rules" in value:
        fired = [{name: known for name, known in rule.items() if name != "late"} for rule in value["rules"]]
        return value | {"rules": fired}
    if isinstance(value, dict) and "en" in value:
        return value["en"].replace(LATE_EN, "")
    return value


def _tables(connection: Connection, place_of: dict[tuple[str, str], str]) -> dict[str, list[Row]]:
    def rows(table: Table, *, without: Iterable[str] = ()) -> list[Row]:
        columns = [column for column in table.c if column.name not in without]
        return sorted((tuple(row) for row in connection.execute(select(*columns))), key=repr)

    days = select(alerts.c.subject, alerts.c.family, alert_days.c.channel, alert_days.c.day).join(
        alerts, alerts.c.id == alert_days.c.alert
    )
    index = select(subject_events)
    joined = alerts.c.id == correlated_ranges.c.alert
    pointed = select(alerts.c.subject, alerts.c.family, *list(correlated_ranges.c)[1:]).join(alerts, joined)
    return {
        "alerts": sorted(map(_whenever_it_came, rows(alerts, without=_NOT_OF_EVENTS)), key=repr),
        "days of alerts": sorted((tuple(row) for row in connection.execute(days)), key=repr),
        "storage days": rows(channel_days),
        "activity days": rows(activity_days),
        "anomaly days": rows(anomaly_days),
        "rule days": rows(rule_days),
        "devices of subjects": rows(subject_places),
        "uses of machines and accounts": rows(trait_uses),
        "endpoints of subjects": rows(subject_agents),
        "index of events": sorted(
            (
                (row.subject, row.day, row.channel, row.agent, place_of[row.agent, row.epoch], *row[5:])
                for row in connection.execute(index)
            ),
            key=repr,
        ),
        "events that correlations point to": sorted(
            (row.subject, row.family, row.agent, place_of[row.agent, row.epoch], row.first_seq, row.last_seq)
            for row in connection.execute(pointed)
        ),
        "pseudonyms": rows(pseudonyms),
    }
