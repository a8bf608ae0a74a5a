"""What a database's log says of one statement, and the events that are made of it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, Literal

import msgspec

from collectors.file_extension import extension_of
from collectors.sql_exports import Method
from collectors.sql_fingerprint import TABLES_MAX, Fingerprint
from event_schema.ocsf_account_events import (
    DatastoreActivity,
    DatastoreActivityKind,
    Outcome,
    datastore_activity,
)
from event_schema.ocsf_endpoint_events import FileActivity, FileSystemActivity, file_system_activity
from event_schema.ocsf_events import event_metadata
from event_schema.ocsf_network import Database, DatabaseTable, DatabaseType, QueryInfo, SourceEndpoint
from event_schema.ocsf_objects import (
    Actor,
    File,
    FileType,
    HashAlgorithm,
    Host,
    Metadata,
    User,
)
from event_schema.ocsf_objects import (
    Fingerprint as Hash,
)
from event_schema.ocsf_unmapped import Evidence, QueryResult, QueryUnmapped, Unmapped
from event_schema.printable import printable_name
from event_schema.short_paths import short_path
from event_schema.struct_base import NAME_CHARACTERS, PATH_CHARACTERS

ObservedBy = Literal["pgaudit", "server_audit", "slow_log"]
_ADDRESS_CHARACTERS = 64
_PROGRAM_WORDS: Final = 5
_VERSION: Final = re.compile(r"[vV]?\d{1,4}(\.\d{1,4}){0,3}")
_PROPER_NAME: Final = re.compile(r"[A-Z][A-Za-z0-9+]*")


class Session(msgspec.Struct, frozen=True):
    """Who asked, and from where. `client`: an address or host name; None: a socket of this machine."""

    uid: str
    user: str
    database: str
    client: str | None = None
    port: int | None = None
    program: str | None = None
    """As the client calls itself; events have `program_name` of it."""


class Statement(msgspec.Struct, frozen=True):
    """`server_file`: what the server wrote, by its path on its own machine. `weight`: how many statements
    this one stands for."""

    at_ms: int
    session: Session
    fingerprint: Fingerprint
    method: Method
    observed_by: ObservedBy
    tables: tuple[str, ...] = ()
    rows: int | None = None
    bytes: int | None = None
    is_export: bool = False
    server_file: str | None = None
    fidelity: Literal["exact", "likely", "possible"] = "exact"
    gap: str | None = None
    weight: int = 1


def joined(statements: Iterable[Statement]) -> Statement:
    """Several of one session as one: the sum of what they gave out, told by the largest."""
    known = list(statements)
    largest = max(known, key=lambda each: each.rows or 0)
    tables = dict.fromkeys(table for each in known for table in each.tables)
    return msgspec.structs.replace(
        largest,
        at_ms=known[0].at_ms,
        tables=tuple(tables)[:TABLES_MAX],
        rows=sum_of(each.rows for each in known),
        bytes=sum_of(each.bytes for each in known),
        gap=next((each.gap for each in known if each.gap), None),
        weight=sum(each.weight for each in known),
    )


def sum_of(numbers: Iterable[int | None]) -> int | None:
    """None where none of them is known."""
    known = [number for number in numbers if number is not None]
    return sum(known) if known else None


def reads_nothing(statement: Statement) -> bool:
    """As SELECT now(): neither the server nor its text names a table, and the text could be read."""
    return not statement.tables and "…" not in statement.fingerprint.text


class StatementEvents:
    """Makes events for one collector on one host."""

    def __init__(self, collector: str, version: str, host: Host) -> None:
        self._metadata: Metadata = event_metadata(collector, version)
        self._host = host

    def statement(self, statement: Statement) -> DatastoreActivity:
        session = statement.session
        into_file = statement.method in {"dump", "copy_to", "into_outfile"}
        tables = tuple(map(_shown, statement.tables))
        return datastore_activity(
            DatastoreActivityKind.READ if into_file else DatastoreActivityKind.QUERY,
            time=statement.at_ms,
            metadata=self._metadata,
            actor=_actor(session.user),
            device=self._host,
            src_endpoint=_source(session.client, session.port),
            database=Database(name=_shown(session.database) or "?", type_id=DatabaseType.RELATIONAL),
            query_info=QueryInfo(
                uid=statement.fingerprint.uid,
                query_string=printable_name(statement.fingerprint.text)[:4096],
                bytes=statement.bytes,
            ),
            unmapped=QueryUnmapped(
                evidence=_evidence(statement),
                result=QueryResult(
                    is_export=statement.is_export,
                    method=statement.method,
                    rows=statement.rows,
                    tables=tables or None,
                    program=program_name(session.program) or None,
                ),
            ),
            table=DatabaseTable(name=tables[0]) if tables else None,
            status_id=Outcome.SUCCESS,
            count=statement.weight,
        )

    def exported_file(
        self, statement: Statement, path: str, size: int, sha256: str | None, gap: str | None
    ) -> FileSystemActivity:
        """The file that the server wrote for the statement."""
        shown = printable_name(path)
        name = shown.rpartition("/")[2]
        hashes = None if sha256 is None else (Hash(algorithm_id=HashAlgorithm.SHA_256, value=sha256),)
        return file_system_activity(
            FileActivity.CREATE,
            time=statement.at_ms,
            metadata=self._metadata,
            actor=_actor(statement.session.user),
            device=self._host,
            file=File(
                name=name[:PATH_CHARACTERS],
                type_id=FileType.REGULAR,
                path=short_path(shown, PATH_CHARACTERS),
                ext=extension_of(name),
                size=size,
                hashes=hashes,
            ),
            unmapped=Unmapped(evidence=_evidence(statement, gap), origin="database_export"),
        )


def _evidence(statement: Statement, gap: str | None = None) -> Evidence:
    return Evidence(
        fidelity=statement.fidelity,
        observed_by=statement.observed_by,
        actor_from="server",
        gap=gap or statement.gap,
    )


@lru_cache(maxsize=1024)
def _actor(user: str) -> Actor:
    return Actor(user=User(name=_shown(user) or "?"))


def _source(client: str | None, port: int | None) -> SourceEndpoint:
    if not client:
        return SourceEndpoint(name="local")
    if len(client) <= _ADDRESS_CHARACTERS and _is_address(client):
        return SourceEndpoint(ip=client, port=port)
    return SourceEndpoint(hostname=_shown(client), port=port)


def _is_address(client: str) -> bool:
    return ":" in client or client.replace(".", "").isdigit()


def program_name(told: str | None) -> str:
    """What a client calls itself without what may stand behind: some hand over their whole command line, or
    which script is open. A name, more words of it if it is written like one, a version; no folder."""
    first, *others = _shown(told).split()[:_PROGRAM_WORDS] or [""]
    kept = [re.split(r"[/\\]", first)[-1]]
    for word in others:
        is_named = _PROPER_NAME.fullmatch(kept[0]) is not None and _PROPER_NAME.fullmatch(word) is not None
        if not (is_named or _VERSION.fullmatch(word)):
            break
        kept.append(word)
    return " ".join(kept)


def _shown(name: str | None) -> str:
    return printable_name(name or "")[:NAME_CHARACTERS]
