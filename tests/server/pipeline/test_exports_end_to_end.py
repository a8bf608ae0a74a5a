"""Real dumps, renamed, on a real drive and through a real upload: the alert's evidence names the export."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from event_schema.ocsf_events import Event
from policies.rule_file import load_policies
from server.alerts.views import alert_detail, alert_views
from server.commands.evidence_rows import evidence_row
from tests.collectors.drives import Drive, needs_root
from tests.collectors.observing import Observing
from tests.collectors.test_removable_storage import collector_of
from tests.collectors.upload_lab import UploadLab, watching
from tests.mariadb_server.server import MariadbServer
from tests.postgres_server.audited import AuditedPostgres
from tests.server.pipeline.conftest import Server
from tests.server.pipeline.test_known_exports import Pipeline

pytestmark = [pytest.mark.root, pytest.mark.long, needs_root]


@pytest.fixture
def lab() -> Iterator[UploadLab]:
    with UploadLab() as made:
        yield made


def dump_with_postgresql(path: Path) -> None:
    """pg_dump, compressed on the way."""
    server = AuditedPostgres()
    try:
        server.run("/bin/bash", "-c", f"pg_dump | gzip > '{path}'")
    finally:
        server.stop()


def dump_with_mariadb(path: Path) -> None:
    """mysqldump, redirected by a shell."""
    server = MariadbServer()
    try:
        login = f"--no-defaults -h127.0.0.1 -P{server.port} -uli.wei -pclerk"
        subprocess.run(
            ["/bin/sh", "-c", f"mysqldump {login} crm > '{path}'"],
            check=True,
            capture_output=True,
            timeout=60,
        )
    finally:
        server.stop()


def take_along(lab: UploadLab, export: Path, drive: Drive, port: int) -> None:
    """Under two other names: onto the drive, and up to a web server."""
    picture = lab.documents / "holiday.jpg"
    export.rename(picture)
    lab.run("cp", picture, f"{drive.target}/holiday.jpg")
    song = Path(shutil.copy(picture, lab.documents / "song.mp3"))
    lab.run("curl", "-sT", song, f"http://127.0.0.1:{port}/song")
    # Something else goes along.
    lab.run("cp", lab.file("other.jpg"), f"{drive.target}/other.jpg")


@pytest.mark.parametrize("program", ["pg_dump", "mysqldump"])
def test_a_dump_is_named_by_the_alerts_of_what_was_taken_under_other_names(
    lab: UploadLab, server: Server, program: str
) -> None:
    server.employ("p1", "nobody")
    export = lab.documents / "customers.sql"
    with ExitStack() as stack:
        drive = stack.enter_context(Drive(lab.folder, "ext4"))
        port = lab.web()
        uploads: Observing = stack.enter_context(watching(lab.collector()))
        stick = stack.enter_context(Observing(collector_of(drive.target)))
        (dump_with_postgresql if program == "pg_dump" else dump_with_mariadb)(export)
        uploads.wait_for(lambda: len(uploads.events) == 1, 20, "the export")
        take_along(lab, export, drive, port)
        uploads.wait_for(lambda: len(uploads.events) >= 2, 30, "the upload")
        stick.wait_for(lambda: len(stick.files()) >= 2, 20, "the copies")
    told = sorted(uploads.events, key=lambda event: event.time)
    assert len(told) == 2, told
    made, sent = told
    assert made.actor.process is not None
    assert made.actor.process.name == ("pg_dump" if program == "pg_dump" else "mariadb-dump")
    assert made.actor.user is not None
    assert made.actor.user.uid == str(os.getuid())
    everything: list[Event] = [made, *stick.events, sent]
    server.now = time.time_ns() // 1_000_000 + 1_000
    Pipeline(server, load_policies()).take(*everything)
    named: dict[str, list[str]] = {}
    for shown in alert_views(server.database):
        detail = alert_detail(server.database, shown.id)
        named[shown.family] = [evidence_row(each)[1] for each in detail.evidence.largest]
        assert detail.proof.good
    assert "holiday.jpg (content of a database export)" in named["removable_storage_copy"]
    assert "song.mp3 → 127.0.0.1 (content of a database export)" in named["upload"]
    assert not [row for rows in named.values() for row in rows if row.startswith("other.jpg (")]
