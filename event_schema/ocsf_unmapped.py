"""What OCSF's classes have no place for, in OCSF's own escape `unmapped`, so that events still validate."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from event_schema.ocsf_objects import PeripheralDevice
from event_schema.struct_base import Count, Name, Word, purpose

DestinationCategory = Literal[
    "messenger", "cloud_drive", "webmail", "code_hosting", "file_transfer", "uploader", "other"
]
"""Kinds of places that data leaves for; the catalogues (event_schema/catalogues/) sort into them."""


class Evidence(Word, frozen=True):
    """How sure the collector is, and why."""

    fidelity: Annotated[
        Literal["exact", "likely", "possible"],
        purpose("exact: the kernel or the server said so; likely: joined by time; possible: guessed"),
    ]
    observed_by: Annotated[
        Literal[
            "fanotify_fid",
            "fanotify_fd",
            "fanotify_permission",
            "fanotify_open",
            "watchdog",
            "polling",
            "udev",
            "mountinfo",
            "rescan",
            "audit",
            "proc_events",
            "journald",
            "log_file",
            "mailbox",
            "pgaudit",
            "server_audit",
            "slow_log",
            "simulated",
        ],
        purpose("what saw the act"),
    ]
    actor_from: Annotated[
        Literal["audit", "proc_events", "proc", "file_owner", "server", "unknown", "simulated"] | None,
        purpose("what named the user and the program; server: the one that was logged in to"),
    ] = None
    gap: Annotated[Name | None, purpose("what could not be seen, in words")] = None


class Unmapped(Word, frozen=True):
    """Of every event."""

    evidence: Annotated[Evidence, purpose("how sure the collector is: see evidence")]
    peripheral_device: Annotated[
        PeripheralDevice | None, purpose("the device that a file went to: see peripheral_device")
    ] = None
    origin: Annotated[
        Literal["database_export", "file_server"] | None,
        purpose("what made the file, so that the same content is recognised when it leaves"),
    ] = None


class Transfer(Word, frozen=True):
    """What is known of the bytes that went out."""

    category: Annotated[DestinationCategory, purpose("what kind of destination it is")]
    application: Annotated[Name | None, purpose("which catalogued application sent it")] = None
    bytes_sent: Annotated[Count | None, purpose("bytes that the program sent there meanwhile")] = None
    connections: Annotated[Count | None, purpose("connections over which they went")] = None


class TransferUnmapped(Word, frozen=True):
    """Of a file that was handed to a destination outside."""

    evidence: Annotated[Evidence, purpose("how sure the collector is: see evidence")]
    transfer: Annotated[Transfer, purpose("where to and how much: see transfer")]


class QueryResult(Word, frozen=True):
    """What a statement gave out. Never a literal of it."""

    is_export: Annotated[bool, purpose("a dump, a copy into a file, or a huge result")]
    method: Annotated[
        Literal["copy_to", "dump", "into_outfile", "select", "other"], purpose("how it was taken out")
    ]
    rows: Annotated[Count | None, purpose("how many records were taken")] = None
    tables: Annotated[
        Annotated[tuple[Name, ...], Meta(max_length=64)] | None, purpose("which tables were read")
    ] = None
    program: Annotated[Name | None, purpose("which client program asked")] = None


class QueryUnmapped(Word, frozen=True):
    """Of a database statement."""

    evidence: Annotated[Evidence, purpose("how sure the collector is: see evidence")]
    result: Annotated[QueryResult, purpose("how much left the database: see result")]


class PrintJob(Word, frozen=True):
    """Size of a print job. Never its title."""

    pages: Annotated[Count, purpose("how many pages were printed, copies included")]


class DeviceUnmapped(Word, frozen=True):
    """Of a peripheral device."""

    evidence: Annotated[Evidence, purpose("how sure the collector is: see evidence")]
    print_job: Annotated[PrintJob | None, purpose("how much was printed: see print_job")] = None
