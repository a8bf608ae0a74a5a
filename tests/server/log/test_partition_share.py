"""What a PartitionShare promises, for the only worker and for members of a group on a real Kafka."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from server.log import kafka_group
from server.log.contract import LogUnavailable, PartitionShare, WorkerReplaced
from server.log.embedded import EmbeddedLog
from server.log.kafka_group import KafkaGroupShare
from server.log.kafka_topic import ensure_topic
from server.log.whole_log import WholeLog
from tests.kafka_broker.broker import KafkaBroker
from tests.kafka_broker.secured import SecuredBroker

pytestmark = pytest.mark.long

PARTITIONS = 6
SESSION_MS = 6_000
PATIENCE_SECONDS = 30.0
_topics = itertools.count()


class Group:
    """A topic of its own, and members who ask as workers do, all the time."""

    def __init__(self, broker: KafkaBroker) -> None:
        self.broker = broker
        self.topic = f"share-test-{next(_topics)}"
        ensure_topic(broker.bootstrap, self.topic, partitions=PARTITIONS)
        self.members: list[KafkaGroupShare] = []

    def join(self, name: str) -> KafkaGroupShare:
        share = KafkaGroupShare(self.broker.bootstrap, name, self.topic, session_ms=SESSION_MS)
        self.members.append(share)
        return share

    def until(self, happened: Callable[[], bool], *, asked: list[KafkaGroupShare] | None = None) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not happened():
            for member in self.members if asked is None else asked:
                member.owned()
            assert time.monotonic() < deadline, [sorted(member.owned()) for member in self.members]
            time.sleep(0.02)

    def close(self) -> None:
        for member in self.members:
            member.close()


@pytest.fixture
def group(kafka_broker: KafkaBroker) -> Iterator[Group]:
    made = Group(kafka_broker)
    yield made
    made.close()


def test_the_only_worker_has_all_partitions(tmp_path: Path) -> None:
    log = EmbeddedLog(tmp_path / "log.db", clock=lambda: 0)
    share: PartitionShare = WholeLog(log)
    assert share.name is None
    assert share.owned() == {0}
    log.close()
    share.close()
    with pytest.raises(LogUnavailable):
        share.owned()


@pytest.mark.kafka
def test_members_share_all_partitions_evenly_and_one_that_restarts_disturbs_nobody(group: Group) -> None:
    first = group.join("first")
    assert first.owned() == frozenset(), "it does not wait for the group"
    group.until(lambda: len(first.owned()) == PARTITIONS)
    second, third = group.join("second"), group.join("third")
    shares: list[frozenset[int]] = []

    def even() -> bool:
        shares[:] = [member.owned() for member in (first, second, third)]
        return all(len(share) == 2 for share in shares) and len(frozenset().union(*shares)) == PARTITIONS

    group.until(even)
    assert first.name == "first"
    # What is committed to Kafka would be a second truth about positions; and nothing is fetched.
    assert first._member is not None
    consumer = first._member._consumer
    assert consumer.paused() == consumer.assignment()

    generation = consumer.group_metadata().generation_id
    second.close()
    second.close()
    group.members.remove(second)
    again = group.join("second")
    group.until(lambda: again.owned() == shares[1])
    assert consumer.group_metadata().generation_id == generation
    assert (first.owned(), third.owned()) == (shares[0], shares[2])


@pytest.mark.kafka
def test_a_member_whose_name_another_process_takes_learns_it(group: Group) -> None:
    first = group.join("twin")
    group.until(lambda: len(first.owned()) == PARTITIONS)
    other = group.join("twin")
    with pytest.raises(WorkerReplaced, match="another worker has joined as twin"):
        group.until(lambda: False)
    group.members.remove(first)
    group.until(lambda: len(other.owned()) == PARTITIONS)


@pytest.mark.kafka
def test_a_worker_that_hangs_leaves_its_group(group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_group, "TURN_SECONDS_MAX", 1.0)
    hanging = group.join("hanging")
    group.until(lambda: len(hanging.owned()) == PARTITIONS)
    member = hanging._member
    assert member is not None
    group.until(lambda: member.fault is not None, asked=[])
    with pytest.raises(LogUnavailable, match="did not ask for"):
        hanging.owned()
    # It may only be slow: then it joins again.
    group.until(lambda: len(hanging.owned()) == PARTITIONS)


@pytest.mark.kafka
def test_a_broker_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(kafka_group._SETTINGS, "bootstrap_timeout_ms", 300)
    share = KafkaGroupShare("127.0.0.1:1", "early", "no-topic")
    deadline = time.monotonic() + PATIENCE_SECONDS
    with pytest.raises(LogUnavailable, match="worker early of topic no-topic"):
        while time.monotonic() < deadline:
            share.owned()
            time.sleep(0.02)
    share.close()


@pytest.mark.kafka
def test_who_may_read_the_topic_may_be_in_its_group_and_others_are_told(secured_kafka: SecuredBroker) -> None:
    topic = f"share-test-{next(_topics)}"
    setup, stranger = secured_kafka.service_credentials("setup"), secured_kafka.service_credentials("nobody")
    ensure_topic(secured_kafka.mtls, topic, partitions=PARTITIONS, credentials=setup)
    share = KafkaGroupShare(secured_kafka.mtls, "worker", topic, credentials=lambda: setup)
    other = KafkaGroupShare(secured_kafka.mtls, "other", topic, credentials=lambda: stranger)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(share.owned()) < PARTITIONS and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(share.owned()) == PARTITIONS
    share.close()
    with pytest.raises(LogUnavailable, match="AuthorizationFailed"):
        while time.monotonic() < deadline:
            other.owned()
            time.sleep(0.02)
    other.close()
