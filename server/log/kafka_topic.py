"""Creates the topic of the log explicitly, with what the contract needs; nothing is ever auto-created."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kafka import KafkaAdminClient  # type: ignore[import-untyped]
from kafka.admin import ConfigResource, ConfigResourceType  # type: ignore[import-untyped]
from kafka.errors import KafkaError, TopicAlreadyExistsError  # type: ignore[import-untyped]
from kafka.net.compat import KafkaNetClient  # type: ignore[import-untyped]

from event_schema.kafka_delivery import CONNECT_MS, MESSAGE_BYTES_MAX, make_client
from event_schema.kafka_headers import TOPIC
from server.log.contract import LogUnavailable

ADMIN_SETTINGS = {"bootstrap_timeout_ms": CONNECT_MS, "request_timeout_ms": 15_000}
PARTITIONS = 48
RETENTION_MS = 7 * 24 * 3600 * 1000


class TopicMismatch(Exception):
    """The topic exists with another number of partitions; changing it would move agents between them."""


def topic_settings(retention_ms: int) -> dict[str, str]:
    return {
        # appended_at is the log's clock, never an agent's.
        "message.timestamp.type": "LogAppendTime",
        # The broker unpacks what a producer compressed, so that bombs are refused when they come in.
        "compression.type": "uncompressed",
        "max.message.bytes": str(MESSAGE_BYTES_MAX),
        "cleanup.policy": "delete",
        "retention.ms": str(retention_ms),
    }


def ensure_topic(
    bootstrap: str,
    topic: str = TOPIC,
    *,
    partitions: int = PARTITIONS,
    replication: int = 1,
    retention_ms: int = RETENTION_MS,
    client_settings: Mapping[str, Any] | None = None,
) -> bool:
    """Creates the topic, or sets an existing one's settings right. True if it was created.

    Raises LogUnavailable, TopicMismatch.
    """
    settings = topic_settings(retention_ms)
    wanted = {"num_partitions": partitions, "replication_factor": replication, "configs": settings}
    try:
        admin = make_client(
            KafkaAdminClient,
            KafkaNetClient,
            ADMIN_SETTINGS | dict(client_settings or {}) | {"bootstrap_servers": bootstrap.split(",")},
        )
        try:
            try:
                admin.create_topics({topic: wanted}, wait_for_metadata=True)
            except TopicAlreadyExistsError:
                found = len(admin.describe_topics([topic])[0]["partitions"])
                if found != partitions:
                    raise TopicMismatch(f"topic {topic} has {found} partitions, not {partitions}") from None
                admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, settings)])
                return False
            return True
        finally:
            admin.close()
    except (KafkaError, OSError) as error:
        raise LogUnavailable(f"topic {topic} on {bootstrap} cannot be made ready: {error}") from error
