"""Packs of a case made in the background, kept, handed out, and taken away with whom they tell of."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from server.cases.changing import open_or_join_case
from server.cases.reading import case_entries
from server.cases.records import CaseRefused
from server.erasure.counting import count_rows
from server.erasure.erasing import begin, carry_out
from server.erasure.plan import days_target, person_target
from server.evidence_pack import jobs as jobs_module
from server.evidence_pack import making
from server.evidence_pack.archive import PackRefused
from server.evidence_pack.jobs import PackJobs, asked
from server.evidence_pack.making import MadePack
from server.evidence_pack.stored import (
    PackRunning,
    StoredPack,
    UnknownPack,
    begin_pack,
    get_pack,
    pack_path,
    packs_of_case,
    sweep,
    take_out,
)
from server.evidence_pack.verifier import verify
from server.evidence_seal import SealKey
from server.housekeeping import drop_old
from server.people.pseudonyms import make_pseudonym_key
from server.store.database import Database
from server.store.tables import audit
from tests.server.alerts.recorded_leak import DAY, NOW, open_alert, record_leak
from tests.server.waiting import wait_until

OMAR, LIN = "user:omar", "user:lin"
KEY = SealKey.new()


@pytest.fixture
def case(database: Database) -> int:
    make_pseudonym_key(database)
    record_leak(database)
    with database.begin() as connection:
        return open_or_join_case(connection, [1], actor=OMAR, at=NOW, title="one").case


@pytest.fixture
def jobs(database: Database, tmp_path: Path, case: int) -> Iterator[PackJobs]:
    made = PackJobs(database, tmp_path / "packs", KEY)
    yield made
    wait_until(
        "the pack", lambda: all(not thread.name.startswith("pack ") for thread in threading.enumerate())
    )


def _made(database: Database, jobs: PackJobs, case: int, *, reason: str | None = None) -> StoredPack:
    number = jobs.start(case, asked(OMAR, NOW, language="en", reason=reason))
    wait_until("the pack", lambda: _pack(database, number).state != "running")
    wait_until("the pack", lambda: jobs.progress(number) is None)
    return _pack(database, number)


def _pack(database: Database, number: int) -> StoredPack:
    with database.read() as connection:
        return get_pack(connection, number)


def _actions(database: Database) -> list[str]:
    with database.read() as connection:
        return [row.action for row in connection.execute(select(audit).order_by(audit.c.seq))]


def test_a_pack_is_made_in_the_background_and_handed_out_on_the_record(
    database: Database, jobs: PackJobs, case: int
) -> None:
    pack = _made(database, jobs, case)
    assert (pack.state, pack.events, pack.alerts, pack.unmasked) == ("done", 30, 1, False)
    found, path = take_out(database, jobs.folder, pack.id, actor=LIN, at=NOW + 9, reason=None)
    assert found == pack
    assert path.stat().st_mode & 0o777 == 0o600
    assert verify(str(path), KEY.fingerprint).good
    assert _actions(database)[-2:] == ["pack.make", "pack.download"]
    with database.read() as connection:
        told = [(entry.verb, entry.actor, entry.after) for entry in case_entries(connection, case)]
        assert packs_of_case(connection, case) == [pack]
    assert told[-2:] == [("pack", OMAR, str(pack.id)), ("download", LIN, str(pack.id))]


def test_a_pack_with_names_is_handed_to_others_for_a_reason_only(
    database: Database, jobs: PackJobs, case: int
) -> None:
    pack = _made(database, jobs, case, reason="for the court")
    assert (pack.state, pack.unmasked) == ("done", True)
    take_out(database, jobs.folder, pack.id, actor=OMAR, at=NOW, reason=None)
    with pytest.raises(CaseRefused, match="holds names"):
        take_out(database, jobs.folder, pack.id, actor=LIN, at=NOW, reason=None)
    take_out(database, jobs.folder, pack.id, actor=LIN, at=NOW, reason="I stand in for Omar")
    with database.read() as connection:
        rows = connection.execute(select(audit).where(audit.c.action == "pack.download")).all()
    assert [(row.actor, row.reason) for row in rows] == [(OMAR, None), (LIN, "I stand in for Omar")]


def test_a_file_that_was_changed_or_is_gone_is_not_handed_out(
    database: Database, jobs: PackJobs, case: int
) -> None:
    pack = _made(database, jobs, case)
    path = pack_path(jobs.folder, pack.id)
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    with pytest.raises(UnknownPack, match="was changed"):
        take_out(database, jobs.folder, pack.id, actor=OMAR, at=NOW, reason=None)
    path.unlink()
    with pytest.raises(UnknownPack, match="not on this server"):
        take_out(database, jobs.folder, pack.id, actor=OMAR, at=NOW, reason=None)
    assert "pack.download" not in _actions(database)
    with pytest.raises(UnknownPack, match="no pack 99"):
        take_out(database, jobs.folder, 99, actor=OMAR, at=NOW, reason=None)


def _held_up(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Packs begin when this is set."""
    go = threading.Event()
    make: Callable[..., MadePack] = making.make_pack

    def later(*given: object, **more: object) -> MadePack:
        assert go.wait(20)
        return make(*given, **more)

    monkeypatch.setattr(jobs_module, "make_pack", later)
    return go


