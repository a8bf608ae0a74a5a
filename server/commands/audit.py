"""`leaver audit list` and `verify`: who did what, and whether the trail is as it was written."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from event_schema.printable import printable_name
from server import audit as trail
from server.accounts.audit_words import actor_words, detail_words, in_english, object_words
from server.commands.opening import FINDINGS, data_option, echo_json, json_option, open_installation
from server.commands.policy_sight import sight_of, unmask_options, unmasking_of
from server.commands.tables import output_width
from server.people.dates import UnreadableDate, read_day
from server.people.pseudonyms import shown_names

_DAY_MS = 86_400_000
_PIPED_WIDTH = 160
_ERASED = "(names somebody who was erased)"


class _Row(msgspec.Struct, frozen=True):
    """As it stands now. `fingerprint`: what the console and evidence packs tell of it."""

    seq: int
    hash: str
    fingerprint: str


class _Checked(msgspec.Struct, frozen=True, omit_defaults=True):
    """`rows` and `last_hash` are those of the last row; `broken_at` the first row that is not right; `row`
    the one that was asked for, where there is one."""

    good: bool
    rows: int
    last_hash: str | None
    broken_at: int | None
    row: _Row | None = None


@click.group("audit")
def audit() -> None:
    """What was done here, by whom: a chain of hashes."""


def _since(_context: click.Context, _parameter: click.Parameter, written: str | None) -> int:
    """Milliseconds UTC."""
    try:
        day = 0 if written is None else read_day(written)
    except UnreadableDate as error:
        raise click.BadParameter(str(error)) from None
    if day is None:
        raise click.BadParameter("is no day")
    return day * _DAY_MS


@audit.command("list")
@click.option("--since", metavar="DAY", callback=_since, help="From this UTC day on (2026-11-20).")
@click.option(
    "--limit", type=click.IntRange(1, 100_000), default=50, show_default=True, help="The newest ones."
)
@unmask_options
@data_option
@json_option
def show_list(
    since: int, limit: int, unmask: bool, reason: str | None, data: Path | None, as_json: bool
) -> None:
    """Who did what to what, when and why; the newest first. Times are UTC.

    Names of people in what somebody gave as a reason show with --unmask; --json has each row as it is stored.
    """
    unmasking = unmasking_of(unmask, reason)
    with open_installation(data) as opened:
        with opened.database.read() as connection:
            found = trail.newest(connection, since=since, limit=limit + 1)
            erased = trail.withheld(connection, [entry.seq for entry in found])
        found = [_without_texts(entry) if entry.seq in erased else entry for entry in found]
        more, found = len(found) > limit, found[:limit]
        reasons = [entry.reason for entry in found if entry.reason is not None]
        details = {entry.seq: _details(entry) for entry in found}
        texts = reasons + [each for of_row in details.values() for each in of_row]
        sight = sight_of(opened.database, texts, unmasking, "reasons in the audit trail")
    found = [
        entry if entry.reason is None else msgspec.structs.replace(entry, reason=sight(entry.reason))
        for entry in found
    ]
    if as_json:
        echo_json(found)
        return
    for entry in found:
        told = "; ".join(map(sight, details[entry.seq]))
        for line in _lines(entry, told, output_width(_PIPED_WIDTH)):
            click.echo(line)
    if not found:
        click.echo("Nothing on record.")
    elif more:
        click.echo("Older ones are not shown (--limit).")


def _without_texts(entry: trail.Entry) -> trail.Entry:
    return msgspec.structs.replace(entry, reason=None if entry.reason is None else _ERASED, detail=None)


def _details(entry: trail.Entry) -> list[str]:
    return [f"{each.key}: {each.value}" for each in detail_words(entry.detail, in_english)]


def _lines(entry: trail.Entry, told: str, width: int) -> Iterator[str]:
    when = datetime.fromtimestamp(entry.at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    who = actor_words(entry.actor, in_english)
    what = object_words(entry.object, entry.action, in_english)
    yield printable_name(f"{entry.seq:>5}  {when}  {who}  {entry.action}  {what}")
    for text in filter(None, (entry.reason, told)):
        # Long ones go on under their beginning.
        indent = " " * 7
        yield from textwrap.wrap(
            printable_name(text),
            max(40, width),
            initial_indent=indent,
            subsequent_indent=indent,
        )


@audit.command("verify")
@click.option("--row", "seq", type=click.IntRange(1, 2**53), help="Tell this row's hash and fingerprint too.")
@data_option
@json_option
def verify(seq: int | None, data: Path | None, as_json: bool) -> None:
    """Check the whole chain: nothing changed, taken out or put in.

    A chain that was cut off at its end still holds: keep the last row's number and hash elsewhere, and
    compare with --row. The console and evidence packs tell a row's fingerprint, which nobody can hold a guess
    at a hidden row against. Exit code 3: the chain is broken, at the row that is named, or there is no row
    as asked for.
    """
    with open_installation(data) as opened:
        key = shown_names(opened.database, ())[0] if seq else b""
        with opened.database.read() as connection:
            rows, last_hash = trail.head(connection) or (0, None)
            broken_at = trail.verify(connection)
            asked = trail.hash_of(connection, seq) if seq else None
    row = _Row(seq, asked, trail.fingerprint(key, seq, asked)) if seq and asked else None
    if as_json:
        echo_json(_Checked(broken_at is None, rows, last_hash, broken_at, row))
    elif broken_at is not None:
        click.secho(
            f"The audit trail's chain is broken at row {broken_at} (last row {rows}): it was changed, "
            "or one before it is missing.",
            fg="red",
        )
    elif last_hash is None:
        click.echo("The audit trail is empty.")
    else:
        click.echo(f"The audit trail's chain holds: {rows:,} rows. The last one's hash: {last_hash}")
    if seq and not as_json:
        click.echo(_row_words(seq, row))
    if broken_at is not None or (seq and row is None):
        raise SystemExit(FINDINGS)


def _row_words(seq: int, row: _Row | None) -> str:
    if row is None:
        return f"There is no row {seq}."
    return f"Row {row.seq}: hash {row.hash}, fingerprint {row.fingerprint}"
