"""Tokens of programs: made (and shown once), listed, revoked. Administrators only."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from server.console.page import Ask, Console, Page
from server.people.roles import Right
from server.service_tokens import (
    DAYS_MAX,
    NAME_PATTERN,
    Scope,
    TokenRefused,
    TokenRole,
    create_token,
    list_tokens,
    revoke_token,
)
from server.store.column_types import is_storable

ROWS: Final = 100
REASON_CHARACTERS: Final = 1000


def show(console: Console, ask: Ask) -> Response:
    """GET /tokens"""
    return _page(console, ask)


def make(console: Console, ask: Ask) -> Response:
    """POST /tokens/make: answers with the token, which is shown once."""
    form = ask.form
    name, role, scope, days = (form.get(key, "").strip() for key in ("name", "role", "scope", "days"))
    if role not in set(TokenRole) or scope not in set(Scope):
        return _page(console, ask, problem=ask.text("There is no such role."))
    if NAME_PATTERN.fullmatch(name) is None:
        return _page(
            console, ask, problem=ask.text("That is no name: small letters, digits, dots and dashes.")
        )
    if not (days.isdecimal() and len(days) < 5 and 1 <= int(days) <= DAYS_MAX):
        return _page(console, ask, problem=ask.text("Days are a number from 1 to 730."))
    kind = TokenRole(role)
    # What brings data writes; the form has one field for all roles.
    wanted = Scope.WRITE if kind.console is None else Scope(scope)
    try:
        with console.database.begin() as connection:
            token = create_token(
                connection, name, kind, scope=wanted, days=int(days), now=ask.now, actor=ask.viewer.actor
            )
    except TokenRefused:
        problem = ask.text("A token of this name holds, or this role cannot have that scope.")
        return _page(console, ask, problem=problem)
    return _page(console, ask, token=token, token_of=name)


def revoke(console: Console, ask: Ask) -> Response:
    """POST /tokens/revoke"""
    name, reason = ask.form.get("name", ""), ask.form.get("reason", "").strip()
    if not 1 <= len(reason) <= REASON_CHARACTERS or not is_storable(reason):
        return _page(console, ask, problem=ask.text("Say why; the reason goes on record."))
    try:
        with console.database.begin() as connection:
            revoke_token(connection, name, now=ask.now, actor=ask.viewer.actor, reason=reason)
    except TokenRefused:
        # Somebody else revoked it, or it ended: what was wanted is so.
        return ask.redirect("/tokens")
    return ask.redirect(f"/tokens?revoked={name}")


def _page(console: Console, ask: Ask, *, problem: str = "", token: str = "", token_of: str = "") -> Response:
    before = ask.query.get("before", "")
    last = int(before) if before.isdecimal() and len(before) < 16 else None
    with console.database.read() as connection:
        found = [each for each in list_tokens(connection) if last is None or each.id < last]
    revoked = ask.query.get("revoked", "")
    is_name = NAME_PATTERN.fullmatch(revoked) is not None
    return ask.page(
        "accounts/tokens.html",
        status=400 if problem else 200,
        tokens=found[:ROWS],
        more=found[ROWS - 1].id if len(found) > ROWS else "",
        roles=[role.value for role in TokenRole],
        scopes=[scope.value for scope in Scope],
        problem=problem,
        token=token,
        token_of=token_of,
        done=ask.text("The token of {name} holds no longer.", name=revoked) if is_name else "",
    )


PAGES = [
    Page("GET", "/tokens", Right.MANAGE_ACCOUNTS, show),
    Page("POST", "/tokens/make", Right.MANAGE_ACCOUNTS, make),
    Page("POST", "/tokens/revoke", Right.MANAGE_ACCOUNTS, revoke),
]
