"""`leaver audit verify`: whether the audit trail is as it was written."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from server import audit as trail
from server.commands.opening import FINDINGS, data_option, echo_json, json_option, open_installation


class _Checked(msgspec.Struct, frozen=True):
    """`rows` and `last_hash` are those of the last row; `broken_at` the first row that is not right."""

    good: bool
    rows: int
    last_hash: str | None
    broken_at: int | None


@click.group("audit")
def audit() -> None:
    """What was done here, by whom: a chain of hashes."""


@audit.command("verify")
@data_option
@json_option
def verify(data: Path | None, as_json: bool) -> None:
    """Check the whole chain: nothing changed, taken out or put in.

    A chain that was cut off at its end still holds: keep the last row's number and hash elsewhere, and
    compare. Exit code 3: the chain is broken, at the row that is named.
    """
    with open_installation(data) as opened, opened.database.read() as connection:
        rows, last_hash = trail.head(connection) or (0, None)
        broken_at = trail.verify(connection)
    if as_json:
        echo_json(_Checked(broken_at is None, rows, last_hash, broken_at))
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
    if broken_at is not None:
        raise SystemExit(FINDINGS)
