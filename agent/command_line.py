"""The command `leaver-agent`. Exit codes: 0 ok, 1 failed, 2 usage, 3 findings, 4 server not reachable.

Imports lie inside the commands: `--version` and `--help` must answer at once.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, NoReturn

import click

if TYPE_CHECKING:
    from agent.config import AgentConfig

FAILED, USAGE, FINDINGS, UNREACHABLE = 1, 2, 3, 4

_config_option = click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Settings file (default /etc/leaver-agent.toml).",
)
_json_option = click.option("--json", "as_json", is_flag=True, help="For programs.")


def _show_version(context: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if wanted:
        from agent.version import agent_version  # noqa: PLC0415

        click.echo(f"leaver-agent {agent_version()}")
        context.exit()


class _Commands(click.Group):
    """A command whose packages are not installed says which, and how to install them."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except ImportError as error:
            from agent.missing_package import missing_package  # noqa: PLC0415

            _fail(missing_package(error))


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 fine, 1 failed, 2 usage or settings, 3 findings, 4 the server cannot be reached.",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version.",
)
def main() -> None:
    """Sees how data leaves this machine, and tells the Leaver server. Reads no contents of messages."""


@main.command()
@_config_option
def run(config_path: Path | None) -> None:
    """Run the agent, as systemd does. Stops on SIGTERM; what was not sent waits on disk."""
    from agent.identity import IdentityError, NotEnrolled  # noqa: PLC0415
    from agent.json_log import start_log  # noqa: PLC0415
    from agent.runner import Agent  # noqa: PLC0415
    from agent.shippers.choose import ShipperUnusable  # noqa: PLC0415
    from agent.spool import SpoolLocked  # noqa: PLC0415

    config = _load(config_path)
    start_log(config.agent.log_level)
    from agent.config import ConfigError  # noqa: PLC0415

    try:
        agent = Agent(config)
    except (NotEnrolled, IdentityError, ShipperUnusable, SpoolLocked) as error:
        _fail(str(error))
    except ConfigError as error:
        _fail(str(error), USAGE)
    except OSError as error:
        _fail(f"{config.state_dir}: {error.strerror}")
    agent.run()


@main.command()
@click.argument(
    "folders", metavar="[FOLDER]...", nargs=-1, type=click.Path(exists=True, file_okay=False, path_type=Path)
)
@_json_option
@_config_option
def watch(folders: tuple[Path, ...], as_json: bool, config_path: Path | None) -> None:
    """Show live what the agent sees here. Needs no server; sends and stores nothing.

    A FOLDER is watched too, as if it stood in extra_mounts, for this call only. With --json each event is one
    line of OCSF JSON, and nothing else is on standard output.
    """
    from agent.json_log import start_log  # noqa: PLC0415
    from agent.watching import watch as watch_collectors  # noqa: PLC0415

    config = _load(config_path)
    # People read below what cannot run here, in words.
    start_log("warning" if as_json else "error", for_people=not as_json)
    watch_collectors(config, folders, as_json=as_json)


@main.command()
@click.option(
    "--file",
    "line_file",
    type=click.File("r", errors="replace"),
    default="-",
    help="File that holds the line (default: standard input).",
)
@click.option("--replace", is_flag=True, help="Even if this machine is enrolled already.")
@_config_option
def enrol(line_file: IO[str], replace: bool, config_path: Path | None) -> None:
    """Enrol this machine with the line that `leaver agents enrol NAME` printed on the server.

    The line holds a one-time token: it is asked for, or read from standard input, never an argument.
    """
    from agent.enrolment import EnrolmentFailed, NoEnrolmentLine, ServerAway, parse_line  # noqa: PLC0415
    from agent.enrolment import enrol as enrol_machine  # noqa: PLC0415

    config = _load(config_path)
    try:
        if line_file.isatty():
            text = click.prompt("The line that the server printed", hide_input=True, err=True)
        else:
            text = line_file.read(4096)
        line = parse_line(text)
        identity = enrol_machine(line, config.state_dir, replace=replace, timeouts=config.shipper)
    except ServerAway as error:
        _fail(str(error), UNREACHABLE)
    except NoEnrolmentLine as error:
        _fail(str(error), USAGE)
    except EnrolmentFailed as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"{config.state_dir}: {error.strerror}")
    click.echo(f"enrolled as {identity.facts.agent} with {identity.facts.server}")
    click.echo("start it: systemctl enable --now leaver-agent   (or: leaver-agent run)")


