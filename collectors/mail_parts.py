"""A message read once, from its first byte to its last, in bounded memory: its headers, and of each
attachment name, type, size, hash and labels. Text that is no attachment is passed over; nothing of any part
is kept, but what labels are being made of (attachment_labelling.py).

Own code, because Python's email parser builds the whole message in memory. It still reads the headers.
"""

from __future__ import annotations

import binascii
import hashlib
import io
import re
from collections.abc import Callable, Generator, Iterator
from email.message import Message
from typing import IO, Final, Protocol

import msgspec

from collectors.file_labelling import LabelResult
from collectors.labels import FileLabels
from collectors.mail_header_block import HeaderBlock
from collectors.mail_headers import attachment_name, one_address, parse_headers, received, recipient_domains
from event_schema.ocsf_network import MAIL_FILES_MAX
from event_schema.printable import printable_name

HEADERS_MAX: Final = 512 << 10
"""Of those that are looked at: mail_header_block.py."""
_HEADERS_READ_MAX: Final = 4 << 20
PART_HEADERS_MAX: Final = 16 << 10
PARTS_MAX: Final = 1_000
DEPTH_MAX: Final = 32
_LINE_MAX: Final = 64 << 10
_BLOCK: Final = 64 << 10
_TURN_BYTES: Final = 256 << 10
_BASE64_PIECE: Final = 64 << 10
_NOT_BASE64: Final = bytes(
    set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")
)
_TYPE: Final = re.compile(r"[a-z0-9!#$&^_.+-]{1,80}/[a-z0-9!#$&^_.+-]{1,120}")
_PLAIN: Final = frozenset({"", "7bit", "8bit", "binary"})

HEADERS_CUT: Final = "headers that are too long were cut"
PARTS_LEFT: Final = "more than 1,000 parts: the others were not read"
TOO_DEEP: Final = "parts nested too deeply were not read"
CUT: Final = "larger than message_max_bytes: the rest was not read"
BROKEN: Final = "an attachment's encoding is broken"
NOT_READ: Final = "a part's headers could not be read"
MORE_FILES: Final = "more than 100 attachments"
ENCODING: Final = "an attachment's encoding is not known"


class MessageHead(msgspec.Struct, frozen=True):
    """What the headers say. domains: of To and Cc. queue_id, login, uid: by our own Postfix's line."""

    message_id: str | None
    queue_id: str | None
    login: str | None
    uid: int | None
    envelope_sender: str | None
    from_address: str | None
    domains: tuple[str, ...]
    is_cut: bool = False
    """Whether they are too long to be read to their end."""


class Attachment(msgspec.Struct, frozen=True):
    """size, sha256: of what was attached, decoded; None where not all of it could be read."""

    name: str
    mime_type: str
    size: int | None
    sha256: str | None
    labels: FileLabels | None = None


class Attachments(msgspec.Struct, frozen=True):
    found: tuple[Attachment, ...]
    gaps: tuple[str, ...]


class PartReader(Protocol):
    """Looks at an attachment's bytes while they pass, to label them."""

    @property
    def result(self) -> LabelResult | None: ...

    def update(self, piece: bytes) -> None: ...

    def finish(self, sha256: str) -> None:
        """All of it has passed."""

    def is_ready(self) -> bool:
        """Whether there is a result; waits a moment for it."""


MakePartReader = Callable[[], PartReader]


def read_head(file: IO[bytes]) -> MessageHead:
    """From where the file stands."""
    block = _message_headers(file)
    return msgspec.structs.replace(head_of(parse_headers(block.content())), is_cut=block.is_cut)


def head_of(headers: Message) -> MessageHead:
    queue_id, login, uid = received(headers)
    message_id = headers.get("message-id")
    return MessageHead(
        message_id=None if message_id is None else printable_name(" ".join(str(message_id).split()))[:512],
        queue_id=queue_id,
        login=login,
        uid=uid,
        envelope_sender=one_address(headers, "return-path"),
        from_address=one_address(headers, "from"),
        domains=recipient_domains(headers),
    )


def read_attachments(
    file: IO[bytes], bytes_max: int, label: MakePartReader | None = None
) -> Generator[None, None, Attachments]:
    """Reads from where the file stands, some at a time; yields in between, and while it waits for labels.
    Raises OSError."""
    walk = _Walk(label)
    left, since_turn = bytes_max, 0
    while True:
        piece = _next_piece(file, min(left, _BLOCK), in_lines=not walk.takes_blocks)
        if not piece:
            break
        left -= len(piece)
        is_clean = walk.takes_blocks and not piece.startswith(b"--") and b"\n--" not in piece
        for line in (piece,) if is_clean else io.BytesIO(piece):
            goes_on = walk.take(line)
            if walk.reader is not None:
                yield from _labelled(walk)
            if not goes_on:
                return walk.finish()
        since_turn += len(piece)
        if since_turn > _TURN_BYTES:
            since_turn = 0
            yield
    if left <= 0 and file.readline(1):
        walk.cut()
    walk.end_part()
    yield from _labelled(walk)
    return walk.finish()


