r"""Checks an evidence pack: python3 verify.py PACK [--key FINGERPRINT] [--json]

A copy of this file lies in every pack. It needs Python 3.9 or later and nothing else; where the package
`cryptography` is there, it checks signatures too, and says so where it is not.

A pack is a ZIP archive of which every byte is known: manifest.json lists all files in their order with size
and SHA-256, and the archive's own headers follow from that; manifest.sig is an Ed25519 signature over
"leaver-evidence-pack-1\n" and the SHA-256 (hex) of manifest.json. So any byte that was changed shows.
NAME.jsonl.lines holds the first 8 bytes of each line's SHA-256, which tells which line it was.

The signature proves who made the pack only as far as the key is known: compare its fingerprint with what the
installation shows, or give it as --key.

Exit codes: 0 as it was made; 3 changed; 1 no pack that can be read; 4 nothing changed, but signatures could
not be checked here.
"""

from __future__ import annotations

import argparse
import base64
import dataclasses
import hashlib
import json
import mmap
import struct
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    CAN_CHECK_SIGNATURES = True
except ImportError:
    CAN_CHECK_SIGNATURES = False

FORMAT = "leaver-evidence-pack"
VERSION = 1
MANIFEST, SIGNATURE, RECORDS = "manifest.json", "manifest.sig", "blocks/records.jsonl"
STORED, DEFLATED = 0, 8
PIECE_BYTES = 16384
LINE_DIGEST_BYTES = 8
MANIFEST_BYTES_MAX = 64 << 20
FINDINGS_MAX = 100
_COPIES_MAX = 8
_CHUNK = 1 << 20
_LOCAL, _CENTRAL, _END = b"PK\3\4", b"PK\1\2", b"PK\5\6"


@dataclasses.dataclass(frozen=True)
class Entry:
    """A file of the archive; `offset`: where its header begins, `begin_at`: what is in it, where it is not
    right behind a header without anything more."""

    name: str
    method: int
    crc: int
    packed: int
    size: int
    offset: int
    begin_at: int = -1

    @property
    def begin(self) -> int:
        return self.begin_at if self.begin_at >= 0 else self.offset + 30 + len(self.name.encode())

    @property
    def end(self) -> int:
        return self.begin + self.packed


@dataclasses.dataclass(frozen=True)
class Finding:
    """`kind`: changed, missing, added, renamed, duplicated, reordered, layout, signature, key, record. Bytes
    count from 0, `last_byte` included; lines from 1."""

    kind: str
    message: str
    file: str | None = None
    line: int | None = None
    first_byte: int | None = None
    last_byte: int | None = None


@dataclasses.dataclass
class Verdict:
    """What checking a pack gave. `signature`: good, bad or unchecked."""

    findings: list[Finding] = dataclasses.field(default_factory=list)
    signature: str = "bad"
    key: str | None = None
    manifest: dict[str, Any] = dataclasses.field(default_factory=dict)
    manifest_sha256: str | None = None
    files: int = 0
    bytes: int = 0
    records: int = 0

    @property
    def good(self) -> bool:
        return not self.findings and self.signature == "good"

    @property
    def exit_code(self) -> int:
        if self.findings:
            return 3
        return 0 if self.signature == "good" else 4

    def find(self, kind: str, message: str, **where: Any) -> None:
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(Finding(kind, message, **where))


class NoPack(Exception):
    """The file cannot be read, or is no evidence pack."""


def local_header(entry: Entry) -> bytes:
    name = entry.name.encode()
    fields = (20, 0, entry.method, 0, 33, entry.crc, entry.packed, entry.size, len(name), 0)
    return struct.pack("<4s5H3L2H", _LOCAL, *fields) + name


def central_header(entry: Entry) -> bytes:
    name = entry.name.encode()
    fields = (788, 20, 0, entry.method, 0, 33, entry.crc, entry.packed, entry.size, len(name))
    return struct.pack("<4s6H3L5H2L", _CENTRAL, *fields, 0, 0, 0, 0, 0o100644 << 16, entry.offset) + name


def end_record(entries: list[Entry], offset: int) -> bytes:
    size = sum(46 + len(entry.name.encode()) for entry in entries)
    return struct.pack("<4s4H2LH", _END, 0, 0, len(entries), len(entries), size, offset, 0)


def signed_bytes(manifest: bytes) -> bytes:
    return b"leaver-evidence-pack-1\n" + hashlib.sha256(manifest).hexdigest().encode()


