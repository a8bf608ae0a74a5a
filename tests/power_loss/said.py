"""What a program has said by now: `WORD NUMBER` a line, each of them a promise about the disk."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType

_REPOSITORY = Path(__file__).parents[2]


class Said:
    """The program `python -m MODULE ARGUMENTS`, running within a `with`; killed at its end."""

    def __init__(self, module: str, *arguments: str) -> None:
        self._command = [sys.executable, "-m", module, *arguments]
        self._said: dict[str, list[int]] = {}

    def __enter__(self) -> Said:
        self._process = subprocess.Popen(
            self._command, cwd=_REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def last(self, word: str) -> int:
        """The last number that it said with `word`; -1 before the first."""
        return self.all(word)[-1] if word in self._said else -1

    def all(self, word: str) -> list[int]:
        return list(self._said.get(word, ()))

    def wait_for(self, word: str, number: int, seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while self.last(word) < number:
            assert self._process.poll() is None, self._errors()
            assert time.monotonic() < deadline, f"{word} stands at {self.last(word)}, not {number}"
            time.sleep(0.002)

    def end(self) -> None:
        """kill -9; afterwards `last` is all that it ever said."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(20)
            self._reader.join(20)
            for stream in (self._process.stdout, self._process.stderr):
                assert stream is not None
                stream.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            word, _, number = line.rstrip("\n").partition(" ")
            if line.endswith("\n"):
                self._said.setdefault(word, []).append(int(number))

    def _errors(self) -> str:
        assert self._process.stderr is not None
        return self._process.stderr.read()[-3000:]
