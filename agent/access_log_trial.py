"""`leaver-agent access-log try`: how the lines of a file would be mapped, and why the others would not.

Sends and stores nothing. Paths of unmapped lines are shown to the administrator who tunes the mapping:
without query strings, and with their changing parts as "*", so that equal ones show as one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Final

import msgspec

from agent.event_lines import HEADING, readable_line
from collectors.access_log_config import AccessLogSource
from collectors.access_log_events import act_event
from collectors.access_log_lines import LINE_BYTES_MAX, LineReader, Unreadable
from collectors.access_log_rules import Mapped, Rules
from collectors.storage_events import EventSource
from event_schema.ocsf_events import Event
from event_schema.ocsf_objects import Host
from event_schema.printable import printable_name

KINDS_MAX: Final = 10_000
KINDS_SHOWN: Final = 20
_CHANGES: Final = re.compile(r"[^/]*\d[^/]*")
_OTHERS: Final = "(others)"


class Kind(msgspec.Struct, frozen=True):
    """Equal lines: how many, and the number of the first."""

    what: str
    example: str
    count: int
    first_line: int


class Trial(msgspec.Struct, frozen=True):
    """What became of a file's lines. `events`: the first ones."""

    source: str
    file: str
    lines: int
    mapped: tuple[Kind, ...]
    not_mapped: tuple[Kind, ...]
    not_readable: tuple[Kind, ...]
    events: tuple[Event, ...]

    @property
    def is_well(self) -> bool:
        return bool(self.mapped) and not self.not_readable


def try_file(source: AccessLogSource, file: Path, host: Host, version: str, events_max: int) -> Trial:
    """Raises OSError."""
    with file.open("rb") as log:
        return try_lines(source, str(file), _lines(log), host, version, events_max)


def try_lines(
    source: AccessLogSource, name: str, lines: Iterable[bytes], host: Host, version: str, events_max: int
) -> Trial:
    """Pure."""
    reader, rules, origin = LineReader(source), Rules(source.rules), EventSource("access_log", version, host)
    mapped, not_mapped, not_readable = _Kinds(), _Kinds(), _Kinds()
    events: list[Event] = []
    number = 0
    for number, content in enumerate(lines, start=1):
        if len(content) > LINE_BYTES_MAX:
            not_readable.add(f"over {LINE_BYTES_MAX} bytes", "", number)
            continue
        try:
            line = reader.read(content)
        except Unreadable as error:
            not_readable.add(str(error), "", number)
            continue
        asked = f"{line.method or '-'} {_CHANGES.sub('*', line.path or '-')}"
        found = rules.find(line)
        if isinstance(found, Mapped):
            mapped.add(found.rule.action, asked, number)
            if len(events) < events_max:
                events.append(act_event(origin, source, line, found, found.count))
        else:
            not_mapped.add(found.why, asked, number)
    return Trial(
        source.name, name, number, mapped.found(), not_mapped.found(), not_readable.found(), tuple(events)
    )


def readable_trial(trial: Trial) -> Iterator[str]:
    """The lines that a person reads."""
    yield f"{trial.source}: {trial.file}, {trial.lines:,} lines"
    for heading, kinds in (
        ("mapped", trial.mapped),
        ("match no rule, stay here", trial.not_mapped),
        ("cannot be read", trial.not_readable),
    ):
        yield f"\n{sum(kind.count for kind in kinds):>9,}  {heading}"
        for kind in kinds[:KINDS_SHOWN]:
            text = f"{kind.count:>9,}    {kind.what:<44} {kind.example:<36} first: line {kind.first_line}"
            yield printable_name(text)
        if len(kinds) > KINDS_SHOWN:
            yield f"             … and {len(kinds) - KINDS_SHOWN:,} other kinds"
    if trial.events:
        yield f"\nThe first {len(trial.events)} as events:\n{HEADING}"
        yield from (readable_line(event) for event in trial.events)


class _Kinds:
    """Most frequent first; what is too much to list apart is "(others)"."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._first: dict[tuple[str, str], int] = {}

    def add(self, what: str, example: str, number: int) -> None:
        key = (what, example)
        if key not in self._first and len(self._first) >= KINDS_MAX:
            key = (_OTHERS, "")
        self._counts[key] += 1
        self._first.setdefault(key, number)

    def found(self) -> tuple[Kind, ...]:
        return tuple(
            Kind(what, example, count, self._first[what, example])
            for (what, example), count in self._counts.most_common()
        )


def _lines(log: IO[bytes]) -> Iterator[bytes]:
    """Without their ends; of a line that is too long, enough to see that."""
    while content := log.readline(LINE_BYTES_MAX + 2):
        if not content.endswith(b"\n") and len(content) > LINE_BYTES_MAX:
            while (rest := log.readline(LINE_BYTES_MAX)) and not rest.endswith(b"\n"):
                pass
        yield content.rstrip(b"\r\n")


def trials(
    sources: Iterable[AccessLogSource], file: Path | None, host: Host, version: str, events_max: int
) -> Iterator[Trial]:
    """Of `file`, else of each source's own log. Raises OSError."""
    for source in sources:
        yield try_file(source, file or Path(source.path), host, version, events_max)
