"""One file, looked at from its first byte down to the archives within its archives.

Pure but for the stream it is given, the clock in the budget, and the libraries it asks. To be run where a
crash, a hang or too much memory does no harm: child.py is that place.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import BinaryIO, Final

import msgspec

from collectors.labels import office_xml, pdf, unpacking
from collectors.labels.budget import Budget, OutOfBudget, Unreadable
from collectors.labels.compound_file import read_compound
from collectors.labels.file_kind import (
    CONTAINERS,
    HEAD_BYTES,
    MIME_TYPES,
    kind_of,
    looks_random,
    mime_type_of,
)
from collectors.labels.file_labels import FileLabels
from collectors.labels.findings import Findings
from collectors.labels.keyword_lists import KeywordLists
from collectors.labels.plain_text import overlapping, pieces
from collectors.labels.settings import LabelSettings
from collectors.labels.source_code import language_of
from collectors.labels.streams import Counted
from collectors.labels.text_encoding import encoding_of
from event_schema.ocsf_labels import ClassificationStatus

_BEGINNING_CHARACTERS: Final = 8_000
_SAMPLES: Final = 3
_OFFICE_TYPES: Final = (
    ("word/", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("xl/", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("ppt/", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
)
_COMPRESSED: Final = frozenset(("gz", "bz2", "xz", "zst"))


class _Seen(msgspec.Struct):
    """What became of one file or member."""

    mime_type: str
    is_encrypted: bool | None = False


def label_stream(
    file: BinaryIO,
    settings: LabelSettings,
    keywords: KeywordLists,
    rest: Callable[[float], None] | None = None,
) -> FileLabels:
    """The labels of a seekable file. OSError where it cannot be read."""
    look = _Look(settings, keywords, Budget(settings, rest=rest))
    seen: _Seen | None = None
    try:
        head = file.read(HEAD_BYTES)
        file.seek(0)
        if not head:
            return FileLabels(status=ClassificationStatus.COMPLETE, mime_type="inode/x-empty")
        seen = _Seen(look.name(head), None)
        seen = look.file(head, file)
    except OutOfBudget as error:
        look.gaps.append(f"limit {error}")
    except Unreadable as error:
        look.gaps.append(str(error))
    except MemoryError:
        look.gaps.append("limit memory_bytes_max")
    except RecursionError:
        look.gaps.append("nested too deep")
    found = look.findings.counts()
    failed = not found and look.read_nothing and bool(look.gaps)
    return FileLabels(
        status=ClassificationStatus.FAIL
        if failed
        else ClassificationStatus.PARTIAL
        if look.gaps
        else ClassificationStatus.COMPLETE,
        mime_type=None if seen is None else seen.mime_type,
        is_encrypted=None if seen is None else seen.is_encrypted,
        counts=found,
        list_counts=look.findings.list_counts(),
        gap="; ".join(dict.fromkeys(look.gaps))[:200] or None,
    )


class _Look:
    def __init__(self, settings: LabelSettings, keywords: KeywordLists, budget: Budget) -> None:
        self._settings, self._budget = settings, budget
        self.findings = Findings(keywords)
        self.gaps: list[str] = []
        self.read_nothing = True

    def name(self, head: bytes) -> str:
        """The MIME type as far as the first bytes tell."""
        kind = kind_of(head)
        if kind is not None:
            return MIME_TYPES[kind]
        return "text/plain" if encoding_of(head) else mime_type_of(head)

    def file(self, head: bytes, file: BinaryIO, depth: int = 0) -> _Seen:
        """A seekable file. Raises OutOfBudget, Unreadable."""
        kind = kind_of(head)
        if kind in CONTAINERS:
            return self._container(str(kind))
        if kind in unpacking.LIBARCHIVE_KINDS:
            members = unpacking.other_members(str(kind), file)
            return _Seen(MIME_TYPES[str(kind)], self._members(members, depth))
        if kind == "zip":
            return self._zip(file, depth)
        if kind == "pdf":
            return self._pdf(file)
        if kind == "cfb":
            return self._compound(file)
        return self._as_stream(kind, head, file, depth)

    def _as_stream(self, kind: str | None, head: bytes, stream: BinaryIO | Counted, depth: int) -> _Seen:
        """What needs no seeking."""
        if kind == "tar":
            return _Seen(MIME_TYPES["tar"], self._members(unpacking.tar_members(stream), depth))
        if kind in _COMPRESSED:
            return _Seen(MIME_TYPES[str(kind)], self._compressed(str(kind), stream, depth))
        return self._plain(head, stream)

    def _stream(self, stream: Counted, depth: int) -> _Seen:
        """A member: read whole only where its kind needs it."""
        kind = kind_of(stream.head)
        if kind is not None and kind not in CONTAINERS and depth > self._settings.depth_max:
            raise OutOfBudget("depth_max")
        if kind is None or kind == "tar" or kind in _COMPRESSED:
            return self._as_stream(kind, stream.head, stream, depth)
        if kind in CONTAINERS:
            return self._container(kind)
        return self.file(stream.head, stream.whole(), depth)

    def _container(self, kind: str) -> _Seen:
        self.read_nothing = False
        self.findings.add("encrypted_container")
        return _Seen(MIME_TYPES[kind], True)

    def _compressed(self, kind: str, stream: BinaryIO | Counted, depth: int) -> bool | None:
        try:
            inside = Counted(unpacking.unpacked_stream(kind, stream), self._budget, HEAD_BYTES)
            self.read_nothing = False
            return self._stream(inside, depth + 1).is_encrypted
        except Exception as error:
            if not unpacking.broken(error):
                raise
            raise Unreadable(f"broken {kind}") from error

    def _members(self, members: Iterable[unpacking.Member], depth: int) -> bool:
        """Whether any is encrypted. What cannot be read of one member does not hide the others."""
        encrypted = False
        try:
            for member in members:
                self._budget.member()
                if member.is_encrypted:
                    encrypted = True
                    continue
                try:
                    self._member(member, depth)
                except Unreadable as error:
                    self.gaps.append(str(error))
        except Exception as error:
            if not unpacking.broken(error):
                raise
            self.gaps.append("broken archive")
        finally:
            if encrypted:
                self.read_nothing = False
                self.findings.add("encrypted_archive")
        return encrypted

    def _member(self, member: unpacking.Member, depth: int) -> None:
        try:
            stream = Counted(member.open(), self._budget, HEAD_BYTES)
            self.read_nothing = False
            if stream.head:
                self._stream(stream, depth + 1)
        except Exception as error:
            if not unpacking.broken(error):
                raise
            raise Unreadable("a broken member of an archive") from error

    def _zip(self, file: BinaryIO, depth: int) -> _Seen:
        try:
            members = list(itertools.islice(unpacking.zip_members(file), self._settings.members_max + 1))
        except Exception as error:
            if not unpacking.broken(error):
                raise
            raise Unreadable("broken zip") from error
        names = [member.name for member in members]
        mime_type = _office_type(names)
        if mime_type is None:
            return _Seen("application/zip", self._members(self._reopened(file), depth))
        office = unpacking.zip_members(file)
        others = self._members(self._without_parts(office), depth)
        return _Seen(mime_type, others)

    def _reopened(self, file: BinaryIO) -> Iterable[unpacking.Member]:
        file.seek(0)
        return unpacking.zip_members(file)

    def _without_parts(self, members: Iterable[unpacking.Member]) -> Iterable[unpacking.Member]:
        """Reads the parts that hold text; hands on what is embedded; the rest is form."""
        for member in members:
            is_text, is_margin = office_xml.is_text_part(member.name), office_xml.is_margin_part(member.name)
            if member.is_encrypted or office_xml.EMBEDDED.match(member.name):
                yield member
            elif is_text or is_margin:
                self._budget.member()
                try:
                    self._part(member, is_margin=is_margin)
                except Unreadable as error:
                    self.gaps.append(str(error))

    def _part(self, member: unpacking.Member, *, is_margin: bool) -> None:
        is_first = True

        def give(text: str) -> None:
            nonlocal is_first
            self.read_nothing = False
            if is_margin or is_first:
                self.findings.beginning(text[:_BEGINNING_CHARACTERS], is_margin=is_margin)
            is_first = False
            self.findings.text(text)
            self._budget.check()

        try:
            office_xml.read_part(Counted(member.open(), self._budget, 0), give)
        except Exception as error:
            if not unpacking.broken(error):
                raise
            raise Unreadable("a broken part of a document") from error

    def _pdf(self, file: BinaryIO) -> _Seen:
        try:
            document, is_encrypted = pdf.open_pdf(file)
        except pdf.Encrypted:
            self.read_nothing = False
            self.findings.add("encrypted_document")
            return _Seen(MIME_TYPES["pdf"], True)
        try:
            for text, new in overlapping(pdf.page_texts(document, self._settings.pages_max)):
                self.read_nothing = False
                self.findings.beginning(new[:_BEGINNING_CHARACTERS])
                self.findings.text(text, new=new)
                self._budget.unpacked(len(new))
            if len(document) > self._settings.pages_max:
                raise OutOfBudget("pages_max")
        finally:
            document.close()
        return _Seen(MIME_TYPES["pdf"], is_encrypted)

    def _compound(self, file: BinaryIO) -> _Seen:
        mime_type, is_encrypted, texts = read_compound(file, self._budget)
        self.read_nothing = False
        if is_encrypted:
            self.findings.add("encrypted_document")
        for text in texts:
            self.findings.beginning(text[:_BEGINNING_CHARACTERS])
            self.findings.text(text)
            self._budget.check()
        return _Seen(mime_type, is_encrypted)

    def _plain(self, head: bytes, file: BinaryIO | Counted) -> _Seen:
        encoding = encoding_of(head)
        self.read_nothing = False
        if encoding is None:
            mime_type = mime_type_of(head)
            if mime_type == "application/octet-stream" and self._is_random(head, file):
                self.findings.add("possibly_encrypted")
                return _Seen(mime_type, None)
            return _Seen(mime_type)
        mime_type = "text/plain"
        is_first = True
        for text, new in overlapping(pieces(file, encoding)):
            if is_first:
                is_first = False
                language = language_of(new)
                if language is None:
                    self.findings.beginning(new[:_BEGINNING_CHARACTERS])
                else:
                    mime_type = f"text/x-{language}"
                    self.findings.add("source_code")
                    self.findings.add(f"source_code.{language}")
            self.findings.text(text, new=new)
            self._budget.check()
        return _Seen(mime_type)

    def _is_random(self, head: bytes, file: BinaryIO | Counted) -> bool:
        samples = [head]
        if file.seekable():
            size = file.seek(0, 2)
            for part in range(1, _SAMPLES):
                file.seek(max(0, size * part // _SAMPLES - HEAD_BYTES))
                samples.append(file.read(HEAD_BYTES))
        return all(looks_random(sample) for sample in samples)


def _office_type(names: list[str]) -> str | None:
    if "content.xml" in names and "mimetype" in names:
        return "application/vnd.oasis.opendocument"
    if "[Content_Types].xml" not in names:
        return None
    return next((mime for folder, mime in _OFFICE_TYPES if any(n.startswith(folder) for n in names)), None)
