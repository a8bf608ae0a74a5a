"""The contract of server/log/contract.py as tests. A subclass gives a `harness` for its implementation."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Protocol

import pytest

from event_schema.wire import WireRecord
from server.log.contract import EventLog, LoggedRecord, LogUnavailable, PositionLost


class LogHarness(Protocol):
    """One log, and what the tests do to it from outside."""

    def open(self) -> EventLog:
        """Another handle on the same log, as another process or a restarted server would have it."""

    def put_garbage(self) -> Sequence[str]:
        """Another producer appends records that are none; for each a pattern that its fault matches."""

    def restart(self) -> None:
        """What keeps the log goes down hard and comes back."""

    def close(self) -> None: ...


def record(agent: str, first_seq: int, *, size: int = 64) -> WireRecord:
    value = (b"%s/%d/" % (agent.encode(), first_seq)).ljust(size, b".")
    return WireRecord(agent, "1", "events", "0123456789abcdef", first_seq, 1, b"s" * 64, value)


def read_all(
    log: EventLog, want: int, *, positions: Mapping[int, int] | None = None, seconds: float = 20.0
) -> list[LoggedRecord]:
    """Reads on from the positions (the start) until there are `want` records, or it took too long."""
    found: list[LoggedRecord] = []
    next_offsets = dict(log.first_offsets() if positions is None else positions)
    deadline = time.monotonic() + seconds
    while len(found) < want and time.monotonic() < deadline:
        for logged in log.read(next_offsets, max_records=100, timeout=0.2):
            assert logged.offset >= next_offsets[logged.partition]
            next_offsets[logged.partition] = logged.offset + 1
            found.append(logged)
    return found


def sequence_by_agent(found: Sequence[LoggedRecord]) -> dict[str, list[int]]:
    numbers: dict[str, list[int]] = {}
    for logged in found:
        assert logged.record is not None, logged.fault
        assert logged.raw == logged.record.value
        numbers.setdefault(logged.record.agent, []).append(logged.record.first_seq)
    return numbers


class LogContract:
    """Every test runs on a fresh, empty log."""

    def test_a_record_comes_back_with_every_field(self, harness: LogHarness) -> None:
        log = harness.open()
        sent = WireRecord(
            "pc-7.lan_x", "1", "loss", "00ff00ff00ff00ff", 2**62, 2**40, bytes(range(64)), b"\0\xff"
        )
        before = int(time.time() * 1000) - 1000
        log.append([sent])
        (found,) = read_all(log, 1)
        assert found.record == sent
        assert found.fault is None
        assert before <= found.appended_at <= int(time.time() * 1000) + 1000

    def test_the_oldest_record_from_a_position_on_says_when_it_came(self, harness: LogHarness) -> None:
        log = harness.open()
        assert log.oldest_from({}) is None
        agents = [f"agent-{number}" for number in range(4)]
        log.append([record(agent, 0) for agent in agents])
        time.sleep(0.02)
        log.append([record(agent, 1) for agent in agents])
        found = read_all(log, 8)
        assert log.oldest_from({}) == min(logged.appended_at for logged in found)
        after_first = {
            logged.partition: logged.offset + 1
            for logged in sorted(found, key=lambda logged: logged.offset)
            if logged.record is not None and logged.record.first_seq == 0
        }
        left = [logged for logged in found if logged.offset >= after_first[logged.partition]]
        assert log.oldest_from(after_first) == min(logged.appended_at for logged in left)
        assert log.oldest_from(log.end_offsets()) is None

    def test_records_of_an_agent_keep_their_order_among_other_agents(self, harness: LogHarness) -> None:
        log = harness.open()
        agents = [f"agent-{number}" for number in range(5)]
        for start in range(0, 40, 4):
            log.append([record(agent, start + step) for step in range(4) for agent in agents])
        found = read_all(log, 200)
        assert sequence_by_agent(found) == {agent: list(range(40)) for agent in agents}
        partitions = {(logged.record.agent, logged.partition) for logged in found if logged.record}
        assert len(partitions) == len(agents), "an agent's records lie in one partition"

    def test_threads_that_append_at_once_keep_each_agents_order(self, harness: LogHarness) -> None:
        log = harness.open()

        def append_all(agent: str) -> None:
            for number in range(30):
                log.append([record(agent, number)])

        agents = [f"agent-{number}" for number in range(6)]
        threads = [threading.Thread(target=append_all, args=(agent,)) for agent in agents]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sequence_by_agent(read_all(log, 180)) == {agent: list(range(30)) for agent in agents}

    def test_readers_follow_what_others_append_meanwhile(self, harness: LogHarness) -> None:
        writer = harness.open()
        readers = [harness.open(), harness.open()]
        found: list[list[LoggedRecord]] = [[], []]

        def follow(index: int) -> None:
            found[index] = read_all(readers[index], 100)

        threads = [threading.Thread(target=follow, args=(index,)) for index in range(2)]
        for thread in threads:
            thread.start()
        for number in range(50):
            writer.append([record("a", number), record("b", number)])
        for thread in threads:
            thread.join()
        for follower in found:
            assert sequence_by_agent(follower) == {"a": list(range(50)), "b": list(range(50))}

    def test_appended_records_are_there_after_reopening(self, harness: LogHarness) -> None:
        first = harness.open()
        first.append([record("a", number) for number in range(10)])
        ends = first.end_offsets()
        first.close()
        again = harness.open()
        assert again.end_offsets() == ends
        again.append([record("a", 10)])
        assert sequence_by_agent(read_all(again, 11)) == {"a": list(range(11))}

    def test_a_hard_restart_loses_nothing_and_open_handles_go_on(self, harness: LogHarness) -> None:
        log = harness.open()
        log.append([record("a", number) for number in range(20)])
        assert len(read_all(log, 20)) == 20
        harness.restart()
        _append_when_back(log, [record("a", 20)])
        assert sequence_by_agent(_read_when_back(log, 21)) == {"a": list(range(21))}

    def test_the_same_position_reads_the_same_records_again(self, harness: LogHarness) -> None:
        log = harness.open()
        log.append([record("a", number) for number in range(30)])
        everything = read_all(log, 30)
        assert read_all(log, 30) == everything
        middle = everything[17]
        positions = dict(log.end_offsets()) | {middle.partition: middle.offset}
        assert read_all(log, 13, positions=positions) == everything[17:]
        assert read_all(harness.open(), 13, positions=positions) == everything[17:]

    def test_a_read_is_bounded_and_goes_on_where_it_stopped(self, harness: LogHarness) -> None:
        log = harness.open()
        log.append([record(f"agent-{number % 3}", number // 3) for number in range(60)])
        positions = dict(log.first_offsets())
        found: list[LoggedRecord] = []
        deadline = time.monotonic() + 20
        while len(found) < 60 and time.monotonic() < deadline:
            part = log.read(positions, max_records=7, timeout=0.5)
            assert len(part) <= 7
            for logged in part:
                positions[logged.partition] = logged.offset + 1
            found += part
        assert sequence_by_agent(found) == {f"agent-{number}": list(range(20)) for number in range(3)}
        assert positions == log.end_offsets()

    def test_an_empty_read_waits_for_its_timeout_and_not_longer(self, harness: LogHarness) -> None:
        log = harness.open()
        log.read(log.end_offsets(), max_records=10, timeout=0.1)
        started = time.monotonic()
        assert log.read(log.end_offsets(), max_records=10, timeout=0.8) == []
        assert 0.7 <= time.monotonic() - started < 2.0

    def test_no_positions_read_nothing(self, harness: LogHarness) -> None:
        log = harness.open()
        log.append([record("a", 0)])
        assert log.read({}, max_records=10, timeout=0.1) == []

    def test_a_waiting_read_returns_as_soon_as_something_is_appended(self, harness: LogHarness) -> None:
        reader, writer = harness.open(), harness.open()
        positions = reader.end_offsets()
        reader.read(positions, max_records=10, timeout=0.1)
        writer.append([])
        timer = threading.Timer(0.5, writer.append, ([record("a", 0)],))
        started = time.monotonic()
        timer.start()
        found = reader.read(positions, max_records=10, timeout=15.0)
        assert sequence_by_agent(found) == {"a": [0]}
        assert time.monotonic() - started < 8.0
        timer.join()

    def test_a_trimmed_position_is_lost_and_says_what_is_left(self, harness: LogHarness) -> None:
        log = harness.open()
        log.append([record("a", number) for number in range(20)])
        everything = read_all(log, 20)
        partition, kept = everything[12].partition, everything[12].offset
        log.trim({partition: kept})
        log.trim({partition: kept})
        log.trim({partition: everything[5].offset})
        assert log.first_offsets()[partition] == kept
        with pytest.raises(PositionLost) as lost:
            read_all(log, 20, positions={partition: everything[3].offset})
        assert lost.value.partition == partition
        assert lost.value.asked == everything[3].offset
        assert lost.value.first_kept == kept
        assert read_all(log, 8, positions={partition: kept}) == everything[12:]

    def test_a_log_that_was_trimmed_to_its_end_goes_on_with_new_offsets(self, harness: LogHarness) -> None:
        log = harness.open()
        log.append([record("a", number) for number in range(5)])
        ends = log.end_offsets()
        log.trim(ends)
        assert log.first_offsets() == ends == log.end_offsets()
        log.append([record("a", 5)])
        assert sequence_by_agent(read_all(log, 1, positions=ends)) == {"a": [5]}

    def test_a_position_beyond_the_end_is_lost(self, harness: LogHarness) -> None:
        log = harness.open()
        log.append([record("a", 0)])
        (found,) = read_all(log, 1)
        with pytest.raises(PositionLost) as lost:
            read_all(log, 1, positions={found.partition: found.offset + 100}, seconds=10)
        assert lost.value.asked == found.offset + 100
        assert lost.value.first_kept == found.offset

    def test_garbage_comes_out_as_faults_and_stops_nobody(self, harness: LogHarness) -> None:
        log = harness.open()
        log.append([record("a", 0)])
        patterns = harness.put_garbage()
        log.append([record("a", 1)])
        found = read_all(log, 2 + len(patterns))
        assert sequence_by_agent([logged for logged in found if logged.record]) == {"a": [0, 1]}
        faults = [logged.fault or "" for logged in found if logged.record is None]
        assert len(faults) == len(patterns)
        for pattern in patterns:
            assert any(re.search(pattern, fault) for fault in faults), (pattern, faults)
        assert read_all(log, len(found)) == found

    def test_a_closed_log_refuses_everything(self, harness: LogHarness) -> None:
        log = harness.open()
        log.append([record("a", 0)])
        positions = log.first_offsets()
        log.close()
        log.close()
        with pytest.raises(LogUnavailable, match="closed"):
            log.append([record("a", 1)])
        with pytest.raises(LogUnavailable, match="closed"):
            log.read(positions, max_records=1, timeout=0)
        with pytest.raises(LogUnavailable, match="closed"):
            log.end_offsets()


def _append_when_back(log: EventLog, records: Sequence[WireRecord], seconds: float = 40.0) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            return log.append(records)
        except LogUnavailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def _read_when_back(log: EventLog, want: int, seconds: float = 40.0) -> list[LoggedRecord]:
    deadline = time.monotonic() + seconds
    while True:
        try:
            return read_all(log, want)
        except LogUnavailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
