"""Two sessions of one account at the same time, from two places: told by logins and their ends (rule X2c).

A session is a login over the network that worked (sshd, xrdp, cockpit), from an address, until its end is
told, or for OPEN_MS: ends get lost. Judged is the later one, and only where it comes from outside, from a
network (/16, IPv6 /32) that the account was never in before that day. What is known not to be somebody else:

- the same key opened both: one machine, whose network changed, or whose VPN went down;
- the session from inside began while one from outside was open: a hop, from a jump host onwards;
- both networks are the same: another address of the same provider.

At a machine's own screen there is no session here: a laptop tells not where it stands. What accounts of
several people, of services and of nobody do is not kept.

Kept among the uses (trait_uses.py) for KEPT_DAYS, as traits that point to nobody:
`session:HOST\\PID\\PLACE\\KEY`, PLACE 'company' or an address's trait, KEY may be empty; `ended:HOST\\PID`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Final, Literal, NamedTuple

from sqlalchemy import ColumnElement, Connection, or_, select

from event_schema.ocsf_account_events import Authentication, AuthenticationActivity, LogonType, Outcome
from server.enrich.traits import ADDRESS, address_trait
from server.people.account_names import account_key
from server.people.company_places import CompanyPlaces
from server.retention import DAY_MS
from server.store.column_types import key_text
from server.store.tables import trait_uses
from server.store.tables.uses import TRAIT_CHARACTERS

Elsewhere = Literal["company", "outside"]
"""From where the other session came."""
SESSION, ENDED = "session:", "ended:"
KEPT_DAYS: Final = 2
OPEN_MS: Final = 12 * 3_600_000
SESSIONS_MAX: Final = 256
_COMPANY: Final = "company"
_LAST: Final = "\U0010ffff"
_AT_ONCE: Final = 500
_ROWS_MAX: Final = 20_000


class Opened(NamedTuple):
    """`session`: HOST\\PID; `place`: as above."""

    session: str
    place: str
    key: str

    @property
    def trait(self) -> str:
        return key_text("\\".join((SESSION + self.session, self.place, self.key)), TRAIT_CHARACTERS)


def opened(event: Authentication, places: CompanyPlaces) -> Opened | None:
    """The session that began; None: none did, or nobody knows from where."""
    source = event.src_endpoint
    if (
        event.activity_id is not AuthenticationActivity.LOGON
        or event.status_id is not Outcome.SUCCESS
        or source is None
        or source.ip is None
    ):
        return None
    session, place = _session(event), address_trait(source.ip)
    if session is None or place is None:
        return None
    inside = places.is_corporate(source.ip)
    return Opened(session, _COMPANY if inside else place, event.user.credential_uid or "")


def ended(event: Authentication) -> str | None:
    """The trait of the end that it tells."""
    session = _session(event) if event.activity_id is AuthenticationActivity.LOGOFF else None
    return None if session is None else key_text(ENDED + session, TRAIT_CHARACTERS)


def is_of_sessions() -> ColumnElement[bool]:
    """Rows of `trait_uses` that are sessions and their ends."""
    return or_(*(trait_uses.c.trait.between(kind, kind + _LAST) for kind in (SESSION, ENDED)))


class OpenSessions:
    """Of one batch's accounts. `load` first. Of an account the SESSIONS_MAX latest count."""

    def __init__(self) -> None:
        self._addresses: dict[str, dict[str, int]] = {}
        """By account and trait: first time."""
        self._begun: dict[str, dict[str, int]] = {}
        """By account and trait: last time; the same of ends."""
        self._ended: dict[str, dict[str, int]] = {}

    def clear(self) -> None:
        for each in (self._addresses, self._begun, self._ended):
            each.clear()

    def load(self, connection: Connection, accounts: Iterable[str]) -> None:
        """All that is kept of these accounts' sessions, and their addresses."""
        self.clear()
        wanted, row = sorted(accounts), trait_uses.c
        columns = select(row.account, row.trait, row.first_time, row.last_time)
        kinds = (row.trait.between(ADDRESS, ADDRESS + _LAST), row.trait.between(ENDED, ENDED + _LAST),
                 row.trait.between(SESSION, SESSION + _LAST))  # fmt: skip
        for start in range(0, len(wanted), _AT_ONCE):
            some = row.account.in_(wanted[start : start + _AT_ONCE])
            for kind in kinds:
                latest = columns.where(some, kind).order_by(row.last_time.desc()).limit(_ROWS_MAX)
                # The latest come last, and stay.
                for account, trait, first, last in reversed(connection.execute(latest).all()):
                    self.note(account, trait, first)
                    self.note(account, trait, last)

    def note(self, account: str, trait: str, time: int) -> None:
        """A session, an end of one, or an address."""
        if trait.startswith(ADDRESS):
            addresses = self._addresses.setdefault(account, {})
            addresses[trait] = min(addresses.get(trait, time), time)
            return
        kept = (self._begun if trait.startswith(SESSION) else self._ended).setdefault(account, {})
        kept[trait] = max(kept.get(trait, time), time)
        if len(kept) > 2 * SESSIONS_MAX:
            for old in sorted(kept, key=lambda each: kept[each])[:SESSIONS_MAX]:
                del kept[old]

    def elsewhere(self, accounts: Sequence[str], here: Opened, time: int) -> Elsewhere | None:
        """Whether another session was open when this one began. `accounts`: the account's names."""
        if here.place == _COMPANY:
            return None
        network = _network(here.place)
        for name in accounts:
            for trait, first in self._addresses.get(name, {}).items():
                if first <= time - DAY_MS and _network(trait) == network:
                    return None
        others = [each for name in accounts for each in self._sessions(name, but=here.session)]
        found: Elsewhere | None = None
        for other in others:
            if not other.is_open(time) or (other.key and other.key == here.key):
                continue
            if other.place != _COMPANY:
                if _network(other.place) != network:
                    found = "outside"
            elif not any(each.place != _COMPANY and each.is_open(other.begun) for each in others):
                return "company"
        return found

    def _sessions(self, account: str, *, but: str) -> Iterator[_Session]:
        ends = self._ended.get(account, {})
        for trait, begun in self._begun.get(account, {}).items():
            parts = trait.removeprefix(SESSION).split("\\")
            if len(parts) != 4 or "\\".join(parts[:2]) == but:
                continue
            end = ends.get("\\".join((ENDED + parts[0], parts[1])))
            # A process's number comes again: an end before it is another's.
            yield _Session(begun, parts[2], parts[3], end if end is not None and end >= begun else None)


class _Session(NamedTuple):
    begun: int
    place: str
    key: str
    ended: int | None

    def is_open(self, time: int) -> bool:
        return self.begun <= time < (self.begun + OPEN_MS if self.ended is None else self.ended)


def _session(event: Authentication) -> str | None:
    process = event.actor.process
    if event.logon_type_id is not LogonType.REMOTE_INTERACTIVE or process is None:
        return None
    return f"{account_key(event.device.hostname)}\\{process.pid}"


@lru_cache(maxsize=16_384)
def _network(trait: str) -> str:
    """The provider's network that an address's trait lies in, about."""
    try:
        net = ipaddress.ip_network(trait.removeprefix(ADDRESS))
    except ValueError:
        return trait
    return str(net.supernet(new_prefix=16 if net.version == 4 else 32))
