"""The installation's settings reach a running agent, and nothing else does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.collector_registry import COLLECTORS
from agent.config import parse_config
from agent.config_bundle import FILE, keep_bundle
from agent.enrolment import renew
from agent.identity import Identity, load_identity
from agent.runner import Agent
from agent.settings_keeper import AWAY_SECONDS, SettingsKeeper, SettingsState, settings_in_force
from collectors.storage_config import RemovableStorageConfig
from event_schema.config_bundle import ConfigBundle, signed_bundle
from event_schema.control_records import Heartbeat, decode_heartbeat
from event_schema.ocsf_events import FileSystemActivity
from event_schema.wire import RecordKind, decode_events, unpack_content
from server.agents.settings import bundle_newer_than, set_settings
from server.pki.authority import create_authority
from tests.agent.enrolled import all_logged, enrolled, start_https, stop_https
from tests.agent.scripted_agent import KINDS
from tests.agent.test_command_line import watching
from tests.agent.test_runner import until
from tests.server.api.running_server import RunningServer

SLOW = "[collectors.removable_storage]\nsettle_s = 5.0\n"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    folder = tmp_path / "server"
    folder.mkdir()
    running = RunningServer(folder)
    yield running
    running.close()


@pytest.fixture
def identity(server: RunningServer, tmp_path: Path) -> Identity:
    return enrolled(server, tmp_path / "state")


def _set(server: RunningServer, text: str) -> int:
    with server.database.begin() as connection:
        return set_settings(
            connection, text, authority=server.authority, now=server.clock(), actor="test", reason="test"
        )


def _keeper(identity: Identity, tmp_path: Path, own: str = "") -> SettingsKeeper:
    config = parse_config(f'[agent]\nstate_dir = "{tmp_path / "state"}"\n{own}'.encode(), "file")
    return SettingsKeeper(config, tmp_path / "state", lambda: identity, COLLECTORS)


def _settle(keeper: SettingsKeeper) -> float:
    storage = keeper.config.collectors["removable_storage"]
    assert isinstance(storage, RemovableStorageConfig)
    return storage.settle_s


def test_settings_are_fetched_once_and_hold_after_a_restart_without_a_server(
    server: RunningServer, identity: Identity, tmp_path: Path
) -> None:
    keeper = _keeper(identity, tmp_path)
    assert not keeper.ask()
    assert keeper.state == SettingsState()
    _set(server, SLOW)
    assert keeper.ask()
    assert (_settle(keeper), keeper.state) == (5.0, SettingsState(1))
    assert not keeper.ask()
    stop_https(server)
    again = _keeper(identity, tmp_path)
    assert not again.ask()
    assert (_settle(again), again.state) == (5.0, SettingsState(1))
    start_https(server)


def test_settings_that_were_taken_back_no_longer_hold(
    server: RunningServer, identity: Identity, tmp_path: Path
) -> None:
    keeper = _keeper(identity, tmp_path, "[collectors.removable_storage]\nsettle_s = 2.0\n")
    _set(server, SLOW)
    assert keeper.ask()
    _set(server, "")
    assert keeper.ask()
    assert (_settle(keeper), keeper.state.version) == (2.0, 2)


def test_settings_that_this_agent_does_not_know_change_nothing_and_are_told(
    server: RunningServer, identity: Identity, tmp_path: Path
) -> None:
    keeper = _keeper(identity, tmp_path)
    _set(server, SLOW)
    assert keeper.ask()
    _set(server, "[collectors.removable_storage]\nrange_m = 10\n")
    assert not keeper.ask()
    assert _settle(keeper) == 5.0
    assert keeper.state.version == 1
    assert "version 2: unknown key collectors.removable_storage.range_m" in (keeper.state.problem or "")
    # The next version may be one that it knows.
    _set(server, SLOW + "# again")
    assert keeper.ask()
    assert keeper.state == SettingsState(3)


def test_an_older_version_never_comes_back(server: RunningServer, identity: Identity, tmp_path: Path) -> None:
    keeper = _keeper(identity, tmp_path)
    _set(server, SLOW)
    assert keeper.ask()
    old = (tmp_path / "state" / FILE).read_bytes()
    _set(server, "")
    assert keeper.ask()
    # Whoever puts the old file back has it until the server is asked.
    (tmp_path / "state" / FILE).write_bytes(old)
    again = _keeper(identity, tmp_path)
    assert again.state.version == 1
    assert again.ask()
    assert again.state.version == 2


def test_a_server_that_hands_out_an_older_version_is_refused_and_told(
    server: RunningServer, identity: Identity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = _keeper(identity, tmp_path)
    _set(server, SLOW)
    with server.database.read() as connection:
        old = bundle_newer_than(connection, 0)
    _set(server, "")
    assert keeper.ask()
    monkeypatch.setattr("server.api.agent_routes.bundle_newer_than", lambda *_: old)
    assert not keeper.ask()
    assert keeper.state == SettingsState(
        2, "the installation's settings were refused: version 1 is not newer than 2"
    )
    assert _keeper(identity, tmp_path).state == SettingsState(2)


def test_settings_that_found_no_room_on_disk_hold_and_are_written_when_there_is_some(
    server: RunningServer, identity: Identity, tmp_path: Path
) -> None:
    keeper = _keeper(identity, tmp_path)
    _set(server, SLOW)
    # Nobody can write there, root neither.
    blocked = tmp_path / "state" / f"{FILE}.new"
    blocked.mkdir()
    assert keeper.ask()
    assert _settle(keeper) == 5.0
    assert "version 1 holds until the next start" in (keeper.state.problem or "")
    assert _keeper(identity, tmp_path).state.version is None
    blocked.rmdir()
    assert not keeper.ask()
    assert keeper.state == SettingsState(1)
    assert _keeper(identity, tmp_path).state == SettingsState(1)


def test_a_trouble_of_asking_is_told_until_the_server_answers(
    server: RunningServer, identity: Identity, tmp_path: Path
) -> None:
    now = [0.0]
    config = parse_config(f'[agent]\nstate_dir = "{tmp_path / "state"}"\n'.encode(), "file")
    keeper = SettingsKeeper(config, tmp_path / "state", lambda: identity, COLLECTORS, lambda: now[0])
    stop_https(server)
    assert not keeper.ask()
    assert keeper.state == SettingsState()
    now[0] = AWAY_SECONDS
    assert not keeper.ask()
    assert "no settings for over 1 h" in (keeper.state.problem or "")
    start_https(server)
    assert not keeper.ask()
    assert keeper.state == SettingsState()


@pytest.mark.parametrize("text", ["x = " + "[" * 50_000, "x = " + "9" * 5_000])
def test_settings_that_no_reader_can_read_are_told_and_change_nothing(
    server: RunningServer, identity: Identity, tmp_path: Path, text: str
) -> None:
    """The server refuses them; one of another version may not."""
    bundle = ConfigBundle(version=7, issued_at=0, ca=server.authority.fingerprint, settings=text)
    keep_bundle(tmp_path / "state", signed_bundle(bundle, server.authority.sign_bundle))
    keeper = _keeper(identity, tmp_path)
    assert keeper.state.version is None
    assert "version 7: " in (keeper.state.problem or "")
    assert _settle(keeper) == 1.0


@pytest.mark.parametrize("damage", ["truncated", "changed", "foreign"])
def test_a_kept_file_that_is_not_the_installations_is_told_and_not_used(
    server: RunningServer, identity: Identity, tmp_path: Path, damage: str
) -> None:
    _set(server, SLOW)
    assert _keeper(identity, tmp_path).ask()
    file = tmp_path / "state" / FILE
    data = file.read_bytes()
    if damage == "truncated":
        file.write_bytes(data[: len(data) // 2])
    elif damage == "changed":
        file.write_bytes(data.replace(b'"value":"ey', b'"value":"fy'))
    else:
        server.authority = create_authority("foreign", now=server.clock())
        _set(server, SLOW + "# other")
        with server.database.read() as connection:
            file.write_bytes(bundle_newer_than(connection, 0) or b"")
    keeper = _keeper(identity, tmp_path)
    assert _settle(keeper) == 1.0
    assert "cannot be used" in (keeper.state.problem or "")
    told = keeper.state
    config, state = settings_in_force(
        parse_config(f'[agent]\nstate_dir = "{tmp_path / "state"}"'.encode(), "f"), COLLECTORS
    )
    assert state == told
    assert config.collectors == keeper.config.collectors
    if damage != "foreign":
        assert keeper.ask()
        assert keeper.state == SettingsState(1)


@pytest.mark.long
def test_a_running_agent_changes_to_new_settings_and_loses_and_doubles_nothing(
    server: RunningServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state_dir = tmp_path / "state"
    enrolled(server, state_dir)
    monkeypatch.setattr("agent.settings_keeper.ASK_SECONDS", 0.2)
    monkeypatch.setattr("agent.settings_keeper.FIRST_SECONDS", 0.1)
    config = parse_config(
        f'[agent]\nstate_dir = "{state_dir}"\n[collectors.scripted]\npause_s = 0.002\ncount = 300\n'.encode(),
        "f",
        KINDS,
    )
    agent = Agent(config, kinds=KINDS)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr("server.agents.settings.CHANNELS", {"scripted"})
    running = threading.Thread(target=agent.run)
    running.start()
    try:
        until(lambda: len(_events(server)) > 20)
        _set(server, "[collectors.scripted]\ncount = 500\n")
        until(lambda: len(_events(server)) >= 500)
        until(lambda: any(beat.settings_version == 1 for beat in _heartbeats(server)))
    finally:
        agent.stop()
        running.join(20)
    names = _events(server)
    assert sorted(names) == sorted(f"file-{number}" for number in range(500))
    assert _heartbeats(server)[-1].collectors[0].observed == 500


def _events(server: RunningServer) -> list[str]:
    return [
        event.file.name
        for record in all_logged(server)
        if record.kind == RecordKind.EVENTS
        for event in decode_events(record).events
        if isinstance(event, FileSystemActivity)
    ]


def _heartbeats(server: RunningServer) -> list[Heartbeat]:
    return [
        decode_heartbeat(unpack_content(record))
        for record in all_logged(server)
        if record.kind == RecordKind.HEARTBEAT
    ]


def test_the_identity_that_is_asked_with_is_the_present_one(
    server: RunningServer, identity: Identity, tmp_path: Path
) -> None:
    current = [identity]
    keeper = SettingsKeeper(
        parse_config(f'[agent]\nstate_dir = "{tmp_path / "state"}"'.encode(), "file"),
        tmp_path / "state",
        lambda: current[0],
        COLLECTORS,
    )
    current[0] = renew(identity, tmp_path / "state")
    assert load_identity(tmp_path / "state").facts == current[0].facts
    _set(server, SLOW)
    assert keeper.ask()


def test_a_folder_that_is_named_for_one_call_of_watch_is_watched_whatever_the_installation_sets(
    server: RunningServer, identity: Identity, tmp_path: Path
) -> None:
    _set(server, '[collectors.removable_storage]\nextra_mounts = ["/nowhere"]\nenabled = false\n')
    assert _keeper(identity, tmp_path).ask()
    folder, config = tmp_path / "exchange", tmp_path / "agent.toml"
    folder.mkdir()
    off = "".join(f"[collectors.{kind.name}]\nenabled = false\n" for kind in COLLECTORS)
    config.write_text(f'[agent]\nstate_dir = "{tmp_path / "state"}"\n{off}')
    process = watching(config, str(folder))
    try:
        assert process.stderr is not None
        said = process.stderr.readline()
        assert said.startswith(b"removable_storage: "), said
        assert str(folder).encode() in said, said
    finally:
        process.kill()
        process.communicate()
