"""What a correlation of steps keeps of each event to tell it later: what was done, how much, from where."""

from __future__ import annotations

from typing import Final, NamedTuple

from event_schema.ocsf_account_events import DatastoreActivity
from event_schema.ocsf_endpoint_events import FileActivity, FileSystemActivity, PeripheralActivity
from event_schema.ocsf_events import Event
from event_schema.ocsf_objects import DriveType
from event_schema.ocsf_transfer_events import EmailActivity, FileHostingActivity
from server.enrich.amounts import amounts_of

ARCHIVES: Final = frozenset({"zip", "7z", "rar", "tar", "gz", "tgz", "bz2", "xz", "zst", "iso", "dmg"})
"""Endings, as policies/rules/block_archive_made.yml has them."""
_PLACE_CHARACTERS: Final = 64
_FILE_ACTS: Final = {FileActivity.DELETE: "deleted", FileActivity.RENAME: "renamed"}


class StepNote(NamedTuple):
    """`act`: a word of analytics/step_words.py, or empty. `items`: of what it counts. `place`: a database."""

    act: str
    items: int
    bytes: int
    place: str | None
    archive: bool


def note_of(event: Event) -> StepNote:
    amounts = amounts_of(event)
    act, place, archive, items, size = "", None, False, amounts.items, amounts.bytes
    match event:
        case FileSystemActivity():
            is_removable = event.file.drive_type_id == DriveType.REMOVABLE
            act = _FILE_ACTS.get(event.activity_id, "copied" if is_removable else "wrote")
            archive = act in ("copied", "wrote") and event.file.ext in ARCHIVES
            items, size = 1, event.file.size or 0
        case FileHostingActivity():
            act = "synced" if event.metadata.log_name == "sync_folders" else "uploaded"
            archive = event.file.ext in ARCHIVES
        case EmailActivity():
            act, items = "mailed", amounts.files
        case DatastoreActivity():
            act = "exported" if event.unmapped.result.is_export else "read"
            place = event.database.name[:_PLACE_CHARACTERS]
        case PeripheralActivity() if event.unmapped.print_job is not None:
            act = "printed"
        case _:
            pass
    return StepNote(act, items, size, place, archive)
