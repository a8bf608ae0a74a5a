"""Evidence packs for programs: which a case has, how far one is, the file. A program gets none with names."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.responses import Response

from server.cases.records import TEXT_CHARACTERS
from server.console.api_calls import ApiCall, Nothing
from server.console.case_packs import Packs
from server.console.cases_shown import packs_shown
from server.console.page import Ask, Console
from server.console.pages.case_packs import handed_out, stop
from server.evidence_pack.jobs import Progress
from server.evidence_pack.stored import StoredPack
from server.people.roles import Right


class PackAnswer(msgspec.Struct, frozen=True):
    """`progress`: null where it is not being made now."""

    pack: StoredPack
    progress: Progress | None


class PacksAnswer(msgspec.Struct, frozen=True):
    """The latest first; `key`: fingerprint that packs of this installation are signed by."""

    packs: tuple[PackAnswer, ...]
    key: str


class Wanting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`reason`: needed where the pack holds names and somebody else had it made."""

    reason: Annotated[str, Meta(max_length=TEXT_CHARACTERS)] = ""


class Stopped(msgspec.Struct, frozen=True):
    pack: int


def packs(console: Console, ask: Ask, _query: Nothing, _body: None) -> PacksAnswer:
    found = packs_shown(console, ask, ask.path["id"])
    jobs = console.made(Packs).jobs
    shown = tuple(PackAnswer(each, jobs.progress(each.id)) for each in found)
    return PacksAnswer(shown, jobs.key.fingerprint)


def cancel(console: Console, ask: Ask, _query: Nothing, _body: None) -> Stopped:
    return Stopped(stop(console, ask).id)


def download(console: Console, ask: Ask, _query: Nothing, body: Wanting) -> Response:
    return handed_out(console, ask, body.reason)


_PACK = "/api/v1/packs/{id:int}"
API = [
    ApiCall(
        "GET",
        "/api/v1/cases/{id:int}/packs",
        Right.SEE_ALERTS,
        packs,
        PacksAnswer,
        "A case's evidence packs, and how far those are that are being made",
    ),
    ApiCall("POST", f"{_PACK}/cancel", Right.TRIAGE, cancel, Stopped, "Stops making a pack"),
    ApiCall(
        "POST",
        f"{_PACK}/download",
        Right.SEE_ALERTS,
        download,
        None,
        "The pack, on the record",
        body=Wanting,
        media="application/zip",
    ),
]
