"""Which days a collector watched: kept over restarts and crashes, and never another's or a wrong clock's."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
import zlib
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.identity import AgentFacts, HttpsLog, Identity
from agent.watched_days import DAY_MS, DAYS_MAX, Found, WatchedDays, owner_of
from tests.agent.note_days_forever import ALWAYS

ROOT = Path(__file__).parents[2]
OWNER = "0" * 64
DAY = 20_700
CERTIFIED = AgentFacts(
    "host-1", "https://siem.example:8443", HttpsLog(), (DAY - 30) * DAY_MS, (DAY + 60) * DAY_MS
)
STORAGE = ["removable_storage"]


def noted(folder: Path, *days: int, running: list[str] = STORAGE, owner: str = OWNER) -> WatchedDays:
    watched = WatchedDays(folder, owner)
    for day in days:
        watched.look(running, ALWAYS, now=day * DAY_MS + 5)
    return watched


def test_days_on_which_it_ran_outlive_the_agent_and_the_days_it_was_off_are_not_among_them(
    tmp_path: Path,
) -> None:
    first = noted(tmp_path, DAY, DAY + 1)
    assert first.found is Found.MISSING
    again = noted(tmp_path, DAY + 4)
    assert again.found is Found.WHOLE
    assert again.of("removable_storage") == (DAY, DAY + 1, DAY + 4)
    assert again.of("something_else") == ()
    assert (tmp_path / "watched-days").stat().st_mode & 0o777 == 0o600


def test_a_collector_that_does_not_run_has_not_watched_the_day(tmp_path: Path) -> None:
    watched = noted(tmp_path, DAY, running=["mail"])
    watched.look([], ALWAYS, now=(DAY + 1) * DAY_MS)
    assert (watched.of("mail"), watched.of("removable_storage")) == ((DAY,), ())


def test_the_record_is_written_when_the_day_changes_and_not_at_every_look(tmp_path: Path) -> None:
    watched = noted(tmp_path, DAY)
    path = tmp_path / "watched-days"
    before = path.stat()
    for second in range(1, 1000):
        watched.look(STORAGE, ALWAYS, now=DAY * DAY_MS + second * 5000)
    assert path.stat().st_ino == before.st_ino
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    watched.look(STORAGE, ALWAYS, now=(DAY + 1) * DAY_MS)
    assert path.stat().st_mtime_ns > before.st_mtime_ns


def test_no_more_than_ninety_days_are_kept_however_long_it_runs(tmp_path: Path) -> None:
    watched = noted(tmp_path, *range(DAY, DAY + 400))
    expected = tuple(range(DAY + 400 - DAYS_MAX, DAY + 400))
    assert watched.of("removable_storage") == expected
    assert WatchedDays(tmp_path, OWNER).of("removable_storage") == expected
    assert noted(tmp_path, DAY + 2000).of("removable_storage") == (DAY + 2000,)


def test_a_day_of_a_clock_that_was_ahead_goes_as_soon_as_the_clock_is_right(tmp_path: Path) -> None:
    watched = noted(tmp_path, DAY, DAY + 20)
    assert watched.of("removable_storage") == (DAY, DAY + 20)
    watched.look(STORAGE, ALWAYS, now=DAY * DAY_MS)
    assert watched.of("removable_storage") == (DAY,)
    assert WatchedDays(tmp_path, OWNER).of("removable_storage") == (DAY,)


@pytest.mark.parametrize("wrong", [0, 10_957, DAY - 31, DAY + 61, 500_000])
def test_a_clock_outside_of_the_certificates_time_neither_adds_nor_takes_out_days(
    tmp_path: Path, wrong: int
) -> None:
    watched = noted(tmp_path, DAY - 2, DAY)
    watched.look(STORAGE, CERTIFIED, now=wrong * DAY_MS)
    assert watched.of("removable_storage") == (DAY - 2, DAY)
    watched.look(STORAGE, CERTIFIED, now=(DAY + 1) * DAY_MS)
    assert watched.of("removable_storage") == (DAY - 2, DAY, DAY + 1)


def test_a_torn_or_changed_record_is_never_believed_and_begins_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    noted(tmp_path, DAY, DAY + 1)
    path = tmp_path / "watched-days"
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert (length, WatchedDays(tmp_path, OWNER).found) == (length, Found.DAMAGED)
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes((whole[place] ^ 0x02,)) + whole[place + 1 :])
        opened = WatchedDays(tmp_path, OWNER)
        assert opened.found in {Found.DAMAGED, Found.NEWER}, place
        assert opened.of("removable_storage") == ()
    path.write_bytes(os.urandom(1 << 20))
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        opened = noted(tmp_path, DAY + 2)
    assert [vars(line)["facts"] for line in caplog.records] == [{"record": "damaged"}]
    assert opened.of("removable_storage") == (DAY + 2,)
    assert WatchedDays(tmp_path, OWNER).found is Found.WHOLE


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b'{"owner":"' + OWNER.encode() + b'","days":{"a":[-1]}}',
        b'{"owner":"' + OWNER.encode() + b'","days":{"a":' + str([1] * 91).encode() + b"}}",
        b'{"owner":"me","days":{}}',
        b"\xff\xfe",
    ],
)
def test_content_that_no_agent_writes_is_damage_even_with_a_right_checksum(
    tmp_path: Path, body: bytes
) -> None:
    (tmp_path / "watched-days").write_bytes(b"leaver-watched-days 1 %08x\n" % zlib.crc32(body) + body)
    assert WatchedDays(tmp_path, OWNER).found is Found.DAMAGED


def test_the_record_of_another_agent_or_of_a_newer_version_is_not_claimed(tmp_path: Path) -> None:
    noted(tmp_path, DAY)
    other = WatchedDays(tmp_path, "1" * 64)
    assert (other.found, other.of("removable_storage")) == (Found.OF_ANOTHER, ())
    (tmp_path / "watched-days").write_bytes(b"leaver-watched-days 2 whatever comes after\n")
    newer = WatchedDays(tmp_path, OWNER)
    assert (newer.found, newer.of("removable_storage")) == (Found.NEWER, ())
    newer.look(STORAGE, ALWAYS, now=DAY * DAY_MS)
    assert WatchedDays(tmp_path, OWNER).of("removable_storage") == (DAY,)


def test_another_name_installation_spool_or_machine_is_another_owner_and_a_new_key_is_not(
    tmp_path: Path,
) -> None:
    machine, clone = tmp_path / "machine-id", tmp_path / "machine-id of the clone"
    machine.write_text("a" * 32 + "\n", encoding="ascii")
    clone.write_text("b" * 32 + "\n", encoding="ascii")
    identity = Identity(CERTIFIED, Ed25519PrivateKey.generate(), "certificate", "CA one\n")
    mine = owner_of(identity, "e" * 16, machine)
    renewed = msgspec.structs.replace(
        identity, key=Ed25519PrivateKey.generate(), certificate_pem="next certificate"
    )
    assert owner_of(renewed, "e" * 16, machine) == mine
    renamed = msgspec.structs.replace(identity, facts=msgspec.structs.replace(CERTIFIED, agent="host-2"))
    others = {
        owner_of(renamed, "e" * 16, machine),
        owner_of(msgspec.structs.replace(identity, ca_pem="CA two\n"), "e" * 16, machine),
        owner_of(identity, "f" * 16, machine),
        owner_of(identity, "e" * 16, clone),
        owner_of(identity, "e" * 16, tmp_path / "no machine id"),
    }
    assert len(others) == 5
    assert mine not in others


def test_a_disk_that_takes_nothing_stops_nothing_and_the_days_are_saved_when_it_does(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    in_the_way = tmp_path / "watched-days.new"
    in_the_way.mkdir()
    watched = WatchedDays(tmp_path, OWNER, retry_seconds=0.0)
    with caplog.at_level(logging.WARNING):
        for second in range(3):
            watched.look(STORAGE, ALWAYS, now=DAY * DAY_MS + second)
    assert watched.of("removable_storage") == (DAY,)
    assert [line.message for line in caplog.records] == ["watched days cannot be saved"]
    assert not (tmp_path / "watched-days").exists()
    in_the_way.rmdir()
    watched.look(STORAGE, ALWAYS, now=DAY * DAY_MS + 5)
    assert WatchedDays(tmp_path, OWNER).of("removable_storage") == (DAY,)


def test_a_record_that_cannot_be_opened_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "watched-days").mkdir()
    watched = WatchedDays(tmp_path, OWNER)
    assert watched.found is Found.UNREADABLE
    watched.look(STORAGE, ALWAYS, now=DAY * DAY_MS)
    assert watched.of("removable_storage") == (DAY,)


def test_kill_nine_while_days_are_written_leaves_a_whole_record_with_every_day_that_was_told(
    tmp_path: Path,
) -> None:
    day = DAY
    for round_number in range(8):
        writing = subprocess.Popen(
            [sys.executable, "-m", "tests.agent.note_days_forever", str(tmp_path), OWNER, str(day)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
        )
        assert writing.stdout is not None
        writing.stdout.readline()
        time.sleep(0.02 + 0.013 * round_number)
        writing.kill()
        told = writing.stdout.read().split()
        writing.stdout.close()
        writing.wait(10)
        last = int(told[-1]) if told else day
        opened = WatchedDays(tmp_path, OWNER)
        assert opened.found is Found.WHOLE
        kept = opened.of("removable_storage")
        assert kept[-1] in {last, last + 1}
        assert kept == tuple(range(max(DAY, kept[-1] - DAYS_MAX + 1), kept[-1] + 1))
        day = kept[-1] + 1
