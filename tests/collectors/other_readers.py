"""Who else reads people's files: a thumbnailer, a backup and an indexer, real programs of the same user."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

from tests.collectors.upload_lab import UploadLab

_SIDE = 42


def picture(lab: UploadLab, name: str) -> Path:
    """A picture of 21 kB in words (PPM): a thumbnailer and an indexer both find something in it."""
    words = " ".join(str(random.randrange(100, 256)) for _ in range(3 * _SIDE * _SIDE))
    path = lab.documents / f"{name}.ppm"
    path.write_text(f"P3\n{_SIDE} {_SIDE}\n255\n{words}\n")
    return path


class OtherReaders:
    """Of all pictures in the lab's documents. `read_once` before, `keep_reading` meanwhile."""

    def __init__(self, lab: UploadLab) -> None:
        self._lab = lab
        self._thumbnails, self._index = lab.own / "thumbnails", lab.own / "index"
        lab.run("mkdir", self._thumbnails, self._index)
        (self._index / "recoll.conf").write_text(f"topdirs = {lab.documents}\n")
        (self._index / "mimemap").write_text(".ppm = text/plain\n")
        self._commands = {
            "thumbnailer": f"for f in {lab.documents}/*.ppm; do"
            f" gdk-pixbuf-thumbnailer -s 64 $f {self._thumbnails}/$(basename $f).png; done",
            "backup": f"tar cf - {lab.documents} | wc -c",
            "indexer": f"recollindex -c {self._index} -z",
        }

    def read_once(self) -> dict[str, int]:
        """Of how many pictures each of them shows that it has read them."""
        told = {
            name: self._lab.run("sh", "-c", command, seconds=300).stdout
            for name, command in self._commands.items()
        }
        found = self._lab.run("recollq", "-c", self._index, "255").stdout
        sizes = sum(path.stat().st_size for path in self._lab.documents.glob("*.ppm"))
        every = len(list(self._lab.documents.glob("*.ppm")))
        return {
            "thumbnailer": len(list(self._thumbnails.glob("*.png"))),
            "backup": every if int(told["backup"]) > sizes else 0,
            "indexer": int(found.partition(b"\n")[2].split()[0]),
        }

    def keep_reading(self) -> list[subprocess.Popen[bytes]]:
        """All of them again and again, until they are ended or the lab is."""
        return [
            self._lab.start("sh", "-c", f"while :; do {command}; done >/dev/null 2>&1", as_user=True)
            for command in self._commands.values()
        ]
