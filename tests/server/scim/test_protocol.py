"""SCIM over HTTPS as Entra ID and Okta speak it: users found, made, changed, shut, deleted, refused."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from server.people.directory import load_directory
from server.scim.resources import RESULTS_MAX
from tests.server.api.running_server import RunningServer
from tests.server.scim.shapes import (
    CORE,
    ENTERPRISE,
    ENTRA_OPEN,
    ENTRA_SHUT,
    ERROR,
    LEAVER,
    LIST,
    OKTA_OPEN,
    OKTA_SHUT,
    entra_user,
    okta_user,
    operation,
    patch,
)

pytestmark = pytest.mark.databases("sqlite")


def _make(provider: httpx.Client, user: dict[str, Any]) -> dict[str, Any]:
    answer = provider.post("Users", json=user)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def _found(provider: httpx.Client, words: str) -> list[str]:
    answer = provider.get("Users", params={"filter": words})
    assert answer.status_code == 200, answer.text
    return [each["userName"] for each in answer.json()["Resources"]]


@pytest.mark.databases("sqlite", "postgresql")
def test_entra_looks_makes_changes_shuts_and_deletes_a_user(
    server: RunningServer, provider: httpx.Client
) -> None:
    missing = provider.get("Users", params={"filter": 'userName eq "wang@corp.example"'})
    assert (missing.status_code, missing.json()["totalResults"]) == (200, 0)
    assert missing.json()["schemas"] == [LIST]
    answer = provider.post("Users", json=entra_user("Wang@corp.example", "E1", department="Sales"))
    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/scim+json"
    made = answer.json()
    assert (
        answer.headers["location"] == made["meta"]["location"] == f"{server.url}/scim/v2/Users/{made['id']}"
    )
    assert made["userName"] == "Wang@corp.example"
    assert made[ENTERPRISE] == {"employeeNumber": "E1", "department": "Sales"}
    assert not {"phoneNumbers", "addresses", "roles"} & made.keys(), "nothing uses them"
    assert _found(provider, 'userName eq "WANG@corp.example"') == ["Wang@corp.example"]
    assert _found(provider, 'externalId eq "Wang"') == ["Wang@corp.example"]
    changed = provider.patch(
        f"Users/{made['id']}",
        json=patch(
            operation("Replace", "displayName", "王大明"),
            operation("Add", f"{ENTERPRISE}:department", "Legal"),
            operation("Replace", 'emails[type eq "work"].value', "wang.dm@corp.example"),
            operation("Add", 'phoneNumbers[type eq "work"].value', "021"),
            operation("Add", "nickName", "Ming"),
        ),
    )
    assert changed.status_code == 200
    assert changed.json() == provider.get(f"Users/{made['id']}").json()
    now = provider.get(f"Users/{made['id']}").json()
    assert (now["displayName"], now[ENTERPRISE]["department"]) == ("王大明", "Legal")
    assert now["emails"] == [{"value": "wang.dm@corp.example", "type": "work", "primary": True}]
    assert now["meta"]["version"] == 'W/"2"'
    provider.patch(f"Users/{made['id']}", json=ENTRA_SHUT)
    assert provider.get(f"Users/{made['id']}").json()["active"] is False
    assert _found(provider, 'active eq false and userName eq "wang@corp.example"') == ["Wang@corp.example"]
    provider.patch(f"Users/{made['id']}", json=ENTRA_OPEN)
    assert _found(provider, "active eq true") == ["Wang@corp.example"]
    assert provider.delete(f"Users/{made['id']}").status_code == 204
    assert provider.delete(f"Users/{made['id']}").status_code == 404
    assert provider.get(f"Users/{made['id']}").status_code == 404
    assert _make(provider, entra_user("wang@corp.example", "E1"))["id"] != made["id"]


def test_okta_makes_replaces_shuts_and_opens_a_user(provider: httpx.Client) -> None:
    made = _make(provider, okta_user("may@corp.example", "E2"))
    assert "password" not in made
    assert made["name"] == {"givenName": "May", "familyName": "Lee"}
    place = f"Users/{made['id']}"
    replaced = provider.put(
        place, json=okta_user("may.lee@corp.example", "E2", id=made["id"], displayName="May Lee-Fox")
    )
    assert (replaced.status_code, replaced.json()["displayName"]) == (200, "May Lee-Fox")
    assert _found(provider, 'userName eq "may@corp.example"') == []
    for shape, active in ((OKTA_SHUT, False), (OKTA_OPEN, True)):
        assert provider.patch(place, json=shape).status_code == 200
        assert provider.get(place).json()["active"] is active
    short = {"schemas": [CORE], "userName": "may.lee@corp.example"}
    assert provider.put(place, json=short).json().keys() == {"schemas", "id", "userName", "active", "meta"}


@pytest.mark.parametrize("value", ["ID", {"value": "ID"}, [{"$ref": "https://x/Users/ID", "value": "ID"}]])
def test_a_manager_comes_in_all_shapes_that_entra_sends(provider: httpx.Client, value: Any) -> None:
    boss = _make(provider, entra_user("boss@corp.example", "B1"))["id"]
    made = _make(provider, entra_user("wang@corp.example", "E1"))
    said = (
        boss
        if isinstance(value, str)
        else {"value": boss}
        if isinstance(value, dict)
        else [{**value[0], "value": boss}]
    )
    change = patch(operation("Add", f"{ENTERPRISE}:manager", said))
    assert provider.patch(f"Users/{made['id']}", json=change).status_code == 200
    assert provider.get(f"Users/{made['id']}").json()[ENTERPRISE]["manager"] == {"value": boss}
    gone = patch(operation("Remove", f"{ENTERPRISE}:manager"))
    assert provider.patch(f"Users/{made['id']}", json=gone).status_code == 200
    assert "manager" not in provider.get(f"Users/{made['id']}").json()[ENTERPRISE]


def test_pages_are_bounded_and_cover_everybody_once(provider: httpx.Client) -> None:
    for number in range(7):
        _make(provider, entra_user(f"u{number}@corp.example"))
    seen: list[str] = []
    for first in (1, 4, 7):
        page = provider.get("Users", params={"startIndex": first, "count": 3}).json()
        assert (page["totalResults"], page["startIndex"]) == (7, first)
        seen += [each["userName"] for each in page["Resources"]]
    assert sorted(seen) == [f"u{number}@corp.example" for number in range(7)]
    assert provider.get("Users", params={"count": 0}).json()["Resources"] == []
    assert provider.get("Users", params={"startIndex": 10**30}).json()["Resources"] == []
    assert len(provider.get("Users", params={"count": 10**9, "startIndex": -5}).json()["Resources"]) == 7
    config = provider.get("ServiceProviderConfig").json()
    assert config["filter"] == {"supported": True, "maxResults": RESULTS_MAX}
    posted = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"], "count": 2}
    assert provider.post("Users/.search", json=posted).json()["itemsPerPage"] == 2
    only = provider.get("Users", params={"count": 1, "attributes": "userName"}).json()["Resources"][0]
    assert only.keys() == {"schemas", "id", "userName"}


def test_a_change_on_top_of_an_older_state_is_refused(provider: httpx.Client) -> None:
    made = _make(provider, entra_user("wang@corp.example"))
    place, first = f"Users/{made['id']}", {"if-match": made["meta"]["version"]}
    assert provider.patch(place, json=OKTA_SHUT, headers=first).status_code == 200
    assert provider.patch(place, json=OKTA_OPEN, headers=first).status_code == 412
    assert provider.delete(place, headers=first).status_code == 412
    again = provider.get(place, headers={"if-none-match": 'W/"2"'})
    assert (again.status_code, again.content) == (304, b"")
    assert provider.patch(place, json=OKTA_SHUT).headers["etag"] == 'W/"2"', "nothing changed"


def test_what_is_refused_is_refused_in_scims_words(provider: httpx.Client) -> None:
    made = _make(provider, entra_user("wang@corp.example"))
    place = f"Users/{made['id']}"

    def refused(answer: httpx.Response, status: int, kind: str | None = None) -> None:
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/scim+json"
        content = answer.json()
        assert (content["schemas"], content["status"]) == ([ERROR], str(status))
        assert content.get("scimType") == kind, answer.text

    refused(provider.post("Users", json=entra_user("WANG@corp.example")), 409, "uniqueness")
    refused(provider.post("Users", content=b"{"), 400, "invalidSyntax")
    refused(provider.post("Users", content=b"[" * 100_000), 400, "invalidSyntax")
    refused(provider.post("Users", json={"schemas": [CORE]}), 400, "invalidValue")
    refused(provider.post("Users", content=b"<a/>", headers={"content-type": "text/xml"}), 415)
    refused(provider.post("Users", json=entra_user("x" * 300)), 400, "invalidValue")
    refused(provider.post("Users", json=entra_user("a\u0000b")), 400, "invalidValue")
    refused(provider.post("Users", json=entra_user("a@b", "9" * 200)), 400, "invalidValue")
    many = [{"value": f"{n}@x"} for n in range(100)]
    refused(provider.put(place, json=entra_user("wang@corp.example") | {"emails": many}), 400, "invalidValue")
    refused(provider.post("Users", json={"x": "y" * 300_000}), 413)
    for words in (
        "userName co 'x'",
        'userName co "w"',
        'emails.value eq "x"',
        "active pr",
        "(" * 3000,
        "id eq 7",
    ):
        refused(provider.get("Users", params={"filter": words}), 400, "invalidFilter")
    terms = " or ".join(f'id eq "{number}"' for number in range(300))
    refused(provider.get("Users", params={"filter": terms}), 400, "invalidFilter")
    refused(provider.get("Users", params={"sortBy": "userName"}), 501)
    refused(provider.get("Users/none"), 404)
    refused(provider.get("Users/%00"), 404)
    refused(provider.get("Groups"), 404)
    refused(provider.post("Groups", json={"displayName": "Sales"}), 404)
    refused(provider.post("Bulk", json={}), 501)
    refused(provider.get("Me"), 501)
    refused(provider.get("Nothing/at/all"), 404)
    refused(provider.put("Users", json={}), 405)
    refused(provider.get(place, headers={"authorization": "Bearer wrong"}), 401)
    refused(provider.get("Users", headers={"authorization": "Bearer wrong"}), 401)


def test_discovery_tells_what_is_kept_and_who_connects_reads_the_first_part_freely(
    server: RunningServer, provider: httpx.Client, client: httpx.Client
) -> None:
    config = client.get("/scim/v2/ServiceProviderConfig")
    assert config.status_code == 200
    assert config.json()["authenticationSchemes"][0]["type"] == "oauthbearertoken"
    assert (config.json()["bulk"]["supported"], config.json()["patch"]["supported"]) == (False, True)
    assert client.get("/scim/v2/Schemas").status_code == 401
    assert [each["endpoint"] for each in provider.get("ResourceTypes").json()["Resources"]] == ["/Users"]
    schemas = {each["id"]: each for each in provider.get("Schemas").json()["Resources"]}
    assert schemas.keys() == {CORE, ENTERPRISE, LEAVER}
    assert [each["name"] for each in schemas[LEAVER]["attributes"]] == ["login"]
    assert provider.get(f"Schemas/{CORE}").json()["id"] == CORE
    assert provider.get("ResourceTypes", params={"filter": 'name eq "User"'}).status_code == 403


def test_places_are_told_as_they_are_reached_from_outside(provider: httpx.Client) -> None:
    made = provider.post("Users", json=entra_user("a@b"), headers={"host": "hr.example.com"})
    assert made.headers["location"].startswith("https://hr.example.com/scim/v2/Users/")
    listed = provider.get("Users", headers={"host": "x/../<script>"})
    assert listed.status_code == 400 or "script" not in listed.text


def test_blanks_around_an_employee_number_make_no_second_person(
    server: RunningServer, provider: httpx.Client
) -> None:
    made = _make(provider, entra_user("a@corp.example", "E1"))
    second = _make(provider, entra_user("b@corp.example", " E1\t ", manager={"value": f" {made['id']} "}))
    assert second[ENTERPRISE]["employeeNumber"] == "E1"
    with server.database.read() as connection:
        assert [person.id for person in load_directory(connection).people()] == ["E1"]
