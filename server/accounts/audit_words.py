"""A row of the audit trail as people read it: who and what by kind and name, details as "key: value".

Long hashes and ids are shortened; the row itself keeps them whole. The phrases are English; who shows a row
in another language translates them. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

Say = Callable[..., str]
"""(phrase, name=…): the phrase with its name, in somebody's language."""
SHOWN_OF_A_LIST: Final = 10
_SHORT: Final = 8
_LONG: Final = re.compile(r"(?<![\w-])[0-9a-f]{8}(?:[0-9a-f]{8,}|(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?![\w-])")
_MOMENTS: Final = 10**12
"""From September 2001 on, in milliseconds: no other number of the trail is so large but amounts of bytes."""

ACTORS: Final[Mapping[str, str]] = {
    "user": "{name}",
    "cli": "{name} (command line)",
    "token": "token {name}",
    "agent": "agent {name}",
    "address": "address {name}",
}
NAMED_ACTORS: Final[Mapping[str, str]] = {
    "leaver": "the server",
    "leaver up": "the server",
    "server": "the server",
    "provider": "the sign-in provider",
    "invitation": "an invitation link",
    "admin token": "the administrator's token",
    "leaver up (watched folder)": "HR's watched folder",
}
OBJECTS: Final[Mapping[str, str]] = {
    "alert": "alert {name}",
    "case": "case {name}",
    "pack": "evidence pack {name}",
    "person": "person {name}",
    "account": "account {name}",
    "leaver": "leaver {name}",
    "user": "user {name}",
    "token": "token {name}",
    "view": "saved view {name}",
    "model": "model {name}",
    "key": "key {name}",
    "import": "import {name}",
    "dry_run": "dry run {name}",
    "file": "file {name}",
    "header": "header of a file {name}",
    "identity": "identity {name}",
    "agent": "agent {name}",
    "policy": "policy {name}",
    "address": "address {name}",
}
NAMED_OBJECTS: Final[Mapping[str, str]] = {
    "audit:trail": "the audit trail",
    "admin_token": "the administrator's token",
    "policies": "all policies",
    "leavers": "the list of leavers",
}
_BY_ACTION: Final[Mapping[str, str]] = {"agent": "agent", "policy": "policy", "kafka": "agent"}
"""What an object without a kind is, by the family of the act."""
KEYS: Final = frozenset({"yes", "no", "none", "and {name} more"})


def in_english(phrase: str, /, **values: object) -> str:
    return phrase.format(**values)


class Detail(msgspec.Struct, frozen=True):
    key: str
    value: str


def actor_words(actor: str, say: Say) -> str:
    if known := NAMED_ACTORS.get(actor):
        return say(known)
    kind, colon, name = actor.partition(":")
    phrase = ACTORS.get(kind) if colon and name else None
    return actor if phrase is None else say(phrase, name=name)


def object_words(object: str, action: str, say: Say) -> str:
    if known := NAMED_OBJECTS.get(object):
        return say(known)
    kind, colon, name = object.partition(":")
    if not (colon and name and kind in OBJECTS):
        kind, name = _BY_ACTION.get(action.partition(".")[0], ""), object
    name = shortened(name.removeprefix("sha256:"))
    return say(OBJECTS[kind], name=name) if kind else name


def detail_words(detail: Mapping[str, Any] | None, say: Say) -> list[Detail]:
    return [
        Detail(key.replace("_", " "), _value(key, value, say))
        for key, value in sorted((detail or {}).items())
        if value not in ({}, [])
    ]


def shortened(text: str) -> str:
    """Hashes and ids in it, as far as they tell them apart."""
    return _LONG.sub(lambda found: f"{found[0][:_SHORT]}…", text)


def _value(key: str, value: Any, say: Say) -> str:
    match value:
        case None | bool():
            return say({None: "none", True: "yes", False: "no"}[value])
        case int() if value >= _MOMENTS and "bytes" not in key:
            return f"{datetime.fromtimestamp(value / 1000, UTC):%Y-%m-%d %H:%M} UTC"
        case int():
            return f"{value:,}" if abs(value) >= 10_000 else str(value)
        case Mapping():
            return "; ".join(f"{name}: {_value(str(name), each, say)}" for name, each in value.items())
        case list() | tuple():
            return ", ".join(_some(key, value, say))
        case _:
            return shortened(str(value))


def _some(key: str, values: list[Any] | tuple[Any, ...], say: Say) -> Iterator[str]:
    for each in values[:SHOWN_OF_A_LIST]:
        said = _value(key, each, say)
        yield f"({said})" if isinstance(each, Mapping) else said
    if (more := len(values) - SHOWN_OF_A_LIST) > 0:
        yield say("and {name} more", name=more)
