"""What each channel sees, why, and which fields its events fill: for the people who are watched.

A test holds this against what the collectors have as defaults and against events as they send them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from event_schema.field_registry import FieldSpec, field_registry

LABEL_FIELDS: Final = ".data_classifications."
"""Part of the paths of what labelling finds; see [labels] of the endpoints' settings."""
_ORIGIN: Final = "unmapped.origin"
_DEVICE: Final = "unmapped.peripheral_device."
_RENAMED: Final = "file_result."
_PRINT_JOB: Final = "unmapped.print_job."


class ChannelFacts(msgspec.Struct, frozen=True):
    """`classes`: OCSF class uids of its events. `without`: beginnings of paths that these classes have and
    this channel leaves empty. `on_by_default`: runs where nobody says otherwise. `labels`: whether it labels
    files where nobody says otherwise; None: never."""

    title: str
    sees: str
    why: str
    classes: tuple[int, ...]
    without: tuple[str, ...] = ()
    on_by_default: bool = True
    labels: bool | None = None

    def fields(self, *, labels: bool) -> list[FieldSpec]:
        """Of its events, in the order of the types. `labels`: whether files are labelled."""
        return [
            spec
            for spec in field_registry().values()
            if not spec.path.startswith("leaver.")
            and (not spec.classes or not set(spec.classes).isdisjoint(self.classes))
            and not spec.path.startswith(self.without)
            and (labels or LABEL_FIELDS not in spec.path)
        ]


CHANNEL_FACTS: Final[Mapping[str, ChannelFacts]] = {
    "removable_storage": ChannelFacts(
        "Removable storage",
        "Files that are written to USB sticks, memory cards and other removable drives, their renaming and"
        " deletion there, and such a device being plugged in or out. The content is read on the machine"
        " itself for its hash and labels, and never leaves it.",
        "A stick in a pocket is the plainest way for files to leave with somebody.",
        (1001, 1010),
        (_ORIGIN, _PRINT_JOB),
        labels=True,
    ),
    "uploads": ChannelFacts(
        "Uploads",
        "That a program read a file and sent about as much to a place on the Internet: which file, which"
        " program, where to. Not what was typed, not which pages were read.",
        "Web mail, cloud drives and messengers carry files out of the company without a device.",
        (6006, 1001),
        (_DEVICE, _RENAMED),
        labels=True,
    ),
    "sync_folders": ChannelFacts(
        "Sync folders",
        "Files that are put into the folder of a cloud drive's program, once that program runs.",
        "What lies in such a folder is copied to the cloud at once, without anybody sending it.",
        (6006,),
        labels=True,
    ),
    "mail": ChannelFacts(
        "Mail",
        "On the company's own mail server: that a mail with attachments left the company, its sender, the"
        " recipients' domains, names and sizes of the attachments. No subject, no text, no recipient's name.",
        "Attachments to a private address or a competitor are how data leaves by mail.",
        (4009,),
        on_by_default=False,
        labels=True,
    ),
    "printing": ChannelFacts(
        "Printing",
        "How many pages somebody printed on which printer. Not what, and no title of a job.",
        "Paper leaves the company too; much more of it than usual is a sign.",
        (1010,),
        on_by_default=False,
    ),
    "screenshots": ChannelFacts(
        "Screenshots",
        "That a program was started that takes screenshots. Never the picture, never what was on the screen.",
        "Pictures of a screen get around every control of files.",
        (1007,),
        (_ORIGIN, _DEVICE),
    ),
    "logins": ChannelFacts(
        "Logins",
        "Logins to machines and failed ones: which account, from where, by which means.",
        "An account of somebody who left, or one that many know, shows itself when it is used.",
        (3002,),
        (_ORIGIN, _DEVICE),
    ),
    "access_log": ChannelFacts(
        "Applications",
        "Of the company's own applications: who did which of the acts that an administrator listed, to what,"
        " and from where. No query strings, no content of forms.",
        "Exports and changes by hand in business applications show only there.",
        (6003,),
        (_ORIGIN, _DEVICE),
        on_by_default=False,
    ),
    "postgresql": ChannelFacts(
        "PostgreSQL",
        "On database servers: who read how many rows of which tables, dumps and exports. Statements without"
        " the values in them, never a result.",
        "Whole tables of customers leave by one statement.",
        (6005, 1001),
        (_DEVICE, _RENAMED),
        on_by_default=False,
    ),
    "mariadb": ChannelFacts(
        "MariaDB",
        "On database servers: who read how many rows of which tables, dumps and exports. Statements without"
        " the values in them, never a result.",
        "Whole tables of customers leave by one statement.",
        (6005, 1001),
        (_DEVICE, _RENAMED),
        on_by_default=False,
    ),
    "export_folders": ChannelFacts(
        "File servers",
        "On file servers: the hash of files that an application exports, so that the same content is"
        " recognised when it leaves.",
        "Without it a renamed export looks like any other file.",
        (1001,),
        (_DEVICE, _RENAMED),
        on_by_default=False,
        labels=False,
    ),
}
"""By the channel's name, those that most people are seen by first."""
