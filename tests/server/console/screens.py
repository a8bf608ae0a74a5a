"""Every screen: the routes that answer with a whole page, with values for their parameters."""

from __future__ import annotations

import re

from sqlalchemy import select

from server.console.app import PAGES
from server.console.page import Open
from server.people.roles import Role, may
from server.store.tables import agents, policy_versions, pseudonyms
from tests.server.console.site import Site

_PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}")


def values(site: Site) -> dict[str, str]:
    """By the name of a parameter, one that exists."""
    with site.database.read() as connection:
        shown = connection.execute(
            select(pseudonyms.c.pseudonym).where(pseudonyms.c.subject == "person:E1001")
        ).scalar()
        rule = connection.execute(select(policy_versions.c.rule_id).limit(1)).scalar()
        agent = connection.execute(select(agents.c.name).order_by(agents.c.name).limit(1)).scalar()
    return {"id": "1", "pseudonym": shown or "", "person": "E1001", "rule": rule or "", "agent": agent or ""}


def filled(site: Site, path: str) -> str | None:
    """The path with values that exist; None where it asks for others."""
    known = values(site)
    if any(name not in known for name in _PARAMETER.findall(path)):
        return None
    return _PARAMETER.sub(lambda part: known[part[1]], path)


def screens(site: Site, role: Role) -> list[str]:
    """Addresses of whole pages that the role may see: what answers a plain GET with a document."""
    client = site.client(role)
    found = []
    for page in PAGES:
        needs = page.needs
        if page.method != "GET" or not (isinstance(needs, Open) or may(role, needs)):
            continue
        address = filled(site, page.path)
        if address is None:
            continue
        answer = client.get(address)
        assert answer.status_code < 500, (address, answer.text[-2000:])
        if answer.status_code == 200 and answer.text.lstrip().startswith("<!doctype html>"):
            found.append(address)
    return found
