"""`leaver up` as a real process, and the other commands beside it, for tests."""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx
from click.testing import CliRunner

from server.command_line import main

START_SECONDS = 60


class UpProcess:
    """Started and ready; `lines` is what it said."""

    def __init__(self, data: Path, *, environment: dict[str, str] | None = None) -> None:
        data.mkdir(exist_ok=True)
        settings = data / "server.toml"
        if not settings.exists():
            settings.write_text('[listen]\naddress = "127.0.0.1:0"\n')
        self.data = data
        self.errors: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "server", "up", "--data", str(data)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **(environment or {})},
        )
        assert self.process.stdout is not None
        self._reader = threading.Thread(target=self._read_errors, daemon=True)
        self._reader.start()
        self.lines: list[str] = []
        while not self.lines or not self.lines[-1].startswith("ready"):
            line = self.process.stdout.readline()
            if not line:
                self.close()
                raise AssertionError((self.lines, self.errors, self.process.poll()))
            self.lines.append(line.rstrip("\n"))

    def said(self, word: str) -> str | None:
        """What follows `word` at the beginning of a line."""
        return next((line[len(word) :].strip() for line in self.lines if line.startswith(word + " ")), None)

    @property
    def url(self) -> str:
        url = self.said("listening")
        assert url is not None
        return url

    def client(self) -> httpx.Client:
        context = ssl.create_default_context(cafile=self.data / "pki" / "ca.pem")
        return httpx.Client(base_url=self.url, verify=context, timeout=15, trust_env=False)

    def terminate(self) -> tuple[int, float]:
        """The exit code, and how many seconds it took."""
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(30)
        return code, time.monotonic() - begun

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(30)

    def close(self) -> None:
        if self.process.poll() is None:
            self.kill()
        self._reader.join(10)
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        self.errors.extend(line.rstrip("\n") for line in self.process.stderr)


def leaver(*arguments: str, data: Path) -> subprocess.CompletedProcess[str]:
    """Another command on the same data. `up` is a process of its own; the others, to save the time of
    starting Python, run in this one."""
    command = [*arguments, "--data", str(data)]
    if arguments[0] == "up":
        return subprocess.run(
            [sys.executable, "-m", "server", *command],
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
            check=False,
        )
    done = CliRunner().invoke(main, command, prog_name="leaver")
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return subprocess.CompletedProcess(command, done.exit_code, done.stdout, done.stderr)


def leaver_json(*arguments: str, data: Path) -> Any:
    done = leaver(*arguments, "--json", data=data)
    assert done.returncode in {0, 3}, done.stderr
    return json.loads(done.stdout)
