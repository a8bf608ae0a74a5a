"""The rows of a CERT r4.2 folder: what each file holds, and what is kept of a row.

Files (CSV with a header; columns are found by name, others are passed over, `id` and `content` are never
read):

| file | columns | kept as `what` |
|---|---|---|
| logon.csv | date, user, pc, activity (Logon, Logoff) | "on" or "off" |
| device.csv | date, user, pc, activity (Connect, Disconnect) | "on" or "off" |
| file.csv | date, user, pc, filename; of later releases to_removable_media | the file's name |
| email.csv | date, user, pc, to, cc, bcc, from, size, attachments (a number, or NAME(SIZE);…) | see below |
| http.csv | date, user, pc, url | the host |

Dates are MM/DD/YYYY HH:MM:SS, without a zone. Of a mail `what` is "ATTACHMENTS SIZE FROM DOMAIN,DOMAIN…",
SIZE being "-" where it is not known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import lru_cache
from typing import Final, Literal, NamedTuple

from event_schema.struct_base import NAME_CHARACTERS
from server.people.local_time import DAY_ZERO

Kind = Literal["logon", "device", "file", "email", "http"]
DAY_MS: Final = 86_400_000
_DATE: Final = "MM/DD/YYYY HH:MM:SS"
_DOMAINS_MAX: Final = 100
_USER_CHARACTERS: Final = 100
_ATTACHMENTS_MAX: Final = 100
_SIZE_MAX: Final = 2**62


class Row(NamedTuple):
    """`time`: ms since 1970, of the data set's own clock. `what`: see above."""

    time: int
    kind: Kind
    user: str
    pc: str
    what: str


class BadRow(ValueError):
    """The message says what is wrong, without a value of the row."""


Reader = Callable[[Sequence[str]], str]
"""From a row's cells, in the order of Layout.columns, to `what`; raises BadRow."""


class Layout(NamedTuple):
    """`columns`: that must be there. `optional`: read where they are; None in a row's place where not."""

    kind: Kind
    columns: tuple[str, ...]
    optional: tuple[str, ...]
    what: Callable[[Mapping[str, str]], str | None]
    """None: the row shows nothing that Leaver collects."""


def moment(text: str) -> int:
    """ms since 1970. Raises BadRow."""
    day = _day(text[:10])
    clock = text[10:]
    if len(clock) != 9 or clock[0] != " " or clock[3] != ":" or clock[6] != ":":
        raise BadRow(f"the date is not {_DATE}")
    hour, minute, second = clock[1:3], clock[4:6], clock[7:9]
    if not (hour + minute + second).isdecimal() or hour > "23" or minute > "59" or second > "59":
        raise BadRow(f"the date is not {_DATE}")
    return day * DAY_MS + (int(hour) * 3600 + int(minute) * 60 + int(second)) * 1000


@lru_cache(maxsize=4096)
def _day(text: str) -> int:
    month, first, rest = text[:2], text[2:3], text[3:]
    if first != "/" or rest[2:3] != "/" or not (month + rest[:2] + rest[3:]).isdecimal() or len(text) != 10:
        raise BadRow(f"the date is not {_DATE}")
    try:
        found = date(int(rest[3:]), int(month), int(rest[:2])).toordinal() - DAY_ZERO
    except ValueError:
        raise BadRow(f"the date is not {_DATE}") from None
    if found < 1:
        raise BadRow("the date lies before 1970")
    return found


def user_name(text: str) -> str:
    """ "DTAA/ABC0001" and "ABC0001" are one. Raises BadRow."""
    name = text.replace("\\", "/").rpartition("/")[2].strip()
    if not name or len(name) > _USER_CHARACTERS or not name.isprintable() or ";" in name or "@" in name:
        raise BadRow("the user is no name")
    return name


def machine_name(text: str) -> str:
    """Raises BadRow."""
    name = text.strip()
    if not name or len(name) > NAME_CHARACTERS or not name.isprintable():
        raise BadRow("the pc is no name")
    return name


def _on_or_off(on: str, off: str) -> Callable[[Mapping[str, str]], str]:
    def read(row: Mapping[str, str]) -> str:
        said = row["activity"].strip().casefold()
        if said not in {on, off}:
            raise BadRow(f"the activity is neither {on} nor {off}")
        return "on" if said == on else "off"

    return read


def _file(row: Mapping[str, str]) -> str | None:
    if row.get("to_removable_media", "true").strip().casefold() not in {"true", "1", "yes"}:
        return None
    name = row["filename"].replace("\\", "/").rpartition("/")[2].strip()
    if not name or len(name) > NAME_CHARACTERS or not name.isprintable():
        raise BadRow("the filename is no name")
    return name


def _mail(row: Mapping[str, str]) -> str:
    found: dict[str, None] = {}
    for column in ("to", "cc", "bcc"):
        for address in row.get(column, "").split(";"):
            if stripped := address.strip():
                found[mail_domain(stripped)] = None
    if not found:
        raise BadRow("the mail is to nobody")
    size = row.get("size", "").strip()
    if size and not (size.isdecimal() and int(size) <= _SIZE_MAX):
        raise BadRow("the size is no number of bytes")
    domains = ",".join(list(found)[:_DOMAINS_MAX])
    return f"{_attachments(row.get('attachments', ''))} {size or '-'} {_sender(row['from'])} {domains}"


def _attachments(text: str) -> int:
    told = text.strip()
    if not told:
        return 0
    count = int(told) if told.isdecimal() and len(told) < 6 else told.count(";") + 1
    return min(count, _ATTACHMENTS_MAX)


def _sender(address: str) -> str:
    mail_domain(address.strip())
    return address.strip()


def mail_domain(address: str) -> str:
    """Raises BadRow."""
    name, at, domain = address.rpartition("@")
    if not at or not name or not domain or len(address) > 255 or " " in address or "," in address:
        raise BadRow("an address is no mail address")
    if not address.isprintable() or "*" in domain or "@" in name:
        raise BadRow("an address is no mail address")
    return domain.casefold()


def _host(row: Mapping[str, str]) -> str:
    url = row["url"].strip()
    place = url.partition("://")[2] or url
    host = (
        place.partition("/")[0].partition("?")[0].rpartition("@")[2].partition(":")[0].casefold().rstrip(".")
    )
    if not host or len(host) > 253 or not host.isprintable() or " " in host:
        raise BadRow("the url has no host")
    return host


LAYOUTS: Final[Mapping[str, Layout]] = {
    "logon.csv": Layout("logon", ("date", "user", "pc", "activity"), (), _on_or_off("logon", "logoff")),
    "device.csv": Layout(
        "device", ("date", "user", "pc", "activity"), (), _on_or_off("connect", "disconnect")
    ),
    "file.csv": Layout("file", ("date", "user", "pc", "filename"), ("to_removable_media",), _file),
    "email.csv": Layout(
        "email", ("date", "user", "pc", "to", "from"), ("cc", "bcc", "size", "attachments"), _mail
    ),
    "http.csv": Layout("http", ("date", "user", "pc", "url"), (), _host),
}
