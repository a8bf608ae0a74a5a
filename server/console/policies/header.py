"""What stands above all tabs of one policy: what it is called, its state, and what it found."""

from __future__ import annotations

import msgspec
from markupsafe import Markup

from server.console.page import Ask, Console
from server.console.policies.sheets import Sheets, drawn_spark
from server.console.policies.sight import Sight
from server.policies.listing import State
from server.policies.sheet import SheetRow
from server.policies.versions import PolicyVersion


class Header(msgspec.Struct, frozen=True):
    """`row`: as the list shows it; None: an exception. `told`: whether its numbers may be."""

    id: str
    title: str
    kind: str
    state: State
    version: PolicyVersion
    row: SheetRow | None
    told: bool
    spark: Markup


def header_of(console: Console, ask: Ask, sight: Sight, version: PolicyVersion) -> Header:
    sheet = sight.sheet(console.made(Sheets).of.sheet(now=ask.now))
    row = next((each for each in sheet.rows if each.rule.id == version.rule_id), None)
    if row is not None:
        title, state = row.rule.title, row.rule.state
    else:
        (title,) = sight.prose(version.title)
        own = next((each for each in sheet.exceptions if each.id == version.rule_id), None)
        state = own.state if own is not None else "gone"
    return Header(
        id=version.rule_id,
        title=title,
        kind=version.kind,
        state=state,
        version=version,
        row=row,
        told=row is not None and sight.tells(row.names_people),
        spark=drawn_spark(row.figures.days, ask.look.language) if row is not None else Markup(""),
    )
