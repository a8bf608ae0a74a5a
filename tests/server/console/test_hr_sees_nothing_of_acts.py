"""HR gets nothing of what anybody did: every route that HR may call is asked, in a company with alerts,
evidence, verdicts and notes, and no answer, no header and no schema holds anything of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update

from event_schema.channels import CHANNELS
from server.alerts.queries import Verdict, close_alert
from server.console.app import API, PAGES
from server.console.openapi import document
from server.console.page import Open
from server.people.facts import LeaverFlag
from server.people.flags import flag_person
from server.people.hr_import import ImportOptions, import_people
from server.people.roles import Right, Role, may
from server.store.database import Database
from server.store.tables import agents, alerts, policy_versions, trait_uses
from server.store.upsert import insert_new
from tests.server.console.site import Site

pytestmark = pytest.mark.databases("sqlite")
_PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}")
STICK, FILE, NOTE = "0951:1666:SECRETSTICK", "offer-for-competitor.xlsx", "she sold the customer list"
SCORE, EVENTS = 8713, 48_211
"""Numbers that stand nowhere else."""
_WORDS = (
    "score",
    "severity",
    "alert",
    "evidence",
    "verdict",
    "anomal",
    "usb",
    "removable",
    "upload",
    "copied",
    "last_seen",
    "last seen",
    "last use",
    "used_at",
    "heartbeat",
    "risk",
    "suspicio",
    "告警",
    "证据",
    "风险",
    "异常",
)
_ABOUT_ALL = {"/transparency", "/api/v1/transparency", "/api/openapi.json", "/settings", "/sign-in", "/"}
"""Pages that everybody sees, signed in or not, about no person: they name alerts as such. They are compared
before and after instead."""
HR_FIELDS_NEVER = ("score", "alert", "severity", "evidence", "verdict", "risk", "used_at", "events", "anomal")


def _make_history(database: Database, now: int) -> None:
    """Somebody who leaves, with alerts open and closed, uses after the last day, and an analyst's note."""
    staff = (
        "id,name,accounts,devices,notice date,last working day\n"
        "E1,Ann Example,ann,ann-laptop,2026-10-01,2026-11-13\n"
        "E2,Bo Example,bo,bo-laptop,2026-10-01,2026-12-04\n"
        "E3,Cy Example,cy,cy-laptop,,\n"
    )
    with database.begin() as connection:
        options = ImportOptions(expect_leavers=9)
        import_people(connection, staff.encode(), actor="test", at=now, options=options)
        flag = LeaverFlag(20_800, note="tells her successor")
        flag_person(connection, "E2", flag, actor="user:hr.one", at=now, reason=None)


def _make_acts(database: Database, now: int) -> None:
    with database.begin() as connection:
        for number, (subject, status) in enumerate(
            (("person:E1", "open"), ("person:E2", "open"), ("person:E2", "closed"), ("person:E3", "open"))
        ):
            row = {
                "subject": subject,
                "family": f"family {number}",
                "status": status,
                "score": 87,
                "account_owner": None,
                "suspected_actor": "E1",
                "traits": [],
                "sentence": {"file": FILE, "score": str(SCORE)},
                "shares": [],
                "facts": {"events": EVENTS, "device": STICK},
                "policy_version": "1",
                "model_id": None,
                "first_time": now - 5,
                "last_time": now - 5,
                "events": EVENTS,
                "opened_at": now,
                "updated_at": now,
            }
            insert_new(connection, alerts, [row])
        for trait, person in (("account:ann", "E1"), ("host:ann-laptop", "E1"), ("account:bo", "E2")):
            row = {
                "trait": trait,
                "subject": f"person:{person}",
                "account": trait if trait.startswith("account:") else "account:ann",
                "first_time": now - 9,
                "last_time": now - 1,
                "count": EVENTS,
            }
            insert_new(connection, trait_uses, [row])


@pytest.fixture
def company(site: Site) -> Iterator[Site]:
    _make_history(site.database, site.clock())
    yield site


def _addresses() -> list[tuple[str, bool]]:
    """What HR may GET, with values for parameters; whether it is about people."""
    values = {"person": "E1", "id": "1", "draft": "0" * 32}
    found = []
    pages: list[Any] = [*PAGES, *API]
    for page in pages:
        needs = page.needs
        hrs = needs in (Open.PUBLIC, Open.SIGNED_IN) or (isinstance(needs, Right) and may(Role.HR, needs))
        if page.method != "GET" or not hrs:
            continue
        if any(name not in values for name in _PARAMETER.findall(page.path)):
            raise AssertionError(f"give {page.path} a value here")
        address = _PARAMETER.sub(lambda part: values[part[1]], page.path)
        found.append((address, address not in _ABOUT_ALL))
    more = ["/leavers?scope=all", "/leavers?q=ann", "/leavers?day=2026-12-04", "/leavers/E2", "/leavers/E3"]
    more += [
        "/leavers/flag?q=ex",
        "/leavers/flag?person=E2",
        "/api/v1/leavers?scope=all",
        "/api/v1/leavers/E2",
    ]
    return [*found, *((each, True) for each in more)]


