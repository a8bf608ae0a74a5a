"""The agent as real processes against the real server: killed, stopped, cut off."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from agent import runner
from agent.config import parse_config
from agent.identity import load_identity
from agent.runner import Agent, without_people
from agent.status_file import StatusUnreadable, is_running, read_status, write_status
from agent.status_report import examine, report
from event_schema.control_records import Heartbeat, decode_heartbeat
from event_schema.ocsf_events import FileSystemActivity
from event_schema.wire import RecordKind, WireRecord, decode_events, unpack_content, verify_signature
from tests.agent.enrolled import all_logged, enrolled, start_https, stop_https
from tests.agent.scripted_agent import KINDS
from tests.server.api.running_server import RunningServer

ROOT = Path(__file__).parents[2]
DAY_MS = 86_400_000


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    folder = tmp_path / "server"
    folder.mkdir()
    running = RunningServer(folder)
    yield running
    running.close()


@pytest.fixture
def state_dir(server: RunningServer, tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    enrolled(server, folder)
    return folder


def settings(state_dir: Path, scripted: str) -> str:
    return f'[agent]\nstate_dir = "{state_dir}"\n[collectors.scripted]\n{scripted}\n'


class AgentProcess:
    def __init__(self, state_dir: Path, scripted: str) -> None:
        config = state_dir / "agent.toml"
        config.write_text(settings(state_dir, scripted), encoding="utf-8")
        self._log = (state_dir / "agent.log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.agent.scripted_agent", str(config)], cwd=ROOT, stderr=self._log
        )

    def terminate(self) -> tuple[int, float]:
        """Exit code, and how long it took."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(30)
        self._log.close()
        return code, time.monotonic() - began

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(30)
        self._log.close()


def until(done: Callable[[], bool], seconds: float = 40.0) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def event_names(records: list[WireRecord]) -> dict[tuple[str, int], str]:
    """File name by (epoch, number); the same number must always mean the same file."""
    found: dict[tuple[str, int], str] = {}
    for record in records:
        if record.kind != RecordKind.EVENTS:
            continue
        for index, event in enumerate(decode_events(record).events):
            assert isinstance(event, FileSystemActivity)
            place = (record.epoch, record.first_seq + index)
            assert found.setdefault(place, event.file.name) == event.file.name
    return found


def delivered(server: RunningServer) -> int:
    """The number that comes next on the log."""
    ends = (r.first_seq + r.count for r in all_logged(server) if r.kind == RecordKind.EVENTS)
    return max(ends, default=0)


def heartbeats(server: RunningServer) -> list[Heartbeat]:
    return [
        decode_heartbeat(unpack_content(record))
        for record in all_logged(server)
        if record.kind == RecordKind.HEARTBEAT
    ]


def agent_here(
    server: RunningServer, state_dir: Path, scripted: str, collector: str = "ScriptedCollector"
) -> Agent:
    """In this process, by the server's clock."""
    kinds = [msgspec.structs.replace(kind, class_name=collector) for kind in KINDS]
    config = parse_config(settings(state_dir, scripted).encode(), "test", kinds)
    return Agent(config, kinds=kinds, clock=server.clock)


def run_here(agent: Agent) -> None:
    handlers = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    try:
        agent.run()
    finally:
        for number, handler in zip((signal.SIGTERM, signal.SIGINT), handlers, strict=True):
            signal.signal(number, handler)


def run_until(agent: Agent, done: Callable[[], bool], seconds: float = 60.0) -> None:
    """Runs the agent in this thread until `done`, which another asks; fails if that takes too long."""
    came = threading.Event()

    def stop_then() -> None:
        deadline = time.monotonic() + seconds
        try:
            while time.monotonic() < deadline and not came.is_set():
                if done():
                    came.set()
                else:
                    time.sleep(0.05)
        finally:
            agent.stop()

    watcher = threading.Thread(target=stop_then, daemon=True)
    watcher.start()
    run_here(agent)
    watcher.join(10)
    assert came.is_set(), "it did not happen in time"


def run_until_noted(server: RunningServer, state_dir: Path, day: int) -> None:
    """Runs the agent until its status says that it watched on the day."""

    def noted() -> bool:
        try:
            return day in read_status(state_dir).heartbeat.collectors[0].days_watched
        except StatusUnreadable:
            return False

    run_until(agent_here(server, state_dir, "count = 3"), noted)


def kill_after(more: int, server: RunningServer, state_dir: Path, scripted: str) -> None:
    """Runs the agent until it has delivered so many more events, and kills it."""
    before = delivered(server)
    agent = AgentProcess(state_dir, scripted)
    try:
        until(lambda: delivered(server) >= before + more)
    finally:
        agent.kill()


