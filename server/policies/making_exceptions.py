"""Makes the YAML of an exception for the common cases: a person, an account, a machine, a device, a place."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import yaml


class Wanted(msgspec.Struct, frozen=True):
    """What must all be true of an event for it to be hidden; `fields`: further ones, by dotted path."""

    person: str | None = None
    account: str | None = None
    host: str | None = None
    device: str | None = None
    destination: str | None = None
    fields: tuple[tuple[str, str], ...] = ()

    @property
    def empty(self) -> bool:
        return self == Wanted()


def exception_text(
    wanted: Wanted,
    rules: Sequence[tuple[str, str]],
    *,
    until: datetime.date,
    owner: str,
    reason: str,
    title: str | None = None,
    exception_id: str | None = None,
) -> str:
    """`rules`: (id, title). The title that is made names nobody. `exception_id`: else a new one."""
    selections = _selections(wanted)
    kinds = ", ".join(
        [*(each for each in selections if not each.startswith("field")), *(p for p, _ in wanted.fields)]
    )
    made = title or f"{rules[0][1]}: not of this {kinds}"
    document: dict[str, Any] = {
        "title": made,
        "id": exception_id or str(uuid.uuid4()),
        "logsource": {"product": "leaver"},
        "filter": {
            "rules": [rule_id for rule_id, _ in rules],
            **selections,
            "condition": f"not ({' and '.join(selections)})",
        },
        "leaver": {"owner": owner, "reason": reason, "until": until},
    }
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)


def _selections(wanted: Wanted) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if wanted.person is not None:
        found["person"] = {"leaver.person.id": _plain(wanted.person)}
    if wanted.account is not None:
        found["account"] = _any_of(["actor.user.name", "user.name", "email.from"], wanted.account)
    if wanted.host is not None:
        found["host"] = {"device.hostname": _plain(wanted.host)}
    if wanted.device is not None:
        paths = ["unmapped.peripheral_device.uid", "peripheral_device.uid"]
        found["device"] = _any_of(paths, wanted.device)
    if wanted.destination is not None:
        place = _plain(wanted.destination)
        found["destination"] = [
            {"dst_endpoint.hostname": place},
            {"dst_endpoint.hostname|endswith": f".{place}"},
            {"dst_endpoint.svc_name": place},
            {"email.to|endswith": f"@{place}"},
        ]
    for number, (path, value) in enumerate(wanted.fields, start=1):
        found[f"field{number}"] = {path: _typed(value)}
    return found


def _any_of(paths: Sequence[str], value: str) -> list[Mapping[str, str]]:
    return [{path: _plain(value)} for path in paths]


def _plain(value: str) -> str:
    """As it stands: * and ? and \\ mean themselves."""
    return value.replace("\\", "\\\\").replace("*", "\\*").replace("?", "\\?")


def _typed(value: str) -> Any:
    """Numbers and true and false as such; all else is Sigma's text, in which * and ? stand for others."""
    if value in ("true", "false"):
        return value == "true"
    return int(value) if value.lstrip("-").isdigit() else value
