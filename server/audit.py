"""The audit trail: who did what to what, and why. Append-only, a hash chain in the table `audit`.

`seq` runs 1, 2, 3 … without a gap. `hash` is the SHA-256 (hex) of the row's canonical JSON: UTF-8, no
spaces, keys sorted, with exactly the keys action, actor, at, detail, object, previous_hash, reason, seq.
`previous_hash` is the hash of the row before; the first row's is 64 zeros. So a row that was changed,
taken out or put in shows, and every row after it would have to be forged too. That the END was cut off
shows only against a `head` that was kept elsewhere.

Whoever knows the hash before a row and the one behind it can try out what is hidden of it. So whoever does
not see all of every row is told fingerprints of rows, never hashes.

`detail` holds strings, whole numbers, booleans, null, lists and objects of these: what reads back equal
on every database.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import orjson
from sqlalchemy import Connection, Row, insert, select

from event_schema.struct_base import Milliseconds
from server.store.column_types import is_storable
from server.store.tables import audit, audit_withheld

ACTOR_CHARACTERS = 256
ACTION_CHARACTERS = 64
OBJECT_CHARACTERS = 256
REASON_CHARACTERS = 4096
DETAIL_BYTES = 64 * 1024
_AT_ONCE = 500
_FIRST = "0" * 64
_HASHED = ("seq", "at", "actor", "action", "object", "reason", "detail", "previous_hash")


def append(
    connection: Connection,
    *,
    at: int,
    actor: str,
    action: str,
    object: str,
    reason: str | None = None,
    detail: Mapping[str, Any] | None = None,
) -> int:
    """Adds one row within the caller's write transaction, returns its seq. at: ms UTC.

    Raises ValueError where a part is empty, too long or not storable, or `detail` would not read back equal.
    """
    act = Act(at=at, actor=actor, action=action, object=object, reason=reason, detail=detail)
    return append_all(connection, [act])


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """A row that is to be added. at: ms UTC."""

    at: int
    actor: str
    action: str
    object: str
    reason: str | None = None
    detail: Mapping[str, Any] | None = None


def append_all(connection: Connection, acts: Sequence[Act]) -> int:
    """As append, of several in their order: the trail's end is looked up once. Returns the last row's seq."""
    seq, previous_hash = head(connection) or (0, _FIRST)
    rows: list[dict[str, Any]] = []
    for act in acts:
        _check(act)
        seq += 1
        row = msgspec.structs.asdict(act) | {"seq": seq, "previous_hash": previous_hash}
        row["detail"] = None if act.detail is None else dict(act.detail)
        previous_hash = _hash(row)
        rows.append(row | {"hash": previous_hash})
    if rows:
        connection.execute(insert(audit), rows)
    return seq


def head(connection: Connection) -> tuple[int, str] | None:
    """(seq, hash) of the last row: kept elsewhere, it proves later that the end was not cut off."""
    last = connection.execute(select(audit.c.seq, audit.c.hash).order_by(audit.c.seq.desc()).limit(1)).first()
    return None if last is None else (last.seq, last.hash)


def hash_of(connection: Connection, seq: int) -> str | None:
    """None: there is no such row."""
    return connection.execute(select(audit.c.hash).where(audit.c.seq == seq)).scalar()


def fingerprint(key: bytes, seq: int, row_hash: str) -> str:
    """Kept elsewhere it proves what the hash proves; only who has the installation's key can make it."""
    return hmac.digest(key, f"audit:{seq}:{row_hash}".encode(), hashlib.sha256).hex()


class Entry(msgspec.Struct, frozen=True):
    """One row of the trail, without its hashes."""

    seq: int
    at: Milliseconds
    actor: str
    action: str
    object: str
    reason: str | None
    detail: dict[str, Any] | None


def newest(connection: Connection, *, since: int = 0, limit: int) -> list[Entry]:
    """The newest first. since: ms UTC, inclusive."""
    columns = [audit.c[name] for name in Entry.__struct_fields__]
    query = select(*columns).where(audit.c.at >= since).order_by(audit.c.seq.desc()).limit(limit)
    return [Entry(*row) for row in connection.execute(query)]


def withheld(connection: Connection, seqs: Iterable[int]) -> frozenset[int]:
    """Of these rows, those whose reason and details name somebody who was erased: nobody is shown them."""
    wanted = sorted(seqs)
    found: set[int] = set()
    for start in range(0, len(wanted), _AT_ONCE):
        some = audit_withheld.c.seq.in_(wanted[start : start + _AT_ONCE])
        found.update(connection.execute(select(audit_withheld.c.seq).where(some)).scalars())
    return frozenset(found)


def verify(connection: Connection) -> int | None:
    """The first seq that is missing or does not fit its hash or the row before; None: the chain holds."""
    expected_seq, previous_hash = 1, _FIRST
    for row in connection.execute(select(audit).order_by(audit.c.seq).execution_options(yield_per=1000)):
        if row.seq != expected_seq:
            return expected_seq
        if row.previous_hash != previous_hash or row.hash != _hash_of_stored(row):
            return expected_seq
        expected_seq, previous_hash = expected_seq + 1, row.hash
    return None


def _hash_of_stored(row: Row[Any]) -> str:
    return _hash({name: getattr(row, name) for name in _HASHED})


def _hash(row: Mapping[str, Any]) -> str:
    return hashlib.sha256(orjson.dumps(row, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _check(act: Act) -> None:
    _check_length("actor", act.actor, ACTOR_CHARACTERS)
    _check_length("action", act.action, ACTION_CHARACTERS)
    _check_length("object", act.object, OBJECT_CHARACTERS)
    if act.reason is not None:
        _check_length("reason", act.reason, REASON_CHARACTERS)
    _check_detail(act.detail)


def _check_length(name: str, value: str, longest: int) -> None:
    if not value or len(value) > longest:
        raise ValueError(f"audit {name} has {len(value)} characters, not 1 to {longest}")
    if not is_storable(value):
        raise ValueError(f"audit {name} holds a character that a database cannot keep")


def _check_detail(detail: Mapping[str, Any] | None) -> None:
    if detail is None:
        return
    if len(orjson.dumps(detail)) > DETAIL_BYTES:
        raise ValueError(f"audit detail is more than {DETAIL_BYTES} bytes")
    _check_plain(detail)


def _check_plain(value: object) -> None:
    match value:
        case None | bool() | int() | str():
            return
        case list():
            for item in value:
                _check_plain(item)
        case Mapping():
            for item in value.values():
                _check_plain(item)
        case _:
            raise ValueError(f"audit detail holds a {type(value).__name__}, which may not read back equal")
