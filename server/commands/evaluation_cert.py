"""`leaver eval cert`: the CERT insider-threat data set through the pipeline, a score for each user and
day."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import TextIO

import click
import msgspec

from server.commands.alert_words import counted
from server.commands.bars import bars
from server.commands.opening import echo_json, fail, json_option
from server.evaluation.cert.reading import UnreadableFolder
from server.evaluation.cert.scoring import CertSummary, score_folder
from server.evaluation.walk.walk import WalkFailed


@click.command("cert")
@click.argument("folder", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--train-until",
    type=click.DateTime(["%Y-%m-%d"]),
    default="2010-05-31",
    show_default=True,
    help="The last day that is learned from. Later days are scored.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="SCORES.csv",
    help="Where user,day,score,alerted,reason go; without it, to standard output.",
)
@json_option
def cert(folder: Path, train_until: datetime, out: Path | None, as_json: bool) -> None:
    """Score each user-day of DIR, which has CERT r4.2's layout.

    logon.csv, device.csv, file.csv, email.csv, http.csv and LDAP/ are read by the names of their columns;
    any may be missing. Rows become events and go through the real pipeline in an installation of its own,
    which is thrown away afterwards. Rows that cannot be read are counted, and told with file and line. Who
    left is never used.
    """
    if as_json and out is None:
        raise click.UsageError("--json needs --out: scores and summary cannot both go to standard output")
    from policies.rule_file import load_policies  # noqa: PLC0415

    try:
        with bars() as progress, _opened(out) as scores:
            summary = score_folder(
                folder, scores, load_policies(), train_until=_day(train_until), progress=progress
            )
    except (UnreadableFolder, WalkFailed) as error:
        fail(str(error))
    if as_json:
        echo_json(msgspec.to_builtins(summary))
    else:
        _echo(summary, out)


def _day(at: datetime) -> date:
    return at.date()


@contextlib.contextmanager
def _opened(out: Path | None) -> Iterator[TextIO]:
    """The file under its name only once it is whole."""
    if out is None:
        yield sys.stdout
        return
    part = out.with_name(out.name + ".part")
    try:
        with part.open("w", encoding="utf-8", newline="") as file:
            yield file
        part.replace(out)
    except OSError as error:
        fail(f"{out}: {error.strerror}")
    finally:
        part.unlink(missing_ok=True)


def _echo(summary: CertSummary, out: Path | None) -> None:
    # The scores have standard output where they have no file.
    def say(text: str) -> None:
        click.echo(text, err=out is None)

    read = ", ".join(f"{count:,} of {name}" for name, count in summary.rows.items())
    say(f"Rows: {read}; {summary.first_day} to {summary.last_day}, {summary.users:,} users.")
    own = ", ".join(summary.own_domains) or "not known"
    say(f"Events: {summary.events:,}. The company's own domain: {own}.")
    for kind, count in summary.not_told.items():
        say(f"Not told, since Leaver collects nothing of it: {counted(count, 'row')} of {kind}.")
    for file, why, count in summary.bad_rows:
        say(f"Left out: {counted(count, 'row')} of {file}: {why}.")
    for file, line, why in summary.first_bad:
        say(f"  {file}, line {line}: {why}")
    trained = f"Trained on {summary.training_days:,} days with activity up to {summary.train_until}"
    say(f"{trained}{'; too few for a forest: policies alone decide' if summary.cold_start else ''}.")
    say(
        f"Scored {summary.scored_user_days:,} user-days; {summary.alerted_user_days:,} stand in"
        f" {summary.alerts_opened:,} alerts."
    )
    if not summary.scored_user_days:
        say(
            f"No row is of a day after {summary.train_until}: --train-until says what is learned, not scored."
        )
    if out is not None:
        say(f"Written: {out}")
