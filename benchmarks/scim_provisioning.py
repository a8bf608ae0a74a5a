"""A first synchronisation by an identity provider, its changes, and what it asks for, in a large company.

python -m benchmarks.scim_provisioning [--people N] [--users N]

What a pipeline spends to take over each user that is made, and what it does to load all.

A SQLite database with so many people of HR's, each with an account; the first of them come over SCIM: looked
for by userName, made, then changed and shut, each a request as Entra ID sends it, without the network. Times
are CPU seconds of one process; memory is what the process has more than before, by the kernel's count.
"""

from __future__ import annotations

import json
import tempfile
import time
from typing import Any

import click
import psutil

from server.people.directory import load_directory
from server.people.directory_changes import newer_directory
from server.people.facts import Holding, PersonFacts
from server.people.facts_store import write_facts
from server.store.database import Database, open_database, upgrade

TAKEN_OVER = 200
NOW = 1_795_305_600_000  # 2026-11-22T00:00:00Z
CORE = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


@click.command()
@click.option("--people", default=50_000, show_default=True)
@click.option("--users", default=2000, show_default=True)
def main(people: int, users: int) -> None:
    """Look for, make, change, shut, list."""
    with tempfile.TemporaryDirectory() as folder:
        database = open_database(f"sqlite:///{folder}/people.db", clock=lambda: NOW)
        upgrade(database)
        with database.begin() as connection:
            company = [
                (None, PersonFacts(f"E{n}", "UTC", accounts=(Holding(f"user{n}"),))) for n in range(people)
            ]
            write_facts(connection, company, at=NOW, actor="benchmark", way="import")
        before, memory = time.process_time(), _memory()
        _call(database, "GET", "/ServiceProviderConfig")
        click.echo(f"loading SCIM: {time.process_time() - before:.2f} CPU s, {_memory() - memory:.0f} MB")
        ids = _first_synchronisation(database, users)
        _taken_over(database, users)
        _changes(database, ids)
        before = time.process_time()
        pages = 10
        for page in range(pages):
            _call(database, "GET", "/Users", startIndex=str(page * 200 + 1), count="200")
        click.echo(f"a page of 200: {(time.process_time() - before) / pages * 1000:.0f} CPU ms")
        database.close()


def _first_synchronisation(database: Database, users: int) -> list[str]:
    before = time.process_time()
    for number in range(users):
        _call(database, "GET", "/Users", filter=f'userName eq "user{number}@corp.example"')
    looked = time.process_time() - before
    before = time.process_time()
    ids = [str(_call(database, "POST", "/Users", _user(number))["id"]) for number in range(users)]
    made = time.process_time() - before
    click.echo(f"looked for: {looked / users * 1000:.1f} CPU ms a user; made: {made / users * 1000:.1f}")
    return ids


def _taken_over(database: Database, users: int) -> None:
    with database.read() as connection:
        before = time.process_time()
        kept = load_directory(connection)
        click.echo(f"loading all people: {(time.process_time() - before) * 1000:.0f} CPU ms")
    spent = 0.0
    for number in range(users, users + TAKEN_OVER):
        _call(database, "POST", "/Users", _user(number))
        with database.read() as connection:
            before = time.process_time()
            kept = newer_directory(connection, kept)
            spent += time.process_time() - before
    with database.read() as connection:
        assert list(load_directory(connection).people()) == list(kept.people())
    click.echo(f"taking over a user's person: {spent / TAKEN_OVER * 1000:.1f} CPU ms")


def _changes(database: Database, ids: list[str]) -> None:
    for what, operation in (
        ("department changed", {"op": "Replace", "path": f"{ENTERPRISE}:department", "value": "Legal"}),
        ("shut", {"op": "Replace", "path": "active", "value": "False"}),
        ("nothing changed", {"op": "Replace", "path": "active", "value": "False"}),
    ):
        before = time.process_time()
        for user_id in ids:
            _call(database, "PATCH", f"/Users/{user_id}", {"schemas": [PATCH_OP], "Operations": [operation]})
        click.echo(f"{what}: {(time.process_time() - before) / len(ids) * 1000:.1f} CPU ms a user")


def _user(number: int) -> dict[str, Any]:
    name = f"user{number}@corp.example"
    return {
        "schemas": [CORE, ENTERPRISE],
        "externalId": f"user{number}",
        "userName": name,
        "active": True,
        "displayName": f"User {number}",
        "emails": [{"primary": True, "type": "work", "value": name}],
        "name": {"familyName": str(number), "givenName": "User"},
        ENTERPRISE: {"employeeNumber": f"E{number}", "department": "Sales"},
    }


def _call(database: Database, method: str, path: str, content: Any = None, **query: str) -> dict[str, Any]:
    from server.scim.requests import answer  # noqa: PLC0415 - loading it is measured

    found = answer(
        database,
        method=method,
        path=path,
        query=query,
        headers={"host": "leaver.example", "content-type": "application/scim+json"},
        body=b"" if content is None else json.dumps(content).encode(),
        public_url="",
        caller="benchmark",
        time_zone="UTC",
        clock=lambda: NOW,
    )
    assert found.status < 300, found.body
    return dict(json.loads(found.body)) if found.body else {}


def _memory() -> float:
    return float(psutil.Process().memory_info().rss) / (1 << 20)


if __name__ == "__main__":
    main()
