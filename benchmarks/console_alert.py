"""How long an alert's page takes on the server, of 5,000 events: the first time and afterwards.

    python -m benchmarks.console_alert [--events 5000] [--json]

Handlers are called as the console calls them, with a session's viewer, on a SQLite database; the network is
left out. The best of several calls is told, and the first one, which reads the evidence.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from starlette.datastructures import Headers, ImmutableMultiDict
from starlette.responses import Response

from benchmarks.page_times import database_in, times_of
from server.accounts.sessions import find_session
from server.api.service import ApiService
from server.console.page import Ask, Console, Viewer
from server.console.pages import alert, alert_records, queue
from server.console.rendering import Look
from server.people.roles import Role
from tests.server.console.site import Site

CALLS = 7


class Bench:
    """One site with one alert of so many events."""

    def __init__(self, folder: Path, url: str, events: int) -> None:
        self.site = Site(folder, database_url=url, leak_files=events)
        self.console = Console(_service(self.site))
        with self.site.database.read() as connection:
            session = find_session(connection, self.site.cookie(Role.ANALYST), self.site.clock())
        assert session is not None
        self._viewer = Viewer(session.user, session.role, session)

    def ask(self, query: Mapping[str, str] | None = None, *, fragment: bool = False) -> Ask:
        return Ask(
            self.console,
            viewer=self._viewer,
            look=Look(),
            method="GET",
            url_path="/alerts/1",
            query=ImmutableMultiDict(dict(query or {})),
            path={"id": 1},
            headers=Headers({"hx-request": "true"} if fragment else {}),
            address="127.0.0.1",
            now=self.site.clock(),
        )

    def times(self, call: Callable[[], Response]) -> dict[str, float]:
        """Milliseconds by the clock and of this thread's CPU, which a busy machine does not stretch."""
        took = times_of(lambda: len(bytes(call().body)), CALLS, cpu_seconds=time.thread_time)
        return {
            "first_ms": round(took.first, 1),
            "first_cpu_ms": round(took.cpu[0], 1),
            "best_ms": round(min(took.clock), 1),
            "best_cpu_ms": round(min(took.cpu), 1),
            "bytes": took.bytes,
        }


def _service(site: Site) -> ApiService:
    return site.server.service


def measure(events: int) -> dict[str, dict[str, float]]:
    with tempfile.TemporaryDirectory() as name, database_in(Path(name), postgresql=False) as place:
        bench = Bench(Path(name), place.url, events)
        try:
            console = bench.console
            return {
                "panel of the queue": bench.times(lambda: queue.panel(console, bench.ask(fragment=True))),
                "page": bench.times(lambda: alert.show(console, bench.ask())),
                "evidence": bench.times(lambda: alert.evidence(console, bench.ask(fragment=True))),
                "page with its evidence": bench.times(lambda: alert.show(console, bench.ask())),
                "evidence, a text": bench.times(
                    lambda: alert.evidence(console, bench.ask({"text": "customers-02"}, fragment=True))
                ),
                "evidence, last page": bench.times(
                    lambda: alert.evidence(
                        console, bench.ask({"after": str(max(0, events - 200))}, fragment=True)
                    )
                ),
                "download": bench.times(lambda: alert_records.export(console, bench.ask())),
            }
        finally:
            bench.site.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=5000)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    found = measure(asked.events)
    if asked.json:
        sys.stdout.write(json.dumps(found) + "\n")
        return 0
    sys.stdout.write(f"{asked.events:,} events\n")
    for name, row in found.items():
        first = f"first {row['first_ms']:>7} ms ({row['first_cpu_ms']:>6} CPU)"
        best = f"best {row['best_ms']:>7} ms ({row['best_cpu_ms']:>6} CPU)"
        sys.stdout.write(f"{name:<24}{first}   {best}   {row['bytes']:>9,} bytes\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
