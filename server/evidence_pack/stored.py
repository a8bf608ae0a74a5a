"""Packs that were made for a case: a row each, and a file packs/ID.zip in the data directory.

The row says what the file's digest is, so a file that was changed on disk is never handed out. A file without
a finished row is nobody's, and goes at the next sweep; so a row that is taken away (by time, by an erasure)
takes its file along.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Row, insert, select, update
from sqlalchemy.exc import IntegrityError

from event_schema.struct_base import Milliseconds
from server import audit
from server.cases.changing import note_pack
from server.cases.records import TEXT_CHARACTERS, CaseRefused, Verb, checked_text
from server.evidence_pack.making import MadePack
from server.store.database import Database
from server.store.tables import evidence_packs

KEPT_DAYS: Final = 30
FAULT_CHARACTERS: Final = 400
_DAY_MS: Final = 86_400_000
_CHUNK: Final = 1 << 20
_ENDED: Final = "the server ended before it was made"

_logger = logging.getLogger("leaver.packs")


class UnknownPack(Exception):
    """There is no such pack, or it cannot be handed out; the message says which."""


class PackRunning(Exception):
    """One is being made of this case already."""


class StoredPack(msgspec.Struct, frozen=True):
    """A row of evidence_packs. `reason` may name somebody."""

    id: int
    case: int
    state: str
    unmasked: bool
    reason: str | None
    begun_at: Milliseconds
    begun_by: str
    finished_at: Milliseconds | None
    fault: str | None
    bytes: int | None
    digest: str | None
    manifest_digest: str | None
    alerts: int
    events: int | None

    @property
    def kept_until(self) -> int | None:
        """ms UTC."""
        return None if self.finished_at is None else self.finished_at + KEPT_DAYS * _DAY_MS


def pack_path(folder: Path, pack_id: int) -> Path:
    return folder / f"{pack_id}.zip"


def packs_of_case(connection: Connection, case_id: int, limit: int = 50) -> list[StoredPack]:
    """The latest first."""
    query = select(*_columns()).where(evidence_packs.c.case == case_id).order_by(evidence_packs.c.id.desc())
    return [StoredPack(*row) for row in connection.execute(query.limit(limit))]


def get_pack(connection: Connection, pack_id: int) -> StoredPack:
    """Raises UnknownPack."""
    row = connection.execute(select(*_columns()).where(evidence_packs.c.id == pack_id)).first()
    if row is None:
        raise UnknownPack(f"there is no pack {pack_id}")
    return StoredPack(*row)


def begin_pack(
    database: Database, case_id: int, *, reason: str | None, actor: str, at: int, alerts: int
) -> int:
    """Its number. `reason`: why names are needed; None: it is masked. Raises PackRunning, CaseRefused."""
    if reason is not None:
        reason = checked_text("a reason", reason, min(TEXT_CHARACTERS, audit.REASON_CHARACTERS))
    row = {"case": case_id, "state": "running", "unmasked": reason is not None, "reason": reason}
    row |= {"begun_at": at, "begun_by": actor, "alerts": alerts, "pseudonyms": []}
    try:
        with database.begin() as connection:
            made = insert(evidence_packs).values(row).returning(evidence_packs.c.id)
            pack_id = int(connection.execute(made).scalar_one())
            note_pack(connection, case_id, Verb.PACK, pack_id, actor=actor, at=at)
            _audit(connection, "pack.make", pack_id, case_id, actor, at, reason, unmasked=reason is not None)
    except IntegrityError:
        raise PackRunning("a pack of this case is being made already") from None
    return pack_id


def finish_pack(connection: Connection, pack_id: int, made: MadePack, digest: str, *, at: int) -> bool:
    """Whether it was still wanted: an erasure may have come between."""
    values = {"state": "done", "finished_at": at, "bytes": made.archive.bytes, "digest": digest}
    values |= {"manifest_digest": made.archive.manifest_digest, "events": made.events}
    values |= {"first_time": made.first_time, "last_time": made.last_time}
    values["pseudonyms"] = list(made.pseudonyms)
    return _end(connection, pack_id, values)


def fail_pack(connection: Connection, pack_id: int, state: str, fault: str, *, at: int) -> bool:
    """`state`: failed or cancelled."""
    return _end(connection, pack_id, {"state": state, "finished_at": at, "fault": fault[:FAULT_CHARACTERS]})


def take_out(
    database: Database, folder: Path, pack_id: int, *, actor: str, at: int, reason: str | None
) -> tuple[StoredPack, Path]:
    """For handing it out: on the record before anybody gets a byte. With names a reason is needed, unless
    whoever had it made asks. Raises UnknownPack, CaseRefused."""
    with database.read() as connection:
        pack = get_pack(connection, pack_id)
    path = pack_path(folder, pack_id)
    if pack.state != "done" or pack.digest is None:
        raise UnknownPack(f"pack {pack_id} is {pack.state}")
    if pack.unmasked and reason is None and pack.begun_by != actor:
        raise CaseRefused("this pack holds names: say why you need it", "names")
    if reason is not None:
        reason = checked_text("a reason", reason, audit.REASON_CHARACTERS)
    try:
        found = file_digest(path)
    except OSError:
        raise UnknownPack(f"the file of pack {pack_id} is not on this server") from None
    if found != pack.digest:
        _logger.error("pack_changed_on_disk", extra={"pack": pack_id})
        raise UnknownPack(f"the file of pack {pack_id} was changed on this server's disk: make another one")
    with database.begin() as connection:
        note_pack(connection, pack.case, Verb.DOWNLOAD, pack_id, actor=actor, at=at)
        _audit(connection, "pack.download", pack_id, pack.case, actor, at, reason, unmasked=pack.unmasked)
    return pack, path


def note_cancel(connection: Connection, pack: StoredPack, *, actor: str, at: int) -> None:
    """Somebody said that it is not to be made. Within a write transaction."""
    _audit(connection, "pack.cancel", pack.id, pack.case, actor, at, None, unmasked=pack.unmasked)


def file_digest(path: Path) -> str:
    """Raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(_CHUNK):
            digest.update(part)
    return digest.hexdigest()


