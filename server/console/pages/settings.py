"""One's own settings: how the console looks, the password, and where one is signed in."""

from __future__ import annotations

from typing import Final
from zoneinfo import available_timezones

from starlette.responses import Response

from server.accounts.console_door import ConsoleDoor
from server.accounts.passwords import Busy, PasswordRefused, checked_password
from server.accounts.session_types import Session
from server.accounts.sessions import end_session, list_sessions
from server.accounts.signing_in import SignInRefused
from server.accounts.users import AccountRefused, required_user, set_look
from server.api.errors import ApiError
from server.console.page import Ask, Console, Open, Page
from server.console.pages.sign_in import problem_of

_SAID: Final = {
    "look": "Saved.",
    "password": "The password has been changed; you were signed out elsewhere.",
    "session": "The session has been ended.",
}


def show(console: Console, ask: Ask) -> Response:
    """GET /settings"""
    return _page(console, ask)


def save_look(console: Console, ask: Ask) -> Response:
    """POST /settings/look"""
    form = ask.form
    try:
        with console.database.begin() as connection:
            set_look(
                connection,
                _own(ask).user,
                language=form.get("language", ""),
                theme=form.get("theme", ""),
                time_zone=form.get("time_zone", ""),
                single_keys=form.get("single_keys") == "on",
            )
    except AccountRefused as error:
        return _page(console, ask, look_problem=ask.text(error.phrase, **error.values))
    return ask.redirect("/settings?done=look")


def change_password(console: Console, ask: Ask) -> Response:
    """POST /settings/password"""
    own, form = _own(ask), ask.form
    new = form.get("password", "")
    try:
        if new != form.get("again", ""):
            raise PasswordRefused("The two passwords differ.")
        console.made(ConsoleDoor).change_password(
            console.database,
            own.user_id,
            own.user,
            form.get("present", ""),
            checked_password(new, own.user),
            but=own.session_id,
            now=ask.now,
        )
    except (PasswordRefused, Busy) as error:
        problem, status = problem_of(ask, error)
        return _page(console, ask, status, password_problem=problem)
    except SignInRefused as error:
        if error.wait_seconds:
            words = ask.text("Too many wrong tries. Wait {n} s.", n=error.wait_seconds)
            return _page(console, ask, 429, password_problem=words)
        return _page(console, ask, 403, password_problem=ask.text("The present password is wrong."))
    return ask.redirect("/settings?done=password")


def end_one(console: Console, ask: Ask) -> Response:
    """POST /settings/sessions/end: one's own; another one's, or none, looks the same."""
    own = _own(ask)
    chosen = ask.form.get("session", "")
    number = int(chosen) if chosen.isdecimal() and len(chosen) < 16 else 0
    with console.database.begin() as connection:
        end_session(connection, number, own.user_id, now=ask.now, actor=ask.viewer.actor)
    return ask.redirect("/settings?done=session")


def _own(ask: Ask) -> Session:
    session = ask.viewer.session
    if session is None:
        raise ApiError(403, "not_allowed", "a token has no settings")
    return session


def _page(console: Console, ask: Ask, status: int | None = None, **problems: str) -> Response:
    own = _own(ask)
    with console.database.read() as connection:
        user = required_user(connection, own.user)
        sessions = list_sessions(connection, own.user_id, ask.now)
    done = _SAID.get(ask.query.get("done", ""))
    return ask.page(
        "accounts/settings.html",
        status=status or (400 if problems else 200),
        user=user,
        own=own,
        sessions=sessions,
        zones=sorted(available_timezones()),
        done=ask.text(done) if done and ask.method == "GET" else "",
        look_problem=problems.get("look_problem", ""),
        password_problem=problems.get("password_problem", ""),
    )


PAGES = [
    Page("GET", "/settings", Open.SIGNED_IN, show),
    Page("POST", "/settings/look", Open.SIGNED_IN, save_look),
    Page("POST", "/settings/password", Open.SIGNED_IN, change_password),
    Page("POST", "/settings/sessions/end", Open.SIGNED_IN, end_one),
]