def _labelled(walk: _Walk) -> Generator[None, None, None]:
    """Waits for the labels of the attachment that ended just now; the next one is read only then."""
    reader, walk.reader = walk.reader, None
    if reader is not None:
        while not reader.is_ready():
            yield
        if reader.result is not None:
            walk.add_labels(reader.result)


def _next_piece(file: IO[bytes], most: int, *, in_lines: bool) -> bytes:
    """A line, or some whole lines at once; a line over _LINE_MAX in pieces."""
    if most <= 0:
        return b""
    if in_lines:
        return file.readline(min(most, _LINE_MAX))
    piece = file.read(most)
    return piece if piece.endswith(b"\n") or not piece else piece + file.readline(_LINE_MAX)


class _Walk:
    """Where in the message we are. Either in a header block, in an attachment, or in something to pass
    over."""

    def __init__(self, label: MakePartReader | None) -> None:
        self._label = label
        self._boundaries: list[bytes] = []
        self._headers: HeaderBlock | None = HeaderBlock(HEADERS_MAX)
        self._open: _OpenAttachment | None = None
        self._at_start = True
        self._parts = 0
        self.reader: PartReader | None = None
        """Of the attachment found last, while its labels are not known."""
        self._found: list[Attachment] = []
        self._gaps: dict[str, None] = {}

    def take(self, line: bytes) -> bool:
        """Whether to go on. A line over _LINE_MAX comes in pieces; see also `takes_blocks`."""
        begins, self._at_start = self._at_start, line.endswith(b"\n")
        if begins and line.startswith(b"--") and self._boundaries and self._delimited(line.rstrip()):
            return self._parts <= PARTS_MAX
        if self._headers is not None:
            if begins and not line.rstrip(b"\r\n"):
                self._begin_part(self._headers.content())
            else:
                self._headers.add(line)
                if self._headers.is_cut:
                    self._gaps[HEADERS_CUT] = None
        elif self._open is not None:
            self._open.take(line)
        return self._parts <= PARTS_MAX

    @property
    def takes_blocks(self) -> bool:
        """Whether lines without a delimiter among them may be taken together."""
        return self._at_start and self._headers is None and (self._open is None or self._open.takes_blocks)

    def cut(self) -> None:
        self._gaps[CUT] = None
        if self._open is not None:
            self._open.is_cut = True

    def add_labels(self, result: LabelResult) -> None:
        self._found[-1] = msgspec.structs.replace(self._found[-1], labels=result.labels)
        if result.gap is not None:
            self._gaps[result.gap] = None

    def finish(self) -> Attachments:
        self.end_part()
        return Attachments(tuple(self._found), tuple(self._gaps))

    def _delimited(self, line: bytes) -> bool:
        for at in range(len(self._boundaries) - 1, -1, -1):
            delimiter = self._boundaries[at]
            if line == delimiter:
                self.end_part()
                del self._boundaries[at + 1 :]
                self._begin_headers()
                return True
            if line == delimiter + b"--":
                self.end_part()
                del self._boundaries[at:]
                return True
        return False

    def _begin_headers(self) -> None:
        self._headers = HeaderBlock(PART_HEADERS_MAX)
        self._parts += 1
        if self._parts > PARTS_MAX:
            self._gaps[PARTS_LEFT] = None
            self._headers = None

    def _begin_part(self, raw: bytes) -> None:
        self._headers = None
        try:
            headers = parse_headers(raw)
            kind = headers.get_content_type().lower()
            boundary = headers.get_boundary()
            name = attachment_name(headers)
            disposition = headers.get_content_disposition()
            encoding = str(headers.get("content-transfer-encoding", "")).strip().lower()
        except Exception:  # noqa: BLE001 - Python's parser fails in many ways on hostile headers; one part only
            self._gaps[NOT_READ] = None
            return
        if kind.startswith("multipart/") and boundary:
            if len(self._boundaries) >= DEPTH_MAX:
                self._gaps[TOO_DEEP] = None
            else:
                self._boundaries.append(b"--" + boundary.encode("utf-8", "surrogateescape").rstrip())
        elif kind in {"message/rfc822", "message/global"} and encoding in _PLAIN:
            # Its name is mostly its subject: what is attached to it counts, not itself.
            self._begin_headers()
        elif name is not None or disposition == "attachment" or not kind.startswith(("text/", "multipart/")):
            self._begin_attachment(kind, name, encoding)

    def _begin_attachment(self, kind: str, name: str | None, encoding: str) -> None:
        if len(self._found) >= MAIL_FILES_MAX:
            self._gaps[MORE_FILES] = None
            return
        kind = kind if _TYPE.fullmatch(kind) else "application/octet-stream"
        if name is None or kind.startswith("message/"):
            name = f"unnamed.{'eml' if kind.startswith('message/') else 'bin'}"
        self._open = _OpenAttachment(name, kind, encoding, None if self._label is None else self._label())

    def end_part(self) -> None:
        self._headers = None
        opened, self._open = self._open, None
        if opened is not None:
            self._found.append(opened.finish(self._gaps))
            self.reader = opened.reader


