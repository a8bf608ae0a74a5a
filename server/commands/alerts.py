"""`leaver alerts`: the queue, what is not in it, one alert with its proof, a person's risk over time, and
closing an alert."""

from __future__ import annotations

from pathlib import Path

import click

from server.alerts.below import BELOW_DAYS_MAX, BELOW_MAX
from server.alerts.below_views import below_views
from server.alerts.parts import MergedAway
from server.alerts.person_risk import DAYS_MAX, person_risk
from server.alerts.queries import (
    LIST_MAX,
    REASON_CHARACTERS,
    AlreadyClosed,
    StatusFilter,
    UnknownAlert,
    Verdict,
    close_alert,
)
from server.alerts.views import EVIDENCE_SHOWN, alert_detail, alert_views
from server.commands.alert_text import EVIDENCE_MAX, below_text, detail_text, queue_text
from server.commands.alerts_triage import COMMANDS
from server.commands.opening import (
    Command,
    checked_reason,
    data_option,
    echo_json,
    fail,
    json_option,
    open_installation,
    system_actor,
    system_clock,
)
from server.commands.risk_text import risk_text
from server.commands.tables import echo_text
from server.installation import Installation
from server.json_times import rfc3339
from server.people.pseudonyms import UnknownPseudonym
from server.people.unmaskings import Grant, grant, hide_again, live_grants


def _unmask_options(command: Command) -> Command:
    """--unmask and --reason, given to the command as `unmask` and `reason`."""
    reason = click.option("--reason", help="Why the name is needed; kept in the audit trail.")
    unmask = click.option(
        "--unmask",
        metavar="PSEUDONYM",
        help="Show this one person's name and accounts, to you, for 60 minutes; everybody else stays hidden. "
        "Needs --reason. Until then `show` and `list` name them without it; `leaver alerts hide` ends it.",
    )
    return unmask(reason(command))


@click.group("alerts")
def alerts() -> None:
    """What was found: the queue, the proof, the verdict. Names are pseudonyms until unmasked."""


@alerts.command("list")
@click.option(
    "--status",
    type=click.Choice(["open", "closed", "all", "held"]),
    default="open",
    show_default=True,
    help="Which; all are open and closed, held ones were found and not alerted.",
)
@click.option("--limit", type=click.IntRange(1, LIST_MAX), default=100, show_default=True, help="How many.")
@_unmask_options
@data_option
@json_option
def show_list(
    status: StatusFilter, limit: int, unmask: str | None, reason: str | None, data: Path | None, as_json: bool
) -> None:
    """The queue, highest score first."""
    why = _why_unmasked(unmask, reason)
    with open_installation(data) as installation:
        grants = _grants(installation, unmask, why)
        found = alert_views(installation.database, status, limit, grants=grants)
    if as_json:
        echo_json(found)
    elif not found:
        click.echo("No alerts." if status == "all" else f"No {status} alerts.")
    else:
        echo_text(queue_text(found, system_clock()))


@alerts.command("below")
@click.option(
    "--days",
    type=click.IntRange(1, BELOW_DAYS_MAX),
    default=7,
    show_default=True,
    help="How far back, with today.",
)
@click.option("--limit", type=click.IntRange(1, BELOW_MAX), default=50, show_default=True, help="How many.")
@data_option
@json_option
def show_below(days: int, limit: int, data: Path | None, as_json: bool) -> None:
    """What was found and not alerted, highest first, and why not: below the line, judged harmless before,
    cooling down after an alert, over the day's cap. Under a cold-start model the strangest days."""
    with open_installation(data) as installation:
        found = below_views(installation.database, now=system_clock(), days=days, limit=limit)
    if as_json:
        echo_json(found)
    elif not found:
        click.echo(f"Nothing was found that is no alert, in {days} days.")
    else:
        echo_text(below_text(found))


