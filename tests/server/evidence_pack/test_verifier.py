"""Whatever is changed in a pack, the verifier sees it and says where; with Python alone, too."""

from __future__ import annotations

import hashlib
import io
import json
import random
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from server.evidence_pack import verifier
from server.evidence_pack.archive import ArchiveWriter
from server.evidence_pack.verifier import NoPack, Verdict, verify

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
OTHER = Ed25519PrivateKey.from_private_bytes(b"o" * 32)
LINES = 40


def _key_fields(key: Ed25519PrivateKey) -> dict[str, str]:
    public = key.public_key().public_bytes_raw()
    return {"public_key": public.hex(), "fingerprint": hashlib.sha256(public).hexdigest()}


def make(path: Path, *, key: Ed25519PrivateKey = KEY, word: str = "copied") -> bytes:
    """A small pack of every kind of file: packed, stored, by line."""
    chance = random.Random(7)
    with path.open("wb") as file:
        archive = ArchiveWriter(file)
        archive.add("report.pdf", chance.randbytes(500), packed=False)
        with archive.entry("evidence.jsonl") as lines:
            for number in range(LINES):
                lines.line({"seq": number, "act": word, "name": f"customers-{chance.randrange(10**6)}.xlsx"})
        archive.add("empty.txt", b"")
        archive.add("models.json", b"{}" * 50)
        archive.finish({"made_at": "2026-11-22", "key": _key_fields(key)}, key.sign)
    return path.read_bytes()


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    path = tmp_path / "case.zip"
    make(path)
    return path


def _changed(pack: Path, data: bytes) -> Verdict:
    pack.write_bytes(data)
    return verify(str(pack))


def test_a_pack_as_it_was_made_is_good_and_opens_everywhere(pack: Path) -> None:
    verdict = verify(str(pack))
    assert (verdict.good, verdict.exit_code, verdict.findings) == (True, 0, [])
    with zipfile.ZipFile(pack) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [
            *("report.pdf", "evidence.jsonl", "evidence.jsonl.lines", "empty.txt", "models.json"),
            *("manifest.json", "manifest.sig"),
        ]
        assert len(archive.read("evidence.jsonl").splitlines()) == LINES


def test_the_same_contents_make_the_same_bytes(tmp_path: Path) -> None:
    assert make(tmp_path / "one") == make(tmp_path / "two")


def test_every_single_byte_that_is_flipped_is_found_and_placed(pack: Path) -> None:
    """Each byte of the archive, in one bit that chance chooses."""
    data = pack.read_bytes()
    with zipfile.ZipFile(pack) as archive:
        manifest = archive.getinfo("manifest.json").header_offset
        end = archive.getinfo("manifest.sig").header_offset + 42 + 64
    chance = random.Random(11)
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1 << chance.randrange(8)
        verdict = _changed(pack, bytes(changed))
        assert verdict.exit_code == 3, place
        if not manifest <= place < end:
            spans = [(f.first_byte, f.last_byte) for f in verdict.findings if f.first_byte is not None]
            assert any(first <= place <= (last or 0) for first, last in spans), (place, verdict.findings)


@pytest.mark.parametrize("method", ["in place", "packed again"])
def test_the_line_that_was_changed_is_named(pack: Path, method: str) -> None:
    with zipfile.ZipFile(pack) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    lines = files["evidence.jsonl"].splitlines(keepends=True)
    if method == "in place":
        # As far as the damage goes nobody knows what stood there; where it begins is known.
        entry = verifier.verify(str(pack)).manifest["files"][1]
        data = bytearray(pack.read_bytes())
        begin = data.find(b"evidence.jsonl") + len("evidence.jsonl")
        data[begin + entry["packed"] // 2] ^= 16
        verdict = _changed(pack, bytes(data))
        [found] = [f for f in verdict.findings if f.file == "evidence.jsonl"]
        assert found.line is not None
        assert 10 < found.line < 30
        return
    lines[16] = lines[16].replace(b"copied", b"moved ")
    files["evidence.jsonl"] = b"".join(lines)
    verdict = _changed(pack, _zip(list(files.items())))
    [found] = [f for f in verdict.findings if f.file == "evidence.jsonl"]
    assert (found.kind, found.line, found.message) == ("changed", 17, "evidence.jsonl was changed: line 17")


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda lines: lines[:5] + lines[7:], "from line 6 on 2 lines are missing"),
        (lambda lines: [*lines[:5], b'{"seq":1}\n', *lines[5:]], "1 lines were put in before line 6"),
        (lambda lines: [lines[1], lines[0], *lines[2:]], "lines 1 to 2"),
    ],
)
def test_lines_taken_out_and_put_in_are_told(
    pack: Path, edit: Callable[[list[bytes]], list[bytes]], words: str
) -> None:
    with zipfile.ZipFile(pack) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    files["evidence.jsonl"] = b"".join(edit(files["evidence.jsonl"].splitlines(keepends=True)))
    verdict = _changed(pack, _zip(list(files.items())))
    assert words in " ".join(f.message for f in verdict.findings)


