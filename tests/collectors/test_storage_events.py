"""Events of files as they are: whatever they are called, the name is kept."""

from __future__ import annotations

import os

from collectors.finished_files import FinishedFile
from collectors.linux.process_identity import Who
from collectors.storage_events import EventSource, Volume, file_event
from event_schema.codec import decode_event, encode_event
from event_schema.ocsf_events import FileActivity, FileSystemActivity
from event_schema.ocsf_objects import Host, HostType, PeripheralDevice, PeripheralType
from event_schema.struct_base import PATH_CHARACTERS

SOURCE = EventSource("removable_storage", "0", Host(hostname="h", type_id=HostType.UNKNOWN))
VOLUME = Volume(PeripheralDevice(name="stick", type_id=PeripheralType.EXTERNAL_STORAGE), "STICK")


def test_a_path_longer_than_an_event_may_hold_keeps_its_beginning_and_the_files_name() -> None:
    # A folder's path may be 4,095 bytes long, and the name of a file in it comes on top.
    folder = b"/media/stick" + (b"/" + b"\xff" * 255) * 15 + b"/" + b"\xff" * 240
    path = os.fsdecode(folder + b"/" + b"\xfe" * 251 + b".csv")
    event = file_event(
        SOURCE,
        FinishedFile(FileActivity.RENAME, path, 1, 7, new_path=path),
        VOLUME,
        Who(uid=0, user_name="root", exe=path, pid=7, auid=None, source="audit"),
        "fanotify_fid",
        sha256=None,
        gap=None,
    )
    read = decode_event(encode_event(event))
    assert isinstance(read, FileSystemActivity)
    name = r"\xfe" * 251 + ".csv"
    assert read.actor.process is not None
    assert read.actor.process.file is not None
    for found in (read.file, read.file_result, read.actor.process.file):
        assert found is not None
        assert found.name == name
        assert (found.path or "").startswith(r"/media/stick/\xff")
        assert (found.path or "").endswith(f"/…/{name}")
        assert len(found.path or "") <= PATH_CHARACTERS
