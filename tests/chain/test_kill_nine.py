"""The soak test in small: kill -9 of agent and server while events flow changes nothing that is stored."""

from __future__ import annotations

from pathlib import Path

from tests.soak.installation import prepare_data
from tests.soak.kill_nine import compare, run_script

EVENTS, KILLS = 3000, 3


def test_kill_nine_of_agent_and_server_leaves_events_and_alerts_as_undisturbed(tmp_path: Path) -> None:
    prepared = tmp_path / "prepared"
    base_time = prepare_data(prepared)
    said: list[str] = []
    undisturbed, killed = (
        run_script(
            tmp_path / name,
            prepared,
            count=EVENTS,
            base_time=base_time,
            kills=kills,
            seed=2,
            say=said.append,
        )
        for name, kills in (("undisturbed", 0), ("killed", KILLS))
    )
    assert len(said) == 2 * KILLS
    assert killed.in_flow >= 2, said
    lines = compare(undisturbed.outcome, killed.outcome, count=EVENTS, base_time=base_time)
    assert [line for line in lines if line.fault] == []
    # Leavers, the one who has left and the account of nobody: what was compared is not empty.
    assert len(undisturbed.outcome.tables["alerts"]) >= 4
