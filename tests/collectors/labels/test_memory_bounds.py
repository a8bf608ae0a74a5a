"""Files made to fill the memory of who reads them: measured on the process that does.

VmHWM is the most that was ever resident, with the code that is mapped from files.
"""

from __future__ import annotations

import gzip
import struct
import tarfile
import threading
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from collectors.labels import FileLabels, Labeller, LabelSettings, label_file
from event_schema.ocsf_labels import ClassificationStatus
from tests.collectors.labels.test_hostile_files import ID, bomb, office

pytestmark = pytest.mark.long
MEMORY = 96 << 20
CODE = 24 << 20
"""Libraries and Python itself, which count as resident and not as data."""


def pdf_of(content: bytes) -> bytes:
    """One page whose compressed content becomes very large."""
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 4 0 R >>",
        b"<< /Length %d /Filter /FlateDecode >>\nstream\n" % len(content) + content + b"\nendstream",
    )
    made, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, start=1):
        places.append(len(made))
        made += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    ending = f"trailer << /Size 5 /Root 1 0 R >>\nstartxref\n{len(made)}\n%%EOF\n"
    return made + f"xref\n0 5\n0000000000 65535 f \n{table}{ending}".encode()


def deflated(piece: bytes, times: int) -> bytes:
    packer = zlib.compressobj(9)
    return b"".join([packer.compress(piece) for _ in range(times)] + [packer.flush()])


def zip_of_names(count: int) -> bytes:
    """A list of so many members, and none of them there."""
    entry = struct.pack("<4s4B4H3L5H2L", b"PK\x01\x02", 20, 3, 20, *(0,) * 8, 8, *(0,) * 6)
    names = b"".join(entry + b"%08d" % number for number in range(count))
    begin = b"PK\x03\x04" + bytes(26)
    end = struct.pack(
        "<4s4H2LH", b"PK\x05\x06", 0, 0, count % 65536, count % 65536, len(names), len(begin), 0
    )
    return begin + names + end


def tar_with_long_header(size: int) -> bytes:
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, size
    return info.tobuf() + b"63 comment=" + b"a" * size


def most_resident(pid: int, stop: threading.Event, most: list[int]) -> None:
    while not stop.wait(0.005):
        with suppress(OSError, IndexError):
            status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
            most.append(int(status.partition("VmHWM:")[2].split()[0]) << 10)


@pytest.mark.parametrize(
    ("make", "gap"),
    [
        pytest.param(bomb, "", id="a bomb of 100 MB"),
        pytest.param(lambda: zip_of_names(300_000), "limit memory_bytes_max", id="300,000 names"),
        pytest.param(
            lambda: tar_with_long_header(60 << 20), "limit memory_bytes_max", id="a header of 60 MB"
        ),
        pytest.param(
            lambda: gzip.compress(tar_with_long_header(110 << 20), 1), "limit memory_bytes_max", id="packed"
        ),
        pytest.param(
            lambda: pdf_of(deflated(b"BT (x) Tj ET\n" * 80_000, 200)),
            "the reading process ended",
            id="a page",
        ),
        pytest.param(lambda: office("<p>" + "&#20013;" * 12_000_000 + "</p>"), "", id="one line"),
        pytest.param(lambda: office('<p a="' + "x" * 100_000_000 + '"/>'), "limit", id="one attribute"),
    ],
)
def test_no_file_takes_more_memory_than_is_allowed(
    tmp_path: Path, make: Callable[[], bytes], gap: str
) -> None:
    path = tmp_path / "file"
    path.write_bytes(ID.encode())
    labeller = Labeller(LabelSettings(cpu_share=1.0, cpu_seconds=2, memory_bytes_max=MEMORY))
    label_file(path, labeller)
    pid, stop, most = labeller.pid(), threading.Event(), list[int]()
    assert pid is not None
    path.write_bytes(make())
    watching = threading.Thread(target=most_resident, args=(pid, stop, most))
    watching.start()
    began = time.monotonic()
    labels: FileLabels = label_file(path, labeller)
    took = time.monotonic() - began
    stop.set()
    watching.join()
    assert max(most) < MEMORY + CODE
    assert gap in (labels.gap or "")
    assert (labels.gap is None) == (labels.status is ClassificationStatus.COMPLETE)
    assert took < 60
    path.write_bytes(ID.encode())
    assert label_file(path, labeller).counts == {"resident_id": 1}, "the next file is none the worse"
    labeller.rest()
