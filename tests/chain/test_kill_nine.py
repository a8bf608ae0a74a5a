"""The soak test in small: kill -9 while events flow changes nothing that is stored, on either database."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tests.postgres_server.server import PostgresServer
from tests.soak.installation import prepare_data
from tests.soak.kill_nine import Run, compare, run_script

EVENTS = 3000


class Undisturbed(msgspec.Struct, frozen=True):
    prepared: Path
    base_time: int
    run: Run


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """On SQLite."""
    folder = tmp_path_factory.mktemp("undisturbed")
    prepared = folder / "prepared"
    base_time = prepare_data(prepared)
    run = run_script(
        folder / "run", prepared, count=EVENTS, base_time=base_time, kills=0, seed=2, say=lambda _: None
    )
    # Leavers, the one who has left and the account of nobody: what is compared is not empty.
    assert len(run.outcome.tables["alerts"]) >= 4
    return Undisturbed(prepared, base_time, run)


def _assert_kills_change_nothing(
    folder: Path, undisturbed: Undisturbed, *, kills: int, expected: int, postgres: PostgresServer | None
) -> None:
    said: list[str] = []
    killed = run_script(
        folder,
        undisturbed.prepared,
        count=EVENTS,
        base_time=undisturbed.base_time,
        kills=kills,
        seed=2,
        say=said.append,
        postgres=postgres,
    )
    assert len(said) == expected
    assert killed.in_flow >= 2, said
    lines = compare(undisturbed.run.outcome, killed.outcome, count=EVENTS, base_time=undisturbed.base_time)
    assert [line for line in lines if line.fault] == []


def test_kill_nine_of_agent_and_server_leaves_events_and_alerts_as_undisturbed(
    tmp_path: Path, undisturbed: Undisturbed
) -> None:
    _assert_kills_change_nothing(tmp_path / "killed", undisturbed, kills=3, expected=6, postgres=None)


@pytest.mark.long
def test_kill_nine_of_agent_server_and_postgresql_leaves_what_an_undisturbed_run_on_sqlite_leaves(
    tmp_path: Path, undisturbed: Undisturbed, postgres_server: PostgresServer
) -> None:
    _assert_kills_change_nothing(
        tmp_path / "killed", undisturbed, kills=1, expected=3, postgres=postgres_server
    )
