"""Shows one person's name to one user for an hour, with a reason on the record, and hides it again."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from server.api.errors import ApiError
from server.console.page import Ask, Console, Page
from server.console.places import local_place
from server.people.pseudonyms import UnknownPseudonym
from server.people.roles import Right
from server.people.unmaskings import grant, hide_again

_CASE_DIGITS: Final = 18


def unmask(console: Console, ask: Ask) -> Response:
    """POST /people/{pseudonym}/unmask: reason, case, back."""
    case = ask.form.get("case", "").strip()
    if case and not (case.isascii() and case.isdigit() and len(case) <= _CASE_DIGITS):
        raise ApiError(400, "bad_case", ask.text("A case has a number"))
    reason = ask.form.get("reason", "")
    if not reason.strip():
        raise ApiError(400, "no_reason", ask.text("Say why you need the name"))
    try:
        with console.database.begin() as connection:
            grant(
                connection,
                ask.path["pseudonym"],
                actor=ask.viewer.actor,
                at=ask.now,
                reason=reason,
                case_id=int(case) if case else None,
            )
    except UnknownPseudonym:
        raise ApiError(404, "not_found", ask.text("Nobody has this pseudonym")) from None
    except ValueError as error:
        raise ApiError(400, "bad_reason", str(error)) from None
    return ask.redirect(local_place(ask.form.get("back", "/alerts")))


def hide(console: Console, ask: Ask) -> Response:
    """POST /people/{pseudonym}/hide: back."""
    try:
        with console.database.begin() as connection:
            hide_again(connection, ask.path["pseudonym"], actor=ask.viewer.actor, at=ask.now)
    except UnknownPseudonym:
        raise ApiError(404, "not_found", ask.text("Nobody has this pseudonym")) from None
    return ask.redirect(local_place(ask.form.get("back", "/alerts")))


PAGES = [
    Page("POST", "/people/{pseudonym}/unmask", Right.UNMASK, unmask),
    Page("POST", "/people/{pseudonym}/hide", Right.UNMASK, hide),
]
