"""A company in which Xanthippe leaves, on a machine that she shares with others, and all that names her."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import zstandard
from sqlalchemy import Connection, select

from event_schema.ocsf_events import Event, account_of
from event_schema.wire import WireRecord
from server.erasure.erasing import Progress, begin, carry_out
from server.erasure.plan import Target, person_target
from server.evidence_seal import SealKey
from server.people.hr_import import ImportOptions, import_people
from server.people.import_report import ImportReport
from server.store.database import Database
from server.store.leftovers import clear_leftovers
from server.store.tables import (
    activity_days,
    alert_days,
    alerts,
    channel_days,
    event_blocks,
    judged_days,
    metadata,
    rule_days,
    subject_agents,
    subject_events,
    subject_places,
    trait_uses,
)
from tests.server.pipeline.company import TODAY, beat
from tests.server.pipeline.conftest import DAY, NOW, Server
from tests.server.pipeline.endpoint import Endpoint, copied_file

PERSON = "E77031"
TRACES = (b"xanthippe", b"zymborska", b"quixotry", b"xan-stick")
"""Account, name, names of files and device: what may be left nowhere, in any case."""
PEOPLE = f"""id,name,accounts,department,manager,notice date,last working day
{PERSON},Xanthippe Zymborska,xanthippe desk-4\\xanthippe2 CORP\\xanthippe3,sales,,2026-11-10,2026-11-26
E2,Bob Berg,bob,sales,{PERSON},2026-11-10,2026-11-26
E3,Carol Chen,carol,sales,{PERSON},,
"""
SEAL_KEY = SealKey.new()


class HasDatabase(Protocol):
    @property
    def database(self) -> Database: ...


OTHERS = ("bob", "carol", "nobody", "CORP\\visitor")


def prepare(server: Server, endpoints: Iterable[Endpoint]) -> None:
    # Heartbeats are sent by the real clock; with another one here every event's time would be corrected.
    server.now = time.time_ns() // 1_000_000
    take_over(server)
    for endpoint in endpoints:
        endpoint.enrol(server.database)


def take_over(server: Server, data: str = PEOPLE, *, restore_erased: bool = False) -> ImportReport:
    with server.database.begin() as connection:
        return import_people(
            connection,
            data.encode(),
            actor="test",
            at=server.now,
            options=ImportOptions(restore_erased=restore_erased, skip_bad_rows=True),
        )


def file_of(account: str, dice: random.Random, host: str = "desk-4") -> Event:
    """A file that the account copied, on one of five days."""
    hers = "xanthippe" in account
    return copied_file(
        NOW - dice.randrange(5) * DAY - dice.randrange(1000),
        name=f"quixotry-{dice.randrange(10**6)}.csv" if hers else f"{dice.randrange(10**6)}.csv",
        size=dice.randrange(10**7),
        account=account.upper() if dice.random() < 0.3 else account,
        device=f"xan-stick-{dice.randrange(3)}" if hers else f"stick-{dice.randrange(3)}",
        host=host,
    )


def flow(
    dice: random.Random, number: int = 14, endpoints: Sequence[Endpoint] = ()
) -> dict[Endpoint, list[WireRecord]]:
    """Records of two machines, each with events of several people."""
    found: dict[Endpoint, list[WireRecord]] = {}
    for endpoint in endpoints or [Endpoint(f"desk-{place}", epoch=f"{place:016x}") for place in (0, 4)]:
        records = found.setdefault(endpoint, [])
        for _ in range(number):
            if dice.random() < 0.2:
                newest = TODAY - dice.randrange(20)
                records.append(endpoint.heartbeat(beat(range(newest - dice.randrange(20), newest))))
            # Listed with its host: elsewhere it is nobody's.
            own = ("xanthippe2",) if endpoint.name == "desk-4" else ()
            accounts = ("xanthippe", "CORP\\xanthippe3", *own, *OTHERS)
            files = [file_of(dice.choice(accounts), dice, endpoint.name) for _ in range(dice.randint(1, 6))]
            records.append(endpoint.record(files))
            if dice.random() < 0.2:
                records.append(records[-1])
    return found


def quiet(_what: str, _done: int, _of: int) -> None:
    return


def start(server: Server, target: Target) -> int:
    with server.database.begin() as connection:
        return begin(
            connection,
            target,
            actor="test",
            reason="she asked",
            at=server.now,
            blocked_until=server.now + 365 * DAY,
        )


def erase(server: Server, progress: Progress = quiet, person: str = PERSON) -> dict[str, int]:
    with server.database.begin() as connection:
        target = person_target(connection, person)
    if not target.plan.subjects:
        return {}
    number = start(server, target)
    return carry_out(server.database, number, seal_key=SEAL_KEY, actor="test", progress=progress)


def _is_hers(subject: str) -> bool:
    return PERSON in subject or "xanthippe" in subject


def outcome_of_others(server: HasDatabase) -> dict[str, list[tuple[Any, ...]]]:
    """All that must be as if nobody had been erased. Managers apart: hers are blanked."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    with server.database.read() as connection:
        tables = (channel_days, activity_days, rule_days, subject_agents, subject_places, subject_events)
        for table in (*tables, judged_days):
            rows = [tuple(row) for row in connection.execute(select(table))]
            found[table.name] = sorted((row for row in rows if not _is_hers(row[0])), key=repr)
        uses = (tuple(row) for row in connection.execute(select(trait_uses)))
        found["trait_uses"] = sorted(row for row in uses if not _is_hers(row[1]))
        kept = [column for column in alerts.c if column.name not in {"id", "opened_at", "updated_at"}]
        found["alerts"] = sorted(
            (tuple(row) for row in connection.execute(select(*kept)) if not _is_hers(row.subject)), key=repr
        )
        days = select(alerts.c.subject, alerts.c.family, alert_days.c.channel, alert_days.c.day)
        joined = days.join(alert_days, alert_days.c.alert == alerts.c.id)
        found["alert_days"] = sorted(
            (tuple(row) for row in connection.execute(joined) if not _is_hers(row.subject)), key=repr
        )
        found["events"] = sorted(_events(connection), key=repr)
    return found


