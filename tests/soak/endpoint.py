"""One endpoint: the real agent as a process that can be killed; only its collector is scripted.

`module` is what runs (`scripted_agent`, `busy_agent`); `collector` the TOML of that collector's table.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path

from agent.enrolment import enrol, parse_line
from agent.status_file import AgentStatus, StatusUnreadable, read_status
from tests.server.up.up_process import leaver

ROOT = Path(__file__).parents[2]
STOP_SECONDS = 60.0


class Endpoint:
    def __init__(self, folder: Path, name: str, *, module: str, collector: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.state_dir = folder / name
        self.process: subprocess.Popen[bytes] | None = None
        self._module = module
        self._settings = folder / f"{name}.toml"
        self._log = folder / f"{name}.log"
        self._settings.write_text(
            f'[agent]\nstate_dir = "{self.state_dir}"\nlog_level = "error"\n{collector}', encoding="utf-8"
        )

    @property
    def enrolled(self) -> bool:
        return self.state_dir.exists()

    def enrol(self, data: Path) -> None:
        """With the server that runs on `data`."""
        made = leaver("agents", "enrol", self.name, "--json", data=data)
        assert made.returncode == 0, made.stderr
        enrol(parse_line(json.loads(made.stdout)["line"]), self.state_dir, replace=False)

    def start(self) -> None:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", f"tests.soak.{self._module}", str(self._settings)],
                cwd=ROOT,
                stderr=log,
            )

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        if self.running:
            assert self.process is not None
            self.process.kill()
            self.process.wait(30)

    def stop(self) -> None:
        """In good order, if it runs."""
        if self.running:
            assert self.process is not None
            self.process.terminate()
            assert self.process.wait(STOP_SECONDS) == 0, self._log.read_text()

    def status(self) -> AgentStatus | None:
        try:
            return read_status(self.state_dir)
        except StatusUnreadable:
            return None

    def spool_bytes(self) -> int:
        """What its spool takes on the disk now."""
        size = 0
        for path in (self.state_dir / "spool").glob("segment-*"):
            # The agent packs and deletes them meanwhile.
            with contextlib.suppress(FileNotFoundError):
                size += path.stat().st_size
        return size