def contents_digest(files: list[dict[str, Any]]) -> str:
    """Of all files but the report, which shows it."""
    listed = (f"{each['sha256']}  {each['name']}\n" for each in files if each["name"] != "report.pdf")
    return hashlib.sha256("".join(listed).encode()).hexdigest()


def verify(path: str, key: str | None = None) -> Verdict:
    """`key`: the fingerprint that is expected, or its beginning of 16 digits and more. Raises NoPack."""
    try:
        with Path(path).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _verify(data, key)
    except (OSError, ValueError) as error:
        raise NoPack(f"{path}: {error}") from error


def _verify(data: mmap.mmap, key: str | None) -> Verdict:
    verdict = Verdict(bytes=len(data))
    listed = _central_entries(data)
    manifest, signature = _signed_manifest(data, listed)
    if manifest is None:
        if data[:4] != _LOCAL:
            raise NoPack("this is no evidence pack")
        verdict.find("missing", "manifest.json is not there, or is cut off", file=MANIFEST)
        return verdict
    verdict.manifest_sha256 = hashlib.sha256(manifest).hexdigest()
    try:
        verdict.manifest = _read_manifest(manifest)
        _check_key(verdict, manifest, signature, key)
        _check_contents(verdict, data, listed, manifest)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, struct.error) as error:
        verdict.find("changed", f"manifest.json says what no pack can be: {error}", file=MANIFEST)
    return verdict


def _check_contents(verdict: Verdict, data: mmap.mmap, listed: list[Entry] | None, manifest: bytes) -> None:
    """Raises much where the manifest is nonsense."""
    entries = _expected(verdict.manifest, manifest)
    verdict.files = len(entries)
    files = {each["name"]: each for each in verdict.manifest["files"]}
    if verdict.manifest["contents_sha256"] != contents_digest(verdict.manifest["files"]):
        verdict.find("changed", "the digest of all contents does not fit the files listed", file=MANIFEST)
    _check_names(verdict, entries, listed)
    places = _check_layout(verdict, data, entries, listed)
    digests = {name: _lines_of(data, places.get(name + ".lines"), files) for name in files}
    for name, told in files.items():
        if name in places:
            _check_file(verdict, data, places[name], told, digests[name])
    if RECORDS in places and not verdict.findings and CAN_CHECK_SIGNATURES:
        _check_records(verdict, data, places[RECORDS], places.get("blocks/keys.json"))


def _read_manifest(manifest: bytes) -> dict[str, Any]:
    read = json.loads(manifest)
    if read["format"] != FORMAT:
        raise ValueError(f"its format is {read['format']!r}")
    if read["version"] != VERSION:
        raise ValueError(f"its version is {read['version']!r}, and this verifier knows {VERSION}")
    return dict(read)


def _expected(read: dict[str, Any], manifest: bytes) -> list[Entry]:
    """All entries, where they must lie."""
    entries: list[Entry] = []
    offset = 0
    for each in read["files"]:
        method = {"stored": STORED, "deflated": DEFLATED}[each["method"]]
        entries.append(Entry(each["name"], method, each["crc32"], each["packed"], each["size"], offset))
        offset = entries[-1].end
    entries.append(Entry(MANIFEST, STORED, zlib.crc32(manifest), len(manifest), len(manifest), offset))
    return entries


def _check_key(verdict: Verdict, manifest: bytes, signature: bytes, key: str | None) -> None:
    public = bytes.fromhex(verdict.manifest["key"]["public_key"])
    verdict.key = hashlib.sha256(public).hexdigest()
    if verdict.manifest["key"]["fingerprint"] != verdict.key:
        verdict.find("key", "the manifest's fingerprint is not that of its key", file=MANIFEST)
    if key is not None and not (
        len(key) >= 16 and verdict.key.startswith(key.lower().removeprefix("sha256:"))
    ):
        verdict.find("key", f"made with the key {verdict.key}, not {key}", file=MANIFEST)
    if not CAN_CHECK_SIGNATURES:
        verdict.signature = "unchecked"
    elif _is_signed(public, signature, signed_bytes(manifest)):
        verdict.signature = "good"
    else:
        verdict.find("signature", "manifest.json or manifest.sig is not what was signed", file=MANIFEST)


def _is_signed(public: bytes, signature: bytes, signed: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, signed)
    except (InvalidSignature, ValueError):
        return False
    return True