def end_abandoned(database: Database, at: int) -> int:
    """How many were being made by a server that is no more. At the start of one, which is alone."""
    with database.begin() as connection:
        running = update(evidence_packs).where(evidence_packs.c.state == "running")
        return connection.execute(running.values(state="failed", finished_at=at, fault=_ENDED)).rowcount


def sweep(database: Database, folder: Path) -> int:
    """Deletes files of which no row says that they are done, or being made; how many."""
    try:
        there = [path for path in folder.iterdir() if path.is_file()]
    except FileNotFoundError:
        return 0
    with database.read() as connection:
        held = evidence_packs.c.state.in_(("done", "running"))
        kept = set(connection.execute(select(evidence_packs.c.id).where(held)).scalars())
    gone = 0
    for path in there:
        number = path.name.partition(".")[0]
        if not (number.isdigit() and int(number) in kept):
            path.unlink(missing_ok=True)
            gone += 1
    return gone


def packs_telling_of(
    connection: Connection, pseudonyms: Iterable[str], times: tuple[int, int] | None
) -> list[int]:
    """Those that tell of one of these people, or of these times (ms UTC). What is being made, or holds names,
    may tell of anybody."""
    wanted = set(pseudonyms)
    columns = ("id", "state", "unmasked", "pseudonyms", "first_time", "last_time")
    query = select(*(evidence_packs.c[name] for name in columns)).where(
        evidence_packs.c.state.in_(("done", "running"))
    )
    return [row.id for row in connection.execute(query) if _tells_of(row, wanted, times)]


def _tells_of(row: Row[Any], wanted: set[str], times: tuple[int, int] | None) -> bool:
    if times is not None:
        return row.first_time is None or (row.first_time < times[1] and times[0] <= row.last_time)
    return row.unmasked or row.state == "running" or not wanted.isdisjoint(row.pseudonyms)


def forget_packs(connection: Connection, ids: list[int]) -> None:
    """In an erasure's transaction; whoever calls it sweeps."""
    values: dict[str, Any] = {"state": "removed", "fault": "an erasure took it away", "pseudonyms": []}
    connection.execute(update(evidence_packs).where(evidence_packs.c.id.in_(ids)).values(values))


def _end(connection: Connection, pack_id: int, values: dict[str, Any]) -> bool:
    own = (evidence_packs.c.id == pack_id) & (evidence_packs.c.state == "running")
    return connection.execute(update(evidence_packs).where(own).values(values)).rowcount == 1


def _audit(
    connection: Connection,
    action: str,
    pack_id: int,
    case_id: int,
    actor: str,
    at: int,
    reason: str | None,
    *,
    unmasked: bool,
) -> None:
    detail = {"case": case_id, "unmasked": unmasked}
    audit.append(
        connection, at=at, actor=actor, action=action, object=f"pack:{pack_id}", reason=reason, detail=detail
    )


def _columns() -> list[Any]:
    return [evidence_packs.c[name] for name in StoredPack.__struct_fields__]