@main.command()
@_json_option
@_config_option
def status(as_json: bool, config_path: Path | None) -> None:
    """How the agent on this machine is doing. Exit 3 when it does not run or cannot send."""
    from agent.json_log import clock_ms  # noqa: PLC0415
    from agent.status_report import report  # noqa: PLC0415

    config = _load(config_path)
    text, well = report(config.state_dir, as_json=as_json, now=clock_ms())
    click.echo(text)
    if not well:
        sys.exit(FINDINGS)


@main.command()
@_json_option
@_config_option
def doctor(as_json: bool, config_path: Path | None) -> None:
    """What works on this host, and what to install. Exit 3 when something is degraded."""
    import msgspec  # noqa: PLC0415

    from agent.doctor import examine, finding_lines, is_degraded  # noqa: PLC0415
    from agent.json_log import clock_ms  # noqa: PLC0415

    findings = examine(_load(config_path), clock=clock_ms)
    if as_json:
        click.echo(msgspec.json.encode(findings))
    else:
        for line in finding_lines(findings, width=shutil.get_terminal_size((160, 24)).columns):
            click.echo(line)
    if is_degraded(findings):
        sys.exit(FINDINGS)


@main.group("access-log")
def access_log() -> None:
    """Tune how the lines of access logs become events (docs/access_logs.md)."""


@access_log.command("try")
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--source", "source_name", help="Which source's rules, where the settings have several.")
@click.option("--show", default=10, show_default=True, type=click.IntRange(0, 1000), help="Events to show.")
@_json_option
@_config_option
def try_mapping(
    file: Path | None, source_name: str | None, show: int, as_json: bool, config_path: Path | None
) -> None:
    """Show how the lines of FILE would be mapped, which match no rule, and why.

    Without FILE: each source's own log. Sends and stores nothing. With --config its sources as they stand
    there; else those that hold, the installation's too. Exit 3 when a line cannot be read, or none is mapped.
    """
    import msgspec  # noqa: PLC0415

    from agent.access_log_trial import readable_trial, trials  # noqa: PLC0415
    from agent.collector_registry import COLLECTORS  # noqa: PLC0415
    from agent.host import this_host  # noqa: PLC0415
    from agent.settings_keeper import settings_in_force  # noqa: PLC0415
    from agent.version import agent_version  # noqa: PLC0415
    from collectors.access_log_config import AccessLogConfig  # noqa: PLC0415

    config = _load(config_path)
    if config_path is None:
        config = settings_in_force(config, COLLECTORS)[0]
    settings = config.collectors["access_log"]
    assert isinstance(settings, AccessLogConfig)
    sources = [source for source in settings.sources if source_name in {None, source.name}]
    if not sources:
        known = ", ".join(source.name for source in settings.sources) or "none"
        _fail(f"no such source in [[collectors.access_log.sources]]; there is: {known}", USAGE)
    if file is not None and len(sources) > 1:
        _fail(f"which of the sources is it? --source {sources[0].name}", USAGE)
    try:
        found = list(trials(sources, file, this_host(None), agent_version(), show))
    except OSError as error:
        _fail(f"{error.filename}: {error.strerror}")
    if as_json:
        click.echo(msgspec.json.encode(found))
    else:
        for trial in found:
            click.echo("\n".join(readable_trial(trial)))
    if not all(trial.is_well for trial in found):
        sys.exit(FINDINGS)


def _load(path: Path | None) -> AgentConfig:
    from agent.config import ConfigError, load_config  # noqa: PLC0415

    try:
        return load_config(path)
    except ConfigError as error:
        _fail(str(error), USAGE)


def _fail(message: str, code: int = FAILED) -> NoReturn:
    click.echo(f"leaver-agent: {message}", err=True)
    sys.exit(code)
