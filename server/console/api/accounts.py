"""GET /api/v1/users and /api/v1/tokens: who signs in, and which programs; for sessions, never for tokens."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from event_schema.struct_base import Milliseconds
from server.accounts.users import NAME_CHARACTERS, list_users
from server.console.api_calls import ApiCall, Nothing
from server.console.page import Ask, Console
from server.people.roles import Right, Role
from server.service_tokens import ServiceToken, list_tokens

ROWS = 100


class UsersQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`after`: the name of the last one that is known."""

    after: Annotated[str, Meta(max_length=NAME_CHARACTERS)] = ""


class UserShown(msgspec.Struct, frozen=True):
    """`state`: active, invited or disabled."""

    name: str
    role: Role
    state: str
    by_provider: bool
    created_at: Milliseconds
    created_by: str
    signed_in_at: Milliseconds | None
    disabled_at: Milliseconds | None


class UsersPage(msgspec.Struct, frozen=True):
    """By name. `next_after`: from where to go on; None: that was all."""

    users: list[UserShown]
    next_after: str | None


class TokensShown(msgspec.Struct, frozen=True):
    """All that ever were, the latest first; the tokens themselves never show."""

    tokens: list[ServiceToken]


def users(console: Console, _ask: Ask, query: UsersQuery, _body: None) -> UsersPage:
    with console.database.read() as connection:
        found = list_users(connection, after=query.after, limit=ROWS + 1)
    shown = [
        UserShown(**{name: getattr(user, name) for name in UserShown.__struct_fields__})
        for user in found[:ROWS]
    ]
    return UsersPage(shown, shown[-1].name if len(found) > ROWS else None)


def tokens(console: Console, _ask: Ask, _query: Nothing, _body: None) -> TokensShown:
    with console.database.read() as connection:
        return TokensShown(list_tokens(connection))


API = [
    ApiCall(
        "GET", "/api/v1/users", Right.MANAGE_ACCOUNTS, users, UsersPage, "Who signs in", query=UsersQuery
    ),
    ApiCall("GET", "/api/v1/tokens", Right.MANAGE_ACCOUNTS, tokens, TokensShown, "Tokens of programs"),
]