def _signed_manifest(data: mmap.mmap, listed: list[Entry] | None) -> tuple[bytes | None, bytes]:
    """(manifest, signature), where headers lie about them too."""
    found = {name: list(_copies(data, name, listed)) for name in (MANIFEST, SIGNATURE)}
    signatures = found[SIGNATURE] or [b""]
    for manifest in found[MANIFEST] if CAN_CHECK_SIGNATURES else ():
        for signature in signatures:
            try:
                public = bytes.fromhex(json.loads(manifest)["key"]["public_key"])
            except (ValueError, KeyError, TypeError, RecursionError):
                continue
            if _is_signed(public, signature, signed_bytes(manifest)):
                return manifest, signature
    return (found[MANIFEST][0] if found[MANIFEST] else None), signatures[0]


def _copies(data: mmap.mmap, name: str, listed: list[Entry] | None) -> Iterator[bytes]:
    """What may be this file: as the directory lists it, then as a header in the archive says."""
    for entry in listed or ():
        if entry.name == name and entry.size <= MANIFEST_BYTES_MAX and entry.end <= len(data):
            yield b"".join(_unpacked(data, entry))
    at, tried = data.rfind(name.encode()), 0
    while at >= 30 and tried < _COPIES_MAX:
        if data[at - 30 : at - 26] == _LOCAL:
            tried += 1
            (size,) = struct.unpack("<L", data[at - 12 : at - 8])
            if size <= MANIFEST_BYTES_MAX:
                yield data[at + len(name) : at + len(name) + size]
        at = data.rfind(name.encode(), 0, at)


def _central_entries(data: mmap.mmap) -> list[Entry] | None:
    """As the archive's own directory lists them; None: it cannot be read."""
    end = data.rfind(_END, max(0, len(data) - 65557))
    if end < 0 or end + 22 > len(data):
        return None
    count, _size, at = struct.unpack("<HLL", data[end + 10 : end + 20])
    entries: list[Entry] = []
    for _ in range(count):
        if data[at : at + 4] != _CENTRAL or at + 46 > len(data):
            return None
        method, crc, packed, size, name, extra, comment, offset = struct.unpack(
            "<10xH4x3L3H8xL", data[at : at + 46]
        )
        text = data[at + 46 : at + 46 + name].decode("utf-8", "replace")
        begin = -1
        if data[offset : offset + 4] == _LOCAL and offset + 30 <= len(data):
            begin = offset + 30 + sum(struct.unpack("<2H", data[offset + 26 : offset + 30]))
        entries.append(Entry(text, method, crc, packed, size, offset, begin))
        at += 46 + name + extra + comment
    return entries


def _check_names(verdict: Verdict, entries: list[Entry], listed: list[Entry] | None) -> None:
    if listed is None:
        return
    due = [*(entry.name for entry in entries), SIGNATURE]
    found = [entry.name for entry in listed]
    for name in sorted({name for name in found if found.count(name) > 1}):
        verdict.find("duplicated", f"{name} is there {found.count(name)} times", file=name)
    gone = [name for name in due if name not in found]
    more = [name for name in found if name not in due]
    for name in gone:
        verdict.find("missing", f"{name} is missing", file=name)
    for name in more:
        known = "renamed" if len(found) == len(due) and len(gone) == len(more) else "added"
        verdict.find(known, f"{name} was not in the pack", file=name)
    if not gone and not more and len(found) == len(due) and found != due:
        verdict.find("reordered", "the files are not in their order")


def _check_layout(
    verdict: Verdict, data: mmap.mmap, entries: list[Entry], listed: list[Entry] | None
) -> dict[str, Entry]:
    """Compares all that is not content. Where each file lies: where it must, or where the directory says."""
    signature = Entry(SIGNATURE, STORED, 0, 64, 64, entries[-1].end)
    content = zlib.crc32(data[signature.begin : signature.end])
    every = [*entries, dataclasses.replace(signature, crc=content)]
    start = every[-1].end
    due = [(f"the header of {entry.name}", entry.offset, local_header(entry)) for entry in every]
    at = start
    for entry in every:
        due.append((f"the directory's line on {entry.name}", at, central_header(entry)))
        at += len(due[-1][2])
    due.append(("the archive's end", at, end_record(every, start)))
    whole = at + 22
    wrong = [each for each in due if data[each[1] : each[1] + len(each[2])] != each[2]]
    for what, first, expected in wrong[:3]:
        place = first + _first_difference(data[first : first + len(expected)], expected)
        verdict.find(
            "layout", f"{what} is not as it was made: byte {place}", first_byte=place, last_byte=place
        )
    if len(data) > whole:
        text = f"{len(data) - whole} bytes follow the end of the archive, from byte {whole}"
        verdict.find("layout", text, first_byte=whole, last_byte=len(data) - 1)
    elif len(data) < whole:
        verdict.find("layout", f"the archive is {len(data)} bytes long, not {whole}: something is gone")
    moved = sum(what.startswith("the header") for what, _, _ in wrong)
    if moved > 1 and listed is not None:
        return {entry.name: entry for entry in reversed(listed) if entry.end <= len(data)}
    return {entry.name: entry for entry in every}