class _OpenAttachment:
    """Decodes, measures and hashes what passes."""

    def __init__(self, name: str, kind: str, encoding: str, reader: PartReader | None) -> None:
        self._name, self._kind, self.reader = name, kind, reader
        self._size, self._hash = 0, hashlib.sha256()
        self.is_cut = self._is_broken = False
        self._is_known = encoding in _PLAIN or encoding in {"base64", "quoted-printable"}
        self._decode = {"base64": self._base64, "quoted-printable": self._quoted}.get(encoding, self._plain)
        self._held: list[bytes] = []
        self._held_bytes = 0

    @property
    def takes_blocks(self) -> bool:
        return self._decode == self._base64

    def take(self, line: bytes) -> None:
        self._decode(line)

    def finish(self, gaps: dict[str, None]) -> Attachment:
        if self._decode == self._base64:
            self._flush_base64(is_end=True)
        elif self._held:
            # The line break before a delimiter belongs to the delimiter.
            self._add_text(self._held.pop().rstrip(b"\r\n"))
        if self._is_broken:
            gaps[BROKEN] = None
        if not self._is_known:
            gaps[ENCODING] = None
        if not self._is_known or self.is_cut:
            self.reader = None
            return Attachment(self._name, self._kind, None, None)
        sha256 = self._hash.hexdigest()
        if self.reader is not None:
            self.reader.finish(sha256)
        return Attachment(self._name, self._kind, self._size, sha256)

    def _add(self, piece: bytes) -> None:
        self._size += len(piece)
        self._hash.update(piece)
        if self.reader is not None:
            self.reader.update(piece)

    def _plain(self, line: bytes) -> None:
        if self._held:
            self._add(self._held.pop())
        self._held.append(line)

    def _quoted(self, line: bytes) -> None:
        if self._held:
            line_before = self._held.pop()
            if not line_before.endswith(b"\n"):
                # A line that came in pieces must not be cut inside an escape.
                cut = line_before.rfind(b"=", -2)
                if cut >= 0:
                    line_before, line = line_before[:cut], line_before[cut:] + line
            self._add(binascii.a2b_qp(line_before))
        self._held.append(line)

    def _add_text(self, line: bytes) -> None:
        self._add(binascii.a2b_qp(line) if self._decode == self._quoted else line)

    def _base64(self, line: bytes) -> None:
        self._held.append(line)
        self._held_bytes += len(line)
        if self._held_bytes >= _BASE64_PIECE:
            self._flush_base64(is_end=False)

    def _flush_base64(self, *, is_end: bool) -> None:
        text = b"".join(self._held).translate(None, _NOT_BASE64)
        rest = b""
        for segment, is_last in _segments(text):
            whole = segment if is_end or not is_last else segment[: len(segment) // 4 * 4]
            if is_last:
                rest = segment[len(whole) :]
            if len(whole) % 4 == 1:
                whole, self._is_broken = whole[:-1], True
            self._add(binascii.a2b_base64(whole + b"=" * (-len(whole) % 4)))
        self._held, self._held_bytes = [rest] if rest else [], len(rest)


def _segments(text: bytes) -> Iterator[tuple[bytes, bool]]:
    """What stands between paddings: several attachments' worth may be strung together."""
    parts = text.split(b"=")
    for at, part in enumerate(parts):
        yield part, at == len(parts) - 1


def _message_headers(file: IO[bytes]) -> HeaderBlock:
    block, size, begins = HeaderBlock(HEADERS_MAX), 0, True
    while (line := file.readline(_LINE_MAX)) and size < _HEADERS_READ_MAX:
        if begins and not line.rstrip(b"\r\n"):
            break
        begins = line.endswith(b"\n")
        block.add(line)
        size += len(line)
    return block
