"""OCSF 1.8 classes of what leaves over the network.

| class | uid | used for |
|---|---|---|
| File Hosting Activity | 6006 | a file handed to a messenger, cloud drive, browser or uploader (Upload) |
| Email Activity | 4009 | a mail with attachments sent (Send) |
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, Literal

from event_schema.ocsf_network import DestinationEndpoint, Email, SourceEndpoint
from event_schema.ocsf_objects import Actor, File, Host, Metadata
from event_schema.ocsf_unmapped import TransferUnmapped
from event_schema.struct_base import Milliseconds, Word, check_type_uid, purpose


class HostingActivity(IntEnum):
    UPLOAD = 1


class EmailActivityKind(IntEnum):
    SEND = 1


class FileHostingActivity(Word, frozen=True, tag_field="class_uid", tag=6006):
    """A file went to somebody else's machine. `file` is the one on the endpoint that was read."""

    activity_id: Annotated[HostingActivity, purpose("what was done")]
    category_uid: Annotated[Literal[6], purpose("required by OCSF")]
    type_uid: Annotated[int, purpose("required by OCSF: class_uid * 100 + activity_id")]
    severity_id: Annotated[Literal[1], purpose("required by OCSF: informational; the server judges")]
    time: Annotated[Milliseconds, purpose("when it was done, by the endpoint's clock")]
    metadata: Annotated[Metadata, purpose("who reports it: see metadata")]
    actor: Annotated[Actor, purpose("who did it: see actor")]
    device: Annotated[Host, purpose("on which endpoint: see device")]
    src_endpoint: Annotated[SourceEndpoint, purpose("required by OCSF: the endpoint again")]
    file: Annotated[File, purpose("which file: see file")]
    unmapped: Annotated[TransferUnmapped, purpose("what OCSF has no field for: see unmapped")]
    dst_endpoint: Annotated[DestinationEndpoint | None, purpose("where to: see dst_endpoint")] = None

    def __post_init__(self) -> None:
        check_type_uid(6006, self.activity_id, self.type_uid)


class EmailActivity(Word, frozen=True, tag_field="class_uid", tag=4009):
    """A mail was sent. `actor.user` is the mail account."""

    activity_id: Annotated[EmailActivityKind, purpose("what was done")]
    category_uid: Annotated[Literal[4], purpose("required by OCSF")]
    type_uid: Annotated[int, purpose("required by OCSF: class_uid * 100 + activity_id")]
    severity_id: Annotated[Literal[1], purpose("required by OCSF: informational; the server judges")]
    time: Annotated[Milliseconds, purpose("when it was sent, by the mail server's clock")]
    metadata: Annotated[Metadata, purpose("who reports it: see metadata")]
    actor: Annotated[Actor, purpose("who did it: see actor")]
    device: Annotated[Host, purpose("on which mail server: see device")]
    direction_id: Annotated[Literal[2], purpose("required by OCSF: outbound")]
    email: Annotated[Email, purpose("what was sent: see email")]
    unmapped: Annotated[TransferUnmapped, purpose("what OCSF has no field for: see unmapped")]
    src_endpoint: Annotated[SourceEndpoint | None, purpose("from where it came to the server")] = None

    def __post_init__(self) -> None:
        check_type_uid(4009, self.activity_id, self.type_uid)


def file_upload(
    *,
    time: int,
    metadata: Metadata,
    actor: Actor,
    device: Host,
    file: File,
    unmapped: TransferUnmapped,
    dst_endpoint: DestinationEndpoint | None,
) -> FileHostingActivity:
    """A File Hosting Activity event with OCSF's derived fields filled in. time: ms since 1970 UTC."""
    return FileHostingActivity(
        activity_id=HostingActivity.UPLOAD,
        category_uid=6,
        type_uid=600_601,
        severity_id=1,
        time=time,
        metadata=metadata,
        actor=actor,
        device=device,
        src_endpoint=SourceEndpoint(hostname=device.hostname),
        file=file,
        unmapped=unmapped,
        dst_endpoint=dst_endpoint,
    )


def email_sent(
    *,
    time: int,
    metadata: Metadata,
    actor: Actor,
    device: Host,
    email: Email,
    unmapped: TransferUnmapped,
    src_endpoint: SourceEndpoint | None = None,
) -> EmailActivity:
    """An Email Activity event with OCSF's derived numbers filled in. time: ms since 1970 UTC."""
    return EmailActivity(
        activity_id=EmailActivityKind.SEND,
        category_uid=4,
        type_uid=400_901,
        severity_id=1,
        time=time,
        metadata=metadata,
        actor=actor,
        device=device,
        direction_id=2,
        email=email,
        unmapped=unmapped,
        src_endpoint=src_endpoint,
    )
