"""`leaver policy match`: Sigma rules on a file of events, as they stand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

import click
import msgspec
import orjson

from event_schema.printable import printable_name
from policies.correlation.correlator import Limits
from policies.event_time import milliseconds
from policies.sigma_matching import RuleMatch, SigmaMatcher, load_matcher

_LINE_BYTES_MAX: Final = 4 * 1024 * 1024
_WAITING_MAX: Final = 1_000_000
_CENTURY_MS: Final = 100 * 366 * 86_400_000
_FAULTS_SHOWN: Final = 20
_DEFAULT_TIMES: Final = ("time", "@timestamp", "timestamp")


@click.command("match")
@click.option(
    "--rules",
    "rules",
    type=click.Path(exists=True, path_type=Path),
    multiple=True,
    required=True,
    help="A Sigma file, or a folder of *.yml. Again for more.",
)
@click.option(
    "--events", type=click.Path(exists=True, dir_okay=False, allow_dash=True), required=True, metavar="FILE",
    help="JSON lines; - reads standard input.",
)  # fmt: skip
@click.option(
    "--time-field",
    metavar="NAME",
    help=f"Where events tell their time. Default: {', '.join(_DEFAULT_TIMES)}.",
)
@click.option(
    "--placeholders",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Lists for |expand: a JSON object of lists by name.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def match(
    rules: tuple[Path, ...], events: str, time_field: str | None, placeholders: Path | None, as_json: bool
) -> None:
    """Runs rules and correlations over a file of events, mapping nothing.

    \b
    Each line of the output is one match; `event` counts events from 0:
      {"event": 3, "rule": "…", "title": "…"}
      {"event": 9, "rule": "…", "title": "…", "group": {…}, "value": 3.0}    a correlation

    Times are numbers since 1970 (seconds, or finer) or ISO 8601. Correlations judge events in the order of
    their times, whatever the file's; they are shown when the file has ended. A rule that is counted by a
    correlation is shown too. What is wrong with rules or lines goes to the error output, the rest is done all
    the same. Exit code 0: all was read; 1: not all.
    """
    limits = Limits(
        lateness=_CENTURY_MS, waiting=_WAITING_MAX, entries_in_group=_WAITING_MAX, entries=4 * _WAITING_MAX
    )
    matcher = load_matcher(rules, placeholders=_lists(placeholders), limits=limits)
    for error in matcher.errors:
        click.echo(str(error), err=True)
    if not matcher.rules:
        raise click.ClickException("there is no good rule to run")
    run = _Run(matcher, time_field)
    with click.open_file(events, "rb") as opened:
        for found in run.matches(opened):
            click.echo(_line(found, as_json))
    run.report()
    if matcher.errors or run.bad_lines:
        raise SystemExit(1)


class _Run:
    """`bad_lines`: that were no JSON objects. `without_time`: events that correlations could not place."""

    def __init__(self, matcher: SigmaMatcher, time_field: str | None) -> None:
        self._matcher = matcher
        self._time_fields = _DEFAULT_TIMES if time_field is None else (time_field,)
        self.bad_lines = 0
        self.without_time = 0

    def matches(self, lines: IO[bytes]) -> Iterator[RuleMatch]:
        event = -1
        for event, record in self._records(lines):
            time = self._time(record) if self._matcher.correlates else None
            found = self._matcher.take(event, time, record)
            if found and time is None and self._matcher.correlates:
                self.without_time += 1
            yield from found
        yield from self._matcher.finish()

    def _records(self, lines: IO[bytes]) -> Iterator[tuple[int, dict[str, Any]]]:
        number = -1
        while line := lines.readline(_LINE_BYTES_MAX + 1):
            number += 1
            if len(line) > _LINE_BYTES_MAX:
                while line and not line.endswith(b"\n"):
                    line = lines.readline(_LINE_BYTES_MAX)
                self._bad(number, f"longer than {_LINE_BYTES_MAX:,} bytes")
                continue
            if not line.strip():
                number -= 1
                continue
            try:
                record = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                self._bad(number, f"not JSON: {error}")
                continue
            if isinstance(record, dict):
                yield number, record
            else:
                self._bad(number, "not a JSON object")

    def _bad(self, number: int, words: str) -> None:
        self.bad_lines += 1
        if self.bad_lines <= _FAULTS_SHOWN:
            click.echo(f"event {number}: {words}", err=True)

    def _time(self, record: dict[str, Any]) -> int | None:
        for name in self._time_fields:
            found: Any = record.get(name)
            if found is None and "." in name:
                found = record
                for part in name.split("."):
                    found = found.get(part) if isinstance(found, dict) else None
            if found is not None:
                return milliseconds(found)
        return None

    def report(self) -> None:
        if self.bad_lines > _FAULTS_SHOWN:
            click.echo(f"{self.bad_lines:,} lines could not be read", err=True)
        if self.without_time:
            names = ", ".join(self._time_fields)
            click.echo(
                f"{self.without_time:,} events that rules fired on have no time in {names}: "
                "correlations did not count them (--time-field)",
                err=True,
            )
        counts = msgspec.to_builtins(self._matcher.correlator.counts)
        dropped = ", ".join(f"{name} {count:,}" for name, count in counts.items() if count)
        if dropped:
            click.echo(f"bounds of correlations were met: {dropped}", err=True)


def _lists(file: Path | None) -> dict[str, list[str]] | None:
    if file is None:
        return None
    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, list[str]])
    except (OSError, msgspec.DecodeError) as error:
        raise click.BadParameter(f"{file}: {error}", param_hint="--placeholders") from error


def _line(found: RuleMatch, as_json: bool) -> str:
    if as_json:
        shown: dict[str, Any] = {"event": found.event, "rule": found.rule, "title": found.title}
        if found.group is not None:
            shown |= {"group": found.group, "value": found.value}
        return orjson.dumps(shown).decode()
    text = f"{found.event:>8}  {printable_name(found.title)}"
    if found.group is not None:
        group = ", ".join(f"{name} {printable_name(value)}" for name, value in found.group.items())
        text += f"  ({group + ': ' if group else ''}{found.value:g})"
    return text
