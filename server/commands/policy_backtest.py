"""`leaver policy backtest`: what a change of rules would have done to the alerts of the last days."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from event_schema.printable import printable_name
from policies.errors import PolicyError, PolicyErrors
from policies.rule_file import RuleText, read_folder, read_rule_file
from server.backtest import backtesting
from server.backtest.backtesting import Trial, backtest
from server.backtest.processes import BacktestFailed
from server.backtest.report import BacktestReport
from server.backtest.share_work import Cancelled
from server.commands.opening import (
    FINDINGS,
    UNREACHABLE,
    data_option,
    echo_json,
    fail,
    json_option,
    open_installation,
    system_clock,
)
from server.commands.policy_backtest_text import report_text
from server.commands.policy_sight import sight_of
from server.commands.tables import echo
from server.policies.listing import find_version, held_versions
from server.policies.versions import UnknownPolicy
from server.store.database import Database, StoreUnavailable

_CURRENT: Final = "current"
_DAYS: Final = frozenset({"since", "until", "day", "first_day", "last_day"})


@click.command("backtest")
@click.argument("path", metavar="[RULE|DIR]", required=False, type=click.Path(exists=True, path_type=Path))
@click.option("--days", type=click.IntRange(1, 366), default=30, show_default=True, help="With today.")
@click.option(
    "--against",
    default=_CURRENT,
    show_default=True,
    metavar="current|RULE|DIR",
    help="What stands on the other side: what runs, or that with these files in place of it.",
)
@click.option(
    "--without", multiple=True, metavar="RULE", help="As if this one were disabled. Again for more."
)
@click.option("--every-rule", is_flag=True, help="Replay also rules that do not differ: slower.")
@click.option("--processes", type=click.IntRange(1, 64), help="Else as many as there are cores.")
@data_option
@json_option
def run_backtest(
    path: Path | None,
    days: int,
    against: str,
    without: tuple[str, ...],
    every_rule: bool,
    processes: int | None,
    data: Path | None,
    as_json: bool,
) -> None:
    """What RULE, or the rules and exceptions in DIR, would have found in what is stored.

    A rule is taken in place of the running one of its id, or beside the others; nothing is saved. The
    stored events of the last days go through the engine with the rules that run now, and with the
    changed ones: alerts, people, leaks that would be missed, false alarms that would be gone. Ctrl-C
    stops it; nothing was written then.

    Exit code 0: done; 3: alerts that were closed as confirmed would be missed, or rules have faults.
    """
    with open_installation(data) as installation:
        if path is None and not without and not every_rule:
            raise click.UsageError("give a rule, a folder of rules, or --without RULE")
        try:
            trial = Trial(
                _texts(path),
                () if against == _CURRENT else _texts(_existing(against)),
                _ids(installation.database, without),
                days,
                every_rule,
            )
            with _progress() as progress:
                report = backtest(
                    installation.database,
                    trial,
                    now=system_clock(),
                    events_days=installation.config.retention.events_days,
                    processes=processes,
                    progress=progress,
                )
            report = _masked(installation.database, report)
        except PolicyErrors as errors:
            for fault in errors.errors:
                click.echo(printable_name(str(fault)), err=True)
            raise SystemExit(FINDINGS) from errors
        except (KeyboardInterrupt, Cancelled):
            fail("cancelled: nothing was written")
        except StoreUnavailable as error:
            fail(str(error), UNREACHABLE)
        except (BacktestFailed, UnknownPolicy) as error:
            fail(str(error))
    if as_json:
        echo_json(with_dates(msgspec.to_builtins(report)))
    else:
        echo(report_text(report))
    if report.leaks.now_missing:
        raise SystemExit(FINDINGS)


def _existing(given: str) -> Path:
    path = Path(given)
    if not path.exists():
        raise click.BadParameter(f"{given}: neither {_CURRENT} nor a file or folder", param_hint="--against")
    return path


def _texts(path: Path | None) -> tuple[RuleText, ...]:
    """Raises PolicyErrors."""
    if path is None:
        return ()
    if path.is_dir():
        texts, errors = read_folder(path)
        if not texts and not errors:
            errors = [PolicyError(str(path), 1, "no file here ends in .yml or .yaml")]
    else:
        texts, errors = [], []
        try:
            texts.append(RuleText(str(path), read_rule_file(path)))
        except (OSError, ValueError) as error:
            errors.append(PolicyError(str(path), 1, f"cannot be read: {error}"))
    if errors:
        raise PolicyErrors(tuple(errors))
    return tuple(texts)


def _ids(database: Database, named: Sequence[str]) -> tuple[str, ...]:
    """Raises UnknownPolicy."""
    if not named:
        return ()
    with database.read() as connection:
        held = held_versions(connection)
    return tuple(find_version(held.values(), each).rule_id for each in named)


@contextmanager
def _progress() -> Iterator[backtesting.Progress]:
    """A bar on the error output, if that is a terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bars:
        task = bars.add_task("reading the rules", total=None)

        def progress(done: int, of: int) -> None:
            words = "weighing what was found" if done == of else f"{done:,} of {of:,} blocks"
            bars.update(task, completed=done, total=max(1, of), description=words)

        yield progress


def _masked(database: Database, report: BacktestReport) -> BacktestReport:
    """With no names in titles."""
    examples = (title for each in report.examples for title in each.rules)
    titles = [*(each.title for each in report.rules), *(each.title for each in report.exceptions), *examples]
    sight = sight_of(database, titles, None, "policies")

    def shown(title: str) -> str:
        return printable_name(sight(title))

    replace = msgspec.structs.replace
    return replace(
        report,
        rules=tuple(replace(each, title=shown(each.title)) for each in report.rules),
        exceptions=tuple(replace(each, title=shown(each.title)) for each in report.exceptions),
        examples=tuple(replace(each, rules=tuple(map(shown, each.rules))) for each in report.examples),
    )


def with_dates(report: Any) -> Any:
    """Days as 2026-11-22."""
    match report:
        case dict():
            return {
                key: str(date(1970, 1, 1) + timedelta(days=value))
                if key in _DAYS and isinstance(value, int)
                else with_dates(value)
                for key, value in report.items()
            }
        case list() | tuple():
            return [with_dates(each) for each in report]
        case _:
            return report
