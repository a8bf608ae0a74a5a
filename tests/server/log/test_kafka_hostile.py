"""What a hostile or careless producer or administrator can do to the log on Kafka."""

from __future__ import annotations

import resource
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaProducer  # type: ignore[import-untyped]
from kafka.admin import ConfigResource, ConfigResourceType  # type: ignore[import-untyped]
from kafka.errors import KafkaError  # type: ignore[import-untyped]

from event_schema.kafka_headers import to_kafka
from server.log.contract import LogUnavailable
from server.log.kafka import KafkaLog
from server.log.kafka_topic import TopicMismatch, ensure_topic
from tests.kafka_broker.broker import KafkaBroker
from tests.server.log.log_contract import read_all, record, sequence_by_agent
from tests.server.log.test_kafka import new_topic

pytestmark = pytest.mark.kafka

REPOSITORY = Path(__file__).parents[3]
BOMB = bytes(200_000_000)


def set_topic(broker: KafkaBroker, topic: str, **settings: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    named = {name.replace("_", "."): value for name, value in settings.items()}
    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, named)])
    admin.close()
    time.sleep(0.5)


def send(broker: KafkaBroker, topic: str, value: bytes, headers: list[Any], **settings: Any) -> None:
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap, **settings)
    try:
        producer.send(topic, key=b"a", value=value, headers=headers).get(60)
    finally:
        producer.close()


def test_the_broker_refuses_a_compressed_bomb_on_the_topic_that_we_make(kafka_broker: KafkaBroker) -> None:
    topic = new_topic(kafka_broker, partitions=1)
    huge = 10_000_000
    with pytest.raises(KafkaError, match=r"MESSAGE_TOO_LARGE|RECORD_LIST_TOO_LARGE|TooLarge"):
        bomb = {"compression_type": "zstd", "max_request_size": huge, "batch_size": huge, "retries": 0}
        send(kafka_broker, topic, BOMB[: huge - 1000], [], **bomb)
    log = KafkaLog(kafka_broker.bootstrap, topic)
    assert log.end_offsets() == {0: 0}
    log.close()


def test_a_compressed_bomb_that_got_in_is_a_fault_and_is_never_unpacked(kafka_broker: KafkaBroker) -> None:
    topic = new_topic(kafka_broker, partitions=1)
    set_topic(kafka_broker, topic, compression_type="producer")
    log = KafkaLog(kafka_broker.bootstrap, topic)
    log.append([record("a", 0)])
    size = len(BOMB) + 10_000
    send(kafka_broker, topic, BOMB, [], compression_type="zstd", max_request_size=size, batch_size=size)
    log.append([record("a", 1)])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = read_all(log, 3)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000, "KiB more at the peak"
    assert [logged.fault for logged in found] == [
        None,
        "batch is compressed with zstd, only values may be",
        None,
    ]
    assert 0 < len(found[1].raw) < 100_000
    assert sequence_by_agent([found[0], found[2]]) == {"a": [0, 1]}
    log.close()


class _NotUtf8(str):
    __slots__ = ()

    def encode(self, *_: Any, **__: Any) -> bytes:
        return b"\xff\xfe"


def test_a_header_name_that_is_not_utf8_stops_nobody(kafka_broker: KafkaBroker) -> None:
    topic = new_topic(kafka_broker, partitions=1)
    log = KafkaLog(kafka_broker.bootstrap, topic)
    log.append([record("a", 0)])
    _, headers, value = to_kafka(record("a", 9))
    send(kafka_broker, topic, value, [(_NotUtf8("x"), b"1"), *headers])
    log.append([record("a", 1)])
    found = read_all(log, 3)
    assert found[1].fault is not None
    assert found[1].fault.startswith("batch cannot be read: ")
    assert value in found[1].raw
    assert sequence_by_agent([found[0], found[2]]) == {"a": [0, 1]}
    log.close()


def test_an_open_transaction_does_not_hold_readers_up(kafka_broker: KafkaBroker) -> None:
    topic = new_topic(kafka_broker, partitions=1)
    log = KafkaLog(kafka_broker.bootstrap, topic)
    producer = KafkaProducer(bootstrap_servers=kafka_broker.bootstrap, transactional_id=topic)
    producer.init_transactions()
    producer.begin_transaction()
    key, headers, value = to_kafka(record("x", 0))
    producer.send(topic, key=key, headers=headers, value=value).get(20)
    log.append([record("a", 0)])
    assert sequence_by_agent(read_all(log, 2)) == {"x": [0], "a": [0]}
    producer.abort_transaction()
    producer.close()
    # The marker that ends a transaction takes an offset and is no record; the broker writes it when it
    # gets to it.
    deadline = time.monotonic() + 20
    while log.end_offsets() != {0: 3}:
        assert time.monotonic() < deadline
    assert log.read({0: 2}, max_records=5, timeout=0.5) == []
    log.append([record("a", 1)])
    assert sequence_by_agent(read_all(log, 3)) == {"x": [0], "a": [0, 1]}
    assert log.end_offsets() == {0: 4}
    assert log.read(log.end_offsets(), max_records=5, timeout=0.3) == []
    log.close()


