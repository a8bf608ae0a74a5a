"""Who was erased, known only by digests: nobody can read names from them, who knows a name can ask.

The digest of 'person:ID' or 'account:KEY' (an account_key) is HMAC-SHA256 (hex) under the installation's
pseudonym key, of "erased:" and the name. So the audit trail can say that somebody's erasure happened, an HR
file does not bring them back unnoticed, and events of their accounts that arrive later are dropped.
"""

from __future__ import annotations

import hashlib
import hmac

import msgspec
from sqlalchemy import Connection, select

from server.store.tables import erased_accounts, erasures, installation

SUBJECT_CHARACTERS = 128
NO_ACCOUNT = "unknown"
"""The account of events that name none."""


class ErasedNames(msgspec.Struct, frozen=True):
    """`people`: when each was erased, by digest, without those who were taken back; `ever`: with them.
    `unfinished`: of those whose erasure was begun and not finished. `accounts`: digests of those whose events
    are dropped now."""

    key: bytes = b""
    people: dict[str, int] = {}
    ever: frozenset[str] = frozenset()
    unfinished: frozenset[str] = frozenset()
    accounts: frozenset[str] = frozenset()

    def account(self, form: str) -> str | None:
        """The digest of an account in one of the forms in which accounts are listed, where it is erased."""
        if not self.accounts:
            return None
        digest = erased_digest(self.key, f"account:{form}")
        return digest if digest in self.accounts else None

    def person_at(self, person_id: str) -> int | None:
        """When the person was erased (ms UTC), None for all others."""
        return self.people.get(erased_digest(self.key, f"person:{person_id}")) if self.people else None

    def is_unfinished(self, person_id: str) -> bool:
        """Whether the person's erasure has yet to go on."""
        return bool(self.unfinished) and erased_digest(self.key, f"person:{person_id}") in self.unfinished

    def was_erased(self, subject: str) -> bool:
        """Whether what is remembered of a subject may be from before its erasure."""
        if not self.ever and not self.accounts:
            return False
        if is_cut(subject):
            # Not known: then it may be.
            return True
        names = [subject]
        kind, _, rest = subject.partition(":")
        account, _, host = rest.rpartition("@")
        if kind == "account" and account:
            names = [f"account:{form}" for form in account_forms(account, host)]
        found = {erased_digest(self.key, name) for name in names}
        return not found.isdisjoint(self.ever) or not found.isdisjoint(self.accounts)


def account_forms(account: str, host: str) -> tuple[str, ...]:
    """The forms in which an account on a host may be listed, both as account_key: the narrowest first."""
    return (f"{account}@{host}", f"{host}\\{account}", account) if host else (account,)


def is_cut(subject: str) -> bool:
    """Whether a subject was too long for a key, so that it ends in a hash (column_types.key_text)."""
    return len(subject) == SUBJECT_CHARACTERS and subject.startswith("account:") and subject[-17] == "~"


def is_no_account(form: str) -> bool:
    """Whether an account as it is listed means the events that name none, on all hosts or on one."""
    return NO_ACCOUNT in {form, form.rpartition("@")[0], form.rpartition("\\")[2]}


def erased_digest(key: bytes, name: str) -> str:
    return hmac.digest(key, b"erased:" + name.encode(), hashlib.sha256).hex()


def load_erased(connection: Connection) -> ErasedNames:
    """As the connection's snapshot has them."""
    people: dict[str, int] = {}
    ever: set[str] = set()
    unfinished: set[str] = set()
    names = ("digest", "begun_at", "finished_at", "restored_at", "kind")
    query = select(*(erasures.c[name] for name in names))
    for row in connection.execute(query.where(erasures.c.digest.is_not(None)).order_by(erasures.c.id)):
        ever.add(row.digest)
        if row.finished_at is None:
            unfinished.add(row.digest)
        if row.kind != "person":
            continue
        if row.restored_at is None:
            people[row.digest] = row.begun_at
        else:
            people.pop(row.digest, None)
    accounts = frozenset(connection.execute(select(erased_accounts.c.digest)).scalars())
    if not ever and not accounts:
        return ErasedNames()
    # Made at the latest with the first erasure (pseudonyms.pseudonym_key).
    key = connection.execute(
        select(installation.c.value).where(installation.c.key == "pseudonym_key")
    ).scalar_one()
    return ErasedNames(bytes.fromhex(key), people, frozenset(ever), frozenset(unfinished), accounts)
