"""The server is away, or its disk is full, while the agent observes: nothing is lost, doubled or reordered.

What is stored in the end is compared with an undisturbed run of the same script, as in the soak test.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from tests.collectors.linux.real_mounts import LoopMount, needs_root
from tests.server.up.up_process import leaver_json
from tests.soak.comparison import compare
from tests.soak.installation import Installation, prepare_data
from tests.soak.kill_nine import AGENTS, Course, installed, run_script
from tests.soak.outcome import Outcome, read_outcome

EVENTS = 1200
BACK_SECONDS = 60.0


class Undisturbed(msgspec.Struct, frozen=True):
    prepared: Path
    base_time: int
    outcome: Outcome


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    folder = tmp_path_factory.mktemp("undisturbed")
    prepared = folder / "prepared"
    base_time = prepare_data(prepared)
    run = run_script(folder / "run", prepared, Course(EVENTS, base_time), say=lambda _: None)
    return Undisturbed(prepared, base_time, run.outcome)


@contextlib.contextmanager
def _installed(folder: Path, undisturbed: Undisturbed, data: Path | None = None) -> Iterator[Installation]:
    course = Course(EVENTS, undisturbed.base_time)
    installation = installed(folder, undisturbed.prepared, course, data=data)
    try:
        yield installation
    finally:
        installation.abandon()


def _until(what: str, done: Callable[[], bool], seconds: float = BACK_SECONDS) -> float:
    """Seconds that it took."""
    began = time.monotonic()
    while not done():
        assert time.monotonic() - began < seconds, f"waited {seconds:.0f} s in vain: {what}"
        time.sleep(0.05)
    return time.monotonic() - began


def _waits_with(installation: Installation, events: int, code: str) -> bool:
    status = installation.endpoints[0].status()
    return (
        status is not None
        and status.heartbeat.backlog_events >= events
        and status.shipping.fault_code == code
    )


def _alerted(installation: Installation) -> dict[int, int]:
    """Events of the alerts, by the alert's number."""
    listed = leaver_json("alerts", "list", data=installation.data)
    alerts = listed["alerts"] if isinstance(listed, dict) else listed
    return {alert["id"]: alert["events"] for alert in alerts}


def _assert_as_undisturbed(installation: Installation, undisturbed: Undisturbed) -> None:
    lines = compare(
        undisturbed.outcome,
        read_outcome(installation.data),
        names=AGENTS[:1],
        count=EVENTS,
        base_time=undisturbed.base_time,
    )
    assert [line for line in lines if line.fault] == []
    with closing(installation.database()) as connection:
        rows = connection.execute(
            "SELECT first_seq FROM event_blocks WHERE agent = ? ORDER BY id", AGENTS[:1]
        )
        firsts = [first for (first,) in rows]
    assert firsts == sorted(firsts)
    assert firsts[0] == 0


@pytest.mark.long
def test_what_was_observed_while_the_server_was_away_comes_in_order_and_raises_its_alerts(
    tmp_path: Path, undisturbed: Undisturbed
) -> None:
    with _installed(tmp_path / "outage", undisturbed) as installation:
        installation.start_server()
        before = _alerted(installation)
        installation.kill_server()
        installation.endpoints[0].start()
        installation.allow(EVENTS // 3)
        _until("the agent keeps them", lambda: _waits_with(installation, EVENTS // 3, "unreachable"))
        assert installation.stored() == 0

        installation.start_server()
        _until("all of them come", lambda: installation.stored() == EVENTS // 3)
        new = _alerted(installation)
        assert len(new) > len(before)

        # A second time, in good order and in the middle of the flow.
        installation.allow(EVENTS // 2)
        assert installation.server is not None
        installation.server.terminate()
        installation.server.close()
        stored = installation.stored()
        installation.allow(EVENTS)
        time.sleep(3)
        assert installation.stored() == stored
        installation.start_server()
        _until("all of them come", lambda: installation.stored() == EVENTS)
        assert sum(_alerted(installation).values()) > sum(new.values())
        installation.stop()
        _assert_as_undisturbed(installation, undisturbed)


@pytest.mark.long
@pytest.mark.root
@needs_root
def test_while_the_servers_disk_is_full_agents_keep_their_events_and_nothing_must_be_restarted(
    tmp_path: Path, undisturbed: Undisturbed
) -> None:
    with (
        LoopMount(tmp_path, "disk") as disk,
        _installed(tmp_path / "full", undisturbed, Path(disk.target) / "data") as installation,
    ):
        installation.start_server()
        installation.endpoints[0].start()
        installation.allow(EVENTS // 4)
        _until("the first events are stored", lambda: installation.stored() == EVENTS // 4)

        filler = Path(disk.target) / "filler"
        _fill(filler)
        installation.allow(EVENTS)
        waiting = EVENTS // 4
        _until("the agent keeps them", lambda: _waits_with(installation, waiting, "unreachable"))
        status = installation.endpoints[0].status()
        assert status is not None
        assert "log_unavailable" in (status.shipping.fault or "")
        assert installation.server is not None
        with installation.server.client() as client:
            ready = client.get("/readyz")
            assert (ready.status_code, {"log", "disk"} <= set(ready.json()["failing"])) == (503, True)
            assert client.get("/healthz").status_code == 200
        assert installation.stored() < EVENTS

        filler.unlink()
        _until("all of them come", lambda: installation.stored() == EVENTS)
        with installation.server.client() as client:
            # The disk is smaller than what `ready` asks for; the log takes records again.
            assert client.get("/readyz").json()["failing"] == ["disk"]
        installation.stop()
        _assert_as_undisturbed(installation, undisturbed)


def _fill(path: Path) -> None:
    """Takes all the space that is left, to the last block."""
    size = 1 << 20
    with path.open("wb", buffering=0) as file:
        while size >= 512:
            try:
                os.write(file.fileno(), bytes(size))
            except OSError:
                size //= 2
        with contextlib.suppress(OSError):
            os.fsync(file.fileno())
