"""Configuration of the export_folders collector: table [collectors.export_folders]."""

from __future__ import annotations

from pathlib import PurePath
from typing import Annotated, ClassVar

from msgspec import Meta

from collectors.sent_file_settings import SentFileSettings


class ExportFoldersConfig(SentFileSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Off until it is told where a file server's or an application's exports lie."""

    to_enable: ClassVar[str] = (
        "off: where a file server's or an application's exports are written name the folders"
    )

    enabled: bool = False
    folders: Annotated[tuple[str, ...], Meta(max_length=256)] = ()
    """Folders into which exports are written, as absolute paths, with all that lies below them."""
    settle_s: Annotated[float, Meta(ge=0.1, le=60)] = 1.0
    """A file is finished when nothing touched it for so long after it was closed."""
    labels: bool = False
    """Whether exports are labelled, as the table [labels] says."""

    @staticmethod
    def lines_to_enable() -> str:
        return '[collectors.export_folders]\nenabled = true\nfolders = ["/srv/exports"]'

    def __post_init__(self) -> None:
        for path in self.folders:
            if not PurePath(path).is_absolute() or "\0" in path:
                raise ValueError(f"folders: {path!r} is not an absolute path")
        if self.enabled and not self.folders:
            raise ValueError("folders: say where exports are written, or leave the collector off")