@pytest.mark.long
def test_ten_times_kill_nine_while_events_flow_delivers_every_event_once(
    server: RunningServer, state_dir: Path
) -> None:
    count = 10_000
    for round_number in range(10):
        # Each time at another place: within the first record, at its end, between two.
        kill_after(1 + 40 * round_number, server, state_dir, f"count = {count}\npause_s = 0.002")
    assert delivered(server) < count
    killed = len(heartbeats(server))
    agent = AgentProcess(state_dir, f"count = {count}")
    until(lambda: len(heartbeats(server)) > killed)
    until(lambda: len(event_names(all_logged(server))) >= count)
    assert agent.terminate()[0] == 0
    names = event_names(all_logged(server))
    assert [names[place] for place in sorted(names)] == [f"file-{n}" for n in range(count)]
    assert {epoch for epoch, _ in names} == {next(iter(names))[0]}
    assert sorted(seq for _, seq in names) == list(range(count))


def test_sigterm_saves_what_was_seen_says_goodbye_and_ends_in_time(
    server: RunningServer, state_dir: Path
) -> None:
    agent = AgentProcess(state_dir, "count = 100000\npause_s = 0.002")
    until(lambda: len(event_names(all_logged(server))) > 100)
    assert is_running(state_dir)
    code, seconds = agent.terminate()
    assert code == 0
    assert seconds < 10
    beats = heartbeats(server)
    assert beats[-1].stopping is True
    assert [beat.stopping for beat in beats[:-1]] == [None] * (len(beats) - 1)
    names = event_names(all_logged(server))
    assert beats[-1].next_seq == len(names)
    assert [names[place] for place in sorted(names)] == [f"file-{n}" for n in range(len(names))]
    assert not is_running(state_dir)
    assert examine(state_dir, now=int(time.time() * 1000)).problem == "the agent does not run"
    collector = read_status(state_dir).heartbeat.collectors[0]
    assert (collector.name, collector.state, collector.observed) == ("scripted", "stopped", len(names))
    for beat in (beats[-1], read_status(state_dir).heartbeat):
        assert 0.1 < (beat.cpu_seconds or 0) < 60
        assert 10e6 < (beat.memory_bytes or 0) < 200e6
    readable, _ = report(state_dir, as_json=False, now=int(time.time() * 1000))
    assert re.search(r"^this agent  \d+\.\d s of CPU since its start, [\d.]+ MB$", readable, re.MULTILINE)
    status = read_status(state_dir)
    counts = {"process_ended_before_it_was_read": 1726, "cursor_too_long": 3}
    told = msgspec.structs.replace(collector, state="unsupported", dropped=counts)
    beat = msgspec.structs.replace(status.heartbeat, collectors=(told,))
    write_status(state_dir, msgspec.structs.replace(status, heartbeat=beat))
    readable, _ = report(state_dir, as_json=False, now=int(time.time() * 1000))
    assert f"scripted: cannot run, {len(names):,} seen, 3 dropped, 0 restarts\n" in readable
    assert "            dropped: 3 × cursor too long\n" in readable
    assert "            not looked at: 1,726 × process ended before it was read\n" in readable
    sending = msgspec.structs.replace(status.shipping, last_success=None)
    later = msgspec.structs.replace(status, started_at=status.written_at - 60_000, shipping=sending)
    write_status(state_dir, later)
    readable, _ = report(state_dir, as_json=False, now=int(time.time() * 1000))
    assert re.search(r"^this agent  \d+\.\d % CPU since its start, [\d.]+ MB$", readable, re.MULTILINE)
    assert re.search(r"^sending     .*; nothing sent since the start$", readable, re.MULTILINE)


@pytest.mark.long
def test_without_a_server_the_agent_still_stops_in_time_and_ships_after_the_next_start(
    server: RunningServer, state_dir: Path
) -> None:
    stop_https(server)
    agent = AgentProcess(state_dir, "count = 500")

    def told() -> bool:
        with contextlib.suppress(StatusUnreadable):
            status = read_status(state_dir)
            return status.heartbeat.backlog_events == 500 and status.shipping.fault_code == "unreachable"
        return False

    until(told)
    status = read_status(state_dir)
    assert (examine(state_dir, now=status.written_at).problem or "").startswith("nothing is sent")
    code, seconds = agent.terminate()
    assert code == 0
    assert seconds < 10
    start_https(server)
    again = AgentProcess(state_dir, "count = 500")
    until(lambda: len(event_names(all_logged(server))) == 500)
    assert again.terminate()[0] == 0


