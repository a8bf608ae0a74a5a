"""Rules and exceptions that name somebody who is erased: the name goes from all their versions.

The word `erased` stands in its place, so that the rest of a rule works on. What a version's hash was of stays
told by it; so a file in the company's folder is not taken for a changed one, and its owner must edit it.
"""

from __future__ import annotations

import re

from sqlalchemy import Connection, select, update

from server.erasure.plan import Plan
from server.people.erased import is_no_account
from server.people.name_words import name_words, net
from server.policies.versions import again, append_versions, current_versions
from server.store.tables import policy_versions

_ERASED = "erased"
_TEXTS = ("text", "title", "reason")


def naming_versions(connection: Connection, plan: Plan) -> dict[int, dict[str, str]]:
    """What the texts of these versions become, by number of the row."""
    pattern = _words(plan)
    if pattern is None:
        return {}
    found: dict[int, dict[str, str]] = {}
    columns = (policy_versions.c[name] for name in _TEXTS)
    for number, *texts in connection.execute(select(policy_versions.c.id, *columns)):
        blanked = {
            name: pattern.sub(_ERASED, text)
            for name, text in zip(_TEXTS, texts, strict=True)
            if text is not None and pattern.search(text)
        }
        if blanked:
            found[number] = blanked
    return found


def blank_policies(connection: Connection, plan: Plan, *, actor: str, now: int) -> int:
    """How many versions named them. In a write transaction that is alone; now: ms UTC."""
    found = naming_versions(connection, plan)
    for number, texts in found.items():
        connection.execute(update(policy_versions).where(policy_versions.c.id == number).values(texts))
    # Workers keep what they loaded until there is a version of the set that they do not know.
    named = [each for each in current_versions(connection).values() if each.id in found]
    newest = [again(each, enabled=each.enabled) for each in named if each.text is not None]
    append_versions(connection, newest, actor=actor, reason="a name was erased", now=now)
    return len(found)


def _words(plan: Plan) -> re.Pattern[str] | None:
    listed = [account for account in plan.accounts if not is_no_account(account)]
    parts = [account.rpartition("\\")[2] for account in listed]
    words = {*listed, *parts, plan.person or "", plan.name or "", *name_words(plan.name or "")}
    return net({word.casefold() for word in words if len(word) > 1})
