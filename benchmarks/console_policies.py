"""The console's pages of policies with many alerts behind them: the list, one policy, its versions.

python -m benchmarks.console_policies [--people N] [--alerts N] [--postgresql] [--json]

Asked over HTTPS on loopback, signed in as an administrator and as an analyst, who gets texts without names:
milliseconds of the server and the client together, by the clock and of CPU, the median and the slowest of
so many askings; the first apart (it parses the policies, counts the alerts, reads the people).
"""

from __future__ import annotations

import random
from functools import partial
from typing import Any

import click
import httpx
from sqlalchemy import Table

from benchmarks.company_rows import TODAY, fill_people, insert_all, rule_day, shipped_policies
from benchmarks.page_times import PageRow, asking, filled_site, page_row, tell, times_of
from server.people.roles import Role
from server.store.database import Database
from server.store.tables import alert_days, alerts, rule_days
from tests.server.console.site import Site


@click.command()
@click.option("--people", default=10_000, show_default=True)
@click.option("--alerts", "alert_count", default=50_000, show_default=True)
@click.option("--postgresql", is_flag=True)
@click.option("--json", "as_json", is_flag=True)
def main(people: int, alert_count: int, *, postgresql: bool, as_json: bool) -> None:
    """Fill, ask, tell."""
    fill = partial(_fill, people=people, count=alert_count)
    with filled_site(fill, postgresql=postgresql) as (site, rule, _):
        rows = _ask(site, rule)
    tell(f"{people:,} people, {alert_count:,} alerts", rows, postgresql=postgresql, as_json=as_json)


def _ask(site: Site, rule: str) -> list[PageRow]:
    rows = []
    for role in (Role.ADMINISTRATOR, Role.ANALYST):
        client = site.client(role)
        client.timeout = httpx.Timeout(60)
        for place in ("/policies", "/policies/{rule}", "/policies/{rule}/versions"):
            times = times_of(asking(client, place.replace("{rule}", rule)))
            rows.append(page_row(f"{role.value} {place.replace('{rule}', 'ID')}", times))
    return rows


def _fill(database: Database, *, people: int, count: int) -> str:
    """People, the shipped policies, and alerts of theirs on 90 days; the id of one."""
    chance = random.Random(7)
    fill_people(database, people)
    found = shipped_policies(database)
    rows: dict[Table, list[dict[str, Any]]] = {alerts: [], alert_days: [], rule_days: []}
    for number in range(1, count + 1):
        policy, subject = chance.choice(found), f"person:E{number:06d}"
        day, verdict = TODAY - chance.randrange(90), chance.choice([None, "confirmed", "expected", "false"])
        rows[alerts].append(
            {
                "id": number,
                "subject": subject,
                "family": policy.family,
                "status": "closed" if verdict else "open",
                "by_rules": True,
                "score": chance.randrange(50, 101),
                "traits": [],
                "sentence": {"en": "x" * 200, "zh": "y" * 100},
                "shares": [],
                "facts": {"rules": [{"id": policy.rule_id, "title": "x" * 60}] * 3},
                "policy_version": "x",
                "first_time": day * 86_400_000,
                "last_time": day * 86_400_000,
                "events": 5,
                "opened_at": day * 86_400_000,
                "updated_at": day * 86_400_000,
                "verdict": verdict,
            }
        )
        for at in (day, day + 1):
            rows[alert_days].append({"alert": number, "channel": "removable_storage", "day": at})
            for each in {policy.rule_id, chance.choice(found).rule_id}:
                rows[rule_days].append(
                    rule_day(subject, each, at, policy.family, channel="removable_storage")
                )
    for table, filled in rows.items():
        insert_all(database, table, filled)
    return found[0].rule_id


if __name__ == "__main__":
    main()
