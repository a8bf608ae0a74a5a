"""What one event adds to its subject's day of an activity (analytics/measures.py). Pure; sums only.

An event counts in one activity, or in none.

| activity | measure | comes from |
|---|---|---|
| removable_storage | bytes, files | a finished file on a removable drive |
| | new_devices | the same, and the drive going in and out |
| messaging, cloud, code | bytes, files | uploads to messengers, cloud drives, code hosting |
| web_upload | upload_bytes, uploads | uploads to all other kinds of places |
| cloud, web_upload | new_destinations | the upload's destination |
| mail | bytes, messages | a mail that was sent |
| | personal_messages | one to a webmail provider |
| database | queries | statements, but exports |
| | rows | rows that statements and exports gave out |
| | export_bytes | what exports gave out |
| files | reads | acts of an access log on a FILE_TYPES thing |
| | deletions, renames | the same; a file on a removable drive |
| | sensitive_reads | acts of an access log that read a RECORD_TYPES thing |
| | archives | a file with an archive's ending that was finished elsewhere than on a removable drive |
| logins | logins, hosts, new_hosts, new_addresses | logins that worked: the machine, the address |
| | off_hours | those outside working hours; where nobody named any, from 20 to 7 o'clock |
| | failures | attempts that failed, those of su and sudo too |
| application | actions | all other acts of an access log |
| | sensitive_actions | those that an operation with a SENSITIVE_WORDS word tells |
| printing | pages | print jobs |
| screenshots | screenshots | screenshot tools that were started |

An act, a statement that failed counts nowhere. No source yet: reads of files on an endpoint's own disk or on
a share, unless an access log tells them. A dump's file adds nothing to what the statements gave out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache, singledispatch
from hashlib import blake2b
from typing import Any, Final

from analytics.measures import ACTIVITIES
from event_schema.ocsf_account_events import (
    ApiActivity,
    ApiActivityKind,
    Authentication,
    AuthenticationActivity,
    DatastoreActivity,
    Outcome,
)
from event_schema.ocsf_endpoint_events import (
    FileActivity,
    FileSystemActivity,
    PeripheralActivity,
    PeripheralActivityKind,
    ProcessActivity,
)
from event_schema.ocsf_events import Event
from event_schema.ocsf_objects import DriveType
from event_schema.ocsf_transfer_events import EmailActivity, FileHostingActivity
from server.enrich.traits import address_trait
from server.people.account_names import host_trait

FILE_TYPES: Final = frozenset({"attachment", "document", "file", "folder"})
"""What an access log's rule calls the kind of thing (`object_type`), in lower case."""
RECORD_TYPES: Final = frozenset(
    {"applicant", "client", "contact", "customer", "employee", "enquiry", "order", "patient", "person"}
)
SENSITIVE_WORDS: Final = ("bulk", "download", "export", "manual")
ARCHIVE_ENDINGS: Final = frozenset({"7z", "bz2", "gz", "rar", "tar", "tgz", "xz", "zip", "zst"})
WORKING_HOURS: Final = range(7, 20)
"""Local hours, where nobody named any."""

Measured = tuple[str, tuple[int, ...]]
"""An activity, and what its measures grow by, in the registry's order. What is counted as distinct places
(Prints) is 0 here."""
Measure = Callable[[Any, bool], Measured | None]
"""(event, whether it is outside working hours)."""
Prints = tuple[tuple[int, ...], ...]
"""Places of an activity's day as numbers of 48 bits, by the kinds in PLACE_KINDS."""

PLACE_KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    name: tuple(measure.name for measure in measures if measure.novelty)
    for name, measures in ACTIVITIES.items()
}
"""The measures of an activity that count places of a first use."""
_NO_PRINTS: Final[Prints] = ()
_PURPOSE: Final = b"activity places"
"""The key makes pseudonyms too; these numbers tell nothing of those."""
_DELETED: Final = ("files", (0, 0, 1, 0, 0))
_RENAMED: Final = ("files", (0, 0, 0, 0, 1))
_ARCHIVED: Final = ("files", (0, 0, 0, 1, 0))
_SCREENSHOT: Final = ("screenshots", (1,))
_WRITES: Final = frozenset({FileActivity.CREATE, FileActivity.UPDATE})
_RENAMING: Final = ("mov", "renam")
_PACKING: Final = ("archiv", "compress", "zip")


def is_off_hours(off_shift: bool | None, hour: int) -> bool:
    """`off_shift`: by the working hours that the company named, if it did. `hour`: local."""
    return hour not in WORKING_HOURS if off_shift is None else off_shift


@singledispatch
def measured(event: Event, off_hours: bool) -> Measured | None:
    """What the event counts as."""
    raise TypeError(f"no measures of {type(event).__name__}")


