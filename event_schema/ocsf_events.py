"""All OCSF 1.8 event classes that Leaver's collectors send. One event = one observed act.

The classes stand in three files: ocsf_endpoint_events.py (files, devices, programs), ocsf_transfer_events.py
(uploads, mails), ocsf_account_events.py (logins, applications, databases).

An event's identity is (agent, epoch, seq); it is given by the spool and travels in the wire record's
header (wire.py), not in the event. Every class has `time`, `metadata`, `actor`, `device` and
`unmapped.evidence`.
"""

from __future__ import annotations

from typing import Final

from event_schema.ocsf_account_events import (
    UNKNOWN_ACCOUNT,
    ApiActivity,
    Authentication,
    AuthenticationActivity,
    DatastoreActivity,
)
from event_schema.ocsf_endpoint_events import (
    FileActivity,
    FileSystemActivity,
    PeripheralActivity,
    PeripheralActivityKind,
    ProcessActivity,
    file_system_activity,
    peripheral_activity,
)
from event_schema.ocsf_objects import OCSF_VERSION, Metadata, Product, User
from event_schema.ocsf_transfer_events import EmailActivity, FileHostingActivity

Event = (
    FileSystemActivity
    | ProcessActivity
    | PeripheralActivity
    | FileHostingActivity
    | EmailActivity
    | Authentication
    | ApiActivity
    | DatastoreActivity
)
"""Any event that may stand on the log. Tagged by class_uid."""

EVENT_CLASSES: Final[tuple[type[Event], ...]] = (
    FileSystemActivity,
    ProcessActivity,
    PeripheralActivity,
    FileHostingActivity,
    EmailActivity,
    Authentication,
    ApiActivity,
    DatastoreActivity,
)


_PROFILES: Final = ("host", "linux/linux_users")


def account_of(event: Event) -> User | None:
    """The account that acted: of a login the one that was logged in to, of su the one that did it. None where
    none is known, or a login was tried with a name that no account has."""
    if isinstance(event, Authentication):
        switched = event.activity_id is AuthenticationActivity.ACCOUNT_SWITCH
        user = event.actor.user if switched and event.actor.user is not None else event.user
        return None if user.name == UNKNOWN_ACCOUNT else user
    return event.actor.user


def event_metadata(collector: str, version: str, *, labelled: bool = False) -> Metadata:
    """Metadata of an event that the named collector of Leaver `version` saw. `labelled`: a file in it has
    data_classifications."""
    return Metadata(
        version=OCSF_VERSION,
        product=Product(name="Leaver", vendor_name="Leaver", version=version),
        profiles=(*_PROFILES, "data_classification") if labelled else _PROFILES,
        log_name=collector,
    )


__all__ = [
    "EVENT_CLASSES",
    "Event",
    "FileActivity",
    "FileSystemActivity",
    "PeripheralActivity",
    "PeripheralActivityKind",
    "account_of",
    "event_metadata",
    "file_system_activity",
    "peripheral_activity",
]
