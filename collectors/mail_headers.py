"""Headers of mails as far as Leaver needs them: types, names of attachments, addresses' domains. Pure.

Python's email package reads them; what it would choke on or garble is settled before: headers in raw
8-bit encodings, names in GBK that call themselves GB2312, names with folders or line breaks in them.
"""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Iterator
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from email.parser import HeaderParser
from email.utils import getaddresses
from typing import Final

from collectors.mail_domains import domain_of_address
from event_schema.printable import printable_name

NAME_MAX: Final = 255
_CHINESE: Final = frozenset({"gb2312", "gbk", "gb18030", "cp936", "x-gbk", "hz-gb-2312", "euc-cn"})
_PARSED_MAX: Final = 1_000
_DOMAINS_MAX: Final = 5_000
_LOGIN: Final = re.compile(r"\(Authenticated sender: ([^()\s]{1,256})\)")
_QUEUE_ID: Final = re.compile(
    r"(?:\bwith [A-Z0-9]{4,12}|\(Postfix, from userid \d{1,10}\))\s+id ([0-9A-Za-z]{6,32})\b"
)
_UID: Final = re.compile(r"\(Postfix, from userid (\d{1,10})\)")


def parse_headers(raw: bytes) -> Message:
    """Of one header block. 8-bit headers are read as UTF-8, else as GB 18030, which has all Chinese ones."""
    return HeaderParser().parsestr(_text(raw))


def attachment_name(headers: Message) -> str | None:
    """As printable text without folders, shortened; None where it has none."""
    for header, parameter in (("content-disposition", "filename"), ("content-type", "name")):
        value = headers.get_param(parameter, header=header)
        if value is None or value == "":
            continue
        text = _told(value[2], value[0]) if isinstance(value, tuple) else _words(value)
        # A quote in front is that of a name whose end was cut off.
        text = re.split(r"[/\\]", text.strip().removeprefix('"'))[-1]
        if text:
            return printable_name(text)[:NAME_MAX]
    return None


def recipient_domains(headers: Message) -> tuple[str, ...]:
    """Of To and Cc (and Bcc, where a client left it), each once, sorted."""
    values = [
        str(value)
        for name in ("to", "cc", "bcc", "resent-to", "resent-cc")
        for value in headers.get_all(name, ())
    ]
    domains = {address.rpartition("@")[2]: address for value in values for address in _addresses(value)}
    known = map(domain_of_address, itertools.islice(domains.values(), _DOMAINS_MAX))
    return tuple(sorted(filter(None, set(known))))


def one_address(headers: Message, name: str) -> str | None:
    """The first address of a header, in lower case; None where there is none."""
    for value in headers.get_all(name, ()):
        for address in _addresses(str(value)):
            if domain_of_address(address) is not None:
                return address.lower()
    return None


def _addresses(value: str) -> Iterator[str]:
    """Of one header. Python's own reader needs seconds for long hostile ones, and gives nested ones up."""
    if len(value) <= _PARSED_MAX:
        with contextlib.suppress(Exception):
            found = [address for _, address in getaddresses([value]) if address]
            if found:
                yield from found
                return
    for part in re.split("[,;]", value):
        # What stands in angle brackets, else the only word of an address; a name in front may be anything.
        inner = part.rpartition("<")[2].partition(">")[0]
        at = inner.rfind("@")
        if at > 0:
            local = re.search(r"[^\s\"(:]{1,256}\Z", inner[max(0, at - 256) : at])
            domain = re.match(r"[^\s\")]{1,256}", inner[at + 1 : at + 257])
            if local is not None and domain is not None:
                yield f"{local[0]}@{domain[0]}"


def received(headers: Message) -> tuple[str | None, str | None, int | None]:
    """What Postfix wrote on top when it took the mail: (queue id, who was logged in, local user id).

    The first one that names Postfix: who sends a mail can add others below it only."""
    for value in _received(headers):
        login, uid, queue_id = _LOGIN.search(value), _UID.search(value), _QUEUE_ID.search(value)
        return (
            None if queue_id is None else queue_id[1],
            None if login is None else printable_name(login[1]),
            None if uid is None else int(uid[1]),
        )
    return None, None, None


def _received(headers: Message) -> Iterator[str]:
    return (value for value in map(str, headers.get_all("received", ())) if "(Postfix" in value)


def _text(raw: bytes) -> str:
    for encoding in ("utf-8", "gb18030"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return raw.decode("latin-1")


def _told(value: str, charset: str | None) -> str:
    """A value in RFC 2231's form: its bytes stand for the characters of a charset."""
    try:
        raw = value.encode("latin-1")
    except UnicodeEncodeError:
        return value
    return _decoded(raw, charset)


def _words(value: str) -> str:
    """A value with RFC 2047's words in it, which does not belong there and is common."""
    if "=?" not in value:
        return value
    try:
        parts = decode_header(value)
    except (HeaderParseError, ValueError):
        return value
    return "".join(part if isinstance(part, str) else _decoded(part, charset) for part, charset in parts)


def _decoded(raw: bytes, charset: str | None) -> str:
    name = (charset or "utf-8").lower()
    try:
        return raw.decode("gb18030" if name in _CHINESE else name)
    except (LookupError, ValueError):
        return _text(raw)
