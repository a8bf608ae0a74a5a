"""How many logins and acts in applications are found, with the right account and address, at what cost.

python -m benchmarks.login_completeness [--rounds 4] [--orders 153]

Logins are done at a real sshd, su and sudo, told by a real journald and a real rsyslogd: passwords, keys,
refusals of seven kinds, switches, ends. Acts are done in a small back office behind a real nginx: manual
orders, enquiries and an export, told by the application's JSON lines; orders and page views by nginx's
combined format. Attempts with a wrong password are no orders. "besides": what was told and not done.

CPU: seconds of the collector's thread, and of journalctl, for 1,000 acts or lines, while they are done and
between them. Needs root, and what `deploy/prepare.sh tests` installs.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar, Final

import click
import msgspec
import psutil

from collectors.access_log import AccessLogCollector, AccessLogConfig
from collectors.contract import Collector, Observation
from collectors.logins import LoginsCollector, LoginsConfig
from event_schema.ocsf_account_events import ApiActivity, Authentication
from event_schema.ocsf_events import Event
from event_schema.ocsf_objects import Host, HostType
from tests.back_office.acts import acts_source, order
from tests.back_office.office import BackOffice
from tests.collectors.observing import Observing
from tests.login_host.acts import Told, do_all, told_by
from tests.login_host.host import LoginHost

_HOST: Final = Host(hostname="server-1", type_id=HostType.SERVER)
_ABROAD: Final = "203.0.113.66"
_COMBINED_RULES: Final = [
    {
        "action": "order_sent",
        "activity": "create",
        "method": ["POST"],
        "path": "/orders/manual",
        "outcome": "success",
    },
    {"action": "page_viewed", "activity": "read", "path": "/pages/.*", "aggregate_s": 60},
]


class Act(msgspec.Struct, frozen=True):
    """`about`: what else must be right: reason and way of a login, the object of an act."""

    what: str
    user: str | None
    address: str | None
    about: str | None


class Costed:
    """A collector whose reading is measured. The contract's other calls are the collector's own."""

    name: ClassVar[str] = "costed"
    emits: ClassVar[tuple[type, ...]] = (ApiActivity, Authentication)

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        self.cpu_s = 0.0

    def observe(self, resume_from: str | None, stop: threading.Event) -> Iterator[Observation | None]:
        began = time.thread_time()
        for turn in self._collector.observe(resume_from, stop):
            self.cpu_s = time.thread_time() - began
            yield turn

    def check_supported(self) -> None:
        self._collector.check_supported()

    def dropped(self) -> Mapping[str, int]:
        return self._collector.dropped()

    def detail(self) -> str | None:
        return self._collector.detail()

    def close(self) -> None:
        self._collector.close()


def _row(name: str, done: Counter[Act], found: Counter[Act], cpu: str) -> str:
    def alike(*keys: str) -> int:
        return (_by(done, keys) & _by(found, keys)).total()

    user, address, everything = (
        alike("what", "user"),
        alike("what", "user", "address"),
        alike("what", "user", "address", "about"),
    )
    besides = found.total() - alike("what")
    return (
        f"{name:<28} {done.total():>6,} {alike('what'):>6,} {user:>11,} {address:>10,} {everything:>11,} "
        f"{besides:>8,}  {cpu}"
    ).rstrip()


def _by(acts: Counter[Act], keys: tuple[str, ...]) -> Counter[tuple[str | None, ...]]:
    found: Counter[tuple[str | None, ...]] = Counter()
    for act, count in acts.items():
        found[tuple(getattr(act, key) for key in keys)] += count
    return found


def _of_logins(told: Counter[Told]) -> Counter[Act]:
    found: Counter[Act] = Counter()
    for each, count in told.items():
        about = f"{each.service} {each.reason} {each.method} {each.by} {each.has_key}"
        found[Act(f"{each.act} {each.reason is None}", each.user, each.source, about)] += count
    return found


def _logins(kind: str, rounds: int) -> str:
    # sshd reads keys as the user who logs in.
    folder = Path(tempfile.mkdtemp(prefix="leaver-login-host-"))
    folder.chmod(0o755)
    host = LoginHost(folder, "journal" if kind == "journald" else "rsyslog")
    try:
        if kind == "journald":
            config = LoginsConfig(source="journal", journal_directory=str(host.journal), gather_s=1)
        else:
            host.log_file.touch()
            config = LoginsConfig(source="log_file", log_file=str(host.log_file), gather_s=1)
        collector = Costed(LoginsCollector(config, _HOST, "0"))
        with Observing(collector) as observing:
            done = do_all(host, rounds)
            observing.settle(3)
            children = [each for each in psutil.Process().children() if each.name() == "journalctl"]
            cpu = collector.cpu_s + sum(sum(each.cpu_times()[:2]) for each in children)
        found = told_by(observing.events)
    finally:
        host.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return _row(f"logins, {kind}", _of_logins(done), _of_logins(found), f"{1000 * cpu / done.total():.3f}")


def _acts_done(office: BackOffice, orders: int) -> dict[str, Counter[Act]]:
    """By what a rule calls them."""
    now, done = datetime.now(UTC), []
    for number in range(orders):
        at = now - timedelta(days=number % 4)
        assert order(office, number, "kefu", _ABROAD, at) == 201
        done.append(Act("manual_order_created", "kefu", _ABROAD, f"M-{number:04}"))
        done.append(Act("order_sent", "kefu", _ABROAD, None))
        if number % 10 == 0:
            # A wrong password: nothing was created.
            assert order(office, number, "lin", _ABROAD, at) == 403
    headers = {"x-user": "old.team", "x-password": "qq", "x-forwarded-for": _ABROAD}
    for number in range(6):
        assert office.ask("GET", f"/enquiries/{4_711 + number}?token=x", headers) == 200
        done.append(Act("enquiry_opened", "old.team", _ABROAD, str(4_711 + number)))
    assert office.ask("GET", "/customers/export?rows=6321", headers) == 200
    done.append(Act("customers_exported", "old.team", _ABROAD, "customers: 6321"))
    for number in range(40):
        assert office.ask("GET", f"/pages/{number}", headers) == 200
        done.append(Act("page_viewed", "old.team", _ABROAD, None))
    found: dict[str, Counter[Act]] = {}
    for act in done:
        found.setdefault(act.what, Counter())[act] += 1
    return found


def _told_act(event: Event) -> tuple[Act, int]:
    assert isinstance(event, ApiActivity)
    about = None if event.resources is None else event.resources[0].name
    is_sum = event.api.operation == "page_viewed"
    if event.count is not None and not is_sum:
        about = f"{about}: {event.count}"
    user = None if event.actor.user is None else event.actor.user.name
    act = Act(event.api.operation, user, event.src_endpoint.ip, about)
    return act, (event.count or 1) if is_sum else 1


def _applications(orders: int) -> Iterator[str]:
    # nginx works as nobody.
    folder = Path(tempfile.mkdtemp(prefix="leaver-back-office-"))
    folder.chmod(0o755)
    office = BackOffice(folder)
    try:
        combined = {
            "name": "nginx",
            "path": str(office.combined),
            "format": "combined",
            "trusted_proxies": ["127.0.0.0/8"],
            "rules": _COMBINED_RULES,
        }
        sources = {"enabled": True, "sources": [acts_source(office.acts), combined]}
        collector = Costed(AccessLogCollector(msgspec.convert(sources, AccessLogConfig), _HOST, "0"))
        with Observing(collector) as observing:
            done = _acts_done(office, orders)
            observing.settle(2)
        lines = sum(log.read_bytes().count(b"\n") for log in (office.acts, office.combined))
    finally:
        office.stop()
        shutil.rmtree(folder, ignore_errors=True)
    found: dict[str, Counter[Act]] = {}
    for act, count in map(_told_act, observing.events):
        found.setdefault(act.what, Counter())[act] += count
    for what in done | found:
        yield _row(f"{what}", done.get(what, Counter()), found.get(what, Counter()), "")
    everything, told = (sum(each.values(), Counter[Act]()) for each in (done, found))
    cpu = f"{1000 * collector.cpu_s / lines:.3f} ({lines:,} lines)"
    yield _row("access logs, all of these", everything, told, cpu)


@click.command(help=__doc__)
@click.option("--rounds", default=4, show_default=True, help="How often each of the 15 login steps is done.")
@click.option("--orders", default=153, show_default=True, help="Manual orders.")
def main(rounds: int, orders: int) -> None:
    """The program: see the module."""
    click.echo(
        f"{'':<28} {'done':>6} {'found':>6} {'right user':>11} {'+ address':>10} {'+ all else':>11} "
        f"{'besides':>8}  CPU s per 1,000"
    )
    for kind in ("journald", "rsyslog"):
        click.echo(_logins(kind, rounds))
    for row in _applications(orders):
        click.echo(row)


if __name__ == "__main__":
    main()
