"""The sheet of policies that the console shows: what each is, what it found, what it hides; noisiest first.

What a policy is follows the version of the set, and is read again when that changes. What it found is counted
over all alerts, which takes longer than a page may: it is counted again in the background when it is older
than a minute, and a page shows the numbers of before meanwhile, with their time.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import Final

import msgspec
from sqlalchemy import Connection

from event_schema.struct_base import Milliseconds
from policies.errors import PolicyError
from policies.rule_file import ParsedText, RuleText, parse_once
from server.policies.figures import NO_FIGURES, PolicyFigures, policy_figures
from server.policies.listing import ExceptionRow, RuleRow, exception_rows, policy_listing
from server.policies.naming import counted_rules, naming_policies
from server.policies.versions import Kind, current_versions, set_version
from server.retention import DAY_MS
from server.store.database import Database, StoreUnavailable

EXPIRING_DAYS: Final = 14
"""An exception that ends within so many is told of."""
FRESH_MS: Final = 60_000

_logger = logging.getLogger("leaver.policies")


class SheetRow(msgspec.Struct, frozen=True):
    """A rule or correlation. `channels`: collectors that it looks at; empty: all. `names_people`: its numbers
    are about who it names. `exceptions`: in use; `expiring`: those that end within EXPIRING_DAYS."""

    rule: RuleRow
    kind: Kind
    figures: PolicyFigures
    channels: tuple[str, ...]
    names_people: bool
    exceptions: int
    expiring: int


class Sheet(msgspec.Struct, frozen=True):
    """`version`: of the set. `counted_at`: when the figures were."""

    version: int
    rows: tuple[SheetRow, ...]
    exceptions: tuple[ExceptionRow, ...]
    faults: tuple[PolicyError, ...]
    counted_at: Milliseconds


class _Counted(msgspec.Struct, frozen=True):
    at: Milliseconds
    figures: Mapping[str, PolicyFigures]


class _Known(msgspec.Struct, frozen=True):
    """Of one version of the set, without figures. `runs`: ids of exceptions that are good and in use."""

    version: int
    day: int
    rows: tuple[SheetRow, ...]
    runs: frozenset[str]
    faults: tuple[PolicyError, ...]


class PolicySheets:
    """Of one database; safe to share between threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._known: _Known | None = None
        self._counted: _Counted | None = None
        self._counting: threading.Thread | None = None

    def sheet(self, *, now: int) -> Sheet:
        """now: ms UTC. Raises StoreUnavailable."""
        counted = self._figures(now)
        with self._database.read() as connection:
            known = self._of_version(connection, now)
            exceptions = exception_rows(connection, now=now, runs=known.runs)
        rows = [
            msgspec.structs.replace(each, figures=counted.figures.get(each.rule.id, NO_FIGURES), **about)
            for each in known.rows
            for about in [_exceptions_of(each.rule.id, exceptions, now)]
        ]
        rows.sort(key=_noisiest_first)
        return Sheet(known.version, tuple(rows), exceptions, known.faults, counted.at)

    def _of_version(self, connection: Connection, now: int) -> _Known:
        version, day = set_version(connection), now // DAY_MS
        known = self._known
        if known is None or (known.version, known.day) != (version, day):
            known = self._known = _known(connection, version, now)
        return known

    def _figures(self, now: int) -> _Counted:
        counted = self._counted
        if counted is None:
            with self._lock:
                counted = self._counted or self._count(now)
        elif not 0 <= now - counted.at <= FRESH_MS:
            self._count_aside(now)
        return counted

    def _count(self, now: int) -> _Counted:
        with self._database.read() as connection:
            figures = policy_figures(connection, today=now // DAY_MS)
        self._counted = _Counted(now, figures)
        return self._counted

    def _count_aside(self, now: int) -> None:
        with self._lock:
            if self._counting is not None and self._counting.is_alive():
                return
            self._counting = threading.Thread(
                target=self._count_quietly, args=(now,), name="policy-figures", daemon=True
            )
            self._counting.start()

    def _count_quietly(self, now: int) -> None:
        try:
            self._count(now)
        except StoreUnavailable as error:
            # The next page tries again; this one says of when its numbers are.
            _logger.warning("policies_not_counted", extra={"detail": str(error)})

    def join(self, seconds: float) -> None:
        """Waits for what is being counted."""
        thread = self._counting
        if thread is not None:
            thread.join(seconds)


def _known(connection: Connection, version: int, now: int) -> _Known:
    held = current_versions(connection)
    parsed = {
        rule_id: parse_once(RuleText(each.file, each.text, each.number))
        for rule_id, each in held.items()
        if each.text is not None
    }
    services, naming = _services(parsed), naming_policies(parsed)
    listed = policy_listing(connection, now=now, counted=False)
    rows = tuple(
        SheetRow(
            rule,
            held[rule.id].kind,
            NO_FIGURES,
            services.get(rule.id, ()),
            rule.id in naming,
            0,
            0,
        )
        for rule in listed.rules
        if rule.id in held and rule.state != "gone"
    )
    runs = frozenset(each.id for each in listed.exceptions if each.state in ("on", "ended"))
    return _Known(version, now // DAY_MS, rows, runs, listed.faults)


def _services(parsed: Mapping[str, ParsedText]) -> dict[str, tuple[str, ...]]:
    """Collectors by rule; of a correlation those of what it counts."""
    counted = counted_rules(parsed)

    def of(rule_id: str, depth: int) -> set[str]:
        each = parsed.get(rule_id)
        if each is None or depth > len(parsed):
            return set()
        if rule_id not in counted:
            service = each.logsource.get("service")
            return {service} if isinstance(service, str) and service != "all" else set()
        return set[str]().union(*(of(source, depth + 1) for source in counted[rule_id]))

    return {rule_id: tuple(sorted(of(rule_id, 0))) for rule_id in parsed}


def _exceptions_of(rule_id: str, exceptions: tuple[ExceptionRow, ...], now: int) -> dict[str, int]:
    own = [each for each in exceptions if each.state == "on" and rule_id in each.rules]
    expiring = sum(each.until - now <= EXPIRING_DAYS * DAY_MS for each in own)
    return {"exceptions": len(own), "expiring": expiring}


def _noisiest_first(row: SheetRow) -> tuple[int, float, int, str]:
    figures = row.figures
    precision = figures.precision
    return -figures.alerts, 1.0 if precision is None else precision, -figures.hits, row.rule.title.casefold()
