"""The console's pages of policies with many alerts behind them: the list, one policy, its versions.

python -m benchmarks.console_policies [--people N] [--alerts N] [--postgresql] [--json]

Asked over HTTPS on loopback, signed in as an administrator and as an analyst, who gets texts without names:
milliseconds of the server and the client together, by the clock and of CPU, the median and the slowest of
so many askings; the first apart (it parses the policies, counts the alerts, reads the people).
"""

from __future__ import annotations

import json
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import click
from sqlalchemy import insert

from benchmarks.people_directory import company_of
from policies.rule_file import SHIPPED_RULES, parse_text, policy_of, read_folder
from server.people.facts_store import write_facts
from server.people.roles import Role
from server.policies.publishing import FoundTexts, publish
from server.store.database import Database, open_database, upgrade
from server.store.tables import alert_days, alerts, rule_days
from tests.postgres_server.server import PostgresServer
from tests.server.alerts.recorded_leak import NOW
from tests.server.console.site import Site

TODAY = NOW // 86_400_000
ASKINGS = 15
_ROWS = 5_000


@click.command()
@click.option("--people", default=10_000, show_default=True)
@click.option("--alerts", "alert_count", default=50_000, show_default=True)
@click.option("--postgresql", is_flag=True)
@click.option("--json", "as_json", is_flag=True)
def main(people: int, alert_count: int, *, postgresql: bool, as_json: bool) -> None:
    """Fill, ask, tell."""
    with tempfile.TemporaryDirectory() as folder:
        server = PostgresServer() if postgresql else None
        try:
            own = f"sqlite:///{folder}/leaver.db"
            url = own if server is None else server.url(server.new_database())
            found = _measured(Path(folder), url, people, alert_count)
        finally:
            if server is not None:
                server.stop()
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    for place, figures in found.items():
        told = ", ".join(f"{name} {value:,.0f} ms" for name, value in figures.items())
        click.echo(f"{place:<44} {told}")


def _measured(folder: Path, url: str, people: int, alert_count: int) -> dict[str, dict[str, float]]:
    database = open_database(url, clock=lambda: NOW)
    upgrade(database)
    with database.begin() as connection:
        company = company_of(people, people * 3, people)
        for start in range(0, people, _ROWS):
            part = [(None, person) for person in company[start : start + _ROWS]]
            write_facts(connection, part, at=NOW, actor="benchmark", way="import")
    rule = _fill(database, alert_count)
    database.close()
    site = Site(folder, database_url=url, leak_files=0)
    try:
        found = {}
        for role in (Role.ADMINISTRATOR, Role.ANALYST):
            client = site.client(role)
            client.timeout = 60
            for place in ("/policies", f"/policies/{rule}", f"/policies/{rule}/versions"):
                times, work = [], []
                for _ in range(ASKINGS + 1):
                    begun, worked = time.perf_counter(), time.process_time()
                    answer = client.get(place)
                    times.append(1000 * (time.perf_counter() - begun))
                    work.append(1000 * (time.process_time() - worked))
                    assert answer.status_code == 200, answer.text
                known = {"first": times[0], "median": statistics.median(times[1:]), "slowest": max(times[1:])}
                known["CPU"] = statistics.median(work[1:])
                found[f"{role.value} {place.replace(rule, 'ID')}"] = known
        return found
    finally:
        site.close()


def _fill(database: Database, count: int) -> str:
    """The shipped policies, and alerts of theirs on 90 days; the id of one."""
    chance = random.Random(7)
    texts = [parse_text(each) for each in read_folder(SHIPPED_RULES)[0]]
    found = [policy for each in texts if (policy := policy_of(each)) is not None and policy.family]
    with database.begin() as connection:
        publish(connection, [FoundTexts("shipped", "shipped", texts)], now=NOW)
    rows: dict[Any, list[dict[str, Any]]] = {alerts: [], alert_days: [], rule_days: []}
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
                    {
                        "subject": subject,
                        "rule_id": each,
                        "channel": "removable_storage",
                        "day": at,
                        "family": policy.family,
                        "level": "high",
                        "title": "x",
                        "hits": 3,
                        "first_time": 0,
                        "last_time": 0,
                        "first_version": 1,
                        "last_version": 1,
                    }
                )
    with database.begin() as connection:
        for table, filled in rows.items():
            for start in range(0, len(filled), _ROWS):
                connection.execute(insert(table), filled[start : start + _ROWS])
    return found[0].rule_id


if __name__ == "__main__":
    main()
