"""Sets the clock of single processes, at any moment; their steady clocks go on, as on a machine."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

_SOURCE = Path(__file__).with_name("set_clock.c")
DAY = 86_400
YEAR = 365 * DAY


class MachineClock:
    """For the processes that are started with `environment`."""

    def __init__(self, folder: Path, name: str = "clock") -> None:
        library = folder / f"{name}.so"
        command = ["gcc", "-O1", "-shared", "-fPIC", "-Wall", "-Werror", "-o", str(library), str(_SOURCE)]
        subprocess.run(command, check=True)
        self._offset = folder / name
        self.set(0)
        self.environment = {"LD_PRELOAD": str(library), "LEAVER_TEST_CLOCK": str(self._offset)}

    def set(self, seconds_ahead: int) -> None:
        # In place: the processes have it mapped.
        with self._offset.open("r+b" if self._offset.exists() else "wb", buffering=0) as file:
            file.write(struct.pack("=q", seconds_ahead))
