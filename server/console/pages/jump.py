"""Ctrl-K: an alert's number, a pseudonym, a policy or an endpoint leads to its page, as far as the role sees
such pages. Nothing is found by a name that the viewer may not see."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import msgspec
from sqlalchemy import select
from starlette.responses import Response

from server.alerts.queue.searching import rule_titles
from server.console.page import Ask, Console, Open, Page
from server.people.roles import Right
from server.people.text_mask import masked_prose
from server.store.tables import agents, alerts, pseudonyms

FOUND_MAX: Final = 8
TEXT_CHARACTERS: Final = 80
_NUMBER: Final = re.compile(r"#?(\d{1,18})")
_PSEUDONYM: Final = re.compile(r"[pa]-[0-9a-z]{0,14}", re.IGNORECASE)
_READ_AS: Final = str.maketrans("OIL", "011")


class Place(msgspec.Struct, frozen=True):
    kind: str
    words: str
    address: str


def jump(console: Console, ask: Ask) -> Response:
    """GET /jump?q=WORDS"""
    text = ask.query.get("q", "").strip()[:TEXT_CHARACTERS]
    found = list(_places(console, ask, text)) if text and text.isprintable() else []
    return ask.json(found[:FOUND_MAX])


def _places(console: Console, ask: Ask, text: str) -> Iterator[Place]:
    viewer = ask.viewer
    if viewer.may(Right.SEE_ALERTS):
        yield from _alerts_and_people(console, ask, text)
    if viewer.may(Right.SEE_POLICIES):
        yield from _policies(console, ask, text.casefold())
    if viewer.may(Right.SEE_FLEET):
        with console.database.read() as connection:
            at = agents.c.name
            query = select(at).where(at.startswith(text, autoescape=True)).order_by(at).limit(FOUND_MAX)
            names = connection.execute(query).scalars().all()
        yield from (Place(ask.text("Endpoint"), name, f"/fleet/{name}") for name in names)


def _alerts_and_people(console: Console, ask: Ask, text: str) -> Iterator[Place]:
    number = _NUMBER.fullmatch(text)
    with console.database.read() as connection:
        if number is not None:
            query = select(alerts.c.id).where(
                alerts.c.id == int(number[1]), alerts.c.status.in_(("open", "closed"))
            )
            for found in connection.execute(query).scalars():
                yield Place(ask.text("Alert"), f"#{found}", f"/alerts/{found}")
        if _PSEUDONYM.fullmatch(text):
            shown = text[:2].upper() + text[2:].upper().translate(_READ_AS)
            at = pseudonyms.c.pseudonym
            known = select(at).where(at.between(shown, shown + "~")).order_by(at).limit(FOUND_MAX)
            for pseudonym in connection.execute(known).scalars():
                yield Place(ask.text("Person"), pseudonym, f"/people/{pseudonym}")


def _policies(console: Console, ask: Ask, text: str) -> Iterator[Place]:
    with console.database.read() as connection:
        titles = rule_titles(connection)
    own = [rule for rule, (_, is_own) in titles.items() if is_own]
    shown = {rule: ask.text(title) for rule, (title, is_own) in titles.items() if not is_own}
    texts = [titles[rule][0] for rule in own]
    if not ask.viewer.may(Right.SEE_NAMES):
        texts = masked_prose(console, texts)
    shown |= dict(zip(own, texts, strict=True))
    for rule, title in shown.items():
        if text in title.casefold() or text == rule:
            yield Place(ask.text("Policy"), title, f"/policies/{rule}")


PAGES = [Page("GET", "/jump", Open.SIGNED_IN, jump)]
