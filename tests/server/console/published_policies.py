"""Shipped policies and one of the company's own, published; who looks at them, and a dry run's end."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import pytest

from policies.rule_file import SHIPPED_RULES, parse_text, read_folder
from server.people.roles import Role
from server.policies.publishing import FoundTexts, publish
from server.policies.versions import PolicyVersion, current_versions, save
from tests.server.console.site import Site
from tests.server.policies.rule_texts import COPIED, RULE

HIGH = COPIED.replace("level: medium", "level: high")


def publish_shipped(site: Site) -> None:
    """As `leaver up` does; and a rule of the company's own."""
    texts = [parse_text(each) for each in read_folder(SHIPPED_RULES)[0]]
    with site.database.begin() as connection:
        publish(connection, [FoundTexts("shipped", "shipped", texts)], now=site.clock())
        save(connection, COPIED, file="own.yml", actor="cli:lin", reason="first", now=site.clock())


@pytest.fixture
def filled(site: Site) -> Iterator[Site]:
    publish_shipped(site)
    yield site


@pytest.fixture
def admin(filled: Site) -> httpx.Client:
    return filled.client(Role.ADMINISTRATOR)


@pytest.fixture
def analyst(filled: Site) -> httpx.Client:
    return filled.client(Role.ANALYST)


def held(site: Site, rule_id: str = RULE) -> PolicyVersion:
    with site.database.read() as connection:
        return current_versions(connection)[rule_id]


def tried(client: httpx.Client, form: dict[str, str], rule: str = RULE) -> str:
    """The address of the dry run's page, once it has ended."""
    begun = client.post(f"/policies/{rule}/dry-run", data=form)
    assert begun.status_code == 303, begun.text
    place = begun.headers["location"]
    run = place.rpartition("=")[2]
    for _ in range(600):
        answer = client.get(f"/policies/dry-runs/{run}/progress", headers={"hx-request": "true"})
        if "hx-redirect" in answer.headers:
            assert answer.headers["hx-redirect"] == place
            return str(place)
        time.sleep(0.1)
    raise AssertionError("the dry run does not end")
