"""A change of a policy is tried on the history, then published: dry runs, their progress, publishing."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from server.accounts.views_recorded import note_view
from server.api.errors import ApiError
from server.backtest.severity_changes import severities_of
from server.console.charts.day_bars import DayPair, day_bars
from server.console.page import Ask, Console, Page
from server.console.policies.changing import (
    FORM_BYTES,
    NEW,
    Runner,
    held_version,
    own_id,
    publishing,
    text_of,
    told,
    whole,
)
from server.console.policies.header import header_of
from server.console.policies.sight import Sight, sight_of
from server.console.policies.words import Words
from server.dry_runs.gate import publish_earlier, publish_switch, publish_text
from server.dry_runs.running import DAYS, Wanted
from server.dry_runs.stored_runs import DryRun, find_run, runs_of_rule, summary_of_run
from server.dry_runs.summary import Summary
from server.people.roles import Right
from server.policies.versions import PolicyVersion, current_versions, versions_of_rule
from server.store.database import Database

RUNS_SHOWN: Final = 10


def dry_run(console: Console, ask: Ask) -> Response:
    """GET /policies/{rule}/dry-run: the one that `run` names, else the newest."""
    sight = sight_of(console, ask.viewer)
    with console.database.read() as connection:
        rule_id = ask.path["rule"].lower()
        held = current_versions(connection).get(rule_id)
        runs = runs_of_rule(connection, rule_id)[:RUNS_SHOWN]
        if held is None and not runs:
            raise ApiError(404, "not_found", ask.text("There is no such policy, version or person."))
        wanted = ask.query.get("run", "")
        run = next((each for each in runs if str(each.id) == wanted), runs[0] if runs else None)
        summary = summary_of_run(connection, run.id) if run is not None and run.status == "done" else None
    if run is not None and summary is not None:
        # Whom it concerns is told, if by pseudonym.
        note_view(console, ask, f"dry_run:{run.id}")
    return ask.page(
        "policies/dry_run.html",
        head=header_of(console, ask, sight, held) if held is not None else None,
        rule_id=rule_id,
        sight=sight,
        say=Words(ask.text),
        run=run,
        runs=runs,
        holds=0 if held is None else held.number,
        switches=run is not None and held is not None and _switches(run, held),
        **_shown(console, ask, sight, run, summary),
    )


def begin(console: Console, ask: Ask) -> Response:
    """POST /policies/{rule}/dry-run: of the editor's text; with `enabled` of switching it; with `number` of
    an earlier version."""
    given = ask.path["rule"].lower()
    base, text, enabled = whole(ask, "base"), text_of(ask), True
    rule_id = own_id(given, text)
    if "enabled" in ask.form or "number" in ask.form:
        with console.database.read() as connection:
            held = held_version(connection, rule_id)
            if "number" in ask.form:
                number = whole(ask, "number")
                versions = versions_of_rule(connection, rule_id)
                held = next((each for each in versions if each.number == number), held)
                enabled = held.enabled
            else:
                enabled = ask.form["enabled"] == "1"
        text = held.text or ""
    wanted = Wanted(rule_id, base, text, enabled, min(90, max(1, whole(ask, "days", DAYS))))
    run = told(console, ask, lambda: console.made(Runner).of.begin(wanted, actor=ask.viewer.actor))
    return ask.redirect(f"/policies/{rule_id}/dry-run?run={run}")


def progress(console: Console, ask: Ask) -> Response:
    """GET /policies/dry-runs/{run}/progress: a part of the page, which asks again until it has ended."""
    with console.database.read() as connection:
        run = told(console, ask, lambda: find_run(connection, ask.path["run"]))
    values = _progress(console, run)
    if not values["runs_now"]:
        # The whole page shows what came of it.
        return Response(None, 204, headers={"hx-redirect": f"/policies/{run.rule_id}/dry-run?run={run.id}"})
    return ask.fragment_of("policies/_progress.html", run=run, say=Words(ask.text), **values)


def cancel(console: Console, ask: Ask) -> Response:
    """POST /policies/dry-runs/{run}/cancel"""
    with console.database.read() as connection:
        run = told(console, ask, lambda: find_run(connection, ask.path["run"]))
    runner = console.made(Runner).of
    if runner.cancel(run.id, actor=ask.viewer.actor):
        runner.join(5.0)
    return ask.redirect(f"/policies/{run.rule_id}/dry-run?run={run.id}")


def publish(console: Console, ask: Ask) -> Response:
    """POST /policies/{rule}/publish: what `run` tried; or without a dry run a text, an earlier version, or a
    switch."""
    rule_id = ask.path["rule"].lower()
    text, number, enabled = text_of(ask), None, None
    if "run" in ask.form:
        with console.database.read() as connection:
            run = told(console, ask, lambda: find_run(connection, whole(ask, "run")))
            held = current_versions(connection).get(run.rule_id)
            if run.rule_id != rule_id:
                raise ApiError(404, "not_found", ask.text("There is no such policy, version or person."))
            text = run.text
            if held is not None and _switches(run, held):
                enabled = run.enabled
            elif held is not None:
                number = _earlier(_versions(console.database, rule_id), run, held)
    elif rule_id == NEW:
        rule_id = own_id(NEW, text)
    elif "number" in ask.form:
        number = whole(ask, "number")
    elif "enabled" in ask.form:
        enabled = ask.form["enabled"] == "1"
    wanted, actor = publishing(ask, rule_id), ask.viewer.actor

    def work() -> PolicyVersion:
        with console.database.begin() as connection:
            if enabled is not None:
                return publish_switch(connection, wanted, enabled=enabled, actor=actor, now=ask.now)
            if number is not None:
                return publish_earlier(connection, wanted, number, actor=actor, now=ask.now)
            return publish_text(connection, wanted, text, actor=actor, now=ask.now)

    version = told(console, ask, work)
    return ask.redirect(f"/policies/{version.rule_id}/versions?published={version.number}")


def switch(console: Console, ask: Ask) -> Response:
    """GET /policies/{rule}/switch: on or off, tried first."""
    sight = sight_of(console, ask.viewer)
    with console.database.read() as connection:
        found = held_version(connection, ask.path["rule"])
    return ask.page(
        "policies/switch.html", head=header_of(console, ask, sight, found), sight=sight, say=Words(ask.text)
    )


def _versions(database: Database, rule_id: str) -> list[PolicyVersion]:
    with database.read() as connection:
        return versions_of_rule(connection, rule_id)


def _switches(run: DryRun, held: PolicyVersion) -> bool:
    """Whether it tried nothing but switching on or off."""
    return run.text == held.text and run.enabled != held.enabled


def _earlier(versions: list[PolicyVersion], run: DryRun, held: PolicyVersion) -> int | None:
    """The newest earlier version whose text it tried."""
    if run.text == held.text:
        return None
    same = (each for each in versions if (each.text, each.enabled) == (run.text, run.enabled))
    return next((each.number for each in same), None)


def _progress(console: Console, run: DryRun) -> dict[str, Any]:
    found = console.made(Runner).of.progress(run.id)
    runs = run.status == "running" and found is not None
    done, of = (found.done, found.of) if found is not None else (0, 0)
    return {"runs_now": runs, "done": done, "of": of, "percent": round(100 * done / of) if of else 0}


def _shown(
    console: Console, ask: Ask, sight: Sight, run: DryRun | None, summary: Summary | None
) -> dict[str, Any]:
    values: dict[str, Any] = {
        "summary": None,
        "bars": "",
        "rules": (),
        "families": (),
        "examples": (),
        "told": True,
    }
    values |= {"runs_now": False, "done": 0, "of": 0, "percent": 0}
    if run is not None:
        values |= _progress(console, run)
        values["fault"] = sight.prose(run.fault or "")[0]
    if summary is None:
        return values
    report = summary.report
    titles = [each.title for each in report.rules]
    titles += [title for each in report.examples for title in each.rules]
    shown = dict(zip(titles, sight.prose(*titles), strict=True))
    pairs = [DayPair(each.day, each.before, each.after) for each in report.per_day]
    before, after = ask.text("as it runs"), ask.text("as tried")
    return values | {
        "summary": summary,
        "told": sight.tells(summary.names_people),
        "bars": day_bars(
            pairs, ask.text, before=before, after=after, label=ask.text("Alerts that begin, by day")
        ),
        "families": [Words(ask.text).family(each) for each in report.families],
        "rules": [(each, shown[each.title]) for each in report.rules],
        # What somebody did is for those who see alerts.
        "examples": [
            (each, [shown[title] for title in each.rules], severities_of(each.score))
            for each in report.examples
        ]
        if sight.alerts
        else (),
    }


PAGES = [
    Page("GET", "/policies/dry-runs/{run:int}/progress", Right.SEE_POLICIES, progress),
    Page("POST", "/policies/dry-runs/{run:int}/cancel", Right.CHANGE_POLICIES, cancel),
    Page("GET", "/policies/{rule}/dry-run", Right.SEE_POLICIES, dry_run),
    Page("POST", "/policies/{rule}/dry-run", Right.CHANGE_POLICIES, begin, form_limit=FORM_BYTES),
    Page("GET", "/policies/{rule}/switch", Right.CHANGE_POLICIES, switch),
    Page("POST", "/policies/{rule}/publish", Right.CHANGE_POLICIES, publish, form_limit=FORM_BYTES),
]