def _first_difference(one: bytes, other: bytes) -> int:
    least = min(len(one), len(other))
    return next((index for index in range(least) if one[index] != other[index]), least)


def _check_file(
    verdict: Verdict, data: mmap.mmap, place: Entry, told: dict[str, Any], digests: bytes | None
) -> None:
    name = told["name"]
    if place.end > len(data):
        verdict.find("changed", f"{name} is cut off", file=name)
        return
    if _digest(data, place.begin, place.end) == told["packed_sha256"]:
        if _unpacked_digest(data, place) != (told["size"], told["sha256"]):
            verdict.find("changed", f"{name} does not hold what the manifest says", file=name)
        return
    if (place.packed, place.method) != (told["packed"], {"stored": 0, "deflated": 8}[told["method"]]):
        if _unpacked_digest(data, place) == (told["size"], told["sha256"]):
            return  # Packed again, the same in it: the layout is found to be another one.
        where: dict[str, Any] = {}
    else:
        where = _piece(data, place, told["pieces"])
    line, words = _first_line(data, place, digests)
    region = f", bytes {where['first_byte']} to {where['last_byte']} of the archive" if where else ""
    verdict.find("changed", f"{name} was changed{words}{region}", file=name, line=line, **where)


def _digest(data: mmap.mmap, first: int, end: int) -> str:
    digest = hashlib.sha256()
    for at in range(first, end, _CHUNK):
        digest.update(data[at : min(end, at + _CHUNK)])
    return digest.hexdigest()


def _unpacked(data: mmap.mmap, place: Entry) -> Iterator[bytes]:
    """What is in it, as far as it can be read, and never more than it says."""
    left = place.size + 1
    stream = zlib.decompressobj(-15)
    for at in range(place.begin, place.end, 65536):
        packed = data[at : min(place.end, at + 65536)]
        while packed and left > 0:
            part = packed
            if place.method == DEFLATED:
                try:
                    part = stream.decompress(packed, min(left, _CHUNK))
                except zlib.error:
                    return
                packed = stream.unconsumed_tail
            else:
                packed = b""
            left -= len(part)
            yield part


def _unpacked_digest(data: mmap.mmap, place: Entry) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    for part in _unpacked(data, place):
        digest.update(part)
        size += len(part)
    return size, digest.hexdigest()


def _piece(data: mmap.mmap, place: Entry, pieces: list[str]) -> dict[str, int]:
    """The bytes of the archive from the first piece that differs to the last one. The manifest has the first
    digits of each piece's digest."""
    wrong = [
        index
        for index, due in enumerate(pieces)
        if not _digest(data, *_bounds(place, index, index)).startswith(due)
    ]
    if not wrong:
        return {}
    first, end = _bounds(place, wrong[0], wrong[-1])
    return {"first_byte": first, "last_byte": end - 1}


def _bounds(place: Entry, first: int, last: int) -> tuple[int, int]:
    return place.begin + first * PIECE_BYTES, min(place.end, place.begin + (last + 1) * PIECE_BYTES)


def _lines_of(data: mmap.mmap, place: Entry | None, files: dict[str, Any]) -> bytes | None:
    """The digests of a file's lines, where they are as they were."""
    if place is None or place.name not in files or place.end > len(data):
        return None
    read = b"".join(_unpacked(data, place))
    return read if hashlib.sha256(read).hexdigest() == files[place.name]["sha256"] else None


