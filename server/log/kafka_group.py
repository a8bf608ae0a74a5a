"""A worker's share of a Kafka topic: the consumer group decides, records are read elsewhere.

Only membership is taken from the group. The member's partitions are paused as soon as it gets them, so it
delivers no record; positions stay in the database, and nothing that may fail happens in a rebalance
listener (an exception there comes out once, and then records flow from the wrong place).

Membership is static (KIP-345): the worker's name is its identity. One that comes back under its name
within SESSION_MS gets its partitions back, and the others notice nothing; only when it stays away longer
are its partitions given to others. Rebalances are cooperative (KIP-429): who keeps a partition goes on
reading it meanwhile.

Traps of kafka-python 3.0.12 (each has a test on a real broker):
- A join that is ready while nobody waits in poll() is thrown away and begun again, which makes all others
  join again: with short polls a group of three never agrees. So a thread of its own polls all the time.
- A leader that joins before it knows the topic's partitions gives nobody anything, for minutes.
- Without a broker it says nothing, and goes on believing what it owned.
- A member whose name was taken by another process stops its heartbeats and goes on believing what it owns.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from kafka import KafkaConsumer  # type: ignore[import-untyped]
from kafka.consumer.subscription_state import ConsumerRebalanceListener  # type: ignore[import-untyped]
from kafka.coordinator.assignors.cooperative_sticky import (  # type: ignore[import-untyped]
    CooperativeStickyAssignor,
)
from kafka.coordinator.base import MemberState  # type: ignore[import-untyped]
from kafka.errors import FencedInstanceIdError, KafkaError  # type: ignore[import-untyped]
from kafka.net.compat import KafkaNetClient  # type: ignore[import-untyped]

from event_schema.kafka_delivery import CONNECT_MS, make_client
from event_schema.kafka_headers import TOPIC
from event_schema.kafka_security import PLAINTEXT, CredentialsUnusable, KafkaCredentials, client_settings
from server.log.contract import LogUnavailable, WorkerReplaced

SESSION_MS = 15_000
"""A worker that says nothing for so long has lost its partitions. A restart takes less."""
TURN_SECONDS_MAX = 180.0
"""A worker that does not ask for so long hangs, and must give way."""
JOIN_MS = 1_500
SETTLED_MS = 250
REPLACED_SECONDS = 1.0
"""A member without heartbeats for so long: another process has its name."""
RETRY_SECONDS = 1.0
STOP_SECONDS = 4.0

_SETTINGS: dict[str, Any] = {
    "enable_auto_commit": False,
    # There is nothing committed, and nothing is read.
    "auto_offset_reset": "latest",
    "allow_auto_create_topics": False,
    "partition_assignment_strategy": [CooperativeStickyAssignor],
    "fetch_max_bytes": 1,
    "max_partition_fetch_bytes": 1,
    "request_timeout_ms": 10_000,
    "bootstrap_timeout_ms": CONNECT_MS,
    "reconnect_backoff_max_ms": 1_000,
    "metrics_enabled": False,
}

_logger = logging.getLogger("leaver.log")


def group_of(topic: str) -> str:
    """The consumer group of a topic's workers."""
    return f"{topic}.pipeline"


class KafkaGroupShare:
    """A PartitionShare: a member of the topic's group, from the first question on."""

    def __init__(
        self,
        bootstrap: str,
        name: str,
        topic: str = TOPIC,
        *,
        credentials: Callable[[], KafkaCredentials] = lambda: PLAINTEXT,
        session_ms: int = SESSION_MS,
    ) -> None:
        """`credentials` is asked at every connect, so that renewed ones are used."""
        self._name = name
        self._topic = topic
        self._place = f"worker {name} of topic {topic} on {bootstrap}"
        self._settings = {
            **_SETTINGS,
            "bootstrap_servers": bootstrap.split(","),
            "group_id": group_of(topic),
            "group_instance_id": name,
            "session_timeout_ms": session_ms,
            "heartbeat_interval_ms": session_ms // 10,
        }
        self._credentials = credentials
        self._member: _Member | None = None

    @property
    def name(self) -> str:
        return self._name

    def owned(self) -> frozenset[int]:
        if self._member is None:
            try:
                further = client_settings(self._credentials())
            except CredentialsUnusable as error:
                raise LogUnavailable(f"{self._place}: {error}") from error
            self._member = _Member({**self._settings, **further}, self._topic)
        fault = self._member.fault
        if fault is None:
            return self._member.ask()
        self.close()
        if isinstance(fault, WorkerReplaced):
            raise WorkerReplaced(self._name) from fault
        raise LogUnavailable(f"{self._place} is not in its group: {fault}") from fault

    def close(self) -> None:
        member, self._member = self._member, None
        if member is not None:
            member.stop()


