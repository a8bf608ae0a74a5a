"""The list of policies, noisiest first; all of them as files; the fields that rules may name."""

from __future__ import annotations

import io
import re
import zipfile
from typing import Final

from starlette.responses import Response

from event_schema.field_registry import field_registry
from server import audit
from server.console.page import Ask, Console, Page
from server.console.policies.filters import (
    NOISY_A_DAY,
    channels_of,
    filtered,
    page_of,
    read_filters,
    tags_of,
    techniques,
)
from server.console.policies.sheets import Sheets, drawn_spark
from server.console.policies.sight import sight_of
from server.console.policies.words import Words
from server.people.roles import Right
from server.policies.sheet import EXPIRING_DAYS
from server.policies.versions import current_versions

_ZIP_TIME: Final = (1980, 1, 1, 0, 0, 0)
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9_.-]+")


def policies(console: Console, ask: Ask) -> Response:
    """GET /policies"""
    sight = sight_of(console, ask.viewer)
    sheet = sight.sheet(console.made(Sheets).of.sheet(now=ask.now))
    wanted = read_filters(ask.query)
    found = filtered(sheet.rows, wanted)
    rows, following = page_of(found, wanted.after)
    return ask.page(
        "policies/list.html",
        sheet=sheet,
        sight=sight,
        say=Words(ask.text),
        rows=rows,
        found=len(found),
        following=following,
        filters=wanted,
        channels=channels_of(sheet.rows),
        tags=tags_of(sheet.rows),
        techniques=techniques,
        expiring_days=EXPIRING_DAYS,
        noisy=NOISY_A_DAY,
        running=sum(row.rule.state == "on" for row in sheet.rows),
        spark=lambda row: drawn_spark(row.figures.days, ask.look.language),
        faults=len(sheet.faults),
    )


def export(console: Console, ask: Ask) -> Response:
    """POST /policies/export: every rule and exception that holds, as YAML; for whoever sees names, who may
    import them elsewhere."""
    with console.database.read() as connection:
        held = sorted(current_versions(connection).values(), key=lambda each: each.rule_id)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for each in held:
            if each.text is not None:
                folder = "exceptions" if each.kind == "exception" else "rules"
                stem = _NOT_IN_NAMES.sub("_", each.file.rpartition("/")[2]).removesuffix(".yml")
                name = f"{folder}/{stem[:80]}-{each.rule_id[:8]}.yml"
                archive.writestr(zipfile.ZipInfo(name, _ZIP_TIME), each.text)
    with console.database.begin() as connection:
        audit.append(
            connection,
            at=ask.now,
            actor=ask.viewer.actor,
            action="policy.export",
            object="policies",
            detail={"files": sum(each.text is not None for each in held)},
        )
    return ask.download(packed.getvalue(), "policies.zip", "application/zip")


def fields(_console: Console, ask: Ask) -> Response:
    """GET /policies/fields: for the editor's completion."""
    return ask.json(
        [
            {
                "path": spec.path,
                "type": spec.type,
                "about": spec.purpose,
                "values": [str(value) for value, _ in spec.values[:12]],
            }
            for spec in field_registry().values()
            if not spec.not_yet
        ]
    )


PAGES = [
    Page("GET", "/policies", Right.SEE_POLICIES, policies),
    Page("POST", "/policies/export", Right.CHANGE_POLICIES, export),
    Page("GET", "/policies/fields", Right.SEE_POLICIES, fields),
]
