"""Pseudonyms: what analysts see instead of names. `P-7F3K2` for a person, `A-…` for an account of nobody.

A pseudonym is the start of HMAC-SHA256(key of this installation, subject) in Crockford's base32, five
characters, or as many more as it takes to differ from those given before. It is kept in the table
`pseudonyms` from then on, so it stays the same for ever, and only the key's holder could make it from a
name. Subjects are 'person:ID' and 'account:NAME@HOST', as alerts name them.

`label` is the same for what is no subject but names people too (hosts, agents, serial numbers): computed
each time, kept nowhere.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable

import msgspec
from sqlalchemy import Connection, insert, select

from server import audit
from server.people.account_names import account_key
from server.people.erased import SUBJECT_CHARACTERS
from server.people.removed import read_telling, removed
from server.store.column_types import key_text
from server.store.database import Database
from server.store.tables import account_bindings, installation, people_changes, person_names, pseudonyms
from server.store.upsert import insert_missing

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_SHORTEST, _LONGEST = 5, 14
_AT_ONCE = 500
_KEY = "pseudonym_key"
_LOOKS_SO = re.compile(f"[PA]-[{_ALPHABET}]{{{_SHORTEST},{_LONGEST}}}")
_READ_AS = str.maketrans("OIL", "011")


class UnknownPseudonym(Exception):
    """Nobody has this pseudonym."""


class Unmasked(msgspec.Struct, frozen=True):
    """Who is behind a pseudonym."""

    pseudonym: str
    subject: str
    name: str | None
    """None: an account that belongs to nobody known, or a person without a name."""
    accounts: tuple[str, ...]


def person_subject(person_id: str) -> str:
    return f"person:{person_id}"


def account_subject(account: str, host: str | None) -> str:
    """Of an account that belongs to nobody known. The same name on two hosts is two accounts."""
    place = f"@{account_key(host)}" if host else ""
    return key_text(f"account:{account_key(account)}{place}", SUBJECT_CHARACTERS)


def pseudonym(connection: Connection, subject: str) -> str:
    """The subject's pseudonym, given now if it has none. Needs a write transaction for that."""
    return give_pseudonyms(connection, [subject])[subject]


def give_pseudonyms(connection: Connection, subjects: Iterable[str]) -> dict[str, str]:
    """Pseudonyms by subject; those that have none get one, in the order given. Needs a write transaction."""
    wanted = list(dict.fromkeys(subjects))
    found = known_pseudonyms(connection, wanted)
    missing = [subject for subject in wanted if subject not in found]
    if not missing:
        return found
    key = pseudonym_key(connection)
    for start in range(0, len(missing), _AT_ONCE):
        new = _new_pseudonyms(connection, key, missing[start : start + _AT_ONCE])
        connection.execute(insert(pseudonyms), [{"subject": s, "pseudonym": p} for s, p in new.items()])
        found |= new
    return found


def _new_pseudonyms(connection: Connection, key: bytes, subjects: list[str]) -> dict[str, str]:
    lengths = range(_SHORTEST, _LONGEST + 1)
    codes = {s: (_prefix(s), _code(key, s)) for s in subjects}
    forms = {s: [prefix + code[:length] for length in lengths] for s, (prefix, code) in codes.items()}
    new: dict[str, str] = {}
    taken: set[str] = set()
    for step, _ in enumerate(lengths):
        open_ones = {s: candidates[step] for s, candidates in forms.items() if s not in new}
        query = select(pseudonyms.c.pseudonym).where(pseudonyms.c.pseudonym.in_(list(open_ones.values())))
        taken.update(connection.execute(query).scalars())
        for subject, shown in open_ones.items():
            if shown not in taken:
                new[subject] = shown
                taken.add(shown)
        if len(new) == len(subjects):
            return new
    raise ValueError(f"{_LONGEST} characters do not tell the pseudonyms apart")


def known_pseudonyms(connection: Connection, subjects: Iterable[str]) -> dict[str, str]:
    """Pseudonyms that were given already, by subject. Reads only."""
    wanted = list(dict.fromkeys(subjects))
    found: dict[str, str] = {}
    for start in range(0, len(wanted), _AT_ONCE):
        rows = connection.execute(
            select(pseudonyms).where(pseudonyms.c.subject.in_(wanted[start : start + _AT_ONCE]))
        )
        found.update({row.subject: row.pseudonym for row in rows})
    return found


def shown_names(database: Database, subjects: Iterable[str]) -> tuple[bytes, dict[str, str]]:
    """(the installation's key, pseudonyms of all the subjects). Writes only where one is missing."""
    wanted = list(dict.fromkeys(subjects))
    with database.read() as connection:
        has_key = connection.execute(select(installation.c.key).where(installation.c.key == _KEY)).first()
        known = known_pseudonyms(connection, wanted)
        if has_key is not None and len(known) == len(wanted):
            return pseudonym_key(connection), known
    with database.begin() as connection:
        return pseudonym_key(connection), give_pseudonyms(connection, wanted)


