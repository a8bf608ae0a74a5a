"""One change to several alerts: each is looked at, changed or refused, and all that changed is one group."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, select, update

from server import audit
from server.alerts.history import Changes, Value, Verb, change_alert
from server.alerts.ranking import CLOSED
from server.audit import Act
from server.store.column_types import WHOLE_MAX
from server.store.tables import alert_history, alerts, triage_groups
from server.triage.outcome import Change, Outcome, Refused, Shown, Why, user_of

Check = Callable[[Row[Any]], Refused | None]
_END: Final = frozenset({Verb.CLOSE, Verb.SNOOZE})
"""Swallow what came before them: nothing may that nobody was shown."""


class Work:
    """Of one write transaction."""

    def __init__(self, connection: Connection, change: Change, verb: Verb) -> None:
        self.connection = connection
        self.change = change
        self.verb = verb
        self._group: int | None = None
        self._done: list[int] = []
        self._refused: list[Refused] = []
        self._changed: list[int] = []
        self._mains: set[Value] = set()
        self._acts: list[Act] = []

    def targets(self, check: Check, *, with_main: bool = False) -> list[Row[Any]]:
        """Rows of the alerts that can be changed; the others are refused. In the order of the request.
        `with_main`: a part whose main alert is named too changes with that."""
        wanted = tuple(dict.fromkeys(self.change.alerts))
        rows = rows_of(self.connection, wanted)
        now = self._shown_now(rows)
        found: dict[int, Row[Any]] = {}
        refusals: dict[int, Refused] = {}
        parts = [
            number for number in wanted if with_main and number in rows and rows[number].merged_into in rows
        ]
        for number in wanted:
            if number in parts:
                continue
            refused = self._refusal(number, rows.get(number), check, now)
            if refused is None:
                found[number] = rows[number]
            else:
                refusals[number] = refused
        for number in parts:
            main = rows[number].merged_into
            if main in found:
                self._done.append(number)
            else:
                refusals[number] = Refused(number, Why.WITH_MAIN, {"alert": main})
        self._refused += [refusals[number] for number in wanted if number in refusals]
        return list(found.values())

    def _shown_now(self, rows: Mapping[int, Row[Any]]) -> dict[int, Shown]:
        """As lists show them: with their parts."""
        if self.verb not in _END or not self.change.shown:
            return {}
        now = {number: _shown(row) for number, row in rows.items()}
        query = select(alerts.c.merged_into, alerts.c.events, alerts.c.score, alerts.c.last_time)
        for part in self.connection.execute(query.where(alerts.c.merged_into.in_(list(rows)))):
            now[part.merged_into] = now[part.merged_into].with_part(_shown(part))
        return now

    def _refusal(
        self, number: int, row: Row[Any] | None, check: Check, now: Mapping[int, Shown]
    ) -> Refused | None:
        if row is None:
            return Refused(number, Why.UNKNOWN)
        refused = check(row)
        shown = self.change.versions.get(number)
        if refused is None and shown is not None and shown != row.triage_version:
            return Refused(number, Why.CHANGED, {"by": user_of(self._last_actor(number))})
        before = self.change.shown.get(number)
        if refused is None and before is not None and number in now and before.grew(now[number]):
            events = {"before": before.events, "after": now[number].events}
            points = {"low": before.score, "high": now[number].score}
            return Refused(number, Why.GREW, {**events, **points})
        return refused

    def _last_actor(self, number: int) -> str:
        at = alert_history.c
        query = select(at.actor).where(at.alert == number).order_by(at.id.desc()).limit(1)
        return str(self.connection.execute(query).scalar() or "")

    def set(
        self,
        alert: Row[Any],
        values: dict[str, Value],
        *,
        unit: int | None = None,
        reason: str | None = None,
        typed: dict[str, Any] | None = None,
        rest: Changes | None = None,
        undoes: int | None = None,
        detail: dict[str, Any] | None = None,
    ) -> bool:
        """Of one alert, with an audit row where anything differs."""
        group = None if self.verb is Verb.UNDO else self.group
        differs = change_alert(
            self.connection,
            alert.id,
            values,
            verb=self.verb,
            actor=self.change.actor,
            at=self.change.at,
            unit=unit,
            reason=reason,
            typed=typed,
            rest=rest,
            undo_group=group,
            undoes=undoes,
        )
        if differs:
            self.note_changed(alert.id)
            self._mains.update(
                {} if "merged_into" not in values else {alert.merged_into, values["merged_into"]}
            )
            self.audit(alert.id, detail)
        return differs

    def audit(self, alert_id: int, detail: dict[str, Any] | None) -> None:
        self.note_act(
            Act(
                at=self.change.at,
                actor=self.change.actor,
                action=f"alert.{self.verb.value}",
                object=f"alert:{alert_id}",
                detail=detail,
            )
        )

    def note_act(self, act: Act) -> None:
        """Written with the outcome, all at once."""
        self._acts.append(act)

    @property
    def group(self) -> int:
        if self._group is None:
            self._group = self.change.group
        if self._group is None:
            row = {"at": self.change.at, "actor": self.change.actor, "verb": self.verb.value, "alerts": 0}
            made = insert(triage_groups).values(row).returning(triage_groups.c.id)
            self._group = int(self.connection.execute(made).scalar_one())
        return self._group

    def note_changed(self, alert_id: int) -> None:
        self._changed.append(alert_id)

    def note_done(self, alert_id: int) -> None:
        self._done.append(alert_id)

    def refuse(self, refused: Refused) -> None:
        self._refused.append(refused)

    def outcome(self, *, undoable: bool = True) -> Outcome:
        changed = tuple(dict.fromkeys(self._changed))
        mains = sorted(int(main) for main in self._mains if main is not None and main not in changed)
        mine = triage_groups.c.id == self._group
        if self._acts:
            audit.append_all(self.connection, self._acts)
        if self._group is not None and changed:
            counted = {"alerts": triage_groups.c.alerts + len(changed)}
            self.connection.execute(update(triage_groups).where(mine).values(counted))
        elif self._group is not None and self.change.group is None:
            self.connection.execute(triage_groups.delete().where(mine))
        group = self._group if changed and undoable else None
        asked = {number: at for at, number in enumerate(self.change.alerts)}
        done = sorted(self._done, key=lambda number: asked.get(number, 0))
        return Outcome(self.verb.value, tuple(done), tuple(self._refused), (*changed, *mains), group)


def _shown(row: Any) -> Shown:
    return Shown(row.events, row.score, row.last_time)


def rows_of(connection: Connection, numbers: Iterable[int]) -> dict[int, Row[Any]]:
    """As many as one query may hold."""
    # What is greater than any row's number is no number to a database.
    wanted = [number for number in numbers if 0 < number <= WHOLE_MAX]
    return {row.id: row for row in connection.execute(select(alerts).where(alerts.c.id.in_(wanted)))}


def not_a_part(row: Row[Any]) -> Refused | None:
    if row.merged_into is not None:
        return Refused(row.id, Why.MERGED, {"into": row.merged_into})
    return None


def not_closed(row: Row[Any]) -> Refused | None:
    """Who closed it and how goes before its being a part: both were closed together."""
    if row.status == CLOSED:
        by = user_of(row.closed_by or "")
        return Refused(row.id, Why.CLOSED, {"by": by, "verdict": row.verdict or ""})
    return not_a_part(row)
