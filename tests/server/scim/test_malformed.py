"""Whatever a provider's request holds, it is answered by the RFC's words; nothing is an internal error."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from server.scim.requests import answer
from server.store.database import Database
from tests.server.scim.shapes import CORE, ENTERPRISE, ERROR, LEAVER, PATCH_OP, entra_user

pytestmark = pytest.mark.databases("sqlite")
PATHS = [
    None,
    "",
    "[",
    "active",
    "userName",
    "displayName",
    "name.givenName",
    "emails",
    "emails[]",
    "emails.value",
    'emails[type eq "work"].value',
    'emails[not (type eq "work")]',
    "id",
    "meta.version",
    "schemas",
    "password",
    "a.b.c",
    'x[y eq "z"].w',
    ENTERPRISE,
    f"{ENTERPRISE}:manager",
    f"{ENTERPRISE}:manager.value",
    f"{LEAVER}:login",
    "urn:x:y:z",
]
VALUES: list[Any] = [
    None,
    True,
    "",
    "maybe",
    10**30,
    1.5,
    [],
    [[]],
    {},
    {"value": "x"},
    [{"value": 1}],
    {"a": {"b": [None]}},
    "\u0000",
    ["a"],
    [{"value": "a", "primary": True}, {"value": "b", "primary": True}],
    {"active": "maybe"},
    {"emails": [1]},
    {"schemas": []},
    {ENTERPRISE: {"manager": 5}},
    "x" * 1000,
]
FILTERS = [
    "",
    "userName",
    "userName eq null",
    'active eq "true"',
    'id eq "a" and',
    'not (id eq "a")',
    'schemas eq "x"',
    'userName eq "\\ud800"',
    'userName eq "\u0000"',
    "(" * 7000 + ")" * 7000,
    "not " * 3000,
]


def _call(database: Database, method: str, path: str, content: Any = None, **query: str) -> tuple[int, bytes]:
    found = answer(
        database,
        method=method,
        path=path,
        query=query,
        headers={"host": "leaver.example", "content-type": "application/scim+json"},
        body=b"" if content is None else json.dumps(content).encode(),
        public_url="",
        caller="okta",
        time_zone="UTC",
        clock=lambda: 1000,
    )
    return found.status, found.body


def _user(database: Database) -> str:
    status, body = _call(database, "POST", "/Users", entra_user("wang@corp.example", "E1"))
    assert status == 201
    return str(json.loads(body)["id"])


@pytest.mark.parametrize("op", ["add", "Replace", "remove", "move", None])
def test_no_operation_of_a_patch_is_an_internal_error(database: Database, op: str | None) -> None:
    place = f"/Users/{_user(database)}"
    seen: set[int] = set()
    for path, value in itertools.product(PATHS, VALUES):
        operation = {"op": op, "value": value} | ({} if path is None else {"path": path})
        status, body = _call(database, "PATCH", place, {"schemas": [PATCH_OP], "Operations": [operation]})
        assert status in {200, 400, 409}, operation
        assert status < 400 or json.loads(body)["schemas"] == [ERROR], operation
        seen.add(status)
    assert 400 in seen


def test_no_body_of_a_user_is_an_internal_error(database: Database) -> None:
    place = f"/Users/{_user(database)}"
    fields = (
        "name",
        "emails",
        "active",
        "meta",
        "id",
        "externalId",
        ENTERPRISE,
        LEAVER,
        "schemas",
        "timezone",
    )
    bodies = [{"schemas": [CORE], "userName": "q", field: value} for field in fields for value in VALUES]
    for body in (*bodies, [], {}, "x", 5, {"schemas": 5}, {"schemas": [PATCH_OP], "Operations": [5]}):
        for method, path in (
            ("POST", "/Users"),
            ("PUT", place),
            ("PATCH", place),
            ("POST", "/Users/.search"),
        ):
            status, _ = _call(database, method, path, body)
            assert status in {200, 201, 400, 409}, (method, body)


@pytest.mark.parametrize("words", FILTERS, ids=range(len(FILTERS)))
def test_no_filter_is_an_internal_error(database: Database, words: str) -> None:
    status, body = _call(database, "GET", "/Users", filter=words)
    assert (status, json.loads(body)["scimType"]) == (400, "invalidFilter")


@pytest.mark.parametrize(
    "query", [{"count": "x"}, {"startIndex": "9" * 5000}, {"cursor": "a"}, {"attributes": "y["}]
)
def test_no_page_is_an_internal_error(database: Database, query: dict[str, str]) -> None:
    assert _call(database, "GET", "/Users", **query)[0] in {400, 501}
