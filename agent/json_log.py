"""The agent's own log: one JSON object a line on standard error, for journald.

It never says who did what: no event, no file name, no user, no text of an exception (which often holds
a path). An exception is logged as its type, its errno and the place in our code.
"""

from __future__ import annotations

import errno
import logging
import time
import traceback
from datetime import UTC, datetime
from types import TracebackType

import orjson

_OUR_PACKAGES = ("agent", "collectors", "event_schema")


class JsonLines(logging.Formatter):
    """`extra={"facts": {...}}` stands beside the message."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        facts = getattr(record, "facts", None)
        if isinstance(facts, dict):
            line |= facts
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = exception_facts(record.exc_info[1])
        return orjson.dumps(line, option=orjson.OPT_NON_STR_KEYS, default=str).decode()


class PlainLines(logging.Formatter):
    """The same for people who look on: `collector failed: logins, OSError EACCES at …`."""

    def format(self, record: logging.LogRecord) -> str:
        facts = getattr(record, "facts", None)
        parts = [str(each) for each in facts.values()] if isinstance(facts, dict) else []
        if record.exc_info and record.exc_info[1] is not None:
            parts.append(exception_facts(record.exc_info[1]))
        return record.getMessage() + (f": {', '.join(parts)}" if parts else "")


def exception_facts(error: BaseException) -> str:
    """Type, errno, the innermost place in our own code, and where below it a library raised: nothing that
    the user named."""
    number = ""
    if isinstance(error, OSError) and error.errno is not None:
        number = f" {errno.errorcode.get(error.errno, error.errno)}"
    return f"{type(error).__name__}{number}{_place(error.__traceback__)}"


def _place(trace: TracebackType | None) -> str:
    frames = [(frame.f_globals.get("__name__", "?"), line) for frame, line in traceback.walk_tb(trace)]
    if not frames:
        return ""
    ours = [frame for frame in frames if frame[0].partition(".")[0] in _OUR_PACKAGES]
    last = frames[-1]
    if not ours:
        return f" in {last[0]}:{last[1]}"
    place = f" at {ours[-1][0]}:{ours[-1][1]}"
    return place if ours[-1] == last else f"{place} in {last[0]}:{last[1]}"


def start_log(level: str, *, for_people: bool = False) -> None:
    """Only our loggers at `level`: libraries may log what the user named, so only that they warn.
    for_people: plain words instead of JSON."""
    handler = logging.StreamHandler()
    handler.setFormatter(PlainLines() if for_people else JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.ERROR)
    for name in _OUR_PACKAGES:
        logging.getLogger(name).setLevel(level.upper())
    # It logs every try and every broker; that nothing is sent is said once, by us (shipping.py).
    logging.getLogger("kafka").setLevel(logging.CRITICAL)


def clock_ms() -> int:
    """Milliseconds since 1970 UTC, by this machine's clock."""
    return time.time_ns() // 1_000_000
