"""Back-tests of what a server stored, and what its pipeline raised, to be compared."""

from __future__ import annotations

import threading
from typing import Any

from sqlalchemy import select

from policies.rule_file import RuleText
from server.alerts.queries import Verdict, close_alert
from server.backtest.alerts_found import Found
from server.backtest.backtesting import Outcome, Trial, backtest, outcome
from server.backtest.report import BacktestReport
from server.policies.versions import save
from server.store.tables import alert_days, alerts
from tests.server.pipeline.conftest import Server

AlertKey = tuple[str, str]
"""(subject, family)."""


def saved(server: Server, *texts: str) -> None:
    for number, text in enumerate(texts):
        with server.database.begin() as connection:
            save(connection, text, file=f"{number}.yml", actor="cli:lin", reason="x", now=server.now)


def tried(server: Server, *texts: str, processes: int | None = None, **more: Any) -> BacktestReport:
    given = tuple(RuleText(f"{number}.yml", text) for number, text in enumerate(texts))
    trial = Trial(given=given, **more)
    return backtest(server.database, trial, now=server.now, processes=processes)


def replayed(server: Server, *, processes: int = 1, **more: Any) -> Outcome:
    """All rules that run, against themselves."""
    return outcome(
        server.database,
        Trial(every_rule=True, **more),
        now=server.now,
        events_days=None,
        processes=processes,
        progress=lambda _done, _of: None,
        stop=threading.Event(),
    )


def raised(server: Server) -> dict[AlertKey, tuple[int, tuple[tuple[str, int], ...]]]:
    """Score and evidence of what the pipeline has open."""
    with server.database.read() as connection:
        days: dict[int, list[tuple[str, int]]] = {}
        for row in connection.execute(select(alert_days)):
            days.setdefault(row.alert, []).append((row.channel, row.day))
        return {
            (row.subject, row.family): (row.score, tuple(sorted(days[row.id])))
            for row in connection.execute(select(alerts).where(alerts.c.status == "open"))
        }


def found(told: Outcome, side: int) -> dict[AlertKey, tuple[int, tuple[tuple[str, int], ...]]]:
    """The same of what a back-test found to be open."""
    sides: dict[AlertKey, tuple[Found | None, Found | None]] = {
        (pair.subject, pair.family): (pair.before, pair.after)
        for pair in told.totals.pairs
        if pair.closed is None
    }
    return {key: (each.score, each.places) for key, pair in sides.items() if (each := pair[side]) is not None}


def close(server: Server, number: int, verdict: Verdict) -> None:
    with server.database.begin() as connection:
        close_alert(connection, number, verdict, "looked at", "cli:lin", server.now)
