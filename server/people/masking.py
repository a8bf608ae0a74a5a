"""What analysts see of an event: everything that gives a name away is replaced, everything else is left.

Which fields name people comes from the field registry, so a new field is masked from its first day:

| field | shown as |
|---|---|
| person ids | the person's pseudonym |
| account names | the owner's pseudonym, else that of the account (`A-…`), of a number without a name too |
| paths | as they are, but homes (`/home/X`, `/media/X/volume`, …) and parts that are an account's name |
| host and agent | `H-…`, the same each time |
| device ids, user numbers, addresses they came from, anything else | `D-…`, `U-…`, `N-…`, `X-…` |

All other texts go through a net that catches the accounts and names of the people concerned (name_words.py),
as whole words (a volume that somebody called after themselves). Names of files show as they are: they are
what an alert is about.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import msgspec

from event_schema.field_registry import field_registry
from event_schema.leaver_fields import LeaverFields
from event_schema.ocsf_account_events import Authentication
from event_schema.ocsf_events import Event, account_of
from event_schema.ocsf_objects import PeripheralDevice
from server.people.account_names import account_key
from server.people.directory import Directory, PersonRecord
from server.people.holders import Changing
from server.people.name_words import joined, name_words, net
from server.people.pseudonyms import account_subject, candidate, label, person_subject

_PERSON_IDS = frozenset(
    {
        *("leaver.person.id", "leaver.person.manager", "leaver.account.owner_id"),
        *("leaver.device.assigned_to", "leaver.suspect.id"),
    }
)
_ACCOUNTS = frozenset({"actor.user.name", "user.name", "email.from"})
_HOSTS = frozenset({"device.hostname", "device.uid", "src_endpoint.hostname"})
_USER_NUMBERS = frozenset({"actor.user.uid", "user.uid", "actor.process.auid", "process.auid"})
_FILE_NAMES = frozenset({"file.name", "file_result.name", "email.files.name"})
_OWNED_FOLDERS = re.compile(
    r"(/home/|/Users/|/run/media/|/run/user/|/tmp/user/|[A-Za-z]:\\Users\\)([^/\\]+)"
    # udisks on Debian and Ubuntu mounts at /media/USER/VOLUME; /media/VOLUME/file names nobody's account.
    r"|(^/media/)(?!(?:usb|cdrom|floppy)\d*/)([^/]+)(?=/[^/]+/)",
    re.IGNORECASE,
)
_SEPARATOR = re.compile(r"([/\\])")
_SHORTEST_WORD = 2
_DIGEST = re.compile(r"[0-9a-f]{32,}")
"""Names nobody, though some names are written with its letters."""
_TRAITS = {"address": "N"}
SEVERAL = "[name]"
"""Shown for a part of the names of several people concerned: which of them is meant cannot be said."""


class Masker:
    """Shows events and subjects without naming anyone. Made for the people whom some alerts concern."""

    def __init__(
        self,
        directory: Directory,
        key: bytes,
        pseudonyms: Mapping[str, str],
        *,
        names: Mapping[str, str] | None = None,
        former: Mapping[str, Iterable[str]] | None = None,
        accounts: Iterable[tuple[str, str | None]] = (),
        at: int | None = None,
        revealed: Collection[str] = (),
        everybody: Callable[[str], str] | None = None,
    ) -> None:
        """`pseudonyms` by subject as stored; `names` by person id, what they were called before (`former`),
        and `accounts` with their hosts, are what the net catches; a named person's accounts are added. at: ms
        UTC, whose account an account is taken for outside an event, which has its own time; None: whoever had
        it last. `revealed`: subjects whose names and accounts may be seen; all others' stay hidden.
        `everybody` takes the names of those out of a text whom the alerts do not concern."""
        self._directory = directory
        self._at = at
        self._key = key
        self._pseudonyms = pseudonyms
        self._revealed = frozenset(revealed)
        self._everybody = everybody
        hidden = [each for each in names or {} if person_subject(each) not in self._revealed]
        words: dict[str, str] = {}
        for person_id in hidden:
            shown = self.subject(person_subject(person_id))
            for name in ((names or {})[person_id], *(former or {}).get(person_id, ())):
                for word in name_words(name):
                    words[word] = shown if words.get(word, shown) == shown else SEVERAL
        for person_id in hidden:
            for account in directory.names_of(person_id):
                words[account] = self.subject(person_subject(person_id))
        for account, host in accounts:
            if (word := self.account(account, host)) != account:
                words[account_key(account)] = word
        kept = {word: shown for word, shown in words.items() if len(word) >= _SHORTEST_WORD}
        self._words = {joined(word): shown for word, shown in kept.items()}
        self._net = net(kept)

    def subject(self, subject: str) -> str:
        """Pseudonym of 'person:ID' or 'account:NAME@HOST'."""
        return self._pseudonyms.get(subject) or candidate(self._key, subject)

    def account(self, account: str, host: str | None) -> str:
        owner = self._user(account, host)
        whose = account_subject(account, host) if owner is None else person_subject(owner.id)
        return account if whose in self._revealed else self.subject(whose)

    def _user(self, account: str, host: str | None) -> PersonRecord | None:
        users = self._directory.users(account, host)
        if not isinstance(users, Changing):
            return users
        if self._at is not None:
            return users.at(self._at)
        return next((user for user in reversed(users.holders) if user is not None), None)

    def host(self, name: str) -> str:
        return label(self._key, "H", name.casefold())

    def trait(self, kind: str, value: str) -> str:
        """A machine, a device that somebody came from, an address or a key: shown as in events."""
        return self.host(value) if kind == "machine" else label(self._key, _TRAITS.get(kind, "X"), value)

    def text(self, text: str) -> str:
        """The text without the accounts and names of the people concerned, and of everybody where that is
        known."""
        if self._net is not None:
            text = self._net.sub(lambda found: self._words[joined(found[0])], text)
        if self._everybody is None or len(text) < _SHORTEST_WORD or _DIGEST.fullmatch(text):
            return text
        return self._everybody(text)

    def path(self, path: str, host: str | None) -> str:
        """The path without homes and accounts; its last part, the file's name, stays."""

        def hide_owner(found: re.Match[str]) -> str:
            folder, owner = found[1] or found[3], found[2] or found[4]
            return folder + (label(self._key, "U", owner) if owner.isdigit() else self.account(owner, host))

        folders, separator, name = _split_last(_OWNED_FOLDERS.sub(hide_owner, path))
        parts = [self._path_part(part, host) for part in _SEPARATOR.split(folders)]
        return "".join(parts) + separator + name

    def event(self, event: Event, leaver: LeaverFields, host: str | None = None) -> dict[str, Any]:
        """The event as plain values, with `leaver` beside its fields as in rules."""
        host = host or event.device.hostname
        outside, self._at = self._at, event.time
        plain = {**msgspec.to_builtins(event), "leaver": msgspec.to_builtins(leaver)}
        masked: dict[str, Any] = self._value(plain, "", host)
        user = account_of(event)
        if user is not None and user.uid is not None and not user.name:
            # The number is the account here: the alert's subject is made from it.
            place = masked if isinstance(event, Authentication) else masked["actor"]
            place["user"]["uid"] = self.account(user.uid, host)
        self._at = outside
        return masked

    def device(self, device: PeripheralDevice) -> dict[str, Any]:
        """A removable device as in an event: which model shows, which single one does not."""
        masked: dict[str, Any] = self._value(msgspec.to_builtins(device), "unmapped.peripheral_device", None)
        return masked

    def value(self, field: str, value: str) -> str:
        """What a field of an event shows that names people, by its dotted path."""
        return self._named(value, field, None)

    def plain(self, value: Any) -> Any:
        """Any plain value with all its texts gone through the net, and ids of people replaced; keys stay."""
        match value:
            case str() if self._directory.person(value.removeprefix("person:")) is not None:
                return self.subject(person_subject(value.removeprefix("person:")))
            case str():
                return self.text(value)
            case dict():
                return {key: self.plain(item) for key, item in value.items()}
            case list() | tuple():
                return [self.plain(item) for item in value]
            case _:
                return value

    def _path_part(self, part: str, host: str | None) -> str:
        if not part:
            return part
        if self._user(part, host) is not None:
            return self.account(part, host)
        return self.text(part)

    def _value(self, value: Any, path: str, host: str | None) -> Any:
        if isinstance(value, dict):
            return {
                key: self._value(item, f"{path}.{key}" if path else key, host) for key, item in value.items()
            }
        if isinstance(value, (list, tuple)):
            return [self._value(item, path, host) for item in value]
        if value is None or isinstance(value, bool) or path in _FILE_NAMES:
            return value
        spec = field_registry().get(path)
        if spec is None or spec.names_person:
            return self._named(str(value), path, host)
        return self.text(value) if isinstance(value, str) else value

    def _named(self, value: str, path: str, host: str | None) -> str:
        if path in _PERSON_IDS:
            return self.subject(person_subject(value))
        if path in _ACCOUNTS:
            return self.account(value, host)
        if path.endswith(".path"):
            return self.path(value, host)
        if path in _HOSTS:
            return self.host(value)
        return label(self._key, _label_prefix(path), value)


def owned_folders(text: str) -> list[tuple[int, int]]:
    """Where in a text the owner of a home or of a mounted volume stands."""
    return [found.span(2) if found[2] else found.span(4) for found in _OWNED_FOLDERS.finditer(text)]


def _label_prefix(path: str) -> str:
    if path in _USER_NUMBERS:
        return "U"
    if path == "src_endpoint.ip":
        return "N"
    return "D" if "peripheral_device." in path else "X"


def _split_last(path: str) -> tuple[str, str, str]:
    at = max(path.rfind("/"), path.rfind("\\"))
    return ("", "", path) if at < 0 else (path[:at], path[at], path[at + 1 :])
