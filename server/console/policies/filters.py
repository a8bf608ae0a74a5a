"""Filters of the policies' list, as they stand in the address. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal, cast, get_args
from urllib.parse import urlencode

import msgspec

from server.policies.sheet import SheetRow

NOISY_A_DAY: Final = 20
PAGE_ROWS: Final = 100
_TEXT_CHARACTERS: Final = 200

State = Literal["", "on", "off"]
Shown = Literal["", "noisy", "silent", "changed", "expiring"]


class Filters(msgspec.Struct, frozen=True):
    """`show`: noisy: more than NOISY_A_DAY alerts a day; silent: no hit in 30 days; changed: not what Leaver
    ships; expiring: an exception ends soon. `after`: id of the last row of the page before."""

    q: str = ""
    state: State = ""
    channel: str = ""
    tag: str = ""
    show: Shown = ""
    after: str = ""

    @property
    def any(self) -> bool:
        return msgspec.structs.replace(self, after="") != Filters()

    def address(self, **changes: str) -> str:
        """Of the list with these filters; a change of one begins with the first page."""
        values = msgspec.structs.asdict(self) | {"after": ""} | changes
        query = urlencode({name: value for name, value in values.items() if value})
        return "/policies" + (f"?{query}" if query else "")


def read_filters(query: Mapping[str, str]) -> Filters:
    """What makes no sense counts as not given."""
    state, show = query.get("state", ""), query.get("show", "")
    return Filters(
        q=query.get("q", "").strip()[:_TEXT_CHARACTERS],
        state=cast(State, state) if state in get_args(State) else "",
        channel=query.get("channel", "")[:64],
        tag=query.get("tag", "").strip().lower()[:64],
        show=cast(Shown, show) if show in get_args(Shown) else "",
        after=query.get("after", "")[:64],
    )


def filtered(rows: Sequence[SheetRow], wanted: Filters) -> list[SheetRow]:
    """Over what the viewer sees."""
    words = wanted.q.casefold().split()
    return [row for row in rows if _fits(row, wanted) and all(word in _text(row) for word in words)]


def page_of(rows: Sequence[SheetRow], after: str) -> tuple[list[SheetRow], str]:
    """PAGE_ROWS rows, and the key of the next page; empty: there is none."""
    start = next((at + 1 for at, row in enumerate(rows) if row.rule.id == after), 0) if after else 0
    shown = list(rows[start : start + PAGE_ROWS])
    return shown, shown[-1].rule.id if start + PAGE_ROWS < len(rows) else ""


def channels_of(rows: Sequence[SheetRow]) -> list[str]:
    return sorted({channel for row in rows for channel in row.channels})


def techniques(tags: Sequence[str]) -> list[str]:
    """T1052.001 of attack.t1052.001."""
    found = (tag.removeprefix("attack.") for tag in tags if tag.startswith("attack.t"))
    return [each.upper() for each in found if each[1:2].isdigit()]


def tags_of(rows: Sequence[SheetRow]) -> list[str]:
    return sorted({each for row in rows for each in techniques(row.rule.tags)})


def _fits(row: SheetRow, wanted: Filters) -> bool:
    match wanted.show:
        case "noisy":
            shown = row.figures.alerts > NOISY_A_DAY * len(row.figures.days)
        case "silent":
            shown = row.figures.hits == 0 and row.rule.state == "on"
        case "changed":
            shown = row.rule.changed or row.rule.origin != "shipped"
        case "expiring":
            shown = row.expiring > 0
        case _:
            shown = True
    return (
        shown
        and (not wanted.state or (row.rule.state == "on") == (wanted.state == "on"))
        and (not wanted.channel or wanted.channel in row.channels)
        and (
            not wanted.tag
            or any(
                tag == f"attack.{wanted.tag}" or tag.startswith(f"attack.{wanted.tag}.")
                for tag in row.rule.tags
            )
        )
    )


def _text(row: SheetRow) -> str:
    told = (row.rule.title, row.rule.id, row.rule.family, row.rule.level, *row.channels, *row.rule.tags)
    return " ".join(told).casefold()
