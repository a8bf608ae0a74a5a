"""The command `leaver-agent`, as people and programs call it."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from agent.command_line import main
from agent.doctor import Finding, finding_lines
from agent.enrolment import parse_line
from agent.identity import load_identity
from agent.spool import Spool
from event_schema.codec import decode_event
from event_schema.ocsf_events import FileActivity, FileSystemActivity
from tests.agent.enrolled import enrolled, line_for
from tests.server.api.running_server import RunningServer

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-c", "from agent.command_line import main; main()"]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    folder = tmp_path / "server"
    folder.mkdir()
    running = RunningServer(folder)
    yield running
    running.close()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "agent.toml"
    path.write_text(f'[agent]\nstate_dir = "{tmp_path}/state"\n', encoding="utf-8")
    return path


def test_enrol_reads_the_line_from_standard_input_and_says_who_it_is_now(
    server: RunningServer, config: Path, tmp_path: Path
) -> None:
    line = line_for(server, "host-1")
    text = f"leaver-enrol-1 {line.server} sha256:{line.fingerprint} {line.token}\n"
    result = CliRunner().invoke(main, ["enrol", "--config", str(config)], input=text)
    assert result.exit_code == 0, result.output
    assert f"enrolled as host-1 with {server.url}" in result.output
    assert line.token not in result.output
    assert load_identity(tmp_path / "state").facts.agent == "host-1"
    again = CliRunner().invoke(main, ["enrol", "--config", str(config)], input=text)
    assert again.exit_code == 1
    assert "--replace" in again.output


@pytest.mark.parametrize(
    "around", ["{}", "leaver-agent enrol <<< '{}'\n", 'On host-1 paste this line:\r\n"{}"\r\n']
)
def test_enrol_finds_its_line_in_whatever_was_copied_with_it(around: str) -> None:
    token = "t" * 43
    text = around.format(f"leaver-enrol-1 https://leaver.example:8443 sha256:{'0' * 64} {token}")
    line = parse_line(text)
    assert (line.server, line.token) == ("https://leaver.example:8443", token)


def test_enrol_asks_at_a_terminal_and_does_not_show_what_is_typed(config: Path) -> None:
    line = f"leaver-enrol-1 https://127.0.0.1:9 sha256:{'0' * 64} {'t' * 43}"
    terminal, end = pty.openpty()
    program = subprocess.Popen(
        [*COMMAND, "enrol", "--config", str(config)],
        stdin=end,
        stdout=end,
        stderr=end,
        cwd=ROOT,
        start_new_session=True,
    )
    os.close(end)
    shown = b""
    with open(terminal, "r+b", buffering=0) as screen:
        while b"The line that the server printed" not in shown:
            shown += screen.read(1000)
        screen.write(line.encode() + b"\n")
        assert program.wait(30) == 4
        shown += screen.read(10_000)
    assert b"127.0.0.1:9" in shown
    assert b"tttt" not in shown


def test_enrol_tells_an_unreachable_server_from_a_wrong_line(config: Path) -> None:
    away = f"leaver-enrol-1 https://127.0.0.1:9 sha256:{'0' * 64} {'t' * 43}"
    assert CliRunner().invoke(main, ["enrol", "--config", str(config)], input=away).exit_code == 4
    for wrong in (b"hello", b"\xff\xfe\x00"):
        refused = CliRunner().invoke(main, ["enrol", "--config", str(config)], input=wrong)
        assert refused.exit_code == 2
        assert "this is not an enrolment line" in refused.output


def test_run_without_enrolment_says_what_to_do(config: Path) -> None:
    result = CliRunner().invoke(main, ["run", "--config", str(config)])
    assert result.exit_code == 1
    assert "leaver-agent enrol" in result.output


def test_wrong_settings_are_a_usage_error_that_names_the_key(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_text("[agents]\n", encoding="utf-8")
    for command in ("run", "watch", "status", "doctor"):
        result = CliRunner().invoke(main, [command, "--config", str(path)])
        assert result.exit_code == 2
        assert "unknown key agents: did you mean agent?" in result.output


def test_status_without_an_agent_is_a_finding(config: Path) -> None:
    result = CliRunner().invoke(main, ["status", "--json", "--config", str(config)])
    assert result.exit_code == 3
    assert json.loads(result.stdout)["running"] is False


def test_status_of_an_agent_that_holds_its_spool_and_said_nothing_yet_is_starting(
    config: Path, tmp_path: Path
) -> None:
    spool = Spool(tmp_path / "state" / "spool")
    try:
        told = CliRunner().invoke(main, ["status", "--config", str(config)])
        assert (told.exit_code, told.output) == (0, "the agent is starting\n")
    finally:
        spool.close()
    never = CliRunner().invoke(main, ["status", "--config", str(config)])
    assert never.exit_code == 3
    assert "has not run here yet" in never.output


@pytest.mark.parametrize("width", [80, 120])
def test_doctor_wraps_what_it_found_under_its_beginning(width: int) -> None:
    detail = "not synchronised: install chrony or systemd-timesyncd (the server corrects by heartbeats) " * 2
    findings = [Finding("clock", "degraded", detail), Finding("phones and cameras", "limit", "short")]
    lines = finding_lines(findings, width=width)
    assert max(map(len, lines)) <= width
    assert lines[0].startswith("clock               degraded  not synchronised")
    assert {line[:30] for line in lines[1:-1]} == {" " * 30}
    assert lines[-1] == "phones and cameras  limit     short"


def test_doctor_finds_what_is_missing_and_the_server_that_answers(
    server: RunningServer, config: Path, tmp_path: Path
) -> None:
    before = CliRunner().invoke(main, ["doctor", "--json", "--config", str(config)])
    found = {finding["check"]: finding for finding in json.loads(before.stdout)}
    assert before.exit_code == 3
    assert found["enrolment"]["state"] == "degraded"
    assert "MTP" in found["phones and cameras"]["detail"]
    assert {"spool", "clock", "who: audit", "files: fanotify", "devices: hot-plug"} <= set(found)
    enrolled(server, tmp_path / "state")
    after = CliRunner().invoke(main, ["doctor", "--json", "--config", str(config)])
    found = {finding["check"]: finding for finding in json.loads(after.stdout)}
    assert (found["enrolment"]["state"], found["server"]["state"]) == ("ok", "ok")
    readable = CliRunner().invoke(main, ["doctor", "--config", str(config)]).output
    assert f"{server.url} answers" in readable


@pytest.mark.parametrize(("option", "said"), [("--version", b"leaver-agent "), ("--help", b"Usage:")])
def test_version_and_help_are_told_without_loading_any_collector(option: str, said: bytes) -> None:
    program = (
        f"import sys; from agent.command_line import main; main(['{option}'], standalone_mode=False); "
        "sys.exit(any(name in sys.modules for name in ('pyudev', 'httpx', 'msgspec', 'psutil')))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(said)


def test_status_is_read_without_what_only_a_running_agent_needs(config: Path) -> None:
    program = (
        "import sys; from agent.command_line import main\n"
        "try: main(['status', '--config', sys.argv[1]])\n"
        "except SystemExit: print([n for n in ('pyudev', 'httpx', 'psutil') if n in sys.modules])"
    )
    command = [sys.executable, "-c", program, str(config)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, text=True)
    assert done.stdout.endswith("[]\n"), done.stderr


BARE = (
    "import sys; sys.modules.update(dict.fromkeys(('httpx', 'psutil', 'pyudev', 'watchdog'))); "
    "from agent.command_line import main; main()"
)
"""As in the server's environment, without the agent's packages."""


def bare(config: Path, command: str, *options: str, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", BARE, command, "--config", str(config), *options],
        cwd=ROOT,
        capture_output=True,
        check=False,
        input=text,
        text=True,
        timeout=30,
    )


def test_doctor_says_what_to_install_where_the_agents_packages_are_missing(
    server: RunningServer, config: Path, tmp_path: Path
) -> None:
    enrolled(server, tmp_path / "state")
    done = bare(config, "doctor", "--json")
    assert done.returncode == 3, done.stderr
    found = {finding["check"]: finding for finding in json.loads(done.stdout)}
    for check, package in (
        ("collector removable_storage", "pyudev"),
        ("devices: hot-plug", "pyudev"),
        ("devices: identity", "pyudev"),
        ("server", "httpx"),
        ("shipping", "httpx"),
    ):
        assert found[check]["state"] == "degraded"
        assert found[check]["detail"].startswith(f"the Python package {package} is missing: ")
        assert found[check]["detail"].endswith("install leaver_agent-….whl (docs/install.md)")
    assert found["enrolment"]["state"] == "ok"
    assert {"privileges", "who: audit", "files: fanotify", "clock", "spool"} <= set(found)


def test_every_command_says_what_to_install_where_the_agents_packages_are_missing(
    server: RunningServer, config: Path, tmp_path: Path
) -> None:
    line = line_for(server, "host-1")
    text = f"leaver-enrol-1 {line.server} sha256:{line.fingerprint} {line.token}"
    refused = bare(config, "enrol", text=text)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == (
        "leaver-agent: the Python package httpx is missing: this environment has no agent packages;"
        " install leaver_agent-….whl (docs/install.md)\n"
    )
    enrolled(server, tmp_path / "state")
    refused = bare(config, "run")
    assert refused.returncode == 1
    assert "this environment has no agent packages" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert bare(config, "status").returncode == 3


def test_one_check_of_the_doctor_that_breaks_is_a_finding_and_the_others_are_told(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise RuntimeError("at /media/alice")

    monkeypatch.setattr("collectors.linux.audit.check", broken)
    result = CliRunner().invoke(main, ["doctor", "--json", "--config", str(config)])
    found = {finding["check"]: finding for finding in json.loads(result.stdout)}
    assert found["who: audit"]["state"] == "degraded"
    assert found["who: audit"]["detail"].startswith("the check itself failed: RuntimeError")
    assert "alice" not in result.stdout
    assert "clock" in found


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0 and os.environ.get("CI") != "true", reason="needs root to give it up")
def test_doctor_tells_missing_rights_from_an_old_kernel() -> None:
    # Imported first: what nobody may read is not the question.
    as_nobody = (
        "import os, collectors.linux.fanotify; from agent.doctor import _fanotify_names; "
        "os.setgroups([]); os.setgid(65534); os.setuid(65534); print(next(_fanotify_names()).detail)"
    )
    command = [sys.executable, "-c", as_nobody]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, text=True)
    assert "needs root (CAP_SYS_ADMIN)" in done.stdout, done.stderr
    assert "Linux" not in done.stdout


def watching(config: Path, *options: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*COMMAND, "watch", "--config", str(config), *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def next_line(process: subprocess.Popen[bytes], seconds: float) -> bytes:
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], seconds)
    return process.stdout.readline() if ready else b""


def test_watch_shows_a_copied_file_as_one_line_of_ocsf_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "exchange"
    folder.mkdir()
    config = tmp_path / "agent.toml"
    config.write_text(f'[collectors.removable_storage]\nextra_mounts = ["{folder}"]\n', encoding="utf-8")
    process = watching(config, "--json")
    try:
        seen: list[FileSystemActivity] = []
        deadline = time.monotonic() + 30
        copies = 0
        while not seen and time.monotonic() < deadline:
            # The first copies may come before the collector watches.
            copies += 1
            (folder / f"客户 {copies}.csv").write_bytes(b"x" * 1234)
            while line := next_line(process, 2.5):
                event = decode_event(line)
                if isinstance(event, FileSystemActivity):
                    seen.append(event)
        assert seen, "no event came"
        first = seen[0]
        assert (first.activity_id, first.file.size) == (FileActivity.CREATE, 1234)
        assert first.file.name.startswith("客户 ")
        assert len({event.file.name for event in seen}) == len(seen)
        process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=15)
        assert process.returncode == 0
        for line in rest.splitlines():
            decode_event(line)
    finally:
        process.kill()
        process.communicate()


def test_watch_for_people_says_what_it_watches_and_ends_with_its_reader(tmp_path: Path) -> None:
    """The folder is named for this call only."""
    folder = tmp_path / "exchange"
    folder.mkdir()
    config = tmp_path / "agent.toml"
    settings = (
        "[collectors.removable_storage]\nenabled = false\n"
        f'[collectors.mariadb]\nenabled = true\naudit_log = "{tmp_path}/audit.log"\n'
    )
    config.write_text(settings, encoding="utf-8")
    process = watching(config, os.path.relpath(folder, ROOT))
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        assert b"TIME" in next_line(process, 15)
        words = (b"removable_storage: running", b"Ctrl-C ends it.", b"mariadb: cannot run, ", b"no such file")
        said = b""
        while not all(each in said for each in words):
            more = os.read(process.stderr.fileno(), 4096)
            assert more, said
            said += more
        # No line of the log's JSON.
        assert b"{" not in said
        (folder / "list.csv").write_bytes(b"x" * 2_500_000)
        line = next_line(process, 15)
        assert b"list.csv" in line
        assert b"2.5 MB" in line
        assert line.count(str(folder).encode()) == 1
        process.stdout.close()
        for n in range(3):
            (folder / f"more-{n}").write_bytes(b"x")
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
