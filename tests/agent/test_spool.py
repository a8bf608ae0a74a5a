"""The spool keeps what it accepted through restarts, caps and full disks, and gives it once, in order."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from agent import spool as spool_module
from agent import spool_files
from agent.spool import Spool, SpoolLocked, SpoolUnavailable
from agent.spool_files import is_locked, lock_folder, segment_name, sync_folder
from agent.spool_reader import SpooledEvent
from agent.spool_segment import BLOCK_MAGIC, encode_entry
from event_schema.control_records import Loss, LossReason
from tests.agent.spools import (
    SEGMENT,
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


def test_appended_events_come_back_in_order_with_numbers_from_zero_and_survive_reopening(
    folder: Path,
) -> None:
    spool = small_spool(folder)
    epoch = spool.epoch
    spool.append(entries(0, 3))
    spool.append(entries(3, 2))
    spool.close()
    again = small_spool(folder)
    found = read_all(again)
    assert [i.data for i in found if isinstance(i, SpooledEvent)] == [e.data for e in entries(0, 5)]
    assert numbers(found) == [0, 1, 2, 3, 4]
    assert again.epoch == epoch
    assert again.stats().oldest_unsent == 1_000
    again.close()


def test_acknowledged_events_do_not_come_back_and_their_segments_are_deleted(folder: Path) -> None:
    spool = small_spool(folder)
    for n in range(0, 400, 20):
        spool.append(entries(n, 20, size=1000))
    before = len(segments(folder))
    spool.acknowledge(349)
    assert before > 5 > len(segments(folder))
    copy = small_spool(crashed_copy(folder))
    assert numbers(read_all(copy)) == list(range(350, 400))
    copy.close()
    spool.acknowledge(399)
    assert spool.stats().backlog_events == 0
    assert read_all(spool) == []
    spool.append(entries(400, 1))
    assert numbers(read_all(spool)) == [400]
    spool.close()


def test_acknowledging_what_was_never_given_is_refused_and_twice_is_harmless(folder: Path) -> None:
    spool = small_spool(folder)
    spool.append(entries(0, 2))
    with pytest.raises(ValueError, match="number 2 acknowledged"):
        spool.acknowledge(2)
    spool.acknowledge(1)
    spool.acknowledge(0)
    assert spool.acknowledged == 2
    spool.close()


def test_a_second_agent_on_the_same_folder_is_refused(folder: Path) -> None:
    spool = small_spool(folder)
    with pytest.raises(SpoolLocked, match="another agent uses"):
        small_spool(folder)
    spool.close()
    small_spool(folder).close()


def test_asking_whether_a_spool_is_used_never_refuses_the_agent_that_starts(folder: Path) -> None:
    small_spool(folder).close()
    program = (
        "import sys; from pathlib import Path; from agent.spool_files import is_locked\n"
        "print('asks', flush=True)\n"
        "while True: is_locked(Path(sys.argv[1]))"
    )
    ask = [sys.executable, "-c", program, str(folder)]
    with subprocess.Popen(ask, stdout=subprocess.PIPE) as asking:
        try:
            assert asking.stdout is not None
            assert asking.stdout.readline() == b"asks\n"
            for _ in range(5000):
                os.close(lock_folder(folder))
        finally:
            asking.kill()
    assert not is_locked(folder)
    spool = small_spool(folder)
    assert is_locked(folder)
    spool.close()
    assert not is_locked(folder)


def test_another_process_sees_that_the_spool_is_used_until_it_is_closed(folder: Path) -> None:
    program = "import sys; from pathlib import Path; from agent.spool_files import is_locked; "
    ask = [sys.executable, "-c", program + "sys.exit(is_locked(Path(sys.argv[1])))", str(folder)]
    spool = small_spool(folder)
    assert subprocess.run(ask, check=False).returncode == 1
    spool.close()
    assert subprocess.run(ask, check=False).returncode == 0


def test_over_the_cap_the_oldest_part_goes_with_a_durable_loss_record(folder: Path) -> None:
    spool = small_spool(folder, max_bytes=4 * SEGMENT)
    for n in range(0, 1000, 20):
        spool.append(entries(n, 20, size=1000))
    assert sum(p.stat().st_size for p in segments(folder)) <= 4 * SEGMENT
    for opened in (spool, small_spool(crashed_copy(folder), max_bytes=4 * SEGMENT)):
        found = read_all(opened)
        assert numbers(found) == list(range(1000))
        [gone] = [item for item in found if isinstance(item, Loss)]
        assert (gone.reason, gone.first_seq) == (LossReason.SPOOL_FULL, 0)
        assert (gone.first_time, gone.last_time) == (1_000, 1_000 + gone.count - 1)
        stats = opened.stats()
        assert (stats.lost_events, stats.backlog_events) == (gone.count, 1000 - gone.count)
        opened.acknowledge(999)
        assert opened.stats().lost_events == gone.count
        opened.close()


def test_what_is_being_sent_is_not_dropped_and_reported_lost_as_well(folder: Path) -> None:
    spool = small_spool(folder, max_bytes=4 * SEGMENT)
    spool.append(entries(0, 20, size=1000))
    sent = numbers(spool.read(-1, max_events=10))
    for n in range(20, 1000, 20):
        spool.append(entries(n, 20, size=1000))
    assert sent == list(range(10))
    found = read_all(spool)
    assert not {n for _, first, count in losses(found) for n in range(first, first + count)} & set(sent)
    assert numbers(found) == list(range(1000))
    spool.close()


def test_a_spool_with_everything_being_sent_refuses_more_until_it_is_acknowledged(folder: Path) -> None:
    spool = small_spool(folder, max_bytes=4 * SEGMENT)
    spool.append(entries(0, 1))
    with pytest.raises(SpoolUnavailable, match="full"):
        for n in range(1, 1000):
            spool.append([entry(n, size=1000)])
            spool.read(n - 1)
    spool.acknowledge(spool.stats().next_seq - 1)
    spool.append(entries(0, 20, size=1000))
    spool.close()


def test_cursors_come_back_with_the_last_event_on_disk_even_after_all_was_acknowledged(folder: Path) -> None:
    spool = small_spool(folder)
    for n in range(200):
        spool.append([entry(n, size=1000, cursor=f"at {n}"), entry(n, size=10)])
    spool.acknowledge(399)
    copy = crashed_copy(folder)
    with segments(copy)[-1].open("ab") as file:
        file.write(encode_entry(400, entry(400, cursor="torn"))[:-1])
    again = small_spool(copy)
    assert again.cursor("removable_storage") == "at 199"
    assert again.cursor("other") is None
    again.close()
    spool.close()


def test_full_segments_that_wait_are_packed_and_read_the_same_from_any_place(folder: Path) -> None:
    spool = Spool(folder, max_bytes=16 << 20, segment_bytes=1 << 20)
    written = [entry(n, 900, cursor=str(n)) for n in range(5000)]
    for n in range(0, 5000, 100):
        spool.append(written[n : n + 100])
    sizes = [path.stat().st_size for path in segments(folder)]
    assert len(sizes) >= 4
    assert all(size < 700_000 for size in sizes[:-1])
    for after in (-1, 0, 61, 62, 63, 1000, 4998):
        items = spool.read(after, max_events=130)
        assert [(i.seq, i.data) for i in items if isinstance(i, SpooledEvent)] == [
            (n, written[n].data) for n in range(after + 1, min(after + 131, 5000))
        ]
    copy = crashed_copy(folder)
    spool.close()
    (copy / "segment-00000000000000000000.packing").write_bytes(b"half")
    again = Spool(copy, max_bytes=16 << 20, segment_bytes=1 << 20)
    assert not list(copy.glob("*.packing"))
    assert numbers(read_all(again)) == list(range(5000))
    assert again.cursor("removable_storage") == "4999"
    again.acknowledge(4999)
    assert len(segments(copy)) == 1
    again.close()


def test_a_folder_that_cannot_be_synced_after_packing_costs_no_event(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = small_spool(folder, max_bytes=64 * SEGMENT)
    spool.append(entries(0, 100))
    read = list(spool.read(-1, max_events=40))
    synced = 0

    def failing(path: Path) -> None:
        nonlocal synced
        synced += 1
        # The first is the new segment's, the second the packed one's.
        if synced == 2:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        sync_folder(path)

    monkeypatch.setattr(spool_files, "sync_folder", failing)
    monkeypatch.setattr(spool_module, "sync_folder", failing)
    number = 100
    while synced < 2:
        spool.append(entries(number, 20))
        number += 20
    assert BLOCK_MAGIC in (folder / segment_name(0)).read_bytes()
    while len(read) < number:
        read += spool.read(len(read) - 1, max_events=37)
    assert [item.seq for item in read if isinstance(item, SpooledEvent)] == list(range(number))
    assert spool.stats().lost_events == 0
    spool.close()


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0 and os.environ.get("CI") != "true", reason="needs root to mount tmpfs")
def test_a_full_disk_makes_observations_wait_and_space_lets_them_go_on(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], check=True)
    try:
        spool = Spool(disk / "spool", max_bytes=64 * SEGMENT, segment_bytes=SEGMENT)
        spool.append(entries(0, 20, size=1000))
        ballast = disk / "ballast"
        with pytest.raises(OSError, match="No space left"), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(b"b" * 4096)
        accepted = 20
        with pytest.raises(SpoolUnavailable, match="ENOSPC"):
            while True:
                spool.append(entries(accepted, 5, size=1000))
                accepted += 5
        spool.acknowledge(9)
        again = small_spool(_copy_out(disk, tmp_path))
        assert numbers(read_all(again)) == list(range(10, accepted))
        again.close()
        ballast.unlink()
        spool.append(entries(accepted, 5, size=1000))
        assert numbers(read_all(spool)) == list(range(10, accepted + 5))
        assert losses(read_all(spool)) == []
        spool.close()
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def _copy_out(disk: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "copy"
    shutil.copytree(disk / "spool", copy)
    return copy
