"""The topics of an installation: made explicitly, with what the contract needs; never auto-created."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec
from kafka import KafkaAdminClient  # type: ignore[import-untyped]
from kafka.admin import ConfigResource, ConfigResourceType  # type: ignore[import-untyped]
from kafka.errors import KafkaError, TopicAlreadyExistsError  # type: ignore[import-untyped]
from kafka.net.compat import KafkaNetClient  # type: ignore[import-untyped]

from event_schema.kafka_delivery import CONNECT_MS, MESSAGE_BYTES_MAX, make_client
from event_schema.kafka_headers import TOPIC
from event_schema.kafka_security import PLAINTEXT, CredentialsUnusable, KafkaCredentials, client_settings
from server.config import LogConfig
from server.log.contract import LogUnavailable

ADMIN_SETTINGS: dict[str, Any] = {"bootstrap_timeout_ms": CONNECT_MS, "request_timeout_ms": 15_000}
PARTITIONS = 48
RETENTION_MS = 7 * 24 * 3600 * 1000
SEGMENT_MS = 24 * 3600 * 1000


class TopicMismatch(LogUnavailable):
    """The topic exists with another number of partitions; changing it would move agents between them."""


class TopicPlan(msgspec.Struct, frozen=True):
    """How a topic must be."""

    name: str
    partitions: int
    replication: int
    settings: Mapping[str, str]


class TopicState(msgspec.Struct, frozen=True):
    """How it is."""

    partitions: int
    replication: int
    settings: Mapping[str, str]

    def wrong_settings(self, plan: TopicPlan) -> dict[str, str]:
        """Those that are not as planned, as they should be."""
        return {name: value for name, value in plan.settings.items() if self.settings.get(name) != value}


def events_topic(log: LogConfig) -> TopicPlan:
    return TopicPlan(
        log.topic, log.partitions, log.replication, topic_settings(RETENTION_MS, log.replication)
    )


def topic_settings(retention_ms: int, replication: int = 1) -> dict[str, str]:
    return {
        # appended_at is the log's clock, never an agent's.
        "message.timestamp.type": "LogAppendTime",
        # The broker unpacks what a producer compressed, so that bombs are refused when they come in.
        "compression.type": "uncompressed",
        "max.message.bytes": str(MESSAGE_BYTES_MAX),
        "cleanup.policy": "delete",
        "retention.ms": str(retention_ms),
        # What was trimmed leaves the disks with its segment, and the one being written to never goes.
        "segment.ms": str(SEGMENT_MS),
        # A record counts as durable when one more broker has it, and one may be away.
        "min.insync.replicas": "2" if replication >= 3 else "1",
        # A replica that lags behind never becomes the leader: that would lose acknowledged records.
        "unclean.leader.election.enable": "false",
    }


@contextmanager
def administering(bootstrap: str, credentials: KafkaCredentials) -> Iterator[Any]:
    """A KafkaAdminClient. Turns what it raises inside into LogUnavailable."""
    try:
        settings = ADMIN_SETTINGS | client_settings(credentials) | {"bootstrap_servers": bootstrap.split(",")}
        admin = make_client(KafkaAdminClient, KafkaNetClient, settings)
        try:
            yield admin
        finally:
            admin.close()
    except (KafkaError, CredentialsUnusable, OSError) as error:
        raise LogUnavailable(f"{bootstrap}: {error}") from error


def read_topic(admin: Any, name: str) -> TopicState | None:
    """None: there is no such topic, or whoever asks may not see it. Raises KafkaError."""
    found = admin.describe_topics([name])[0]
    if found["error_code"] != 0:
        return None
    partitions = found["partitions"]
    resource = ConfigResource(ConfigResourceType.TOPIC, name)
    configs = admin.describe_configs([resource], config_filter="all")["topic"][name]
    settings = {key: str(value["value"]) for key, value in configs.items()}
    return TopicState(len(partitions), min(len(p["replica_nodes"]) for p in partitions), settings)


def make_topic(admin: Any, plan: TopicPlan) -> bool:
    """Creates the topic, or sets an existing one's settings right. True if it was created.

    Raises KafkaError, TopicMismatch."""
    wanted = {
        "num_partitions": plan.partitions,
        "replication_factor": plan.replication,
        "configs": dict(plan.settings),
    }
    try:
        admin.create_topics({plan.name: wanted}, wait_for_metadata=True)
    except TopicAlreadyExistsError:
        found = len(admin.describe_topics([plan.name])[0]["partitions"])
        if found != plan.partitions:
            raise TopicMismatch(f"topic {plan.name} has {found} partitions, not {plan.partitions}") from None
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, plan.name, dict(plan.settings))])
        return False
    return True


def ensure_topic(
    bootstrap: str,
    topic: str = TOPIC,
    *,
    partitions: int = PARTITIONS,
    replication: int = 1,
    retention_ms: int = RETENTION_MS,
    credentials: KafkaCredentials = PLAINTEXT,
) -> bool:
    """make_topic for the topic of events. Raises LogUnavailable, TopicMismatch."""
    plan = TopicPlan(topic, partitions, replication, topic_settings(retention_ms, replication))
    with administering(bootstrap, credentials) as admin:
        return make_topic(admin, plan)


def check_topic(bootstrap: str, plan: TopicPlan, credentials: KafkaCredentials) -> None:
    """Raises LogUnavailable unless the topic is as planned; makes and changes nothing."""
    with administering(bootstrap, credentials) as admin:
        state = read_topic(admin, plan.name)
    if state is None:
        raise LogUnavailable(
            f"topic {plan.name} on {bootstrap} is not there, or this server may not see it: "
            "run `leaver kafka setup`"
        )
    if state.partitions != plan.partitions:
        raise TopicMismatch(f"topic {plan.name} has {state.partitions} partitions, not {plan.partitions}")
    wrong = ", ".join(f"{name} should be {value}" for name, value in state.wrong_settings(plan).items())
    if wrong:
        raise LogUnavailable(f"topic {plan.name} on {bootstrap}: {wrong}; run `leaver kafka setup`")
