"""CPU of reading logins and access logs: seconds per 1,000 acts, and lines per second that are no act.

python -m benchmarks.login_reading [--acts 20000]

Lines are as sshd through rsyslog, nginx and an application write them; they lie in files beforehand.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import msgspec

from collectors.access_log import AccessLogCollector, AccessLogConfig
from collectors.contract import Collector
from collectors.logins import LoginsCollector, LoginsConfig
from event_schema.ocsf_objects import Host, HostType

_HOST = Host(hostname="server-1", type_id=HostType.SERVER)
_BEGIN = datetime(2026, 11, 22, tzinfo=UTC)


def _logins(number: int) -> Iterator[str]:
    """One login and its end: seven lines."""
    pid, when = 1_000 + number, (_BEGIN + timedelta(seconds=number)).isoformat()
    at, who = f"{when} srv sshd[{pid}]: ", "anna from 10.0.0.5 port 50000"
    yield f"{at}Accepted publickey for {who} ssh2: ED25519 SHA256:hK1Hfcrc4kIJQ+lbQLG1d09SuIF168Lbl+wyr5MQ2Mw"
    yield f"{at}pam_unix(sshd:session): session opened for user anna(uid=1501) by (uid=0)"
    yield f"{at}pam_env(sshd:session): deprecated reading of user environment enabled"
    yield f"{when} srv CRON[{pid}]: pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)"
    yield f"{at}Received disconnect from 10.0.0.5 port 50000:11: disconnected by user"
    yield f"{at}Disconnected from user anna 10.0.0.5 port 50000"
    yield f"{at}pam_unix(sshd:session): session closed for user anna"


def _failures(number: int) -> Iterator[str]:
    """10,000 a minute."""
    when = (_BEGIN + timedelta(milliseconds=6 * number)).isoformat()
    yield f"{when} srv sshd[{number % 30_000}]: Failed password for root from 203.0.113.9 port 5000 ssh2"


def _orders(number: int) -> Iterator[str]:
    """One act, and nine requests that no rule maps."""
    when = (_BEGIN + timedelta(seconds=number)).strftime("%d/%b/%Y:%H:%M:%S +0000")
    for path in ("POST /orders/manual?ref=1", *(f"GET /static/{n}.css" for n in range(9))):
        yield f'203.0.113.9 - kefu [{when}] "{path} HTTP/1.1" 200 17 "-" "Mozilla/5.0 (X11; Linux x86_64)"'


def _acts(number: int) -> Iterator[str]:
    when = (_BEGIN + timedelta(seconds=number)).isoformat()
    order = {
        "time": when,
        "event": "order.create",
        "user": "kefu",
        "address": "203.0.113.9",
        "order": {"no": number},
    }
    yield msgspec.json.encode(order).decode()


def _cpu(collector: Collector, log: Path, lines: Iterator[str]) -> tuple[int, float]:
    """(events, CPU seconds) of reading lines that are there already."""
    log.touch()
    stop = threading.Event()
    turns = collector.observe(None, stop)
    next(turns)
    log.write_text("".join(f"{line}\n" for line in lines))
    began, events, quiet = time.process_time(), 0, 0
    while quiet < 3:
        turn = next(turns)
        quiet, events = (quiet + 1, events) if turn is None else (0, events + 1)
    stop.set()
    events += sum(1 for turn in turns if turn is not None)
    return events, time.process_time() - began


@click.command(help=__doc__)
@click.option("--acts", default=20_000, show_default=True, help="Acts of each kind.")
def main(acts: int) -> None:
    """The program: see the module."""
    rules = [
        {"action": "opened", "activity": "read", "path": "/enquiries/(?P<object>[0-9]+)"},
        {"action": "ordered", "activity": "create", "method": ["POST"], "path": "/orders/manual"},
    ]
    mapped = [
        {
            "action": "ordered",
            "activity": "create",
            "where": {"event": "order.create"},
            "object_field": "order.no",
        }
    ]
    for name, form in (
        ("logins", _logins),
        ("failures, equal", _failures),
        ("combined, 1 in 10 mapped", _orders),
        ("JSON, all mapped", _acts),
    ):
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "log"
            collector: Collector
            if form in (_logins, _failures):
                collector = LoginsCollector(LoginsConfig(source="log_file", log_file=str(log)), _HOST, "0")
            else:
                kind = "json" if form is _acts else "combined"
                source = {
                    "name": "shop",
                    "path": str(log),
                    "format": kind,
                    "rules": mapped if form is _acts else rules,
                }
                config = msgspec.convert({"enabled": True, "sources": [source]}, AccessLogConfig)
                collector = AccessLogCollector(config, _HOST, "0")
            events, cpu = _cpu(collector, log, (line for number in range(acts) for line in form(number)))
        click.echo(
            f"{name:<26} {acts:>8,} acts  {events:>8,} events  {1000 * cpu / acts:.3f} CPU s per 1,000 acts"
        )


if __name__ == "__main__":
    main()
