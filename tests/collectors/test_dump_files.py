"""Exports that the real client programs write into people's folders are told with their hash, however."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from event_schema.codec import encode_event
from event_schema.ocsf_events import FileActivity, FileSystemActivity
from tests.collectors.linux.real_mounts import needs_root
from tests.collectors.upload_lab import UploadLab, watching
from tests.mariadb_server.server import MariadbServer
from tests.postgres_server.audited import AuditedPostgres

pytestmark = [pytest.mark.root, pytest.mark.long, pytest.mark.quiet, needs_root]


@pytest.fixture
def lab() -> Iterator[UploadLab]:
    with UploadLab() as made:
        yield made


@pytest.fixture(scope="module")
def postgres() -> Iterator[AuditedPostgres]:
    made = AuditedPostgres()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def mariadb() -> Iterator[MariadbServer]:
    made = MariadbServer()
    yield made
    made.stop()


def hash_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def told(event: FileSystemActivity) -> tuple[str, str | None]:
    """(program, hash) of an event that says what it must."""
    assert event.activity_id is FileActivity.CREATE
    assert event.unmapped.origin == "database_export"
    assert event.unmapped.evidence.fidelity == "likely"
    assert event.actor.user is not None
    assert event.actor.user.uid == str(os.getuid())
    assert event.actor.process is not None
    return event.actor.process.name or "", event.file.hashes[0].value if event.file.hashes else None


WAYS = {
    "opened.sql": ("pg_dump", "pg_dump -f {}"),
    "redirected.sql": ("pg_dump", "pg_dump > {}"),
    "appended.sql": ("pg_dump", "(echo start; pg_dump; pg_dump) >> {}"),
    "script.sql": ("pg_dump", "exec > {}; pg_dump; true"),
    "compressed.sql.gz": ("pg_dump", "pg_dump | gzip > {}"),
    "pipeline.gz": ("pg_dump", "pg_dump | cat | cat | gzip > {}"),
    "encrypted": ("pg_dump", "pg_dump | openssl enc -aes-256-cbc -pbkdf2 -pass pass:x -out {}"),
    "custom.dump": ("pg_dump", "pg_dump -Fc -f {}"),
    "output.csv": ("psql", "psql -qAtX -o {} -c 'SELECT * FROM customers'"),
    "printed.csv": ("psql", "psql -qAtX -c 'SELECT * FROM customers' > {}"),
    "copied.csv": ("psql", "psql -qAtX -c \"\\copy customers TO '{}'\""),
}


def test_what_postgresql_clients_write_is_an_export_with_its_hash(
    lab: UploadLab, postgres: AuditedPostgres
) -> None:
    paths = {name: lab.documents / name for name in WAYS}
    with watching(lab.collector()) as observing:
        for name, (_, command) in WAYS.items():
            postgres.run("/bin/bash", "-c", command.format(paths[name]))
        observing.wait_for(lambda: len(observing.events) >= len(WAYS), 20, "the exports")
        observing.settle(1.5)
        found = {event.file.name: told(event) for event in observing.files()}
        assert len(observing.events) == len(WAYS)
    assert found == {name: (program, hash_of(paths[name])) for name, (program, _) in WAYS.items()}


def test_a_directory_dump_of_several_jobs_is_told_file_by_file(
    lab: UploadLab, postgres: AuditedPostgres
) -> None:
    folder = lab.documents / "parts"
    with watching(lab.collector()) as observing:
        postgres.run("pg_dump", "-Fd", "-j", "2", "-f", str(folder))
        observing.wait_for(lambda: len(observing.events) >= 3, 20, "the parts")
        observing.settle(1.5)
        found = {event.file.name: told(event)[1] for event in observing.files()}
    large = {path.name: hash_of(path) for path in folder.iterdir() if path.stat().st_size >= 256}
    assert len(large) >= 3
    assert found == large


def test_what_others_write_beside_and_below_clients_is_none(
    lab: UploadLab, postgres: AuditedPostgres
) -> None:
    there = lab.documents
    source = lab.file("notes")
    with watching(lab.collector()) as observing:
        (there / "other.sql").write_text("SELECT 1;\n" * 100)
        postgres.psql(f"\\i {there}/other.sql", f"\\! cp {source} {there}/copy; sleep 0.2")
        postgres.run("/bin/bash", "-c", f"pg_dump > /dev/null 2> {there}/errors; cp {source} {there}/beside")
        postgres.run(
            "/bin/bash", "-c", f"cat {source} | gzip > {there}/pressed & pg_dump | wc > /dev/null; wait"
        )
        postgres.run("/bin/bash", "-c", f"psql -qAtX < {there}/other.sql > {there}/short")
        postgres.run("/bin/bash", "-c", f"pg_dump > {there}/later; sleep 1; echo more >> {there}/later")
        observing.wait_for(lambda: len(observing.events) >= 1, 20, "the one export")
        observing.settle(1.5)
        assert [event.file.name for event in observing.files()] == ["later"]


def test_what_mariadb_clients_write_is_an_export_with_its_hash(
    lab: UploadLab, mariadb: MariadbServer
) -> None:
    # A dump of 15 ms is sometimes over before its start was read (decision 28).
    mariadb.execute("INSERT INTO orders SELECT seq, seq FROM seq_301_to_100000", database="crm")
    login = f"--no-defaults -h127.0.0.1 -P{mariadb.port} -uli.wei -pclerk"
    ways = {
        "redirected.sql": f"mysqldump {login} crm > {{}}",
        "result.sql": f"mariadb-dump {login} --result-file={{}} crm",
        "compressed.sql.gz": f"mysqldump {login} crm | gzip > {{}}",
        "rows.tsv": f"mysql {login} -B -e 'SELECT * FROM customers' crm > {{}}",
    }
    paths = {name: lab.documents / name for name in ways}
    with watching(lab.collector()) as observing:
        for name, command in ways.items():
            subprocess.run(
                ["/bin/sh", "-c", command.format(paths[name])], check=True, timeout=60, capture_output=True
            )
        observing.wait_for(lambda: len(observing.events) >= len(ways), 20, "the exports")
        observing.settle(1.5)
        found = {event.file.name: told(event)[1] for event in observing.files()}
        assert not any(b"clerk" in encode_event(event) for event in observing.events)
    assert found == {name: hash_of(path) for name, path in paths.items()}


def test_none_is_told_where_it_is_switched_off(lab: UploadLab, postgres: AuditedPostgres) -> None:
    with watching(lab.collector(export_files=False)) as observing:
        postgres.run("pg_dump", "-f", str(lab.documents / "whole.sql"))
        observing.settle(2)
        assert observing.files() == []


def test_a_dump_that_runs_when_the_agent_starts_is_told_too(
    lab: UploadLab, postgres: AuditedPostgres
) -> None:
    path = lab.documents / "long.csv"
    command = f"psql -qAtX -c 'SELECT *, pg_sleep(0.002) FROM customers' > {path}"
    running = subprocess.Popen(["/bin/sh", "-c", command], env=os.environ | postgres.environment)
    try:
        with watching(lab.collector()) as observing:
            assert running.wait(60) == 0
            observing.wait_for(lambda: len(observing.events) == 1, 20, "the export")
            (event,) = observing.files()
    finally:
        running.kill()
    assert told(event) == ("psql", hash_of(path))
