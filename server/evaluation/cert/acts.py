"""Rows of the data set as the events that Leaver's collectors would have told. Pure.

| row | event | what it does not say |
|---|---|---|
| Logon, Logoff | Authentication at the machine | from where |
| Connect, Disconnect | Peripheral Activity of a storage device | which device: all are one, never a new one |
| a file copied | File System Activity (Create) on a removable drive | its size |
| a mail to the outside | Email Activity: domains, size, attachments | attachments' names and sizes |
| a visit to a host of the catalogue | API Activity, "visit", of the web proxy | whether anything was sent |

A visit is no upload: the data set does not say what went up, and zero bytes would be a lie. So it stands as
what a proxy's access log shows, an act of reading. Visits of a user to one place from one machine within an
hour are one event with their number. Other hosts are none of Leaver's business, nor are mails inside the
company: neither becomes an event. All evidence is "simulated", as the data set is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from event_schema.catalogue import Catalogue
from event_schema.ocsf_account_events import (
    ApiActivityKind,
    AuthenticationActivity,
    LogonType,
    Outcome,
    api_activity,
    authentication,
)
from event_schema.ocsf_events import (
    Event,
    FileActivity,
    PeripheralActivityKind,
    event_metadata,
    file_system_activity,
    peripheral_activity,
)
from event_schema.ocsf_network import Api, Email, Resource, Service, SourceEndpoint
from event_schema.ocsf_objects import (
    Actor,
    DriveType,
    File,
    FileType,
    Host,
    HostType,
    PeripheralDevice,
    PeripheralType,
    User,
)
from event_schema.ocsf_transfer_events import email_sent
from event_schema.ocsf_unmapped import (
    DestinationCategory,
    DeviceUnmapped,
    Evidence,
    Transfer,
    TransferUnmapped,
    Unmapped,
)
from server.evaluation.cert.layout import Row
from server.evaluation.walk.walk import VERSION

_HOUR_MS: Final = 3_600_000
_SEEN: Final = Evidence(fidelity="exact", observed_by="simulated", actor_from="simulated")
_STORAGE: Final = PeripheralDevice(name="removable device", type_id=PeripheralType.EXTERNAL_STORAGE)
_MAIL_SERVER: Final = Host(hostname="mail", type_id=HostType.SERVER, uid="mail")
_PROXY: Final = Host(hostname="proxy", type_id=HostType.SERVER, uid="proxy")
_LOGINS: Final = event_metadata("logins", VERSION)
_REMOVABLE: Final = event_metadata("removable_storage", VERSION)
_MAIL: Final = event_metadata("mail", VERSION)
_ACCESS_LOG: Final = event_metadata("access_log", VERSION)


class Acts:
    """`own_domains`: the company's, to which mail does not leave."""

    def __init__(self, own_domains: frozenset[str], catalogue: Catalogue) -> None:
        self._own = own_domains
        self._catalogue = catalogue

    def of_day(self, rows: Iterable[Row]) -> Iterator[Event]:
        """The events of a day's rows, not in the order of time."""
        visits: Counter[tuple[int, str, str, str]] = Counter()
        last: dict[tuple[int, str, str, str], int] = {}
        for row in rows:
            match row.kind:
                case "logon":
                    yield _login(row)
                case "device":
                    yield _device(row)
                case "file":
                    yield _copy(row)
                case "email":
                    mail = self._mail(row)
                    if mail is not None:
                        yield mail
                case "http":
                    key = (row.time // _HOUR_MS, row.user, row.pc, row.what)
                    visits[key] += 1
                    last[key] = row.time
        for key, count in visits.items():
            yield self._visits(last[key], key[1], key[2], key[3], count)

    def _mail(self, row: Row) -> Event | None:
        attachments, size, sender, told = row.what.split(" ")
        domains = [domain for domain in told.split(",") if not self._is_own(domain)]
        if not domains:
            return None
        files = tuple(
            File(name=f"attachment {number}", type_id=FileType.REGULAR)
            for number in range(1, int(attachments) + 1)
        )
        known = (self._catalogue.of_host(domain) for domain in domains)
        category: DestinationCategory = next((each.category for each in known if each is not None), "other")
        return email_sent(
            time=row.time,
            metadata=_MAIL,
            actor=_user(row),
            device=_MAIL_SERVER,
            src_endpoint=SourceEndpoint(hostname=row.pc),
            email=Email(
                sender_address=sender,
                to=tuple(f"*@{domain}" for domain in domains),
                size=None if size == "-" else int(size),
                files=files or None,
            ),
            unmapped=TransferUnmapped(evidence=_SEEN, transfer=Transfer(category=category)),
        )

    def _is_own(self, domain: str) -> bool:
        return any(domain == own or domain.endswith(f".{own}") for own in self._own)

    def _visits(self, time: int, user: str, pc: str, host: str, count: int) -> Event:
        place = self._catalogue.of_host(host)
        assert place is not None, "only hosts of the catalogue are kept"
        return api_activity(
            ApiActivityKind.READ,
            time=time,
            metadata=_ACCESS_LOG,
            actor=Actor(user=User(name=user), app_name="web proxy"),
            device=_PROXY,
            src_endpoint=SourceEndpoint(hostname=pc),
            api=Api(operation="visit", service=Service(name="web proxy")),
            resources=(Resource(name=place.name, type=place.category),),
            status_id=Outcome.SUCCESS,
            count=count,
            unmapped=Unmapped(evidence=_SEEN),
        )


def _user(row: Row) -> Actor:
    return Actor(user=User(name=row.user))


def _host(row: Row) -> Host:
    return Host(hostname=row.pc, type_id=HostType.DESKTOP, uid=row.pc)


def _login(row: Row) -> Event:
    return authentication(
        AuthenticationActivity.LOGON if row.what == "on" else AuthenticationActivity.LOGOFF,
        time=row.time,
        metadata=_LOGINS,
        actor=Actor(app_name="logon"),
        device=_host(row),
        user=User(name=row.user),
        service=Service(name="logon"),
        status_id=Outcome.SUCCESS,
        logon_type_id=LogonType.INTERACTIVE,
        unmapped=Unmapped(evidence=_SEEN),
    )


def _device(row: Row) -> Event:
    return peripheral_activity(
        PeripheralActivityKind.CONNECT if row.what == "on" else PeripheralActivityKind.DISCONNECT,
        time=row.time,
        metadata=_REMOVABLE,
        actor=_user(row),
        device=_host(row),
        peripheral_device=_STORAGE,
        unmapped=DeviceUnmapped(evidence=_SEEN),
    )


def _copy(row: Row) -> Event:
    _, dot, ext = row.what.rpartition(".")
    return file_system_activity(
        FileActivity.CREATE,
        time=row.time,
        metadata=_REMOVABLE,
        actor=_user(row),
        device=_host(row),
        file=File(
            name=row.what,
            type_id=FileType.REGULAR,
            ext=ext.casefold() if dot and ext else None,
            drive_type_id=DriveType.REMOVABLE,
        ),
        unmapped=Unmapped(evidence=_SEEN, peripheral_device=_STORAGE),
    )
