"""What the agent promised to have on disk is there after a power cut at any moment."""

from __future__ import annotations

import time
from itertools import takewhile
from pathlib import Path
from random import Random

import pytest

from agent.identity import load_identity, pending_key
from agent.spool import Spool
from agent.spool_reader import SpooledEvent, SpoolItem
from agent.watched_days import WatchedDays
from event_schema.control_records import Loss
from event_schema.request_signing import key_id
from tests.power_loss.conftest import told
from tests.power_loss.disk import Disk, needs_fuse
from tests.power_loss.identity_forever import OWNER
from tests.power_loss.said import Said
from tests.power_loss.spool_forever import SEGMENT, entry

pytestmark = [needs_fuse, pytest.mark.root, pytest.mark.long]
CUTS = 150


def _all_items(spool: Spool) -> list[SpoolItem]:
    found: list[SpoolItem] = []
    after = -1
    while items := spool.read(after, max_events=500):
        found += items
        last = items[-1]
        after = last.first_seq + last.count - 1 if isinstance(last, Loss) else last.seq
    return found


def _assert_kept(left: Path, appended: int, let_go: int) -> None:
    """All that was appended is there, as it was; nothing is missing, and what was let go is gone."""
    if appended < 0 and not left.exists():
        return
    spool = Spool(left, max_bytes=64 << 20, segment_bytes=SEGMENT)
    try:
        items = _all_items(spool)
        assert [item for item in items if isinstance(item, Loss)] == [], (
            appended,
            let_go,
            spool.acknowledged,
        )
        events = [item for item in items if isinstance(item, SpooledEvent)]
        assert spool.acknowledged > let_go
        assert [event.seq for event in events] == list(range(spool.acknowledged, spool.stats().next_seq))
        assert spool.stats().next_seq > appended
        assert all(event.data == entry(event.seq).data for event in events)
        if spool.stats().next_seq:
            assert spool.cursor("removable_storage") == str(spool.stats().next_seq - 1)
        # It goes on from there.
        following = spool.stats().next_seq
        spool.append([entry(following)])
        assert _all_items(spool)[-1] == SpooledEvent(following, 1_000 + following, entry(following).data)
    finally:
        spool.close()


def test_what_the_spool_accepted_outlives_a_power_cut_at_any_moment(disk: Disk, seed: int) -> None:
    dice = Random(seed)
    with Said("tests.power_loss.spool_forever", str(disk.path / "state" / "spool")) as program:
        for number in range(CUTS):
            # The first ones while it is being made.
            time.sleep(dice.uniform(0, 0.003) if number > 20 else dice.uniform(0, 0.02))
            appended, let_go = program.last("appended"), program.last("let-go")
            left = disk.cut(seed + number)
            with told(seed, number):
                _assert_kept(left / "state" / "spool", appended, let_go)
        program.wait_for("let-go", 200)


def _assert_identity_kept(state: Path, asked: list[int], adopted: int, noted: int) -> None:
    """`asked`: the keys that were told, in the order of the certificates."""
    number = -1
    if adopted >= 0 or (state / "identity").is_symlink():
        found = load_identity(state)
        number = int(found.certificate_pem.removeprefix("certificate "))
        assert number >= adopted
        assert found.kafka_secret == str(number)
        if number < len(asked):
            assert int(found.key_id, 16) == asked[number]
    if len(asked) > number + 1:
        assert int(key_id(pending_key(state).public_key()), 16) == asked[number + 1]
    days = WatchedDays(state, OWNER).of("removable_storage")
    assert noted < 0 or days[-1] >= noted
    assert list(days) == sorted(days)


def test_identity_keys_and_watched_days_outlive_a_power_cut_at_any_moment(disk: Disk, seed: int) -> None:
    dice = Random(seed)
    with Said("tests.power_loss.identity_forever", str(disk.path / "state")) as program:
        for number in range(CUTS):
            time.sleep(dice.uniform(0, 0.003) if number > 20 else dice.uniform(0, 0.02))
            noted, adopted, asked = program.last("noted"), program.last("adopted"), program.all("asked")
            left = disk.cut(seed + number)
            with told(seed, number):
                _assert_identity_kept(left / "state", asked, adopted, noted)
        program.wait_for("noted", 20)


@pytest.mark.parametrize("what", ["*/segment-*", "*/progress", "*/spool", "*"])
def test_after_a_sync_that_failed_the_spool_promises_nothing_that_is_not_on_disk(
    disk: Disk, seed: int, what: str
) -> None:
    dice = Random(seed)
    folder = disk.path / "state" / "spool"
    number = 0
    for _killed in range(3):
        # One that cannot even begin ends, and is started again.
        disk.fail_syncs(what, times=0)
        # Whoever comes after finds what the failed sync left in the kernel's memory, and nowhere else.
        with Said("tests.power_loss.spool_forever", str(folder)) as program:
            program.wait_for("opened", 0)
            before = program.last("opened") - 1
            for _failing in range(8):
                disk.fail_syncs(what)
                if what != "*/spool":
                    _wait_for_failure(disk, number)
                for _cut in range(3):
                    time.sleep(dice.uniform(0, 0.003))
                    appended, let_go = max(before, program.last("appended")), program.last("let-go")
                    left = disk.cut(seed + number)
                    number = disk.failed_syncs
                    with told(seed, number):
                        _assert_kept(left / "state" / "spool", appended, let_go)
            disk.fail_syncs(what, times=dice.randint(0, 3))
            time.sleep(0.02)
            appended = program.last("appended")
    assert number >= 5


def test_after_a_sync_that_failed_identity_and_watched_days_are_tried_again(disk: Disk, seed: int) -> None:
    dice = Random(seed)
    with Said("tests.power_loss.identity_forever", str(disk.path / "state")) as program:
        for number in takewhile(lambda done: done < 40 or disk.failed_syncs <= 10, range(4_000)):
            disk.fail_syncs(
                dice.choice(["*/key.pem*", "*/identity-*", "*/agent.json", "*/state", "*watched*"])
            )
            time.sleep(dice.uniform(0, 0.01))
            noted, adopted, asked = program.last("noted"), program.last("adopted"), program.all("asked")
            left = disk.cut(seed + number)
            with told(seed, number):
                _assert_identity_kept(left / "state", asked, adopted, noted)
        program.wait_for("noted", 20)
    assert disk.failed_syncs > 10


def _wait_for_failure(disk: Disk, before: int, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while disk.failed_syncs <= before:
        assert time.monotonic() < deadline, "no sync failed"
        time.sleep(0.002)
