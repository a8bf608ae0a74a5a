"""The sample company in the console, by the ways that a real one takes: imported, enrolled, signed, piped.

Sixty people with 60 days of history. Then three copy customers' files to sticks that were never seen before:
two who are leaving, and one who stays. One of the files has a name to be careful with.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from event_schema.codec import encode_event
from event_schema.ocsf_events import Event, FileActivity, event_metadata, file_system_activity
from event_schema.ocsf_objects import (
    Actor,
    DriveType,
    Executable,
    File,
    FileType,
    Fingerprint,
    HashAlgorithm,
    Host,
    HostType,
    PeripheralDevice,
    PeripheralType,
    Process,
    User,
)
from event_schema.ocsf_unmapped import Evidence, Unmapped
from event_schema.wire import pack_events
from server.agents.registry import create_token, redeem_token
from server.evaluation.demo_company import DemoPerson, demo_company
from server.evaluation.demo_load import load_demo
from server.pipeline.worker import PipelineWorker
from server.policies.watched_folder import PolicyFolder
from server.store.tables import log_positions
from tests.server.console.site import HOUR, Site

SEED = 7
CAREFUL = "<b>Kunden</b> \u202egnp.exe\u202c.xlsx"
_MB = 1_000_000


class CompanySite(Site):
    """The console over the sample company."""

    def __init__(self, folder: Path, *, database_url: str | None = None) -> None:
        super().__init__(folder, database_url=database_url, leak_files=0)
        self.people = demo_company(SEED, datetime.fromtimestamp(self.clock() / 1000, UTC).date())
        PolicyFolder(self.database, None, clock=self.clock).take()
        worker = PipelineWorker(self.database, self.server.log, clock=self.clock)
        stop = threading.Event()
        running = threading.Thread(target=worker.run, args=(stop,), name="pipeline")
        running.start()
        try:
            load_demo(
                self.database,
                self.server.log,
                self.server.authority,
                clock=self.clock,
                seed=SEED,
                leaver_account="",
                time_zone="Asia/Shanghai",
                version="0.1.0",
                progress=lambda _what, _done, _of: None,
            )
            for person, files, size in ((0, 214, 19 * _MB), (20, 40, 6 * _MB), (25, 60, 3 * _MB)):
                self._leak(self.people[person], files, size)
            self._wait()
        finally:
            stop.set()
            running.join(30)

    def _leak(self, person: DemoPerson, files: int, size: int) -> None:
        key = Ed25519PrivateKey.generate()
        agent = f"{person.host}-b"
        with self.database.begin() as connection:
            token = create_token(connection, agent, now=self.clock(), actor="test")
            redeem_token(connection, token, key.public_key(), self.server.authority, now=self.clock())
        events = [
            encode_event(event) for event in _copies(person, agent, files, size, self.clock() - HOUR // 2)
        ]
        for first in range(0, len(events), 100):
            part = events[first : first + 100]
            record = pack_events(key, agent=agent, epoch="00112233aabbccdd", first_seq=first, events=part)
            self.server.log.append([record])

    def _wait(self) -> None:
        deadline = time.monotonic() + 120
        (end,) = self.server.log.end_offsets().values()
        while time.monotonic() < deadline:
            with self.database.read() as connection:
                if connection.execute(log_positions.select()).one().next_offset >= end:
                    return
            time.sleep(0.05)
        raise TimeoutError("the pipeline did not take what was sent")


def _copies(person: DemoPerson, agent: str, files: int, size: int, begin: int) -> Iterator[Event]:
    stick = PeripheralDevice(
        name="Netac U326",
        type_id=PeripheralType.EXTERNAL_STORAGE,
        uid=f"0dd8:3600:{person.id}00AB",
        serial_number=f"{person.id}00AB",
        vendor_name="Netac",
        model="U326",
    )
    for number in range(files):
        name = CAREFUL if number == 3 else f"customers-{number:03}.xlsx"
        yield file_system_activity(
            FileActivity.CREATE,
            time=begin + number * 2_500,
            metadata=event_metadata("removable_storage", "0.1.0"),
            actor=Actor(
                user=User(name=person.account),
                process=Process(
                    pid=4000,
                    name="cp",
                    file=Executable(name="cp", type_id=FileType.REGULAR, path="/usr/bin/cp"),
                ),
            ),
            device=Host(hostname=agent, type_id=HostType.LAPTOP, uid=agent),
            file=File(
                name=name,
                type_id=FileType.REGULAR,
                path=f"/media/{person.account}/U326/{name}",
                ext="xlsx",
                size=size + number,
                hashes=(
                    Fingerprint(
                        algorithm_id=HashAlgorithm.SHA_256,
                        value=hashlib.sha256(f"{person.id}/{number}".encode()).hexdigest(),
                    ),
                ),
                drive_type_id=DriveType.REMOVABLE,
                volume="U326",
            ),
            unmapped=Unmapped(
                evidence=Evidence(fidelity="exact", observed_by="fanotify_fid", actor_from="audit"),
                peripheral_device=stick,
            ),
        )