def _zip(files: list[tuple[str, bytes]]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files:
            archive.writestr(name, data)
    return made.getvalue()


def _files(pack: Path) -> list[tuple[str, bytes]]:
    with zipfile.ZipFile(pack) as archive:
        return [(name, archive.read(name)) for name in archive.namelist()]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_files_missing_added_renamed_doubled_and_moved_are_told(pack: Path) -> None:
    files = _files(pack)
    for changed, kind, name in (
        ([each for each in files if each[0] != "models.json"], "missing", "models.json"),
        ([*files, ("extra.txt", b"x")], "added", "extra.txt"),
        ([("other.txt", d) if n == "models.json" else (n, d) for n, d in files], "renamed", "other.txt"),
        ([*files, ("models.json", b"{}")], "duplicated", "models.json"),
        ([files[1], files[0], *files[2:]], "reordered", None),
    ):
        verdict = _changed(pack, _zip(changed))
        assert (kind, name) in [(f.kind, f.file) for f in verdict.findings]
        assert verdict.exit_code == 3


def test_packed_again_with_the_same_contents_is_no_longer_what_was_made(pack: Path) -> None:
    verdict = _changed(pack, _zip(_files(pack)))
    assert {f.kind for f in verdict.findings} == {"layout"}


def test_bytes_before_behind_and_in_a_comment_are_found(pack: Path) -> None:
    data = pack.read_bytes()
    commented = data[:-2] + (5).to_bytes(2, "little") + b"hello"
    for changed in (data + b"\0", data + data, b"x" + data, commented, data + b"PK\5\6" + b"\0" * 18):
        assert _changed(pack, changed).exit_code == 3
    [found] = _changed(pack, data + b"tail").findings
    assert (found.kind, found.first_byte, found.last_byte) == ("layout", len(data), len(data) + 3)


def test_wherever_it_is_cut_off_it_is_no_good_pack(pack: Path) -> None:
    data = pack.read_bytes()
    for length in (4, 30, 600, len(data) // 2, len(data) - 200, len(data) - 22, len(data) - 1):
        assert _changed(pack, data[:length]).exit_code == 3


def test_a_pack_that_somebody_else_signed_is_told_by_its_key(pack: Path, tmp_path: Path) -> None:
    make(pack, key=OTHER, word="nobody copied")
    assert verify(str(pack)).good, "alone it cannot be told: that is what the fingerprint is for"
    fingerprint = _key_fields(KEY)["fingerprint"]
    [found] = verify(str(pack), fingerprint).findings
    assert found.kind == "key"
    make(pack)
    assert verify(str(pack), fingerprint).good
    assert verify(str(pack), f"sha256:{fingerprint.upper()}").good
    assert not verify(str(pack), fingerprint[:8]).good, "so short a beginning is soon found"


def test_a_manifest_written_anew_does_not_fit_its_signature(pack: Path) -> None:
    files = dict(_files(pack))
    manifest = json.loads(files["manifest.json"])
    manifest["made_at"] = "2020-01-01"
    files["manifest.json"] = json.dumps(manifest).encode()
    verdict = _changed(pack, _zip(list(files.items())))
    assert "signature" in {f.kind for f in verdict.findings}
    assert verdict.signature == "bad"


@pytest.mark.parametrize("data", [b"", b"no pack", b"\0" * 5000])
def test_what_is_no_pack_cannot_be_read(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    with pytest.raises(NoPack):
        verify(str(path))
    with pytest.raises(NoPack):
        verify(str(tmp_path / "nothing"))


def test_hostile_manifests_end_in_findings(pack: Path) -> None:
    files = dict(_files(pack))
    good = json.loads(files["manifest.json"])
    changes: tuple[dict[str, object], ...] = (
        {"files": None},
        {"files": [{}]},
        {"files": [{**good["files"][0], "packed": 10**18, "size": 10**18}]},
        {"files": [{**good["files"][0], "crc32": -1}]},
        {"files": [{**good["files"][0], "name": 7}]},
        {"key": {}},
        {"key": {"public_key": "zz", "fingerprint": ""}},
        {"version": 99},
        {"format": []},
    )
    for change in changes:
        files["manifest.json"] = json.dumps({**good, **change}).encode()
        assert _changed(pack, _zip(list(files.items()))).exit_code == 3
    for manifest in (b"[]", b"{", b"\xff", b"[" * 100_000):
        files["manifest.json"] = manifest
        assert _changed(pack, _zip(list(files.items()))).exit_code == 3


def test_it_runs_from_the_pack_with_python_alone(pack: Path, tmp_path: Path) -> None:
    script = tmp_path / "verify.py"
    shutil.copy(verifier.__file__, script)

    def run(*arguments: str) -> tuple[int, str]:
        # -I -S: no packages, so no cryptography.
        done = subprocess.run(
            [sys.executable, "-I", "-S", str(script), str(pack), *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout

    code, said = run()
    assert code == 4
    assert "signature was NOT checked" in said
    data = bytearray(pack.read_bytes())
    data[200] ^= 1
    pack.write_bytes(data)
    code, said = run("--json")
    assert code == 3
    [found] = json.loads(said)["findings"]
    assert (found["file"], found["kind"]) == ("report.pdf", "changed")
    assert found["first_byte"] <= 200 <= found["last_byte"]
