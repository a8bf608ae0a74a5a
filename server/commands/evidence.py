"""`leaver evidence`: packs of a case or an alert, made and checked, and the key that signs them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import click
import msgspec

from event_schema.byte_size import byte_size
from server import audit
from server.alerts.queries import REASON_CHARACTERS, UnknownAlert
from server.alerts.view_types import Unmasking
from server.cases.records import UnknownCase
from server.commands.opening import (
    FINDINGS,
    checked_reason,
    data_option,
    echo_json,
    fail,
    json_option,
    open_installation,
    system_actor,
    system_clock,
)
from server.evidence_pack.archive import PackRefused
from server.evidence_pack.making import MadePack, make_pack
from server.evidence_pack.pack_request import PackRequest
from server.evidence_pack.scope import scope_of_alert, scope_of_case
from server.evidence_pack.stored import file_digest
from server.evidence_pack.verifier import NoPack, as_text, verify
from server.evidence_pack.verifier import as_json as verdict_json
from server.installation import Installation
from server.pki.authority import PkiError

_KEY_DIGITS = 16


class _Made(msgspec.Struct, frozen=True):
    file: str
    bytes: int
    sha256: str
    manifest_sha256: str
    key: str
    alerts: int
    events: int
    unmasked: bool


@click.group("evidence")
def evidence() -> None:
    """Evidence packs: what was found, in one archive that shows whether it was changed."""


@evidence.command("pack")
@click.argument("case", metavar="[CASE]", type=int, required=False)
@click.option("--alert", "alert_id", metavar="ID", type=int, help="Of one alert, in place of a case.")
@click.option(
    "-o",
    "--output",
    "path",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file to write; it must not be there.",
)
@click.option("--language", type=click.Choice(["en", "zh"]), default="en", help="Of the report.")
@click.option("--unmask", is_flag=True, help="With names; needs --reason.")
@click.option("--records", is_flag=True, help="With --unmask: the signed records, too; they tell of others.")
@click.option("--reason", help="Why names are needed; kept in the audit trail, and in the pack.")
@data_option
@json_option
def pack(
    case: int | None,
    alert_id: int | None,
    path: Path,
    language: Literal["en", "zh"],
    unmask: bool,
    records: bool,
    reason: str | None,
    data: Path | None,
    as_json: bool,
) -> None:
    """Make the evidence pack of a case, or of one alert.

    Without --unmask it names nobody: pseudonyms stay, and what people typed is masked.
    """
    if unmask != (reason is not None):
        raise click.UsageError("--unmask and --reason go together")
    if records and not unmask:
        raise click.UsageError("--records needs --unmask: what agents signed holds names")
    actor, now = system_actor(), system_clock()
    why = None if reason is None else checked_reason(reason, REASON_CHARACTERS)
    unmasking = None if why is None else Unmasking(actor, now, why)
    request = PackRequest(actor, now, language, unmasking, records)
    with open_installation(data) as installation:
        if (case is None) == (alert_id is None):
            raise click.UsageError("say which: a CASE, or --alert ID")
        try:
            made, key = _make(installation, case, alert_id, request, path)
        except (UnknownCase, UnknownAlert, PackRefused, PkiError) as error:
            fail(str(error))
        except FileExistsError:
            fail(f"{path}: is there already")
        except OSError as error:
            fail(f"{path}: {error.strerror}")
    told = _Made(
        str(path),
        made.archive.bytes,
        file_digest(path),
        made.archive.manifest_digest,
        key,
        made.alerts,
        made.events,
        why is not None,
    )
    if as_json:
        echo_json(told)
        return
    alerts = "1 alert" if told.alerts == 1 else f"{told.alerts:,} alerts"
    click.echo(f"{path}: {byte_size(told.bytes)}, {alerts}, {told.events:,} events.")
    click.echo(f"sha256  {told.sha256}")
    click.echo(f"key     sha256:{key}")
    click.echo(f"leaver evidence verify {path} --key {key[:16]}")


@evidence.command("verify")
@click.argument("file", metavar="PACK", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--key", metavar="FINGERPRINT", help="Of the installation that must have made it.")
@json_option
def verify_pack(file: Path, key: str | None, as_json: bool) -> None:
    """Check that a pack is as it was made, byte for byte; needs no installation.

    Exit code 3: it was changed, and where. Without --key whoever made it is only told, not known: anybody can
    make and sign a pack of their own.
    """
    if key is not None and len(key.removeprefix("sha256:")) < _KEY_DIGITS:
        raise click.UsageError(f"--key needs {_KEY_DIGITS} hex digits at least")
    try:
        verdict = verify(str(file), key)
    except NoPack as error:
        fail(str(error))
    if as_json:
        echo_json(verdict_json(verdict))
    else:
        click.echo(as_text(verdict, given=key is not None), nl=False)
    if verdict.findings:
        raise SystemExit(FINDINGS)


@evidence.command("key")
@data_option
@json_option
def show_key(data: Path | None, as_json: bool) -> None:
    """The fingerprint of the key that signs packs here: whoever gets one compares it."""
    with open_installation(data) as installation:
        try:
            found = installation.seal_key(system_actor()).fingerprint
        except PkiError as error:
            fail(str(error))
    if as_json:
        echo_json({"fingerprint": found})
    else:
        click.echo(f"sha256:{found}")


def _make(
    installation: Installation, case: int | None, alert_id: int | None, request: PackRequest, path: Path
) -> tuple[MadePack, str]:
    database = installation.database
    key = installation.seal_key(request.made_by)
    with database.read() as connection:
        scope = scope_of_alert(connection, alert_id or 0) if case is None else scope_of_case(connection, case)
    unmasking = request.unmasking
    with database.begin() as connection:
        audit.append(
            connection,
            at=request.at,
            actor=request.made_by,
            action="pack.make",
            object=f"alert:{alert_id}" if case is None else f"case:{case}",
            reason=None if unmasking is None else unmasking.reason,
            detail={"unmasked": unmasking is not None, "file": True},
        )
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w+b") as file:
            made = make_pack(database, scope, request, key, file, scratch=path.absolute().parent)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return made, key.fingerprint