def _events(connection: Connection) -> Iterable[tuple[Any, ...]]:
    from event_schema.wire import decode_events  # noqa: PLC0415
    from server.alerts.evidence_blocks import EventBlock  # noqa: PLC0415
    from server.pipeline.leaver_entries import entries_of, fields_of  # noqa: PLC0415 - as evidence is read

    columns = [event_blocks.c[name] for name in EventBlock.__struct_fields__]
    for row in connection.execute(select(*columns)):
        block = EventBlock(*row)
        for index, (entry, event) in enumerate(
            zip(entries_of(block.leaver, block.count), decode_events(block.record).events, strict=True)
        ):
            if entry is None or event is None:
                continue
            user = account_of(event)
            account = user.name if user else None
            if "xanthippe" not in str(account).casefold():
                person = fields_of(entry[1]).person
                yield (block.agent, block.epoch, block.first_seq + index, entry[0], event, person.id)


def traces_in_rows(server: HasDatabase) -> list[str]:
    """Where her traces are in any row of any table, unpacked."""
    found = []
    with server.database.read() as connection:
        for table in metadata.sorted_tables:
            for row in connection.execute(select(table)):
                for column, value in zip(table.c, row, strict=True):
                    data = value if isinstance(value, bytes) else repr(value).encode()
                    hits = [trace for trace in (*TRACES, PERSON.lower().encode()) if trace in _plain(data)]
                    found += [f"{table.name}.{column.name}: {hit!r}" for hit in hits]
    return found


def _plain(data: bytes) -> bytes:
    if data.startswith(b"\x28\xb5\x2f\xfd"):
        data = zstandard.ZstdDecompressor().decompress(data, max_output_size=1 << 24)
    return data.lower()


def traces_in_files(server: Server, folder: Path) -> list[str]:
    """Where they are in the raw bytes of the database's files, PostgreSQL's without its WAL."""
    if server.database.dialect == "sqlite":
        files = list(server.folder.glob("*.db*"))
    else:
        with server.database.begin() as connection:
            connection.exec_driver_sql("CHECKPOINT")
            own = "SELECT oid FROM pg_database WHERE datname = current_database()"
            number = connection.exec_driver_sql(own).scalar_one()
        files = [path for path in (folder / "base" / str(number)).iterdir() if path.is_file()]
    assert files
    found = []
    for path in files:
        data = path.read_bytes().lower()
        found += [f"{path.name}: {trace!r}" for trace in TRACES if trace in data]
    return found


def clear(server: Server) -> tuple[str, ...]:
    return clear_leftovers(server.database, [table.name for table in metadata.sorted_tables])