def test_a_topic_that_does_not_exist_is_named_and_not_created(kafka_broker: KafkaBroker) -> None:
    log = KafkaLog(kafka_broker.bootstrap, "no-such-topic", acknowledged_within=2)
    with pytest.raises(LogUnavailable, match=r"no-such-topic .* does not exist"):
        log.partitions()
    with pytest.raises(LogUnavailable, match="no-such-topic"):
        log.append([record("a", 0)])
    log.close()
    admin = KafkaAdminClient(bootstrap_servers=kafka_broker.bootstrap)
    assert "no-such-topic" not in admin.list_topics()
    admin.close()


def test_receive_times_that_agents_could_choose_are_refused(kafka_broker: KafkaBroker) -> None:
    topic = new_topic(kafka_broker, partitions=1)
    set_topic(kafka_broker, topic, message_timestamp_type="CreateTime")
    log = KafkaLog(kafka_broker.bootstrap, topic)
    log.append([record("a", 0)])
    with pytest.raises(LogUnavailable, match="lacks LogAppendTime"):
        read_all(log, 1)
    log.close()


def test_making_the_topic_again_sets_it_right_and_keeps_its_records(kafka_broker: KafkaBroker) -> None:
    topic = new_topic(kafka_broker, partitions=2)
    set_topic(kafka_broker, topic, compression_type="producer", message_timestamp_type="CreateTime")
    assert not ensure_topic(kafka_broker.bootstrap, topic, partitions=2)
    time.sleep(0.5)
    log = KafkaLog(kafka_broker.bootstrap, topic)
    log.append([record("a", 0)])
    assert sequence_by_agent(read_all(log, 1)) == {"a": [0]}
    assert not ensure_topic(kafka_broker.bootstrap, topic, partitions=2)
    assert sequence_by_agent(read_all(log, 1)) == {"a": [0]}
    with pytest.raises(TopicMismatch, match=rf"{topic} has 2 partitions, not 48"):
        ensure_topic(kafka_broker.bootstrap, topic)
    log.close()


def test_questions_of_other_threads_do_not_wait_for_a_long_read(kafka_broker: KafkaBroker) -> None:
    log = KafkaLog(kafka_broker.bootstrap, new_topic(kafka_broker))
    positions = log.end_offsets()
    reader = threading.Thread(target=log.read, args=(positions,), kwargs={"max_records": 1, "timeout": 6.0})
    reader.start()
    time.sleep(0.5)
    started = time.monotonic()
    assert log.end_offsets() == positions
    assert time.monotonic() - started < 3.0
    log.append([record("a", 0)])
    reader.join()
    log.close()


def test_more_bytes_than_may_be_in_flight_arrive_whole_and_in_order(kafka_broker: KafkaBroker) -> None:
    log = KafkaLog(kafka_broker.bootstrap, new_topic(kafka_broker))
    log.append([record("a", number, size=1_000_000) for number in range(40)])
    assert sequence_by_agent(read_all(log, 40)) == {"a": list(range(40))}
    log.close()


@pytest.mark.parametrize(
    ("module", "wheel"),
    [
        ("server.log.kafka", "leaver-….whl[server,kafka]"),
        ("agent.shippers.kafka", "leaver_agent-….whl[kafka]"),
    ],
)
@pytest.mark.parametrize("missing", ["crc32c", "kafka"])
def test_start_fails_and_names_the_extra_when_the_client_is_incomplete(
    module: str, wheel: str, missing: str
) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None; import {module}"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: ")
    assert f"needs {wheel} (docs/install.md)" in last
    assert missing in last


@pytest.mark.parametrize("missing", ["crc32c", "kafka"])
def test_leaver_up_does_not_start_with_an_incomplete_client(missing: str, tmp_path: Path) -> None:
    (tmp_path / "server.toml").write_text('[log]\nkind = "kafka"\nbootstrap = ["127.0.0.1:9"]\n')
    start = f"from server.command_line import main; main(['up', '--data', {str(tmp_path)!r}])"
    code = f"import sys; sys.modules[{missing!r}] = None; {start}"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False
    )
    # Settings that cannot be used as they are: trying again would not help.
    assert done.returncode == 2
    assert done.stderr.startswith('leaver: log.kind = "kafka": a log on Kafka needs leaver-…')
    assert missing in done.stderr
    assert len(done.stderr.splitlines()) == 1