def unmask(connection: Connection, shown: str, *, actor: str, at: int, reason: str) -> Unmasked:
    """Who is behind a pseudonym, and an audit row with the reason. Needs a write transaction.

    Case and the letters O, I, L do not matter. Raises UnknownPseudonym, ValueError without a reason.
    """
    if not reason.strip():
        raise ValueError("unmasking needs a reason")
    wanted = _normalised(shown)
    subject = subject_of(connection, wanted)
    audit.append(connection, at=at, actor=actor, action="pseudonym.unmask", object=wanted, reason=reason)
    kind, _, rest = subject.partition(":")
    if kind != "person":
        return Unmasked(wanted, subject, None, (rest,))
    name = connection.execute(select(person_names.c.name).where(person_names.c.person_id == rest)).scalar()
    own = connection.execute(
        select(account_bindings.c.account)
        .where(account_bindings.c.person_id == rest, account_bindings.c.relation == "owner")
        .distinct()
        .order_by(account_bindings.c.account)
    ).scalars()
    return Unmasked(wanted, subject, name, tuple(own))


def subject_of(connection: Connection, shown: str) -> str:
    """For the program, never to be shown: that is `unmask`. Raises UnknownPseudonym."""
    wanted = _normalised(shown)
    if not _LOOKS_SO.fullmatch(wanted):
        # Nothing else, for whoever may not know whether there is such an id.
        raise UnknownPseudonym(f"{shown.strip()} is no pseudonym: here people go by theirs, such as P-9CCSC")
    query = select(pseudonyms.c.subject).where(pseudonyms.c.pseudonym == wanted)
    subject = connection.execute(query).scalar()
    if subject is None:
        raise UnknownPseudonym(f"nobody has the pseudonym {wanted}")
    return str(subject)


def looks_like_pseudonym(text: str) -> bool:
    """As pseudonyms are written, whoever has it."""
    return _LOOKS_SO.fullmatch(text) is not None


def subjects_of(connection: Connection, shown: Iterable[str]) -> dict[str, str]:
    """Whose pseudonyms these are, those that are anybody's. For the program, as `subject_of`."""
    wanted = sorted(shown)
    found: dict[str, str] = {}
    for start in range(0, len(wanted), _AT_ONCE):
        some = pseudonyms.c.pseudonym.in_(wanted[start : start + _AT_ONCE])
        rows = connection.execute(select(pseudonyms).where(some))
        found.update({row.pseudonym: row.subject for row in rows})
    return found


def candidate(key: bytes, subject: str) -> str:
    """The pseudonym that a subject without one would get, unless it is taken."""
    return _prefix(subject) + _code(key, subject)[:_SHORTEST]


def label(key: bytes, prefix: str, value: str) -> str:
    """`H-4K2M9Q` for a value that names people but is no subject."""
    return f"{prefix}-{_code(key, f'{prefix}:{value}')[:6]}"


def names_to_hide(connection: Connection, person_ids: Iterable[str]) -> dict[str, str]:
    """Real names by person id, for the masker to find in labels that people gave; never to be shown."""
    wanted = list(person_ids)
    found: dict[str, str] = {}
    for start in range(0, len(wanted), _AT_ONCE):
        some = person_names.c.person_id.in_(wanted[start : start + _AT_ONCE])
        rows = connection.execute(select(person_names).where(some))
        found.update({row.person_id: row.name for row in rows})
    return found


def all_names_to_hide(connection: Connection) -> dict[str, str]:
    """Of everybody."""
    return {row.person_id: row.name for row in connection.execute(select(person_names)).all()}


def former_names(connection: Connection, person_ids: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """What people were called before, by person id, as far as it is kept; to be hidden as `names_to_hide`. Of
    whom an undone import took away, too."""
    wanted = list(person_ids)
    befores = removed(connection, wanted)
    for start in range(0, len(wanted), _AT_ONCE):
        some = people_changes.c.person_id.in_(wanted[start : start + _AT_ONCE])
        changes = select(people_changes.c.person_id, people_changes.c.before)
        rows = connection.execute(changes.where(some, people_changes.c.before.is_not(None)))
        befores += [(row.person_id, row.before) for row in rows]
    found: dict[str, dict[str, None]] = {}
    for person_id, before in befores:
        name = read_telling(before).name
        if name:
            found.setdefault(person_id, {})[name] = None
    return {person_id: tuple(names) for person_id, names in found.items()}


def pseudonym_key(connection: Connection) -> bytes:
    """The installation's key; made at the first call, which needs a write transaction."""
    stored = _stored_key(connection)
    if stored is None:
        keep_pseudonym_key(connection, secrets.token_bytes(32))
        stored = str(_stored_key(connection))
    return bytes.fromhex(stored)


def make_pseudonym_key(database: Database) -> None:
    """Where there is none yet, so that `pseudonym_key` only reads from then on."""
    with database.read() as connection:
        if _stored_key(connection) is not None:
            return
    with database.begin() as connection:
        pseudonym_key(connection)


def keep_pseudonym_key(connection: Connection, key: bytes) -> None:
    """Of an installation that has none yet. Evaluations: the same events make the same numbers."""
    insert_missing(connection, installation, [{"key": _KEY, "value": key.hex()}])


def _stored_key(connection: Connection) -> str | None:
    return connection.execute(select(installation.c.value).where(installation.c.key == _KEY)).scalar()


def _prefix(subject: str) -> str:
    return "P-" if subject.startswith("person:") else "A-"


def _code(key: bytes, subject: str) -> str:
    digest = hmac.digest(key, subject.encode(), hashlib.sha256)
    number = int.from_bytes(digest[:10])
    return "".join(_ALPHABET[(number >> shift) & 31] for shift in range(75, 0, -5))


def _normalised(shown: str) -> str:
    prefix, dash, code = shown.strip().upper().partition("-")
    return prefix + dash + code.translate(_READ_AS)