def _first_line(data: mmap.mmap, place: Entry, digests: bytes | None) -> tuple[int | None, str]:
    """(number of the first line that is not as it was, words on it)."""
    if digests is None:
        return None, ""
    step = LINE_DIGEST_BYTES
    due = [digests[at : at + step] for at in range(0, len(digests), step)]
    found = [hashlib.sha256(line).digest()[:step] for line in _lines(_unpacked(data, place))]
    same = 0
    while same < min(len(due), len(found)) and due[same] == found[same]:
        same += 1
    after = 0
    while after < min(len(due), len(found)) - same and due[-1 - after] == found[-1 - after]:
        after += 1
    gone, put = len(due) - same - after, len(found) - same - after
    line = same + 1
    if not gone and not put:
        return None, ""
    if not gone:
        return line, f": {put} lines were put in before line {line}"
    if not put:
        return line, f": from line {line} on {gone} lines are missing"
    return line, f": line {line}" if gone == put == 1 else f": lines {line} to {line + gone - 1}"


def _lines(parts: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for part in parts:
        *whole, rest = (rest + part).split(b"\n")
        yield from whole
    if rest:
        yield rest


def _check_records(verdict: Verdict, data: mmap.mmap, place: Entry, keys_place: Entry | None) -> None:
    """Every record against its agent's keys: as it came, or as it was before something was erased from it."""
    keys = json.loads(b"".join(_unpacked(data, keys_place))) if keys_place is not None else {}
    for number, line in enumerate(_lines(_unpacked(data, place)), start=1):
        record = json.loads(line)
        value = base64.b64decode(record["value"])
        now = hashlib.sha256(value).hexdigest()
        seal = record.get("seal")
        head = [record["agent"], "events", record["epoch"], str(record["first_seq"]), str(record["count"])]
        signed = "\n".join(["leaver-record-1", *head, seal["original_digest"] if seal else now]).encode()
        signature = base64.b64decode(record["signature"])
        good = any(
            _is_signed(bytes.fromhex(each), signature, signed) for each in keys["agents"][record["agent"]]
        )
        if seal:
            of = [
                head[0],
                *head[2:],
                seal["original_digest"],
                now,
                str(seal["erased"]),
                str(seal["sealed_at"]),
            ]
            sealed = "\n".join(["leaver-seal-1", *of]).encode()
            public = bytes.fromhex(keys["seals"].get(seal["key_id"], ""))
            good = good and _is_signed(public, base64.b64decode(seal["seal"]), sealed)
        verdict.records += 1
        if not good:
            text = f"record {number} of {RECORDS} was not signed by its agent"
            verdict.find("record", text, file=RECORDS, line=number)


def as_json(verdict: Verdict) -> dict[str, Any]:
    """For programs."""
    told = {name: verdict.manifest.get(name) for name in ("case", "alerts", "made_at", "made_by", "names")}
    return {
        "good": verdict.good,
        "signature": verdict.signature,
        "key": verdict.key,
        **told,
        "files": verdict.files,
        "bytes": verdict.bytes,
        "records": verdict.records,
        "manifest_sha256": verdict.manifest_sha256,
        "findings": [dataclasses.asdict(each) for each in verdict.findings],
    }


def as_text(verdict: Verdict, given: bool = False) -> str:
    """For people. `given`: whether the key was held against one that the caller named."""
    lines = [f"{each.kind:<11} {each.message}" for each in verdict.findings]
    if verdict.findings:
        lines.append("This pack is NOT as it was made.")
    elif verdict.signature == "good":
        lines.append(f"This pack is as it was made: {verdict.files} files, {verdict.bytes} bytes.")
        if verdict.records:
            lines.append(f"All {verdict.records} records of agents are signed by them.")
    else:
        lines.append("All hashes hold. The signature was NOT checked: install the package cryptography.")
    if verdict.key:
        lines.append(f"key         sha256:{verdict.key}")
        lines.append(
            "            the one that was asked for"
            if given and not verdict.findings
            else "            nobody's yet: compare it with what the installation shows, leaver evidence key"
        )
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Checks an evidence pack.")
    parser.add_argument("pack")
    parser.add_argument("--key", help="the fingerprint of the key that must have signed it")
    parser.add_argument("--json", action="store_true", help="for programs")
    given = parser.parse_args(arguments)
    try:
        verdict = verify(given.pack, given.key)
    except NoPack as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(
        json.dumps(as_json(verdict), indent=2) + "\n" if given.json else as_text(verdict, bool(given.key))
    )
    return verdict.exit_code


if __name__ == "__main__":
    sys.exit(main())
