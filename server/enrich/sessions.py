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
from collections.abc import Iterator, Mapping, Sequence, Set
from functools import lru_cache
from typing import Final, Literal, NamedTuple

from sqlalchemy import ColumnElement, Connection, func, or_, select

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
    """Of one batch's accounts. `load` first. Of each account the SESSIONS_MAX latest count, whatever others
    do; `dropped`: sessions and ends beyond that, since the load."""

    def __init__(self) -> None:
        self._networks: dict[str, dict[str, int]] = {}
        """By account and network: first time."""
        self._begun: dict[str, dict[str, int]] = {}
        """By account and trait: last time; the same of ends."""
        self._ended: dict[str, dict[str, int]] = {}
        self.dropped = 0

    def clear(self) -> None:
        for each in (self._networks, self._begun, self._ended):
            each.clear()
        self.dropped = 0

    def load(self, connection: Connection, places: Mapping[str, Set[str]]) -> None:
        """What is kept of these accounts' sessions. `places`: where each comes from in this batch; since when
        it knows their networks is asked."""
        self.clear()
        wanted, row = sorted(places), trait_uses.c
        number = func.row_number().over(partition_by=row.account, order_by=(row.last_time.desc(), row.trait))
        columns = select(
            row.account,
            row.trait,
            row.last_time,
            number.label("number"),
            func.count().over(partition_by=row.account).label("of"),
        )
        for start in range(0, len(wanted), _AT_ONCE):
            some = row.account.in_(wanted[start : start + _AT_ONCE])
            for kind in (ENDED, SESSION):
                each = columns.where(some, row.trait.between(kind, kind + _LAST)).subquery()
                latest = select(each).where(each.c.number <= 2 * SESSIONS_MAX)
                for account, trait, last, at, count in connection.execute(latest):
                    self.note(account, trait, last)
                    self.dropped += count - at if at == 2 * SESSIONS_MAX else 0
        for account, seen in places.items():
            for network in {_network(place) for place in seen if place != _COMPANY}:
                since = _known_since(connection, account, network)
                if since is not None:
                    self._networks.setdefault(account, {})[network] = since

    def note(self, account: str, trait: str, time: int) -> None:
        """A session, an end of one, or an address."""
        if trait.startswith(ADDRESS):
            networks, network = self._networks.setdefault(account, {}), _network(trait)
            networks[network] = min(networks.get(network, time), time)
            return
        kept = (self._begun if trait.startswith(SESSION) else self._ended).setdefault(account, {})
        kept[trait] = max(kept.get(trait, time), time)
        if len(kept) > 2 * SESSIONS_MAX:
            old = sorted(kept, key=lambda each: kept[each])[: len(kept) - SESSIONS_MAX]
            self.dropped += len(old)
            for each in old:
                del kept[each]

    def elsewhere(self, accounts: Sequence[str], here: Opened, time: int) -> Elsewhere | None:
        """Whether another session was open when this one began. `accounts`: the account's names."""
        if here.place == _COMPANY:
            return None
        network = _network(here.place)
        for name in accounts:
            first = self._networks.get(name, {}).get(network)
            if first is not None and first <= time - DAY_MS:
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


def _known_since(connection: Connection, account: str, network: str) -> int | None:
    """When the account was first at an address of the network; None: never."""
    row = trait_uses.c
    first = select(func.min(row.first_time))
    times = [
        connection.execute(
            first.where(row.account == account, row.trait.between(begin, begin + _LAST))
        ).scalar()
        for begin in _begins_of(network)
    ]
    return min((time for time in times if time is not None), default=None)


def _begins_of(network: str) -> tuple[str, ...]:
    """How the traits of all of its addresses begin, and no others."""
    net = ipaddress.ip_network(network)
    if net.version == 4:
        one, two, _, _ = str(net.network_address).split(".")
        return (f"{ADDRESS}{one}.{two}.",)
    one, two = (f"{int(part, 16):x}" for part in net.network_address.exploded.split(":")[:2])
    begins = f"{ADDRESS}{one}:{two}:"
    # Zeros may be written short.
    return (begins, f"{ADDRESS}{one}::") if two == "0" else (begins,)


@lru_cache(maxsize=16_384)
def _network(trait: str) -> str:
    """The provider's network that an address's trait lies in, about."""
    try:
        net = ipaddress.ip_network(trait.removeprefix(ADDRESS))
    except ValueError:
        return trait
    return str(net.supernet(new_prefix=16 if net.version == 4 else 32))
