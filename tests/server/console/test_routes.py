"""Route by role: each is listed with the roles that may use it, and everybody else is refused."""

from __future__ import annotations

import re

import pytest

from server.console.app import all_routes
from server.console.page import Open
from server.people.roles import Right, Role, may
from tests.server.console.listed_routes import STATIC, console_served, listed
from tests.server.console.site import Site

pytestmark = pytest.mark.databases("sqlite")
_PARAMETER = re.compile(r"\{\w+(:\w+)?\}")


def allowed(needs: Right | Open) -> list[str]:
    if isinstance(needs, Open):
        return [needs.value]
    return [role.value for role in Role if may(role, needs)]


def address(path: str) -> str:
    """The path with something in the place of each of its parameters."""
    return _PARAMETER.sub(lambda found: "999999" if found[1] == ":int" else "P-XXXXX", path)


def test_every_route_is_listed_with_the_roles_that_may_use_it() -> None:
    assert set(listed()) | {STATIC} == console_served()
    for page in all_routes():
        assert sorted(listed()[page.route]) == sorted(allowed(page.needs)), page.route


@pytest.mark.parametrize("role", [None, *Role])
def test_each_role_is_refused_wherever_it_is_not_listed(site: Site, role: Role | None) -> None:
    client = site.client(role)
    client.headers["hx-request"] = "true"
    refused = 0
    for page in all_routes():
        roles = listed()[page.route]
        if "public" in roles or (role is not None and ("signed_in" in roles or role.value in roles)):
            continue
        answer = client.request(page.method, address(page.path))
        assert answer.status_code == (401 if role is None else 403), page.route
        refused += 1
    assert refused or role is Role.ADMINISTRATOR or len(console_served()) < 10