class _Member(ConsumerRebalanceListener):  # type: ignore[misc]
    """The thread. Ends with the first fault; then there is another member."""

    def __init__(self, settings: Mapping[str, Any], topic: str) -> None:
        self._settings = settings
        self._topic = topic
        self.fault: Exception | None = None
        self._assigned: frozenset[int] = frozenset()
        self._asked_at = time.monotonic()
        self._stop = threading.Event()
        self._silent_since: float | None = None
        self._consumer: Any = None
        self._thread = threading.Thread(target=self._run, name="kafka-group", daemon=True)
        self._thread.start()

    def ask(self) -> frozenset[int]:
        self._asked_at = time.monotonic()
        return self._assigned

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        try:
            self._consumer = make_client(KafkaConsumer, KafkaNetClient, self._settings)
            try:
                self._keep_membership()
            finally:
                # A static member does not leave: the group waits for it to come back.
                self._consumer.close(autocommit=False, timeout_ms=1000)
        except FencedInstanceIdError:
            self._end(WorkerReplaced(self._settings["group_instance_id"]))
        except (KafkaError, OSError, WorkerReplaced) as error:
            self._end(error)
        except Exception as error:
            # The thread's edge: whatever the client threw, membership is over.
            _logger.warning("group_member_failed", exc_info=True)
            self._end(error)

    def _end(self, fault: Exception) -> None:
        self._assigned = frozenset()
        self.fault = fault

    def _keep_membership(self) -> None:
        consumer = self._consumer
        consumer.subscribe([self._topic], listener=self)
        consumer.partitions_for_topic(self._topic)
        while not self._stop.is_set():
            if time.monotonic() - self._asked_at > TURN_SECONDS_MAX:
                raise TimeoutError(f"the worker did not ask for {TURN_SECONDS_MAX:.0f} s")
            joining = consumer._coordinator.need_rejoin()
            consumer.poll(timeout_ms=JOIN_MS if joining else SETTLED_MS)
            self._publish(consumer.assignment())
            self._look_at_heartbeats(consumer._coordinator)

    def _publish(self, assigned: Collection[Any]) -> None:
        self._consumer.pause(*(set(assigned) - self._consumer.paused()))
        self._assigned = frozenset(partition.partition for partition in assigned)

    def _look_at_heartbeats(self, coordinator: Any) -> None:
        if coordinator.state is not MemberState.STABLE:
            self._silent_since = None
        elif coordinator._heartbeat_enabled:
            self._silent_since = None
            if coordinator.heartbeat.session_timeout_expired():
                raise TimeoutError("no broker answered its heartbeats")
        elif self._silent_since is None:
            self._silent_since = time.monotonic()
        elif time.monotonic() - self._silent_since > REPLACED_SECONDS:
            raise WorkerReplaced(self._settings["group_instance_id"])

    # The listener only says sooner what the loop says anyway, and pauses before anything is fetched.

    def on_partitions_assigned(self, _assigned: Collection[Any]) -> None:
        self._publish(self._consumer.assignment())

    def on_partitions_revoked(self, revoked: Collection[Any]) -> None:
        self._assigned -= {partition.partition for partition in revoked}

    def on_partitions_lost(self, lost: Collection[Any]) -> None:
        self.on_partitions_revoked(lost)
