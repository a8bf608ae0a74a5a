"""One installation with one endpoint, as real processes: `leaver up`, and the agent with numbered files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import zstandard
from sqlalchemy import select

from agent.enrolment import enrol, parse_line
from agent.status_file import AgentStatus
from agent.status_report import examine
from event_schema.wire import WireRecord, unpack_content
from server.commands.opening import open_installation
from server.store.tables import event_blocks
from tests.kafka_broker.broker import free_ports
from tests.server.up.up_process import UpProcess, leaver, leaver_json

AGENT = "desk-17"
BACK_SECONDS = 60.0
_REPOSITORY = Path(__file__).parents[2]


def now() -> int:
    return time.time_ns() // 1_000_000


class Stored(msgspec.Struct, frozen=True):
    """`times`: each file's corrected event time; `copies`: how often each was stored."""

    times: dict[int, int]
    copies: Counter[int]


class Chain:
    """Nothing runs before it is started. `data` and `state` may lie on disks of their own."""

    def __init__(
        self, folder: Path, settings: str = "", *, data: Path | None = None, state: Path | None = None
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.data = data or folder / "data"
        self.data.mkdir(parents=True, exist_ok=True)
        self.state = state or folder / "agent"
        self._gate = folder / "gate"
        self._agent_log = folder / "agent.log"
        self._settings = folder / "agent.toml"
        config = self.data / "server.toml"
        text = config.read_text() if config.exists() else f'[listen]\naddress = "127.0.0.1:0"\n{settings}'
        # A port that stays: the agent must find the server again.
        with config.open("w", encoding="utf-8") as file:
            file.write(text.replace("127.0.0.1:0", f"127.0.0.1:{free_ports(1)[0]}"))
            file.flush()
            # An administrator's file, older than any power cut.
            os.fsync(file.fileno())
        self.allow(0)
        self._write_settings()
        self.up: UpProcess | None = None
        self.agent: subprocess.Popen[bytes] | None = None

    def move(self, data: Path, state: Path) -> None:
        """Goes on with what lies there."""
        self.data, self.state = data, state
        self._write_settings()

    def _write_settings(self) -> None:
        self._settings.write_text(
            f'[agent]\nstate_dir = "{self.state}"\n[collectors.numbered]\ngate = "{self._gate}"\n'
            "[shipper]\nanswer_seconds = 3\nconnect_seconds = 3\n",
            encoding="utf-8",
        )

    def start_server(self, environment: Mapping[str, str] | None = None) -> UpProcess:
        self.up = UpProcess(self.data, environment=dict(environment or {}))
        return self.up

    def stop_server(self) -> None:
        assert self.up is not None
        self.up.terminate()
        self.up.close()

    def enrol(self) -> None:
        made = leaver("agents", "enrol", AGENT, "--json", data=self.data)
        assert made.returncode == 0, made.stderr
        enrol(parse_line(json.loads(made.stdout)["line"]), self.state, replace=False)

    def enrol_anew(self, environment: Mapping[str, str]) -> None:
        """By commands on machines whose clocks `environment` sets."""

        def run(*command: str) -> str:
            done = subprocess.run(
                [sys.executable, *command],
                cwd=_REPOSITORY,
                env={**os.environ, **environment},
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            return done.stdout

        made = run("-m", "server", "agents", "enrol", AGENT, "--json", "--data", str(self.data))
        code = (
            "import sys; from pathlib import Path; from agent.enrolment import enrol, parse_line;"
            " enrol(parse_line(sys.argv[1]), Path(sys.argv[2]), replace=True)"
        )
        run("-c", code, json.loads(made)["line"], str(self.state))

    def start_agent(self, environment: Mapping[str, str] | None = None) -> None:
        with self._agent_log.open("ab") as log:
            self.agent = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.numbered_agent", str(self._settings)],
                cwd=_REPOSITORY,
                stderr=log,
                env={**os.environ, **(environment or {})},
            )

    def stop_agent(self, number: signal.Signals = signal.SIGTERM) -> None:
        assert self.agent is not None
        self.agent.send_signal(number)
        self.agent.wait(30)

    def agent_log(self) -> str:
        return self._agent_log.read_text(encoding="utf-8")

    def allow(self, files: int) -> None:
        """Lets files be copied up to this number."""
        new = self._gate.with_suffix(".new")
        new.write_text(str(files), encoding="ascii")
        new.replace(self._gate)

    def stored(self) -> Stored:
        return self.stored_in(self.data)

    @staticmethod
    def stored_in(data: Path) -> Stored:
        times: dict[int, int] = {}
        copies: Counter[int] = Counter()
        with open_installation(data) as installation, installation.database.read() as connection:
            for row in connection.execute(select(event_blocks).order_by(event_blocks.c.id)):
                known = msgspec.json.decode(zstandard.decompress(row.leaver))
                record = WireRecord(
                    row.agent, "1", "events", row.epoch, row.first_seq, len(known), row.signature, row.value
                )
                for event, about in zip(msgspec.json.decode(unpack_content(record)), known, strict=True):
                    if about is not None:
                        number = int(event["file"]["name"].removeprefix("file-"))
                        times[number], copies[number] = about[0], copies[number] + 1
        return Stored(times, copies)

    def wait_for_all(self, files: int, seconds: float = BACK_SECONDS) -> Stored:
        """Until all files below this number are stored; then each is there once, and nothing else."""
        until(f"{files} files are stored", lambda: len(self.stored().copies) >= files, seconds)
        found = self.stored()
        assert found.copies == Counter(range(files))
        status = self.status()
        assert status["dead_letters"] == {}
        assert not {"events_lost", "gap", "cloned"} & {kind for kind, _ in self.findings()}
        return found

    def status(self) -> dict[str, Any]:
        """`leaver status --json`."""
        found: dict[str, Any] = leaver_json("status", data=self.data)
        return found

    def findings(self) -> list[tuple[str, str]]:
        """What `leaver status` says needs a look: (kind, words)."""
        return [(finding["kind"], finding["detail"]) for finding in self.status()["findings"]]

    def problem(self, at: int | None = None) -> str:
        """What `leaver-agent status` says is wrong."""
        return examine(self.state, now=now() if at is None else at).problem or ""

    def agent_status(self) -> AgentStatus | None:
        return examine(self.state, now=now()).status

    def close(self) -> None:
        if self.agent is not None and self.agent.poll() is None:
            self.agent.send_signal(signal.SIGCONT)
            self.agent.kill()
            self.agent.wait(30)
        if self.up is not None:
            self.up.close()


def until(what: str, done: Callable[[], bool], seconds: float = BACK_SECONDS) -> float:
    """Seconds that it took."""
    began = time.monotonic()
    while not done():
        assert time.monotonic() - began < seconds, f"waited {seconds:.0f} s in vain: {what}"
        time.sleep(0.05)
    return time.monotonic() - began
