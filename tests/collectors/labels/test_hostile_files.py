"""Files made to hurt who reads them: the agent stays up, in its bounds, and says what it could not read."""

from __future__ import annotations

import gzip
import io
import os
import signal
import socket
import tarfile
import threading
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from collectors.labels import FileLabels, Labeller, LabelSettings, label_file
from collectors.labels.labeller import OpenFile
from collectors.labels.protocol import receive
from event_schema.ocsf_labels import ClassificationStatus
from tests.collectors.labels.conftest import SETTINGS, LabelBytes

COMPLETE, PARTIAL, FAIL = (
    ClassificationStatus.COMPLETE,
    ClassificationStatus.PARTIAL,
    ClassificationStatus.FAIL,
)
ID = "身份证 11010519491231002X\n"


def zipped(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def bomb() -> bytes:
    """A hundred million bytes in some thousands: written through one compressor, which is quick."""
    piece = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join([piece.compress(b"some text\n" * 100_000) for _ in range(100)] + [piece.flush()])


def nested(levels: int) -> bytes:
    data = zipped({"id.txt": ID.encode()})
    for _ in range(levels):
        data = zipped({"inner.zip": data})
    return data


def office(part: str) -> bytes:
    return zipped({"[Content_Types].xml": b"<Types/>", "word/document.xml": part.encode()})


LAUGHS = (
    '<!DOCTYPE x [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    + "]><x>&a9;</x>"
)


@pytest.mark.parametrize(
    ("make", "gap"),
    [
        (bomb, "limit unpacked_bytes_max"),
        (lambda: gzip.compress(bomb()), "limit unpacked_bytes_max"),
        (lambda: zipped({f"{n}": b"some text\n" * 100_000 for n in range(60)}), "limit unpacked_bytes_max"),
        (lambda: nested(9), "limit depth_max"),
        (lambda: zipped({f"{n}": b"x" for n in range(2_500)}), "limit members_max"),
        (lambda: office(LAUGHS), "XML with a document type or entities"),
        (lambda: office("<a>" * 5_000), "XML nested too deep"),
        (lambda: office("<w><p>x</w>"), "broken XML"),
        (lambda: b"%PDF-1.7\n" + b"1 0 obj <<" * 5_000, "broken PDF"),
        (lambda: b"PK\x03\x04" + os.urandom(4_000), "broken zip"),
        (lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\xff" * 5_000, "broken compound file"),
        (lambda: b"7z\xbc\xaf'\x1c" + os.urandom(900), "broken 7z"),
        (lambda: b"Rar!\x1a\x07\x01\x00" + os.urandom(900), "broken rar"),
        (lambda: gzip.compress(os.urandom(90_000))[:50_000], "broken gz"),
    ],
)
def test_what_cannot_be_read_is_said(label: LabelBytes, make: Callable[[], bytes], gap: str) -> None:
    labels = label(make())
    assert labels.gap is not None
    assert gap in labels.gap
    assert labels.status in (PARTIAL, FAIL)


def test_what_was_found_before_the_limit_is_kept(label: LabelBytes) -> None:
    labels = label(zipped({"0": ID.encode(), **{f"{n}": b"some text\n" * 100_000 for n in range(1, 60)}}))
    assert (labels.status, labels.counts["resident_id"]) == (PARTIAL, 1)


def test_a_zip_that_holds_itself_ends(label: LabelBytes) -> None:
    """The quine is told by its depth; here a gzip member is its own prefix many times over."""
    data = ID.encode()
    for _ in range(40):
        data = gzip.compress(data)
    assert label(data).gap == "limit depth_max"


def test_a_broken_member_does_not_hide_the_others(label: LabelBytes) -> None:
    data = bytearray(zipped({"bad": os.urandom(3_000), "good": ID.encode()}))
    data[100:2_000] = bytes(1_900)
    labels = label(bytes(data))
    assert (labels.status, labels.counts) == (PARTIAL, {"resident_id": 1})


@pytest.mark.parametrize("kind", ["zip", "tar.gz", "pdf", "docx", "7z"])
def test_a_file_that_ends_early_never_ends_the_reader(
    label: LabelBytes, labeller: Labeller, documents: dict[str, bytes], kind: str
) -> None:
    whole = documents[kind]
    label(whole)
    pid = labeller.pid()
    for part in range(1, 24):
        label(whole[: len(whole) * part // 24])
    assert labeller.pid() == pid


@pytest.fixture(scope="module")
def documents() -> dict[str, bytes]:
    import docx  # noqa: PLC0415 - large, and only for these
    import py7zr  # noqa: PLC0415
    from reportlab.pdfgen import canvas  # noqa: PLC0415

    tarred, sevened, written, drawn = (io.BytesIO() for _ in range(4))
    with tarfile.open(fileobj=tarred, mode="w:gz") as archive:
        info = tarfile.TarInfo("bad\nname\udcff")
        info.size = len(ID.encode())
        archive.addfile(info, io.BytesIO(ID.encode()))
    with py7zr.SevenZipFile(sevened, "w") as seven:
        seven.writestr(ID, "a.txt")
    document = docx.Document()
    document.add_paragraph(ID)
    document.save(written)
    page = canvas.Canvas(drawn)
    page.drawString(100, 700, "11010519491231002X")
    page.save()
    return {
        "zip": zipped({"a\n\x1b[31m.txt": ID.encode()}),
        "tar.gz": tarred.getvalue(),
        "7z": sevened.getvalue(),
        "docx": written.getvalue(),
        "pdf": drawn.getvalue(),
    }


@pytest.mark.parametrize("kind", ["zip", "tar.gz", "pdf", "docx", "7z"])
def test_each_kind_is_read_to_its_end(label: LabelBytes, documents: dict[str, bytes], kind: str) -> None:
    labels = label(documents[kind])
    assert (labels.status, labels.counts, labels.gap) == (COMPLETE, {"resident_id": 1}, None)


def test_ten_sparse_gigabytes_cost_their_first_part(tmp_path: Path, labeller: Labeller) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.write(ID.encode() * 3)
        file.truncate(10 << 30)
    labels = label_file(path, labeller)
    assert labels.status is not FAIL
    with path.open("wb") as file:
        file.write(b"\n".join([ID.encode()] * 5_000))
        file.seek(10 << 30)
        file.write(b"end")
    assert label_file(path, labeller).status in (COMPLETE, PARTIAL)


def test_text_beyond_the_limit_is_partial(tmp_path: Path) -> None:
    path = tmp_path / "long"
    path.write_bytes((ID * 20_000).encode())
    labeller = Labeller(LabelSettings(cpu_share=1.0, read_bytes_max=300_000))
    labels = label_file(path, labeller)
    labeller.rest()
    assert (labels.status, labels.counts, labels.gap) == (PARTIAL, {"resident_id": 1}, "limit read_bytes_max")


def test_pipes_sockets_devices_folders_and_links_are_not_opened(tmp_path: Path, labeller: Labeller) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(tmp_path / "socket"))
    for path in (tmp_path / "fifo", tmp_path / "loop", tmp_path / "socket", tmp_path, Path("/dev/zero")):
        assert label_file(path, labeller).gap == "not a regular file"
    assert label_file(tmp_path / "missing", labeller).status is FAIL
    listening.close()


def test_a_file_that_changes_while_it_is_read_fails(tmp_path: Path, labeller: Labeller) -> None:
    path = tmp_path / "changing"
    path.write_bytes(ID.encode() * 50_000)

    class Changing(OpenFile):
        def read(self, offset: int, length: int) -> bytes:
            if offset > 500_000:
                with path.open("ab") as more:
                    more.write(b"more")
            return super().read(offset, length)

    with path.open("rb") as file:
        assert labeller.label(Changing(file.fileno())).status is FAIL


class Acting(OpenFile):
    """Does something when the file is read, as the reader would."""

    def __init__(self, fd: int, act: Callable[[], object]) -> None:
        super().__init__(fd)
        self._act = act

    def read(self, offset: int, length: int) -> bytes:
        self._act()
        return super().read(offset, length)


def kill(labeller: Labeller, number: int = signal.SIGKILL) -> None:
    pid = labeller.pid()
    assert pid is not None
    os.kill(pid, number)


def test_a_reader_that_is_killed_fails_that_file_alone(tmp_path: Path) -> None:
    """As the kernel does when memory is short, and a reader to itself when it crashes."""
    labeller = Labeller(SETTINGS)
    path = tmp_path / "a"
    path.write_bytes(ID.encode())
    assert label_file(path, labeller).counts == {"resident_id": 1}
    with path.open("rb") as file:
        labels = labeller.label(Acting(file.fileno(), lambda: kill(labeller)))
    assert (labels.status, labels.gap) == (FAIL, "the reading process ended (killed)")
    assert label_file(path, labeller).counts == {"resident_id": 1}
    assert labeller.deaths == 1
    labeller.rest()


def test_a_reader_that_was_killed_while_it_rested_fails_no_file(tmp_path: Path) -> None:
    labeller = Labeller(SETTINGS)
    path = tmp_path / "a"
    path.write_bytes(ID.encode())
    label_file(path, labeller)
    pid = labeller.pid()
    kill(labeller)
    limit = time.monotonic() + 10
    while "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text(encoding="utf-8"):
        assert time.monotonic() < limit
        time.sleep(0.01)
    assert label_file(path, labeller).counts == {"resident_id": 1}
    assert labeller.deaths == 0
    labeller.rest()


def test_a_file_can_be_given_up_from_another_thread(tmp_path: Path) -> None:
    labeller = Labeller(LabelSettings(cpu_share=0.1, cpu_seconds=60))
    path = tmp_path / "a"
    path.write_bytes(ID.encode())
    label_file(path, labeller)
    giving_up = threading.Timer(0.5, labeller.give_up)
    giving_up.start()
    with path.open("rb") as file:
        labels = labeller.label(Acting(file.fileno(), lambda: kill(labeller, signal.SIGSTOP)))
    assert labels.gap == "the reading process ended (killed)"
    labeller.rest()


def test_an_answer_that_comes_byte_by_byte_does_not_take_longer() -> None:
    """A reader that was taken over could keep the thread that labels for hours."""
    ours, theirs = socket.socketpair()
    stop = threading.Event()

    def trickle() -> None:
        theirs.sendall((1_000).to_bytes(4, "little"))
        while not stop.wait(0.1):
            theirs.sendall(b"x")

    thread = threading.Thread(target=trickle)
    thread.start()
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        receive(ours, began + 0.5)
    took = time.monotonic() - began
    stop.set()
    thread.join()
    ours.close()
    theirs.close()
    assert took < 20


def test_a_reader_that_does_not_come_back_is_ended(tmp_path: Path) -> None:
    labeller = Labeller(LabelSettings(cpu_share=1.0, cpu_seconds=0.1))
    path = tmp_path / "a"
    path.write_bytes(ID.encode())
    label_file(path, labeller)
    with path.open("rb") as file:
        began = time.monotonic()
        labels = labeller.label(Acting(file.fileno(), lambda: kill(labeller, signal.SIGSTOP)))
    assert labels.gap == "took too long"
    assert time.monotonic() - began < 30
    assert label_file(path, labeller).counts == {"resident_id": 1}
    labeller.rest()


def test_memory_is_bounded(tmp_path: Path) -> None:
    """A document that is one line of many million characters fits neither the limit nor ends the reader."""
    labeller = Labeller(LabelSettings(cpu_share=1.0, cpu_seconds=20, memory_bytes_max=64 << 20))
    path = tmp_path / "wide"
    path.write_bytes(office("<p>" + "&#20013;" * 3_000_000 + "</p>"))
    labels: FileLabels = label_file(path, labeller)
    assert labels.status in (COMPLETE, PARTIAL, FAIL)
    path.write_bytes(ID.encode())
    assert label_file(path, labeller).counts == {"resident_id": 1}
    labeller.rest()


def test_the_reader_has_no_files_no_network_and_no_rights(labeller: Labeller, label: LabelBytes) -> None:
    label(ID.encode())
    status = Path(f"/proc/{labeller.pid()}/status").read_text(encoding="ascii")
    assert "limits" in labeller.held
    if os.geteuid() == 0:
        assert {"no network", "nobody"} <= set(labeller.held)
        assert "CapEff:\t0000000000000000" in status
        assert "Uid:\t65534\t65534" in status
    assert "NoNewPrivs:\t1" in status
