"""A mounted disk whose power can be cut (mounted.py), for tests."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

START_SECONDS = 20.0
_REPOSITORY = Path(__file__).parents[2]

needs_fuse = pytest.mark.skipif(
    (not Path("/dev/fuse").exists() or shutil.which("fusermount3") is None)
    and os.environ.get("CI") != "true",
    reason="needs FUSE: deploy/prepare.sh tests",
)


class Disk:
    """Mounted at `path` within a `with`. `cut` may be called often: the disk goes on as it is."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "disk"
        self._cuts = folder / "cuts"
        self._numbers = itertools.count()
        # Not in the test's folder: a socket's name must be short.
        self._socket = f"/tmp/leaver-disk-{os.getpid()}-{id(self):x}"
        self._output = folder / "disk.out"

    def __enter__(self) -> Disk:
        self.path.mkdir()
        self._cuts.mkdir()
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.power_loss.mounted", str(self.path), self._socket],
                cwd=_REPOSITORY,
                stdout=output,
                stderr=output,
            )
        deadline = time.monotonic() + START_SECONDS
        while not os.path.ismount(self.path):
            assert self._process.poll() is None, self._output.read_text()
            assert time.monotonic() < deadline, "the disk is not mounted in time"
            time.sleep(0.02)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        subprocess.run(["fusermount3", "-u", "-z", str(self.path)], check=True)
        # A file that is still open keeps a disk going that nobody sees any more.
        self._process.terminate()
        self._process.wait(20)
        Path(self._socket).unlink(missing_ok=True)

    def cut(self, seed: int) -> Path:
        """A folder with what the disk holds if the power fails now."""
        left = self._cuts / str(next(self._numbers))
        self._ask(cut=str(left), seed=seed)
        return left

    def fail_syncs(self, pattern: str, times: int = 1) -> None:
        """The next syncs of what has such a path end with EIO, and save nothing."""
        self._ask(fail=pattern, times=times)

    @property
    def failed_syncs(self) -> int:
        return int(self._ask(failed=True)["failed"])

    def _ask(self, **asked: Any) -> dict[str, Any]:
        with socket.socket(socket.AF_UNIX) as asking, asking.makefile("rw") as lines:
            asking.connect(self._socket)
            lines.write(json.dumps(asked) + "\n")
            lines.flush()
            answer: dict[str, Any] = json.loads(lines.readline())
            return answer