def test_an_outage_while_running_delays_and_loses_nothing(server: RunningServer, state_dir: Path) -> None:
    agent = AgentProcess(state_dir, "count = 3000\npause_s = 0.001")
    until(lambda: len(event_names(all_logged(server))) > 100)
    stop_https(server)
    time.sleep(2)
    start_https(server)
    until(lambda: len(event_names(all_logged(server))) == 3000)
    assert agent.terminate()[0] == 0


def test_the_agents_own_log_names_no_user_and_no_file(server: RunningServer, state_dir: Path) -> None:
    agent = AgentProcess(state_dir, "count = 5\nfail_at = 3")
    until(lambda: len(event_names(all_logged(server))) == 5)
    assert agent.terminate()[0] == 0
    text = (state_dir / "agent.log").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    [failed] = [line for line in lines if line["message"] == "collector failed"]
    assert failed["error"].startswith("FileNotFoundError ENOENT at agent.supervisor:")
    assert failed["collector"] == "scripted"
    assert "alice" not in text
    assert "secret" not in text


def test_a_certificate_at_two_thirds_of_its_life_is_renewed_while_running(
    server: RunningServer, state_dir: Path
) -> None:
    old = load_identity(state_dir)
    server.clock.now += 61 * 24 * 3600 * 1000
    run_until(
        agent_here(server, state_dir, "count = 300"),
        lambda: load_identity(state_dir).key_id != old.key_id and delivered(server) == 300,
    )
    new = load_identity(state_dir)
    assert new.key_id != old.key_id
    assert len(event_names(all_logged(server))) == 300
    for record in all_logged(server):
        verify_signature(record, new.key.public_key())
    assert msgspec.structs.replace(new.facts, not_before=0, not_after=0) == msgspec.structs.replace(
        old.facts, not_before=0, not_after=0
    )


@pytest.mark.long
def test_heartbeats_tell_every_day_on_which_the_collector_ran_also_those_before_a_restart(
    server: RunningServer, state_dir: Path
) -> None:
    first_day = server.clock() // DAY_MS
    for day in (first_day, first_day + 3):
        server.clock.now += (day - server.clock() // DAY_MS) * DAY_MS
        run_until_noted(server, state_dir, day)
    told = heartbeats(server)[-1]
    assert told.stopping is True
    assert told.collectors[0].days_watched == (first_day, first_day + 3)
    # A collector that cannot run here watches nothing, whatever the day.
    server.clock.now += DAY_MS
    agent = agent_here(server, state_dir, 'unsupported = "no such devices"')
    run_until(agent, lambda: agent.heartbeat(False).collectors[0].state == "unsupported")
    assert heartbeats(server)[-1].collectors[0].days_watched == (first_day, first_day + 3)


def test_a_mount_point_that_is_not_utf8_is_told_printably_and_the_agent_goes_on(
    server: RunningServer, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "STATUS_SECONDS", 0.05)
    agent = agent_here(server, state_dir, "count = 300", "OddlyMounted")

    def told_and_shipped() -> bool:
        try:
            detail = read_status(state_dir).heartbeat.collectors[0].detail
        except StatusUnreadable:
            return False
        return detail == r"fanotify FID on /mnt/caf\xe9" and len(event_names(all_logged(server))) == 300

    run_until(agent, told_and_shipped, seconds=20)
    beat = heartbeats(server)[-1]
    assert (beat.stopping, beat.failed_reports) == (True, 0)
    assert read_status(state_dir).heartbeat.stopping is True


def test_an_agent_that_cannot_say_how_it_is_still_ships_every_event_and_stops_in_good_order(
    server: RunningServer, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "STATUS_SECONDS", 0.05)
    agent = agent_here(server, state_dir, "count = 2000\npause_s = 0.0005", "Unspeakable")
    run_until(agent, lambda: len(event_names(all_logged(server))) == 2000)
    # Two heartbeats, at start and stop, and a status at every look.
    assert agent.heartbeat(False).failed_reports > 5
    assert not is_running(state_dir)
    with pytest.raises(StatusUnreadable):
        read_status(state_dir)


def test_what_a_collector_says_names_nobody() -> None:
    assert (
        without_people("fanotify FID on /media/alice/STICK; /run/media/bob/X, /home/carol/exchange, /mnt/x")
        == "fanotify FID on /media/…/STICK; /run/media/…/X, /home/…/exchange, /mnt/x"
    )