@measured.register
def _file(event: FileSystemActivity, off_hours: bool) -> Measured | None:
    kind, file = event.activity_id, event.file
    if kind in _WRITES:
        if file.drive_type_id == DriveType.REMOVABLE:
            return "removable_storage", (file.size or 0, 1, 0)
        is_dump = event.unmapped.origin == "database_export"
        return None if is_dump or (file.ext or "").lower() not in ARCHIVE_ENDINGS else _ARCHIVED
    return _DELETED if kind is FileActivity.DELETE else _RENAMED


@measured.register
def _process(event: ProcessActivity, off_hours: bool) -> Measured | None:
    return _SCREENSHOT


@measured.register
def _device(event: PeripheralActivity, off_hours: bool) -> Measured | None:
    job = event.unmapped.print_job
    if job is not None:
        return "printing", (job.pages,)
    return None if event.activity_id is PeripheralActivityKind.OTHER else ("removable_storage", (0, 0, 0))


@measured.register
def _upload(event: FileHostingActivity, off_hours: bool) -> Measured | None:
    transfer = event.unmapped.transfer
    size = (event.file.size if event.file.size is not None else transfer.bytes_sent) or 0
    match transfer.category:
        case "messenger":
            return "messaging", (size, 1)
        case "cloud_drive":
            return "cloud", (size, 1, 0)
        case "code_hosting":
            return "code", (size,)
        case _:
            return "web_upload", (size, 1, 0)


@measured.register
def _mail(event: EmailActivity, off_hours: bool) -> Measured | None:
    return "mail", (event.email.size or 0, 1, int(event.unmapped.transfer.category == "webmail"))


@measured.register
def _statement(event: DatastoreActivity, off_hours: bool) -> Measured | None:
    if event.status_id is Outcome.FAILURE:
        return None
    result = event.unmapped.result
    if result.is_export:
        return "database", (0, result.rows or 0, event.query_info.bytes or 0)
    return "database", (_count(event), result.rows or 0, 0)


@measured.register
def _login(event: Authentication, off_hours: bool) -> Measured | None:
    if event.status_id is Outcome.FAILURE:
        return "logins", (0, 0, 0, _count(event), 0, 0)
    if not _came_in(event):
        return None
    count = _count(event)
    return "logins", (count, count if off_hours else 0, 0, 0, 0, 0)


@measured.register
def _act(event: ApiActivity, off_hours: bool) -> Measured | None:
    if event.status_id is Outcome.FAILURE:
        return None
    count, kind, operation = _count(event), event.activity_id, event.api.operation.lower()
    thing = (event.resources[0].type or "").lower() if event.resources else ""
    if thing in RECORD_TYPES and kind is ApiActivityKind.READ:
        return "files", (count, 0, 0, 0, 0)
    if thing in FILE_TYPES:
        place = _place_of_act(kind, operation)
        if place is not None:
            return "files", tuple(count if each == place else 0 for each in range(5))
    return "application", (count, count if any(word in operation for word in SENSITIVE_WORDS) else 0)


def _place_of_act(kind: ApiActivityKind, operation: str) -> int | None:
    """Which of the measures of `files` an act on a file is."""
    if kind is ApiActivityKind.READ:
        return 1
    if kind is ApiActivityKind.DELETE:
        return 2
    if kind is ApiActivityKind.CREATE and any(word in operation for word in _PACKING):
        return 3
    if kind is ApiActivityKind.UPDATE and any(word in operation for word in _RENAMING):
        return 4
    return None


def _count(event: Authentication | ApiActivity | DatastoreActivity) -> int:
    return 1 if event.count is None else event.count


def _came_in(event: Authentication) -> bool:
    return event.activity_id is AuthenticationActivity.LOGON and event.status_id is Outcome.SUCCESS


def prints_of(event: Event, activity: str, places: tuple[str, ...], key: bytes) -> Prints:
    """Where it was done, or with what, for novelty. `places`: the event's (server/enrich/amounts.py). `key`:
    the installation's, without which nobody finds a place by trying names."""
    if not PLACE_KINDS[activity]:
        return _NO_PRINTS
    if activity != "logins":
        return prints_of_places(activity, places, key)
    if not isinstance(event, Authentication) or not _came_in(event):
        return _NO_PRINTS
    address = None if event.src_endpoint is None else address_trait(event.src_endpoint.ip)
    return (
        (_print(host_trait(event.device.hostname), key),),
        () if address is None else (_print(address, key),),
    )


def prints_of_places(activity: str, places: tuple[str, ...], key: bytes) -> Prints:
    """The same of an activity but logins."""
    if not places or not PLACE_KINDS[activity]:
        return _NO_PRINTS
    return (tuple(_print(place, key) for place in places),)


@lru_cache(maxsize=65_536)
def _print(place: str, key: bytes) -> int:
    digest = blake2b(place.encode(errors="surrogatepass"), digest_size=6, key=key, person=_PURPOSE).digest()
    return int.from_bytes(digest)