def _answers(client: httpx.Client) -> dict[str, str]:
    """Everything that comes back, headers too, but what differs by itself."""
    found = {}
    for address, _ in _addresses():
        for language in ("en", "zh"):
            answer = client.get(address, headers={"accept-language": language})
            assert answer.status_code < 500, (address, answer.text[-800:])
            headers = {k: v for k, v in answer.headers.items() if k not in ("date", "set-cookie")}
            found[f"{address} {language}"] = f"{answer.status_code} {sorted(headers.items())}\n{answer.text}"
    return found


def test_there_are_routes_to_ask() -> None:
    addresses = {address for address, _ in _addresses()}
    assert {"/leavers", "/leavers/E1", "/leavers/import", "/api/v1/leavers", "/api/v1/imports"} <= addresses


def test_no_answer_differs_by_what_anybody_did(company: Site) -> None:
    """The strongest: the same bytes before and after four alerts, their evidence, uses and verdicts."""
    client = company.client(Role.HR)
    before = _answers(client)
    _make_acts(company.database, company.clock())
    with company.database.begin() as connection:
        ids = connection.execute(select(alerts.c.id).where(alerts.c.status == "open")).scalars().all()
        at = company.clock()
        verdict = Verdict.CONFIRMED
        close_alert(connection, ids[-1], verdict=verdict, reason=NOTE, actor="user:analy.one", at=at)
        beat = {"collectors": [{"name": "mail", "state": "stopped"}], "last_event": EVENTS}
        connection.execute(update(agents).values(heartbeat=beat))
    after = _answers(client)
    for address, answer in before.items():
        assert after[address] == answer, address


def test_no_word_or_number_of_acts_stands_in_any_answer(company: Site) -> None:
    _make_acts(company.database, company.clock())
    client = company.client(Role.HR)
    with company.database.read() as connection:
        titles = {
            str(title).casefold()
            for title in connection.execute(select(policy_versions.c.rule_id)).scalars()
            if len(str(title)) > 6
        }
    values = [
        STICK,
        FILE,
        NOTE,
        str(SCORE),
        str(EVENTS),
        f"{EVENTS:,}",
        *titles,
        *CHANNELS - {"mail", "logins"},
    ]
    for address, is_about_people in _addresses():
        for language in ("en", "zh"):
            answer = client.get(address, headers={"accept-language": language})
            headers = {k: v for k, v in answer.headers.items() if k != "permissions-policy"}
            text = f"{headers}\n{_without_frame(answer.text)}".casefold()
            if address not in _ABOUT_ALL:
                assert not [value for value in values if value.casefold() in text], address
            if is_about_people:
                found = [word for word in _WORDS if re.search(rf"(?<![a-z-]){word}", text)]
                where = text.find(found[0]) if found else 0
                assert not found, (address, found, text[max(0, where - 60) : where + 60])


def _without_frame(text: str) -> str:
    """What stands between the tags: `role="alert"` is no alert."""
    return re.sub(r"""\s(?:role|class|id|href|src|aria-\w+|data-[\w-]+)="[^"]*\"""", " ", text)


def test_no_schema_of_hrs_calls_has_a_field_for_acts() -> None:
    calls = [call for call in API if isinstance(call.needs, Right) and may(Role.HR, call.needs)]
    assert len(calls) >= 3
    names = set(_property_names(document(calls)["components"]["schemas"]))
    assert {"person", "last_working_day"} <= names
    assert not [name for name in names for word in HR_FIELDS_NEVER if word in name]


def _property_names(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        yield from schema.get("properties", {})
        for value in schema.values():
            yield from _property_names(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _property_names(value)


def test_what_hr_may_not_call_says_nothing_either(company: Site) -> None:
    _make_acts(company.database, company.clock())
    client = company.client(Role.HR)
    for address in (
        "/alerts",
        "/alerts/1",
        "/alerts/999999",
        "/people",
        "/cases",
        "/fleet",
        "/audit",
        "/status",
    ):
        answer = client.get(address)
        assert answer.status_code in (403, 404), address
        assert str(EVENTS) not in answer.text
        assert FILE not in answer.text
    assert client.get("/alerts/1").text == client.get("/alerts/999999").text
