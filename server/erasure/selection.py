"""Which events of a stored block an erasure takes out. Pure.

An event is whom it is about by what is known of it now: the person that enrichment knew, else the account.
One of which nothing is known (a duplicate, or a dead letter's original) goes by its account; one that cannot
be read goes where its bytes hold the account, the id or the name.
"""

from __future__ import annotations

import re
from typing import Any, Protocol

import msgspec
import orjson

from event_schema.codec import decode_event
from event_schema.errors import SchemaError
from event_schema.ocsf_events import Event, account_of
from server.enrich.who import is_nobodys
from server.erasure.plan import Plan
from server.people.account_names import account_key
from server.people.directory import Directory
from server.people.erased import NO_ACCOUNT, account_forms, is_no_account
from server.people.name_words import net

DAY_MS = 86_400_000
_ESCAPED = re.compile(r'["/\\\x00-\x1f\x7f]')

Entry = list[Any] | None
"""Of a block's `leaver`: [corrected time, leaver fields], or null."""


class Selection(Protocol):
    def may_touch(self, content: bytes, leaver: bytes) -> bool:
        """A quick look at the unpacked bytes of a block: false where nothing of it can go."""

    def takes(self, entry: Entry, event: bytes) -> bool:
        """Whether this event goes; `entry`: what is known of it by now."""

    def was_about(self, entry: Entry) -> bool:
        """Whether this is about whom is erased; asked of what an event that stays was thought to be."""

    def blank(self, entry: Entry) -> bool:
        """Removes names from what is known of an event that stays; whether there were any."""


class OfSubject:
    """A person, or an account of nobody."""

    def __init__(self, plan: Plan, directory: Directory) -> None:
        """`directory`: as it is once the person is no longer in it."""
        self._person = plan.person
        self._accounts = frozenset(plan.accounts)
        self._directory = directory
        parts = {_local_part(account) for account in plan.accounts}
        self._needles = tuple(part.encode() for part in parts)
        # Bytes do not hold the account of events that name none, nor letters as JSON writes them.
        self._anywhere = any(map(is_no_account, plan.accounts)) or any(map(_ESCAPED.search, parts))
        self._named_in = NamedIn(plan)
        self._id = b"" if plan.person is None else orjson.dumps(plan.person)

    def may_touch(self, content: bytes, leaver: bytes) -> bool:
        if self._id and self._id in leaver:
            return True
        if self._anywhere or not content.isascii() or b"\\u" in content:
            return True
        lower = content.lower()
        return any(needle in lower for needle in self._needles)

    def takes(self, entry: Entry, event: bytes) -> bool:
        known = None if entry is None else (entry[1].get("person") or {}).get("id")
        if known is not None:
            return bool(known == self._person)
        try:
            return self._is_by_account(decode_event(event))
        except SchemaError:
            return self._named_in(event)

    def _is_by_account(self, event: Event) -> bool:
        if is_nobodys(event):
            return False
        user = account_of(event)
        account = ((user.name or user.uid) if user is not None else None) or NO_ACCOUNT
        host = event.device.hostname
        if self._accounts.isdisjoint(account_forms(account_key(account), account_key(host))):
            return False
        return self._directory.person_by_account(account, host, event.time) is None

    def was_about(self, entry: Entry) -> bool:
        if entry is None or self._person is None:
            return False
        return bool((entry[1].get("person") or {}).get("id") == self._person)

    def blank(self, entry: Entry) -> bool:
        if entry is None or self._person is None:
            return False
        found = False
        for section, key in (("person", "manager"), ("account", "owner_id"), ("device", "assigned_to")):
            fields = entry[1].get(section)
            if fields and fields.get(key) == self._person:
                fields[key] = None
                found = True
        if (entry[1].get("suspect") or {}).get("id") == self._person:
            entry[1]["suspect"] = None
            found = True
        return found


class OfDays:
    """UTC days, by the corrected time of an event; its own where nothing is known of it."""

    def __init__(self, first_day: int, last_day: int) -> None:
        self._times = range(first_day * DAY_MS, (last_day + 1) * DAY_MS)

    def may_touch(self, content: bytes, leaver: bytes) -> bool:
        return True

    def takes(self, entry: Entry, event: bytes) -> bool:
        if entry is not None:
            return entry[0] in self._times
        try:
            return decode_event(event).time in self._times
        except SchemaError:
            return False

    def was_about(self, entry: Entry) -> bool:
        return False

    def blank(self, entry: Entry) -> bool:
        return False


class NamedIn:
    """Whether bytes that may be JSON hold an account, the id or the name, as whole words."""

    def __init__(self, plan: Plan) -> None:
        # "unknown" is a word like any other here.
        listed = [account for account in plan.accounts if not is_no_account(account)]
        parts = [account.rpartition("\\")[2] for account in listed]
        self._net = net(
            {word for word in (*listed, *parts, plan.person, plan.name) if word and len(word) > 1}
        )

    def __call__(self, data: bytes) -> bool:
        if self._net is None:
            return False
        text = data.decode(errors="replace")
        # As a string of JSON, which has its own ways of writing letters.
        return bool(self._net.search(text) or ("\\" in text and self._net.search(_unescaped(text))))


def _unescaped(text: str) -> str:
    pieces = []
    for piece in text.split('"'):
        try:
            pieces.append(msgspec.json.decode(f'"{piece}"', type=str))
        except msgspec.DecodeError:
            pieces.append(piece)
    return '"'.join(pieces)


def _local_part(account: str) -> str:
    """What any event by the account holds of it: HOST\\NAME and NAME@HOST list a NAME on a host."""
    return account.rpartition("\\")[2].rpartition("@")[0] or account.rpartition("\\")[2]
