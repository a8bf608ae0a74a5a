"""Who signs in to the console: added with a one-time link, given roles, disabled. Administrators only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sqlalchemy import Connection
from starlette.responses import Response

from server.accounts.invitations import invite
from server.accounts.users import (
    AccountRefused,
    add_user,
    checked_name,
    disable,
    enable,
    end_all_sessions,
    list_users,
    set_role,
)
from server.console.page import Ask, Console, Page
from server.people.roles import Right, Role
from server.store.column_types import is_storable

ROWS: Final = 100
REASON_CHARACTERS: Final = 1000
_SAID: Final = {
    "disabled": "{name} has been disabled, and signed out.",
    "enabled": "{name} may sign in again.",
    "role": "{name} has another role now, and must sign in again.",
    "signed_out": "{name} has been signed out everywhere.",
}


def show(console: Console, ask: Ask) -> Response:
    """GET /users"""
    return _page(console, ask)


def add(console: Console, ask: Ask) -> Response:
    """POST /users/add: answers with the link, which is shown once."""
    name = ask.form.get("name", "").strip().casefold()
    role = _role(ask)

    def change(connection: Connection) -> str:
        if role is None:
            raise AccountRefused("There is no such role.")
        add_user(connection, name, role, now=ask.now, actor=ask.viewer.actor)
        return invite(connection, name, now=ask.now, actor=ask.viewer.actor)

    return _with_link(console, ask, name, change)


def reset(console: Console, ask: Ask) -> Response:
    """POST /users/reset: a link for a new password."""
    name = ask.form.get("name", "")
    return _with_link(
        console, ask, name, lambda connection: invite(connection, name, now=ask.now, actor=ask.viewer.actor)
    )


def give_role(console: Console, ask: Ask) -> Response:
    """POST /users/role"""
    role = _role(ask)

    def change(connection: Connection, name: str) -> None:
        if role is None:
            raise AccountRefused("There is no such role.")
        set_role(connection, name, role, now=ask.now, actor=ask.viewer.actor)

    return _changed(console, ask, "role", change)


def disable_one(console: Console, ask: Ask) -> Response:
    """POST /users/disable"""
    reason = ask.form.get("reason", "").strip()

    def change(connection: Connection, name: str) -> None:
        if not 1 <= len(reason) <= REASON_CHARACTERS or not is_storable(reason):
            raise AccountRefused("Say why; the reason goes on record.")
        disable(connection, name, now=ask.now, actor=ask.viewer.actor, reason=reason)

    return _changed(console, ask, "disabled", change)


def enable_one(console: Console, ask: Ask) -> Response:
    """POST /users/enable"""
    return _changed(
        console,
        ask,
        "enabled",
        lambda connection, name: enable(connection, name, now=ask.now, actor=ask.viewer.actor),
    )


def sign_out_one(console: Console, ask: Ask) -> Response:
    """POST /users/sign-out"""

    def change(connection: Connection, name: str) -> None:
        end_all_sessions(connection, name, now=ask.now, actor=ask.viewer.actor)

    return _changed(console, ask, "signed_out", change)


def _changed(console: Console, ask: Ask, done: str, change: Callable[[Connection, str], None]) -> Response:
    name = ask.form.get("name", "")
    try:
        checked_name(name)
        with console.database.begin() as connection:
            change(connection, name)
    except AccountRefused as error:
        return _page(console, ask, problem=ask.text(error.phrase, **error.values))
    return ask.redirect(f"/users?done={done}&name={name}")


def _with_link(console: Console, ask: Ask, name: str, change: Callable[[Connection], str]) -> Response:
    try:
        checked_name(name)
        with console.database.begin() as connection:
            token = change(connection)
    except AccountRefused as error:
        return _page(console, ask, problem=ask.text(error.phrase, **error.values))
    host = ask.headers.get("host", "")
    return _page(console, ask, link=f"https://{host}/invited#{token}", link_for=name)


def _role(ask: Ask) -> Role | None:
    wanted = ask.form.get("role", "")
    return Role(wanted) if wanted in set(Role) else None


def _page(console: Console, ask: Ask, *, problem: str = "", link: str = "", link_for: str = "") -> Response:
    after = ask.query.get("after", "")[:64]
    with console.database.read() as connection:
        found = list_users(connection, after=after, limit=ROWS + 1)
    said, name = _SAID.get(ask.query.get("done", "")), ask.query.get("name", "")[:64]
    return ask.page(
        "accounts/users.html",
        status=400 if problem else 200,
        users=found[:ROWS],
        more=found[ROWS - 1].name if len(found) > ROWS else "",
        roles=list(Role),
        problem=problem,
        link=link,
        link_for=link_for,
        done=ask.text(said, name=name) if said and ask.method == "GET" else "",
    )


PAGES = [
    Page("GET", "/users", Right.MANAGE_ACCOUNTS, show),
    Page("POST", "/users/add", Right.MANAGE_ACCOUNTS, add),
    Page("POST", "/users/reset", Right.MANAGE_ACCOUNTS, reset),
    Page("POST", "/users/role", Right.MANAGE_ACCOUNTS, give_role),
    Page("POST", "/users/disable", Right.MANAGE_ACCOUNTS, disable_one),
    Page("POST", "/users/enable", Right.MANAGE_ACCOUNTS, enable_one),
    Page("POST", "/users/sign-out", Right.MANAGE_ACCOUNTS, sign_out_one),
]
