"""Uploads as events. Pure."""

from __future__ import annotations

from typing import Literal

from collectors.destinations import Place
from collectors.dump_files import DumpFile
from collectors.file_extension import extension_of
from collectors.sent_files import SentFile
from collectors.upload_facts import Upload
from event_schema.ocsf_events import Event, FileActivity, event_metadata, file_system_activity
from event_schema.ocsf_network import DestinationEndpoint
from event_schema.ocsf_objects import (
    Actor,
    Executable,
    File,
    FileType,
    Fingerprint,
    HashAlgorithm,
    Host,
    Process,
    User,
)
from event_schema.ocsf_transfer_events import file_upload
from event_schema.ocsf_unmapped import Evidence, Transfer, TransferUnmapped, Unmapped
from event_schema.printable import printable_name
from event_schema.short_paths import short_path
from event_schema.struct_base import NAME_CHARACTERS, PATH_CHARACTERS

ObservedBy = Literal[
    "fanotify_permission", "fanotify_open", "polling", "proc_events", "watchdog", "fanotify_fid"
]


def upload_event(
    source: tuple[str, str, Host],
    upload: Upload,
    place: Place,
    user_name: str | None,
    observed_by: ObservedBy,
    at_ms: int,
    sent: SentFile | None = None,
) -> Event:
    """One uploaded file. source: collector, version, endpoint. at_ms: ms since 1970 UTC."""
    collector, version, host = source
    read, party = upload.read, upload.party
    application = None if party is None else party.application
    recognised = place.host
    if recognised is not None:
        category = recognised.category
    else:
        category = "other" if application is None else application.category
    uid = read.uid if read is not None else (None if party is None else party.uid)
    file = file_of(upload.path, None if read is None else read.size, sent, is_folder=read is None)
    return file_upload(
        time=at_ms,
        metadata=event_metadata(collector, version, labelled=file.data_classifications is not None),
        actor=actor_of(
            uid,
            user_name,
            read.pid if read is not None else (party.pid if party is not None else 0),
            (read.executable if read is not None else None) or (None if party is None else party.executable),
            read.login_uid if read is not None else (None if party is None else party.login_uid),
        ),
        device=host,
        file=file,
        unmapped=TransferUnmapped(
            evidence=Evidence(
                fidelity=upload.fidelity,
                observed_by=observed_by,
                actor_from="proc" if read is not None else "proc_events",
                gap=gap_of(upload.gap, sent),
            ),
            transfer=Transfer(
                category=category,
                application=None if application is None else application.name,
                bytes_sent=upload.bytes_sent,
                connections=upload.connections,
            ),
        ),
        dst_endpoint=DestinationEndpoint(
            hostname=None if recognised is None else recognised.domain,
            ip=upload.address,
            port=upload.port,
            svc_name=None if recognised is None else recognised.name,
        ),
    )


def dump_event(
    source: tuple[str, str, Host], dump: DumpFile, user_name: str | None, observed_by: ObservedBy, at_ms: int
) -> Event:
    """A file that a database's client wrote. source: collector, version, endpoint. at_ms: ms, 1970 UTC."""
    collector, version, host = source
    client, opened = dump.client, dump.opened
    file = file_of(opened.path, opened.size, dump.sent)
    return file_system_activity(
        FileActivity.CREATE,
        time=max(0, at_ms),
        metadata=event_metadata(collector, version, labelled=file.data_classifications is not None),
        actor=actor_of(client.uid, user_name, client.pid, client.executable, client.login_uid),
        device=host,
        file=file,
        unmapped=Unmapped(
            evidence=Evidence(
                fidelity="likely",
                observed_by=observed_by,
                actor_from="proc",
                gap=gap_of(None, dump.sent),
            ),
            origin="database_export",
        ),
    )


def actor_of(
    uid: int | None, user_name: str | None, pid: int, executable: str | None, login_uid: int | None
) -> Actor:
    """User and program, as far as known."""
    user = process = None
    if uid is not None or user_name is not None:
        name = None if user_name is None else printable_name(user_name)[:NAME_CHARACTERS]
        user = User(name=name, uid=None if uid is None else str(uid))
    if pid > 0:
        program = None
        if executable is not None:
            path = short_path(printable_name(executable), PATH_CHARACTERS)
            program = Executable(name=path.rpartition("/")[2] or path, type_id=FileType.REGULAR, path=path)
        name = None if program is None else program.name[:NAME_CHARACTERS]
        process = Process(pid=pid, name=name, file=program, auid=login_uid)
    if user is None and process is None:
        return Actor(app_name="unknown")
    return Actor(user=user, process=process)


def gap_of(gap: str | None, sent: SentFile | None) -> str | None:
    """What could not be seen, together with what could not be read."""
    gaps = filter(None, (gap, None if sent is None else sent.gap))
    return "; ".join(gaps)[:NAME_CHARACTERS] or None


def file_of(path: str, size: int | None, sent: SentFile | None, *, is_folder: bool = False) -> File:
    """The file on the endpoint, its name made printable, with what was read of it."""
    labels = None if sent is None else sent.labels
    hashes = None
    if sent is not None and sent.sha256 is not None:
        hashes = (Fingerprint(algorithm_id=HashAlgorithm.SHA_256, value=sent.sha256),)
    shown = short_path(printable_name(path), PATH_CHARACTERS)
    name = shown.rpartition("/")[2] or shown
    return File(
        name=name,
        type_id=FileType.FOLDER if is_folder else FileType.REGULAR,
        path=shown,
        ext=None if is_folder else extension_of(name),
        size=size,
        hashes=hashes,
        mime_type=None if labels is None else labels.mime_type,
        is_encrypted=None if labels is None else labels.is_encrypted,
        data_classifications=None if labels is None else labels.classifications(),
    )
