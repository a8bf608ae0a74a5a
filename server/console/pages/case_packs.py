"""Evidence packs of a case: made in the background, watched, cancelled, downloaded on the record."""

from __future__ import annotations

from typing import Final

from starlette.responses import FileResponse, Response

from server.api.errors import ApiError
from server.cases.records import CaseRefused, UnknownCase
from server.console.case_packs import Packs
from server.console.cases_shown import no_case, packs_shown, refusal
from server.console.page import Ask, Console, Page
from server.console.slow_reads import SlowReads
from server.evidence_pack.archive import PackRefused
from server.evidence_pack.jobs import asked
from server.evidence_pack.stored import PackRunning, StoredPack, UnknownPack, get_pack, note_cancel, take_out
from server.people.roles import Right

TYPED_BYTES: Final = 64 << 10


def make(console: Console, ask: Ask) -> Response:
    """POST /cases/{id}/packs: without names; with `names` and a `reason`; then with `records` also what
    agents signed, which tells of others."""
    reason = None
    if "names" in ask.form:
        reason = ask.form.get("reason", "").strip()
        _may_unmask(ask)
        if not reason:
            raise ApiError(400, "no_words", ask.text("Say why, in a few words"))
    begin(console, ask, ask.path["id"], reason, records="records" in ask.form)
    return ask.redirect(_place(ask, ask.path["id"]))


def begin(console: Console, ask: Ask, case_id: int, reason: str | None, *, records: bool = False) -> int:
    """The pack's number. `reason`: why names are needed; None: without. Raises ApiError."""
    request = asked(ask.viewer.actor, ask.now, language=ask.look.language, reason=reason, records=records)
    try:
        return console.made(Packs).jobs.start(case_id, request)
    except UnknownCase:
        raise no_case(ask) from None
    except CaseRefused as error:
        raise refusal(ask, error) from None
    except PackRefused as error:
        raise ApiError(409, "pack_refused", ask.text("No pack can be made: {why}", why=error)) from None
    except PackRunning:
        said = ask.text("A pack is being made already. Try again when it is done.")
        raise ApiError(409, "pack_running", said) from None


def shown(console: Console, ask: Ask) -> Response:
    """GET /cases/{id}/packs: the part of the page that asks again while one is being made."""
    found = packs_shown(console, ask, ask.path["id"])
    packs = console.made(Packs)
    return ask.fragment_of(
        "cases/_packs.html",
        packs=found,
        case_id=ask.path["id"],
        progress={pack.id: packs.jobs.progress(pack.id) for pack in found},
        mine=ask.viewer.actor,
    )


def cancel(console: Console, ask: Ask) -> Response:
    """POST /packs/{id}/cancel"""
    return ask.redirect(_place(ask, stop(console, ask).case))


def stop(console: Console, ask: Ask) -> StoredPack:
    """The pack of the address is not made further, where it is being made. Raises ApiError."""
    try:
        with console.database.read() as connection:
            pack = get_pack(connection, ask.path["id"])
    except UnknownPack:
        raise _no_pack(ask) from None
    packs = console.made(Packs).jobs
    found = packs.progress(pack.id)
    if found is not None and not found.cancelled:
        with console.database.begin() as connection:
            note_cancel(connection, pack, actor=ask.viewer.actor, at=ask.now)
        packs.cancel(pack.id)
    return pack


def download(console: Console, ask: Ask) -> Response:
    """POST /packs/{id}/download: a `reason` where it holds names and somebody else had it made. A form, so
    that nothing fetches it unasked and the record says who wanted it."""
    return handed_out(console, ask, ask.form.get("reason", ""))


def handed_out(console: Console, ask: Ask, typed: str) -> Response:
    """The file of the pack of the address, on the record. Raises ApiError."""
    reason = typed.strip() or None
    packs = console.made(Packs)
    try:
        with console.database.read() as connection:
            if get_pack(connection, ask.path["id"]).unmasked:
                _may_unmask(ask)
        with console.made(SlowReads).one():
            pack, path = take_out(
                console.database,
                packs.jobs.folder,
                ask.path["id"],
                actor=ask.viewer.actor,
                at=ask.now,
                reason=reason,
            )
    except UnknownPack as error:
        raise _no_pack(ask) from error
    except CaseRefused as error:
        raise refusal(ask, error) from None
    # Its name says of whom nothing.
    name = f"leaver-case-{pack.case}-pack-{pack.id}.zip"
    return FileResponse(path, media_type="application/zip", filename=name)


def _place(ask: Ask, case_id: int) -> str:
    # A module that is led to another place of the page that it is on does not load it anew.
    return f"/cases/{case_id}" if ask.fragment else f"/cases/{case_id}#packs"


def _may_unmask(ask: Ask) -> None:
    if not ask.viewer.may(Right.UNMASK) or ask.viewer.token is not None:
        raise ApiError(403, "forbidden", ask.text("Whoever signs in may see names here, no program"))


def _no_pack(ask: Ask) -> ApiError:
    return ApiError(404, "not_found", ask.text("There is no such pack, or it is not kept any more"))


PAGES = [
    Page("POST", "/cases/{id:int}/packs", Right.TRIAGE, make, form_limit=TYPED_BYTES),
    Page("GET", "/cases/{id:int}/packs", Right.SEE_ALERTS, shown),
    Page("POST", "/packs/{id:int}/cancel", Right.TRIAGE, cancel),
    Page("POST", "/packs/{id:int}/download", Right.SEE_ALERTS, download, form_limit=TYPED_BYTES),
]
