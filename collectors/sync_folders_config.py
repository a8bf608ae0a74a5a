"""Configuration of the sync_folders collector: table [collectors.sync_folders]."""

from __future__ import annotations

from pathlib import PurePath
from typing import Annotated

import msgspec
from msgspec import Meta

from collectors.contract import narrowed_by
from collectors.sent_file_settings import SentFileSettings
from event_schema.catalogue import load_catalogue


class SyncFoldersConfig(SentFileSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where sync folders are looked for. The defaults suit most endpoints."""

    enabled: bool = True
    """Whether the collector runs at all."""
    homes: Annotated[tuple[str, ...], narrowed_by("within")] = ("/home", "/root")
    """Homes, or folders whose folders are homes, as absolute paths."""
    extra: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    """More folders of a client, by its id in the catalogue, as absolute paths."""
    settle_s: Annotated[float, Meta(ge=0.1, le=60)] = 1.0
    """A file is finished when nothing touched it for so long after it was closed."""

    def __post_init__(self) -> None:
        for path in (*self.homes, *(path for paths in self.extra.values() for path in paths)):
            if not PurePath(path).is_absolute() or "\0" in path:
                raise ValueError(f"{path!r} is not an absolute path")
        unknown = self.extra.keys() - {each.id for each in load_catalogue().of_kind("cloud_drive")}
        if unknown:
            raise ValueError(f"extra: {min(unknown)!r} is no cloud drive of the catalogue")