@alerts.command("show")
@click.argument("alert_id", metavar="ID", type=int)
@click.option(
    "--evidence",
    "evidence_limit",
    type=click.IntRange(0, EVIDENCE_MAX),
    default=EVIDENCE_SHOWN,
    show_default=True,
    help="How many of the events: marked files and known exports first, then labelled ones, then by size.",
)
@_unmask_options
@data_option
@json_option
def show_one(
    alert_id: int,
    evidence_limit: int,
    unmask: str | None,
    reason: str | None,
    data: Path | None,
    as_json: bool,
) -> None:
    """Who, what, where to and why, with the signed events that prove it."""
    why = _why_unmasked(unmask, reason)
    with open_installation(data) as installation:
        grants = _grants(installation, unmask, why)
        try:
            detail = alert_detail(
                installation.database, alert_id, grants=grants, evidence_limit=evidence_limit
            )
        except UnknownAlert as error:
            fail(str(error))
    if as_json:
        echo_json(detail)
    else:
        echo_text(detail_text(detail))


@alerts.command("hide")
@click.argument("pseudonym")
@data_option
def hide(pseudonym: str, data: Path | None) -> None:
    """Hide a name again that --unmask shows to you, before its 60 minutes are over."""
    with open_installation(data) as installation:
        try:
            with installation.database.begin() as connection:
                ended = hide_again(connection, pseudonym, actor=system_actor(), at=system_clock())
        except UnknownPseudonym as error:
            fail(str(error))
    click.echo(f"{pseudonym} is hidden again." if ended else f"{pseudonym} was hidden already.")


@alerts.command("risk")
@click.argument("who", metavar="ALERT|PSEUDONYM")
@click.option("--days", type=click.IntRange(1, DAYS_MAX), default=90, show_default=True, help="Up to today.")
@data_option
@json_option
def show_risk(who: str, days: int, data: Path | None, as_json: bool) -> None:
    """The risk of one person over time: how it rose, how it fades, and in which policy families.

    WHO is an alert's number or the pseudonym that alerts show. Half of everything is gone after 14 days; what
    was closed as expected or false counts no longer. Of days of which nothing is kept the risk is not known.
    """
    with open_installation(data) as installation:
        try:
            found = person_risk(
                installation.database,
                who,
                days,
                now=system_clock(),
                events_days=installation.config.retention.events_days,
            )
        except (UnknownAlert, UnknownPseudonym) as error:
            fail(str(error))
    if as_json:
        echo_json(found)
    else:
        echo_text(risk_text(found))


@alerts.command("close")
@click.argument("alert_id", metavar="ID", type=int)
@click.option("--verdict", type=click.Choice([v.value for v in Verdict]), required=True, help="What it was.")
@click.option("--reason", required=True, help="Why; kept in the audit trail.")
@data_option
@json_option
def close(alert_id: int, verdict: str, reason: str, data: Path | None, as_json: bool) -> None:
    """Close an alert, open or held, and what was merged into it, with a verdict and a reason. What comes
    later opens another."""
    reason = checked_reason(reason, REASON_CHARACTERS)
    with open_installation(data) as installation:
        now = system_clock()
        try:
            with installation.database.begin() as connection:
                closed = close_alert(
                    connection,
                    alert_id,
                    Verdict(verdict),
                    reason,
                    system_actor(),
                    now,
                    activity_days=installation.config.retention.activity_days,
                )
        except (UnknownAlert, AlreadyClosed, MergedAway) as error:
            fail(str(error))
    if as_json:
        echo_json(
            {
                "id": closed.id,
                "status": closed.status,
                "verdict": verdict,
                "closed_at": now,
                "closed_at_dt": rfc3339(now),
            }
        )
    else:
        click.echo(f"Alert {closed.id} is closed as {verdict}: what comes later opens another.")


for _command in COMMANDS:
    alerts.add_command(_command)


def _why_unmasked(unmask: str | None, reason: str | None) -> str | None:
    if unmask is None:
        if reason is not None:
            raise click.UsageError("--reason goes with --unmask")
        return None
    if reason is None:
        raise click.UsageError("--unmask needs --reason: it is kept in the audit trail")
    return checked_reason(reason, REASON_CHARACTERS)


def _grants(installation: Installation, unmask: str | None, why: str | None) -> dict[str, Grant]:
    """Whose names whoever runs this may see now, as in the console."""
    actor, now = system_actor(), system_clock()
    if unmask is not None and why is not None:
        try:
            with installation.database.begin() as connection:
                grant(connection, unmask, actor=actor, at=now, reason=why)
        except UnknownPseudonym as error:
            fail(str(error))
    with installation.database.read() as connection:
        return live_grants(connection, actor, now)
