"""`leaver worker` as a real process, for tests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path


class WorkerProcess:
    """Started, but perhaps not ready. `errors` is what it said on standard error."""

    def __init__(
        self, data: Path, name: str, *options: str, environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.errors: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "server", "worker", "--data", str(data), "--name", name, *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **(environment or {})},
        )
        self._reader = threading.Thread(target=self._read_errors, daemon=True)
        self._reader.start()

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        self.errors.extend(self.process.stderr)

    def listening(self) -> str:
        """The address of its listener, once it says so."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("listening"):
                return f"http://127.0.0.1:{line.partition('port ')[2].partition(':')[0]}"
        raise AssertionError(self.errors)

    def send(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)

    def said(self, word: str) -> bool:
        return any(word in line for line in self.errors)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """The exit code. May be called twice."""
        if self.process.poll() is None:
            self.send(signal.SIGCONT)
            self.send(number)
        code = self.process.wait(30)
        self._reader.join(10)
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()
        return code

    def kill(self) -> None:
        self.end(signal.SIGKILL)
