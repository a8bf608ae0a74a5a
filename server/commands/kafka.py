"""`leaver kafka`: makes brokers ready, and certificates for them and for the programs that speak to them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from sqlalchemy import select

from event_schema.kafka_security import CredentialsUnusable
from event_schema.wire import AGENT_NAME
from server import audit
from server.commands.opening import (
    FINDINGS,
    UNREACHABLE,
    data_option,
    echo_json,
    fail,
    json_option,
    open_installation,
    system_actor,
)
from server.config import ConfigError, LogConfig, administering, is_host_name, is_ip_address
from server.data_directory import write_private
from server.installation import Installation, kafka_module
from server.log.contract import LogUnavailable
from server.log.kafka_credentials import principal, server_credentials
from server.pki.authority import PkiError, certificate_pem, certificate_times, new_key, private_pem
from server.store.tables import agents

if TYPE_CHECKING:
    # Only for its types: the Kafka client is an extra.
    from server.log.kafka_setup import SetupReport

FILE_BYTES_MAX = 64 * 1024


@click.group("kafka")
def kafka() -> None:
    """Brokers: make them ready, and give certificates to them and to workers."""


@kafka.command("setup")
@click.option("--dry-run", is_flag=True, help="Only tell what would be done.")
@click.option(
    "--as",
    "administrator",
    type=click.Path(path_type=Path, dir_okay=False),
    help="TOML file that says whom to be for this: bootstrap, security, ca, certificate, key, user, "
    "password_file, as in server.toml (else whoever the server is).",
)
@data_option
@json_option
def setup(dry_run: bool, administrator: Path | None, data: Path | None, as_json: bool) -> None:
    """Make topics and access rules as they must be. May be run again at any time.

    Tells what it did, and what about the brokers is unsafe (exit code 3) but not for this command to change.
    """
    with open_installation(data) as installation:
        log = installation.config.log
        if log.kind != "kafka":
            fail('log.kind is not "kafka"')
        report = _set_up(installation, log, _administrator(log, administrator), dry_run=dry_run)
    if as_json:
        echo_json(report)
    else:
        _echo(report)
    if report.findings:
        raise SystemExit(FINDINGS)


@kafka.command("certificate")
@click.argument("name")
@click.option(
    "--host", "hosts", multiple=True, help="For a broker: a name or address that it has. May be repeated."
)
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="File for key and certificate (PEM, mode 0600).",
)
@data_option
def certificate(name: str, hosts: tuple[str, ...], out: Path, data: Path | None) -> None:
    """Certify a broker or a worker called NAME, with this installation's CA, for 90 days.

    Brokers know it as User:CN=NAME,OU=leaver-services.
    """
    if not AGENT_NAME.match(name):
        raise click.UsageError(f"{name!r} is not 1-64 of [a-z0-9._-], beginning with a letter or digit")
    for host in hosts:
        if not is_host_name(host) and not is_ip_address(host):
            raise click.UsageError(f"--host {host!r} is neither a host name nor an IP address")
    with open_installation(data) as installation:
        now = installation.clock()
        key = new_key()
        try:
            authority = installation.pki.open_authority()
            made = authority.sign_service(key.public_key(), name, hosts, now=now)
            write_private(out, private_pem(key) + certificate_pem(made) + authority.certificate_pem)
        except PkiError as error:
            fail(str(error))
        except OSError as error:
            fail(f"{out}: {error.strerror}")
        detail = {"hosts": list(hosts), "serial": f"{made.serial_number:x}"}
        with installation.database.begin() as connection:
            audit.append(
                connection,
                at=now,
                actor=system_actor(),
                action="kafka.certificate",
                object=name,
                detail=detail,
            )
        click.echo(f"{out}: key and certificate of User:CN={name},OU=leaver-services")
        click.echo(f"{installation.pki.authority_path}: the CA, for the brokers' truststore")
        days = (certificate_times(made).not_after - now) // 86_400_000
        click.echo(f"It ends in {days} days; make another before.")


def _administrator(log: LogConfig, path: Path | None) -> LogConfig:
    if path is None:
        return log
    try:
        with path.open("rb") as file:
            return administering(log, file.read(FILE_BYTES_MAX), source=str(path))
    except OSError as error:
        fail(f"{path}: {error.strerror}")
    except ConfigError as error:
        fail(str(error))


def _set_up(
    installation: Installation, log: LogConfig, administrator: LogConfig, *, dry_run: bool
) -> SetupReport:
    with installation.database.read() as connection:
        enrolled = select(agents.c.name).where(agents.c.revoked_at.is_(None))
        known = frozenset(str(row.name) for row in connection.execute(enrolled))
    try:
        server = principal(installation.kafka_credentials())
        credentials = server_credentials(administrator, installation.pki)
        topics, maker = (kafka_module(f"server.log.{name}") for name in ("kafka_topic", "kafka_setup"))
        with topics.administering(",".join(administrator.bootstrap), credentials) as admin:
            report: SetupReport = maker.set_up(admin, log, server, known, dry_run=dry_run)
    except (CredentialsUnusable, ConfigError) as error:
        fail(str(error))
    except LogUnavailable as error:
        fail(str(error), UNREACHABLE)
    if report.steps and not dry_run:
        with installation.database.begin() as connection:
            audit.append(
                connection,
                at=installation.clock(),
                actor=system_actor(),
                action="kafka.setup",
                object=log.topic,
                detail={"steps": [step.detail for step in report.steps][:100]},
            )
    return report


def _echo(report: SetupReport) -> None:
    verb = "would be made" if report.dry_run else "made"
    for step in report.steps:
        click.echo(f"{step.what:<8} {verb}: {step.detail}")
    if not report.steps:
        click.echo("Everything is as it must be.")
    for finding in report.findings:
        click.secho(f"! {finding.kind}: {finding.detail}", fg="yellow")
