"""Small reads are sums: none is lost where days of a log are read at once, nor where they are very many. Of
what a client calls itself only the program's name is told."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from collectors.database_statements import program_name
from collectors.postgresql import PostgresqlCollector, PostgresqlConfig
from collectors.statement_reports import SUMS_MAX
from event_schema.codec import encode_event
from event_schema.ocsf_account_events import DatastoreActivity
from event_schema.ocsf_objects import Host, HostType
from tests.collectors.observing import Observing

HOST = Host(hostname="db-1", type_id=HostType.SERVER)


def audit_line(number: int, at: str, table: str, rows: int = 3, program: str = "psql") -> str:
    text = f"SELECT a FROM {table} WHERE id = {number}"
    what = f"READ,SELECT,TABLE,public.{table}"
    record = {
        "timestamp": f"2026-11-{at} UTC",
        "user": "bob",
        "dbname": "crm",
        "application_name": program,
        "session_id": f"6b02.{number}",
        "message": f"AUDIT: SESSION,{number + 1},1,{what},{text},<not logged>,{rows}",
        "query_id": 5,
    }
    return msgspec.json.encode(record).decode() + "\n"


def read(folder: Path, lines: list[str]) -> tuple[list[DatastoreActivity], dict[str, int]]:
    """The sums of a log that is read at once, and what was dropped."""
    log = folder / "pg.json"
    log.touch()
    collector = PostgresqlCollector(PostgresqlConfig(enabled=True, log=str(log)), HOST, "0")
    with Observing(collector) as observing:
        with log.open("a") as file:
            file.writelines([*lines, audit_line(len(lines), "30 23:59:59.000", "last", 100_000)])
        observing.wait_for(lambda: any(map(is_last, observing.events)), 60, "the last line")
    events = [event for event in observing.events if isinstance(event, DatastoreActivity)]
    return [event for event in events if not is_last(event)], dict(collector.dropped())


def is_last(event: object) -> bool:
    return isinstance(event, DatastoreActivity) and event.unmapped.result.is_export


def test_days_of_a_log_that_are_read_at_once_lose_no_minute(tmp_path: Path) -> None:
    minutes = [f"{day:02} {at // 60:02}:{at % 60:02}:00.000" for day in range(1, 6) for at in range(1_440)]
    assert len(minutes) > 3 * SUMS_MAX
    events, dropped = read(tmp_path, [audit_line(n, at, "customers") for n, at in enumerate(minutes)])
    assert [event.unmapped.result.tables for event in events] == [("public.customers",)] * len(minutes)
    assert sum(event.unmapped.result.rows or 0 for event in events) == 3 * len(minutes)
    assert dropped == {}


def test_very_many_different_reads_of_one_minute_are_one_sum_without_tables(tmp_path: Path) -> None:
    count = SUMS_MAX + 500
    lines = [audit_line(n, f"22 10:00:{n % 60:02}.000", f"t{n:04}") for n in range(count)]
    events, dropped = read(tmp_path, lines)
    assert len(events) == SUMS_MAX + 1
    assert sum(event.count or 0 for event in events) == count
    assert dropped == {}


@pytest.mark.parametrize(
    ("told", "name"),
    [
        ("pg_dump", "pg_dump"),
        ("DBeaver 23.1.2 - SQLEditor <li-wei-salaries.sql>", "DBeaver 23.1.2"),
        ("PostgreSQL JDBC Driver", "PostgreSQL JDBC Driver"),
        ("pgAdmin 4 - CONN:1234567", "pgAdmin 4"),
        ("/home/li.wei/bin/export.py --customer=Zhang", "export.py"),
        ("C:\\Users\\li.wei\\tool.exe /password:x", "tool.exe"),
        ("python3 export.py 11010519491231002X", "python3"),
        ("report 13800138000", "report"),
        ("", ""),
        ("  ", ""),
        (None, ""),
    ],
)
def test_of_what_a_client_calls_itself_no_argument_and_no_folder_is_left(told: str | None, name: str) -> None:
    assert program_name(told) == name


def test_a_command_line_that_a_client_hands_over_as_its_name_stays_on_the_server(tmp_path: Path) -> None:
    line = audit_line(0, "22 10:00:00.000", "customers", program="/home/li/dump.py --secret=hunter2")
    (event,), _ = read(tmp_path, [line])
    assert event.unmapped.result.program == "dump.py"
    assert b"hunter2" not in encode_event(event)
