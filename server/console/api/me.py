"""GET /api/v1/me: who the caller is."""

from __future__ import annotations

import msgspec

from server.console.api_calls import ApiCall, Nothing
from server.console.page import Ask, Console, Open
from server.people.roles import Role


class Me(msgspec.Struct, frozen=True):
    """`is_program`: a token was shown."""

    name: str
    role: Role
    is_program: bool


def me(_console: Console, ask: Ask, _query: Nothing, _body: None) -> Me:
    viewer = ask.viewer
    return Me(viewer.user, viewer.role, viewer.token is not None)


API = [ApiCall("GET", "/api/v1/me", Open.SIGNED_IN, me, Me, "Who the caller is")]