def test_one_of_a_case_at_a_time_and_it_can_be_cancelled(
    database: Database, jobs: PackJobs, case: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = _held_up(monkeypatch)
    number = jobs.start(case, asked(OMAR, NOW, language="en", reason=None))
    with pytest.raises(PackRunning, match="of this case"):
        jobs.start(case, asked(LIN, NOW, language="en", reason=None))
    assert jobs.cancel(number)
    found = jobs.progress(number)
    assert found is not None
    assert found.cancelled
    go.set()
    wait_until("the pack", lambda: _pack(database, number).state == "cancelled")
    wait_until("the pack", lambda: jobs.progress(number) is None)
    assert not jobs.cancel(number)
    assert list(jobs.folder.iterdir()) == []
    assert _made(database, jobs, case).state == "done"


def test_a_case_without_alerts_is_refused_before_anything_begins(
    database: Database, jobs: PackJobs, case: int
) -> None:
    with database.begin() as connection:
        connection.exec_driver_sql("DELETE FROM case_alerts")
    with pytest.raises(PackRefused):
        jobs.start(case, asked(OMAR, NOW, language="en", reason=None))
    with database.read() as connection:
        assert packs_of_case(connection, case) == []


def test_what_a_server_that_ended_had_begun_has_failed(database: Database, tmp_path: Path, case: int) -> None:
    number = begin_pack(database, case, reason=None, actor=OMAR, at=NOW, alerts=1)
    folder = tmp_path / "packs"
    folder.mkdir()
    pack_path(folder, number).with_suffix(".part").write_bytes(b"half")
    PackJobs(database, folder, KEY)
    assert _pack(database, number).state == "failed"
    assert list(folder.iterdir()) == []


def test_old_packs_go_with_their_files(database: Database, jobs: PackJobs, case: int) -> None:
    pack = _made(database, jobs, case)
    assert pack.kept_until == NOW + 30 * 86_400_000
    stray = jobs.folder / "stray.zip"
    stray.write_bytes(b"x")
    for now, kept in ((pack.kept_until - 1000, True), (pack.kept_until + 1000, False)):
        drop_old(database, now=now, events_days=90, alerts_days=730, uses_days=730, stop=threading.Event())
        sweep(database, jobs.folder)
        assert pack_path(jobs.folder, pack.id).exists() is kept
    assert not stray.exists()


def test_whoever_is_erased_goes_from_packs_and_others_stay(
    database: Database, jobs: PackJobs, case: int
) -> None:
    open_alert(database, events=5, subject="account:svc@host", alert_id=2)
    with database.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE alerts SET account_owner = NULL, suspected_actor = NULL WHERE id = 2"
        )
        other = open_or_join_case(connection, [2], actor=OMAR, at=NOW, title="two").case
    told, named = _made(database, jobs, case), _made(database, jobs, other, reason="court")
    with database.read() as connection:
        target = person_target(connection, "E1001")
        wanted = count_rows(database, target.plan)
    # Berta manages Alice: her pseudonym stands with each event.
    assert wanted["evidence_packs"] == 2
    with database.begin() as connection:
        number = begin(connection, target, actor=OMAR, reason="asked for", at=NOW, blocked_until=NOW)
    removed = carry_out(database, number, seal_key=KEY, actor=OMAR, progress=lambda _what, _done, _of: None)
    assert removed["evidence_packs"] == 2
    assert [_pack(database, each.id).state for each in (told, named)] == ["removed", "removed"]
    sweep(database, jobs.folder)
    assert list(jobs.folder.iterdir()) == []


def test_days_that_are_erased_take_their_packs_along(database: Database, jobs: PackJobs, case: int) -> None:
    pack = _made(database, jobs, case)
    for first, state in ((DAY + 3, "done"), (DAY, "removed")):
        with database.begin() as connection:
            target = days_target(connection, first, first + 1, "days")
            begin(connection, target, actor=OMAR, reason="asked for", at=NOW, blocked_until=NOW)
        assert _pack(database, pack.id).state == state
