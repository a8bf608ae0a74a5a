"""Exceptions in the console: counted before they are made, renewed, ended; nobody is named to analysts."""

from __future__ import annotations

import re

import httpx
import pytest

from server import audit
from server.policies.versions import PolicyVersion, current_versions, versions_of_rule
from tests.server.alerts.recorded_leak import SECRETS
from tests.server.console.published_policies import admin, analyst, filled, held
from tests.server.console.site import Site
from tests.server.policies.rule_texts import RULE

__all__ = ["admin", "analyst", "filled"]
pytestmark = pytest.mark.databases("sqlite")


@pytest.mark.parametrize(
    ("kind", "value"), [("destination", "partner.example"), ("group", "Sales"), ("sha256", "ab" * 32)]
)
def test_an_exception_is_counted_made_renewed_and_ended(
    filled: Site, analyst: httpx.Client, kind: str, value: str
) -> None:
    form = {"kind": kind, "value": value, "until": "2026-12-31", "reason": "contract 17"}
    counted = analyst.post(f"/policies/{RULE}/exceptions/preview", data=form)
    assert counted.status_code == 200
    assert "found nothing" in counted.text
    made = analyst.post(f"/policies/{RULE}/exceptions", data=form)
    assert made.status_code == 303
    exception = made.headers["location"].rpartition("=")[2]
    version = held(filled, exception)
    assert (version.kind, version.saved_by, version.reason) == ("exception", "user:analy.one", "contract 17")
    assert version.preview is not None
    assert "contract 17" in analyst.get(f"/policies/{RULE}/exceptions").text
    change = {"base": "1", "of": RULE, "reason": "goes on", "until": "2027-06-30"}
    renewed = analyst.post(f"/policies/exceptions/{exception}/extend", data=change)
    assert renewed.headers["location"] == f"/policies/{RULE}/exceptions"
    assert "2027-06-30" in (held(filled, exception).text or "")
    assert analyst.post(f"/policies/exceptions/{exception}/extend", data=change).status_code == 409
    ended = analyst.post(f"/policies/exceptions/{exception}/end", data={"base": "2", "reason": "over"})
    assert ended.headers["location"] == "/policies/exceptions"
    assert not held(filled, exception).enabled
    with filled.database.read() as connection:
        assert len(versions_of_rule(connection, exception)) == 3
        assert audit.verify(connection) is None


@pytest.mark.parametrize(
    "form",
    [
        {"until": "2026-11-01"},
        {"until": "2029-01-01"},
        {"until": "soon"},
        {"reason": ""},
        {"reason": "x" * 1001},
        {"reason": "a\x00b"},
        {"value": ""},
        {"value": "x" * 501},
        {"value": "a\x00b"},
        {"kind": "sha256"},
        {"kind": "person", "value": "E1007"},
        {"kind": "person", "value": "P-00000"},
        {"kind": "host", "value": "alice-laptop"},
        {"kind": "nonsense"},
    ],
)
def test_a_bad_exception_is_refused_in_words(
    filled: Site, analyst: httpx.Client, form: dict[str, str]
) -> None:
    good = {"kind": "destination", "value": "partner.example", "until": "2026-12-31", "reason": "contract"}
    for place in ("exceptions/preview", "exceptions"):
        answer = analyst.post(f"/policies/{RULE}/{place}", data=good | form, headers={"hx-request": "true"})
        assert answer.status_code in (400, 403, 404, 422), form
        assert answer.json()["error"]
    assert {each.kind for each in current(filled).values()} == {"rule", "correlation"}


def current(site: Site) -> dict[str, PolicyVersion]:
    with site.database.read() as connection:
        return current_versions(connection)


def test_a_person_is_excepted_by_pseudonym_by_analysts_and_by_id_by_administrators(
    filled: Site, analyst: httpx.Client, admin: httpx.Client
) -> None:
    form = {"kind": "person", "until": "2026-12-31", "reason": "agreed"}
    shown = next(iter(re.findall(r"P-[0-9A-Z]{5}", analyst.get("/people").text)), None)
    assert shown is not None
    made = analyst.post(f"/policies/{RULE}/exceptions", data=form | {"value": shown})
    assert made.status_code == 303, made.text
    assert 'title="about somebody by name' in admin.get(f"/policies/{RULE}/exceptions").text
    assert 'title="about somebody by name' not in analyst.get(f"/policies/{RULE}/exceptions").text
    mine = admin.post(f"/policies/{RULE}/exceptions/preview", data=form | {"value": "E1007"})
    assert "is told to whoever may see alerts" in mine.text
    assert admin.post(f"/policies/{RULE}/exceptions", data=form | {"value": shown}).status_code == 422
    page = analyst.get(f"/policies/{made.headers['location'].rpartition('=')[2]}").text
    assert [each for each in SECRETS if each.casefold() in page.casefold()] == []
