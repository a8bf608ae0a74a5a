"""An Apache Kafka whose data lies on a small file system of its own (tmpfs), to be filled up. Needs root."""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path

from tests.kafka_broker.broker import KafkaBroker

SIZE = "96m"


class SmallDiskBroker(KafkaBroker):
    """Ends by itself when its disk is full; `start` after `make_room`."""

    def _filled_in(self, directory: Path, port: int, others: list[int]) -> dict[str, str]:
        self._disk = directory / "disk"
        self._disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", self._disk], check=True)
        return {**super()._filled_in(directory, port, others), "DATA": str(self._disk / "data")}

    def fill(self) -> None:
        """To the last page."""
        with (self._disk / "ballast").open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                os.write(file.fileno(), bytes(4096))

    def make_room(self) -> None:
        (self._disk / "ballast").unlink()

    def wait_until_it_ended(self, seconds: float) -> bool:
        """Whether it did."""
        assert self._process is not None
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def stop(self) -> None:
        super()._signal_and_wait(15, 30)  # type: ignore[arg-type]
        if os.path.ismount(self._disk):
            subprocess.run(["umount", "--lazy", self._disk], check=True)
        super().stop()
