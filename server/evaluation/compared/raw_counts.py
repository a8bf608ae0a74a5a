"""Plain counts of a day's events by account: what baselines are given. Nothing of the product's takes
part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from event_schema.ocsf_account_events import (
    ApiActivity,
    ApiActivityKind,
    Authentication,
    DatastoreActivity,
    Outcome,
)
from event_schema.ocsf_endpoint_events import FileSystemActivity, PeripheralActivity, ProcessActivity
from event_schema.ocsf_events import Event, account_of
from event_schema.ocsf_objects import DriveType
from event_schema.ocsf_transfer_events import EmailActivity, FileHostingActivity

MEASURES: Final = (
    "logins",
    "off_hours",
    "hosts",
    "failed_logins",
    "new_hosts",
    "new_addresses",
    "records_read",
    "documents_read",
    "deleted",
    "renamed",
    "created",
    "archives",
    "stick_megabytes",
    "stick_files",
    "new_sticks",
    "chat_megabytes",
    "chat_files",
    "cloud_megabytes",
    "cloud_files",
    "new_clouds",
    "mail_megabytes",
    "mails",
    "private_mails",
    "pages",
    "screenshots",
    "queries",
    "rows",
    "export_megabytes",
    "code_megabytes",
    "web_megabytes",
)
GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "logins": ("logins", "off_hours", "hosts", "failed_logins", "new_hosts", "new_addresses"),
    "applications": ("records_read", "documents_read", "deleted", "renamed", "created", "archives"),
    "sticks": ("stick_megabytes", "stick_files", "new_sticks"),
    "chat": ("chat_megabytes", "chat_files"),
    "cloud": ("cloud_megabytes", "cloud_files", "new_clouds", "web_megabytes"),
    "mail": ("mail_megabytes", "mails", "private_mails"),
    "paper": ("pages", "screenshots"),
    "database": ("queries", "rows", "export_megabytes"),
    "code": ("code_megabytes",),
}
_PLACE: Final = {name: place for place, name in enumerate(MEASURES)}
_OFF_HOURS: Final = (7, 20)
_HOUR_MS: Final = 3_600_000
_MEGABYTE: Final = 1_000_000
_UPLOADS: Final = {
    "messenger": ("chat_megabytes", "chat_files"),
    "cloud_drive": ("cloud_megabytes", "cloud_files"),
    "code_hosting": ("code_megabytes", None),
}
_ACTS: Final = {
    ApiActivityKind.DELETE: "deleted",
    ApiActivityKind.UPDATE: "renamed",
    ApiActivityKind.CREATE: "created",
}
Counts = npt.NDArray[np.float32]


class RawCounts:
    """Counts up events of one day after the other. Remembers of each account which hosts, addresses, sticks
    and clouds it used: novelty is the first time ever."""

    def __init__(self, accounts: Mapping[str, int]) -> None:
        self._accounts = accounts
        self._seen: dict[int, set[str]] = {}
        self._today: set[tuple[int, str]] = set()
        self._midnight = 0
        self.day: Counts = np.zeros((len(accounts), len(MEASURES)), np.float32)

    def begin(self, midnight: int) -> None:
        """midnight: ms UTC at which the local day begins."""
        self._midnight = midnight
        self._today.clear()
        self.day = np.zeros_like(self.day)

    def add(self, event: Event) -> None:
        user = account_of(event)
        if user is None or user.name is None or user.name not in self._accounts:
            return
        who = self._accounts[user.name]
        hour = (event.time - self._midnight) // _HOUR_MS
        if not _OFF_HOURS[0] <= hour < _OFF_HOURS[1]:
            self._more(who, "off_hours")
        match event:
            case Authentication():
                self._login(who, event)
            case ApiActivity():
                self._act(who, event)
            case DatastoreActivity():
                self._statement(who, event)
            case FileSystemActivity():
                self._file(who, event)
            case FileHostingActivity():
                self._upload(who, event)
            case EmailActivity():
                self._more(who, "mail_megabytes", (event.email.size or 0) / _MEGABYTE)
                self._more(who, "mails")
                if event.unmapped.transfer.category == "webmail":
                    self._more(who, "private_mails")
            case PeripheralActivity() if event.unmapped.print_job is not None:
                self._more(who, "pages", event.unmapped.print_job.pages)
            case ProcessActivity():
                self._more(who, "screenshots")
            case _:
                pass

    def _login(self, who: int, event: Authentication) -> None:
        if event.status_id is Outcome.FAILURE:
            self._more(who, "failed_logins", event.count or 1)
            return
        self._more(who, "logins")
        if (who, event.device.hostname) not in self._today:
            self._today.add((who, event.device.hostname))
            self._more(who, "hosts")
        if self._is_new(who, f"host {event.device.hostname}"):
            self._more(who, "new_hosts")
        if event.src_endpoint is not None and self._is_new(who, f"address {event.src_endpoint.ip}"):
            self._more(who, "new_addresses")

    def _act(self, who: int, event: ApiActivity) -> None:
        count = event.count or 1
        if event.activity_id is ApiActivityKind.READ:
            of_customers = event.resources is not None and event.resources[0].type == "customer"
            self._more(who, "records_read" if of_customers else "documents_read", count)
        elif event.activity_id in _ACTS:
            self._more(who, _ACTS[event.activity_id], count)

    def _statement(self, who: int, event: DatastoreActivity) -> None:
        result = event.unmapped.result
        if result.is_export:
            self._more(who, "export_megabytes", (event.query_info.bytes or 0) / _MEGABYTE)
        else:
            self._more(who, "queries", event.count or 1)
            self._more(who, "rows", result.rows or 0)

    def _file(self, who: int, event: FileSystemActivity) -> None:
        if event.file.drive_type_id is not DriveType.REMOVABLE:
            self._more(who, "archives")
            return
        self._more(who, "stick_megabytes", (event.file.size or 0) / _MEGABYTE)
        self._more(who, "stick_files")
        device = event.unmapped.peripheral_device
        if device is not None and self._is_new(who, f"stick {device.uid}"):
            self._more(who, "new_sticks")

    def _upload(self, who: int, event: FileHostingActivity) -> None:
        size = (event.file.size or 0) / _MEGABYTE
        megabytes, files = _UPLOADS.get(event.unmapped.transfer.category, ("web_megabytes", None))
        self._more(who, megabytes, size)
        if files is not None:
            self._more(who, files)
        name = event.dst_endpoint.svc_name if event.dst_endpoint is not None else None
        if megabytes == "cloud_megabytes" and self._is_new(who, f"cloud {name}"):
            self._more(who, "new_clouds")

    def _more(self, who: int, name: str, amount: float = 1) -> None:
        self.day[who, _PLACE[name]] += amount

    def _is_new(self, who: int, what: str) -> bool:
        seen = self._seen.setdefault(who, set())
        if what in seen:
            return False
        seen.add(what)
        return True
