"""The spool keeps what it accepted through torn files, lost files and kills, and owns up to what is gone."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.spool import Spool
from agent.spool_progress import ProgressFile
from agent.spool_reader import SpooledEvent
from agent.spool_segment import BLOCK_MAGIC, encode_entry
from tests.agent.spools import (
    crashed_copy,
    entries,
    entry,
    losses,
    numbers,
    read_all,
    segments,
    small_spool,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def test_a_torn_last_entry_is_cut_off_and_its_number_given_again(folder: Path) -> None:
    spool = small_spool(folder)
    spool.append(entries(0, 3))
    copy = crashed_copy(folder)
    torn = encode_entry(3, entry(3))
    with segments(copy)[-1].open("ab") as file:
        file.write(torn[:-5])
    again = small_spool(copy)
    assert numbers(read_all(again)) == [0, 1, 2]
    again.append([entry(777)])
    found = read_all(again)
    assert numbers(found) == [0, 1, 2, 3]
    assert losses(found) == []
    again.close()
    spool.close()


def test_a_tail_damaged_below_what_was_known_durable_is_a_loss_and_its_numbers_are_not_reused(
    folder: Path,
) -> None:
    spool = small_spool(folder)
    spool.append(entries(0, 5))
    spool.close()
    path = segments(folder)[-1]
    os.truncate(path, path.stat().st_size - 150)
    again = small_spool(folder)
    again.append([entry(5)])
    found = read_all(again)
    assert numbers(found) == [0, 1, 2, 3, 4, 5]
    assert losses(found) == [("spool_corrupt", 3, 2)]
    again.close()


def test_a_corrupt_entry_in_the_middle_is_one_loss_and_the_rest_survives(folder: Path) -> None:
    spool = small_spool(folder)
    spool.append(entries(0, 10))
    spool.close()
    path = segments(folder)[0]
    data = bytearray(path.read_bytes())
    data[data.index(b'{"n":4,') + 3] ^= 0xFF
    path.write_bytes(data)
    again = small_spool(folder)
    found = read_all(again)
    assert numbers(found) == list(range(10))
    assert losses(found) == [("spool_corrupt", 4, 1)]
    assert again.stats().lost_events == 1
    again.acknowledge(9)
    assert again.stats().lost_events == 1
    again.close()
    assert small_spool(folder).stats().lost_events == 1


def test_a_segment_that_someone_deleted_is_reported_as_lost(folder: Path) -> None:
    spool = small_spool(folder)
    for n in range(0, 300, 20):
        spool.append(entries(n, 20, size=1000))
    names = segments(folder)
    first, after = int(names[2].name[8:]), int(names[3].name[8:])
    names[2].unlink()
    found = read_all(spool)
    assert numbers(found) == list(range(300))
    assert losses(found) == [("spool_lost", first, after - first)]
    spool.close()


def test_without_a_readable_register_nothing_is_lost_and_the_epoch_stays(folder: Path) -> None:
    spool = small_spool(folder)
    spool.append(entries(0, 5))
    spool.acknowledge(2)
    epoch = spool.epoch
    spool.close()
    (folder / "progress").write_bytes(b"\0" * 8192)
    again = small_spool(folder)
    assert again.epoch == epoch
    assert numbers(read_all(again)) == [0, 1, 2, 3, 4]
    again.close()


def test_a_torn_slot_of_the_register_leaves_the_older_one(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    spool = small_spool(folder)
    spool.append(entries(0, 5))
    spool.acknowledge(2)
    copy = crashed_copy(folder)
    register = ProgressFile(copy / "progress")
    newest = register.read()
    assert newest is not None
    with (copy / "progress").open("r+b") as file:
        file.seek(newest.generation % 2 * 4096 + 100)
        file.write(b"torn")
    older = register.read()
    assert older is not None
    assert (newest.acknowledged, older.acknowledged) == (3, 0)
    register.close()
    again = small_spool(copy)
    assert numbers(read_all(again)) == [0, 1, 2, 3, 4]
    again.close()
    spool.close()


def test_damage_to_a_packed_block_costs_that_block_alone(folder: Path) -> None:
    spool = Spool(folder, max_bytes=16 << 20, segment_bytes=1 << 20)
    for n in range(0, 3000, 100):
        spool.append(entries(n, 100, size=900))
    spool.close()
    path = segments(folder)[0]
    data = bytearray(path.read_bytes())
    second = data.index(BLOCK_MAGIC, data.index(BLOCK_MAGIC) + 4)
    data[second + 1000] ^= 1
    path.write_bytes(data)
    again = Spool(folder, max_bytes=16 << 20, segment_bytes=1 << 20)
    found = read_all(again)
    assert numbers(found) == list(range(3000))
    [(reason, _, count)] = losses(found)
    assert reason == "spool_corrupt"
    assert 60 < count < 80
    again.close()


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_history_of_appends_acknowledgements_crashes_and_damage_accounts_for_every_number_once(
    data: st.DataObject,
) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "spool"
        spool = small_spool(folder)
        written: dict[int, bytes] = {}
        damaged: set[int] = set()
        for _ in range(data.draw(st.integers(1, 12))):
            match data.draw(st.sampled_from(["append", "append", "acknowledge", "torn", "damage"])):
                case "append":
                    size = data.draw(st.integers(20, 4000))
                    new = entries(spool.stats().next_seq, data.draw(st.integers(1, 30)), size)
                    first = spool.stats().next_seq
                    spool.append(new)
                    written |= {first + i: e.data for i, e in enumerate(new)}
                case "acknowledge" if spool.stats().next_seq:
                    spool.acknowledge(data.draw(st.integers(0, spool.stats().next_seq - 1)))
                case "torn":
                    spool, folder = _crash_torn(data, spool, folder)
                case "damage":
                    spool, folder = _damage_one_byte(data, spool, folder, damaged)
        found = read_all(spool)
        assert numbers(found) == list(range(spool.acknowledged, spool.stats().next_seq))
        for item in found:
            if isinstance(item, SpooledEvent):
                assert item.data == written[item.seq]
            else:
                gone = range(item.first_seq, item.first_seq + item.count)
                assert set(gone) <= damaged
        spool.close()


def _crash_torn(data: st.DataObject, spool: Spool, folder: Path) -> tuple[Spool, Path]:
    """The process dies while it writes the next batch: any part of it may have reached the disk."""
    copy = crashed_copy(folder)
    following = spool.stats().next_seq
    batch = b"".join(encode_entry(following + i, entry(-1, 200)) for i in range(3))
    cut = data.draw(st.integers(0, len(encode_entry(following, entry(-1, 200))) - 1))
    filler = data.draw(st.sampled_from([b"", b"\0" * 300]))
    with segments(copy)[-1].open("ab") as file:
        file.write(batch[:cut] + filler)
    spool.close()
    return small_spool(copy), copy


def _damage_one_byte(
    data: st.DataObject, spool: Spool, folder: Path, damaged: set[int]
) -> tuple[Spool, Path]:
    """One byte of one segment changes while the agent is down."""
    before = {i.seq for i in read_all(spool) if isinstance(i, SpooledEvent)}
    spool.close()
    path = data.draw(st.sampled_from([p for p in segments(folder) if p.stat().st_size]))
    content = bytearray(path.read_bytes())
    packed = BLOCK_MAGIC in content
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    again = small_spool(folder)
    after = {i.seq for i in read_all(again) if isinstance(i, SpooledEvent)}
    assert after <= before
    gone = before - after
    assert not gone or set(range(min(gone), max(gone) + 1)) - damaged == gone
    assert len(gone) <= 1 or packed
    damaged |= gone
    return again, folder


def test_kill_nine_in_the_middle_of_appends_loses_nothing_that_was_accepted(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    accepted = -1
    for round_number in range(6):
        accepted = _append_until_killed(folder, kill_after=15 + 40 * round_number)
        spool = small_spool(folder, max_bytes=64 << 20)
        found = read_all(spool)
        assert losses(found) == []
        assert numbers(found) == list(range(len(found)))
        assert len(found) > accepted
        for item in found:
            assert isinstance(item, SpooledEvent)
            assert item.data.startswith(f'{{"n":{item.seq},'.encode())
        spool.close()
    assert accepted > 100


def _append_until_killed(folder: Path, kill_after: int) -> int:
    """A process appends as fast as it can and says what was accepted; it is killed in mid-work."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.agent.append_forever", str(folder)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    ) as process:
        assert process.stdout is not None
        lines: Iterator[bytes] = iter(process.stdout)
        last = -1
        for _ in range(kill_after):
            last = int(next(lines))
        process.kill()
        return max([last, *(int(line) for line in lines if line.endswith(b"\n"))])
