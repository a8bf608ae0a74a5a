"""A company whose endpoints write to Kafka, and workers on it whose shares a test sets."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Iterable
from typing import Any

from kafka import KafkaProducer  # type: ignore[import-untyped]
from kafka.partitioner.default import murmur2  # type: ignore[import-untyped]
from sqlalchemy import Connection, select

from event_schema.control_records import CollectorState, Heartbeat
from event_schema.kafka_headers import to_kafka
from event_schema.wire import WireRecord
from policies.rule_file import load_policies
from server.log.contract import LoggedRecord
from server.log.kafka import KafkaLog
from server.log.kafka_topic import ensure_topic
from server.pipeline.batch_outcome import Batch
from server.pipeline.memory import Memory
from server.pipeline.worker import PipelineWorker
from server.store.tables import (
    activity_days,
    agent_epochs,
    agent_findings,
    alert_candidates,
    alert_days,
    alerts,
    anomaly_days,
    channel_days,
    correlation_groups,
    days_watched_anywhere,
    event_blocks,
    pseudonyms,
    rule_days,
    subject_agents,
    subject_events,
    subject_places,
    trait_uses,
)
from tests.kafka_broker.broker import KafkaBroker
from tests.server.pipeline.conftest import DAY, NOW, Server
from tests.server.pipeline.endpoint import Endpoint, copied_file

TODAY = NOW // DAY
PARTITIONS = 4
POLICIES = load_policies()
_topics = itertools.count()
# Without numbers given in turn, and times of the clocks of broker and server.
_TABLES = {
    channel_days: (),
    activity_days: (),
    anomaly_days: (),
    alert_candidates: ("alert", "cooling"),
    days_watched_anywhere: (),
    rule_days: (),
    correlation_groups: (),
    subject_agents: (),
    subject_places: (),
    trait_uses: (),
    subject_events: (),
    agent_epochs: ("first_seen",),
    pseudonyms: ("pseudonym",),
    alerts: ("id", "opened_at", "updated_at"),
    alert_days: ("alert",),
    agent_findings: ("id", "first_at", "last_at", "resolved_at"),
    event_blocks: ("id", "received_at"),
}


class SetShare:
    """A PartitionShare that the test sets."""

    def __init__(self, name: str, *partitions: int) -> None:
        self.name = name
        self.partitions = frozenset(partitions)

    def owned(self) -> frozenset[int]:
        return self.partitions

    def close(self) -> None:
        return


class Interrupted(PipelineWorker):
    """Between reading and committing a batch, `meanwhile` happens, if it is set; once. While what the batch
    changes is locked, `while_locked` instead."""

    meanwhile: Callable[[], object] | None = None
    while_locked: Callable[[], object] | None = None

    def _read(
        self, connection: Connection, memory: Memory, records: list[LoggedRecord], *, lock: bool
    ) -> Batch:
        batch = super()._read(connection, memory, records, lock=lock)
        if lock:
            happens, self.while_locked = self.while_locked, None
        else:
            happens, self.meanwhile = self.meanwhile, None
        if happens is not None:
            happens()
        return batch


class Company:
    """A server's database, and a log on Kafka with two endpoints in partitions of their own."""

    def __init__(self, server: Server, broker: KafkaBroker) -> None:
        self.server = server
        self.broker = broker
        self.topic = f"several-workers-{next(_topics)}"
        ensure_topic(broker.bootstrap, self.topic, partitions=PARTITIONS)
        self.log = KafkaLog(broker.bootstrap, self.topic)
        self._logs = [self.log]

    def worker(self, share: SetShare, records_per_batch: int = 100) -> Interrupted:
        """With a log of its own: each reads at positions of its own."""
        self._logs.append(KafkaLog(self.broker.bootstrap, self.topic))
        return Interrupted(
            self.server.database,
            self._logs[-1],
            clock=self.server.clock,
            policies=POLICIES,
            records_per_batch=records_per_batch,
            share=share,
        )

    def append_to(self, partition: int, record: WireRecord) -> None:
        """As a hostile endpoint may: not where its key belongs."""
        key, headers, value = to_kafka(record)
        producer = KafkaProducer(bootstrap_servers=self.broker.bootstrap)
        producer.send(self.topic, key=key, headers=headers, value=value, partition=partition).get(20)
        producer.close()

    def rows(self, table: Any, *without: str) -> list[tuple[Any, ...]]:
        columns = [column for column in table.c if column.name not in without]
        with self.server.database.read() as connection:
            return sorted((tuple(row) for row in connection.execute(select(*columns))), key=repr)

    def outcome(self) -> dict[str, list[tuple[Any, ...]]]:
        """All that must not show who did it."""
        return {table.name: self.rows(table, *without) for table, without in _TABLES.items()}

    def close(self) -> None:
        for log in self._logs:
            log.close()


def partition_of(agent: str) -> int:
    """Where Kafka puts an agent's records."""
    return int((murmur2(agent.encode()) & 0x7FFFFFFF) % PARTITIONS)


def beat(days: range) -> Heartbeat:
    watching = CollectorState(
        name="removable_storage",
        state="running",
        observed=0,
        restarts=0,
        dropped={},
        days_watched=tuple(days),
    )
    return Heartbeat(
        # The broker's clock is the real one; an endpoint whose clock differs has its times corrected.
        sent_at=time.time_ns() // 1_000_000,
        version="0.1.0",
        next_seq=0,
        backlog_events=0,
        backlog_bytes=0,
        lost_events=0,
        collectors=(watching,),
    )


def records_by_endpoint(dice: random.Random, number: int = 7) -> dict[Endpoint, list[WireRecord]]:
    """Three machines, three people and an account of nobody on all of them; by machine, in order."""
    found: dict[Endpoint, list[WireRecord]] = {}
    # Three partitions.
    for place in (0, 4, 7):
        endpoint = Endpoint(f"desk-{place}", epoch=f"{place:016x}")
        records = found.setdefault(endpoint, [])
        for _ in range(number):
            if dice.random() < 0.2:
                newest = TODAY - dice.randrange(20)
                records.append(endpoint.heartbeat(beat(range(newest - dice.randrange(20), newest))))
            files = [
                copied_file(
                    NOW - dice.randrange(5) * DAY - dice.randrange(1000),
                    name=f"{dice.randrange(10**6)}.csv",
                    size=dice.randrange(10**7),
                    account=dice.choice(("alice", "bob", "carol", "nobody")),
                    device=f"stick-{endpoint.name}",
                    host="one-name-for-all",
                )
                for _ in range(dice.randint(1, 4))
            ]
            records.append(endpoint.record(files))
        records.append(endpoint.heartbeat(beat(range(TODAY - 50, TODAY + 1))))
    return found


def prepare(company: Company, endpoints: Iterable[Endpoint]) -> None:
    company.server.employ("p1", "alice", notice_date=TODAY - 10, last_working_day=TODAY + 6)
    company.server.employ("p2", "bob", last_working_day=TODAY - 5)
    company.server.employ("p3", "carol")
    for endpoint in endpoints:
        endpoint.enrol(company.server.database)
