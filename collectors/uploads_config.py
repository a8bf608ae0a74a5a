"""Configuration of the uploads collector: table [collectors.uploads]."""

from __future__ import annotations

import ipaddress
from pathlib import PurePath
from typing import Annotated, Literal

from msgspec import Meta

from collectors.contract import narrowed_by
from collectors.sent_file_settings import SentFileSettings

AskedStep = Literal["best", "permission", "open", "polling"]


class UploadsConfig(SentFileSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What counts as an upload, and how openings of files are seen."""

    enabled: bool = True
    """Whether the collector runs at all."""
    step: Annotated[AskedStep, narrowed_by("later")] = "best"
    """How openings are seen: "permission" has the kernel ask before each (a program of its own answers at
    once), "open" has it tell, "polling" looks at open files now and then. "best": see the decision record."""
    folders: Annotated[tuple[str, ...], narrowed_by("within")] = ("/home", "/root")
    """Where people's files lie, as absolute paths. Hidden folders in them are left out."""
    most_folders: Annotated[int, Meta(ge=100, le=1_000_000), narrowed_by("smaller")] = 50_000
    """Folders over this number are not watched, and `doctor` says so."""
    inside_networks: Annotated[tuple[str, ...], narrowed_by("union")] = ("127.0.0.0/8", "::1/128")
    """Addresses and networks that are no other machine. Take 127.0.0.0/8 out where programs reach the
    outside through a proxy on the same machine."""
    window_s: Annotated[float, Meta(ge=2, le=3_600)] = 60.0
    """How long after a file was opened bytes may begin to leave."""
    export_files: bool = True
    """Whether files that a database's client programs (pg_dump, mysqldump, psql …) write in `folders` are
    told with their hash, to recognise the same content when it leaves. Not where openings are polled."""
    first_user_uid: Annotated[int, Meta(ge=0, le=4_294_967_293)] = 1000
    """Smallest uid of a person. Below, only what a login account is behind is looked at (sudo)."""

    def __post_init__(self) -> None:
        for path in self.folders:
            if not PurePath(path).is_absolute() or "\0" in path:
                raise ValueError(f"folders: {path!r} is not an absolute path")
        for network in self.inside_networks:
            try:
                ipaddress.ip_network(network)
            except ValueError as error:
                raise ValueError(f"inside_networks: {error}") from error
