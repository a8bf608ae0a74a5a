"""Compound files (OLE): encrypted Office documents, and the text of old .doc, .xls and .ppt in runs.

Old formats keep text as UTF-16 or as single bytes in between binary records. Runs of such text are read, as
`strings` does; numbers that a sheet keeps in binary are not.
"""

from __future__ import annotations

import re
from typing import BinaryIO, Final

import olefile  # type: ignore[import-untyped]

from collectors.labels.budget import Budget, Unreadable

_STREAMS: Final = {
    "worddocument": "application/msword",
    "workbook": "application/vnd.ms-excel",
    "book": "application/vnd.ms-excel",
    "powerpoint document": "application/vnd.ms-powerpoint",
    "__properties_version1.0": "application/vnd.ms-outlook",
}
_ENCRYPTED: Final = frozenset(("encryptedpackage", "encryptioninfo", "encryptedsummary"))
_MOST_STREAM: Final = 16 << 20
_WIDE: Final = re.compile(
    rb"(?:[\x20-\x7e\t\r\n]\x00|[\x00-\xff][\x4e-\x9f]|[\x00-\x1f]\x30|[\x01-\xee]\xff){4,}", re.S
)
_NARROW: Final = re.compile(rb"[\x20-\x7e\t\r\n]{6,}")
_FIB_ENCRYPTED: Final = 0x0100
_FILEPASS: Final = b"\x2f\x00"


def read_compound(file: BinaryIO, budget: Budget) -> tuple[str, bool, list[str]]:
    """(MIME type, whether it is encrypted, texts). Raises Unreadable."""
    try:
        with olefile.OleFileIO(file) as ole:
            names = {"/".join(path).lower(): path for path in ole.listdir()[:1000]}
            if _ENCRYPTED & names.keys():
                return "application/encrypted-office", True, []
            kind = next(
                (mime for name, mime in _STREAMS.items() if name in names), "application/x-ole-storage"
            )
            texts: list[str] = []
            for name, path in names.items():
                data: bytes = ole.openstream(path).read(_MOST_STREAM)
                budget.unpacked(len(data))
                if _is_encrypted(name, data):
                    return kind, True, []
                if name.rpartition("/")[2] in _STREAMS or "__substg1.0_" in name:
                    texts += _runs(data)
            return kind, False, texts
    except (OSError, ValueError, IndexError, TypeError, KeyError, AttributeError, OverflowError) as error:
        # olefile was made for whole files: broken ones end in any of these.
        raise Unreadable("broken compound file") from error


def _is_encrypted(name: str, data: bytes) -> bool:
    if name == "worddocument":
        return bool(int.from_bytes(data[10:12], "little") & _FIB_ENCRYPTED)
    if name in {"workbook", "book"}:
        # Records: u16 type, u16 length. FILEPASS comes soon behind the first one.
        at = 0
        for _ in range(8):
            if data[at : at + 2] == _FILEPASS:
                return True
            at += 4 + int.from_bytes(data[at + 2 : at + 4], "little")
    return False


def _runs(data: bytes) -> list[str]:
    wide = "\n".join(run.decode("utf-16-le", "replace") for run in _WIDE.findall(data))
    narrow = "\n".join(run.decode("ascii") for run in _NARROW.findall(data))
    return [text.replace("\r", "\n") for text in (wide, narrow) if text]
