"""Log lines on standard error: one JSON object a line, for a log collector.

They name no person, account, host, agent or address. Of an exception they give its type and the place in
the code; the message only where the code that logs it chose to, since a message may repeat somebody's
input.
"""

from __future__ import annotations

import logging
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

_OWN = "leaver"
CLIENTS = ("kafka", "psycopg", "sqlalchemy.pool")
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}
_PLACES_MAX = 12


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "source": record.name,
        }
        if record.name.partition(".")[0] == _OWN:
            line["event"] = record.getMessage()
            line.update({key: value for key, value in vars(record).items() if key not in _STANDARD})
        else:
            # The unformatted text of a library: its arguments may name addresses or files.
            line["event"] = str(record.msg).strip()
        if record.exc_info is not None and record.exc_info[1] is not None:
            error = record.exc_info[1]
            line["error"] = type(error).__name__
            line["places"] = [
                f"{Path(frame.filename).name}:{frame.lineno}:{frame.name}"
                for frame in traceback.extract_tb(error.__traceback__)[-_PLACES_MAX:]
            ]
        return msgspec.json.encode(line, enc_hook=str).decode()


def log_to_stderr(level: int = logging.INFO) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger(_OWN).setLevel(level)
    # They log every try, broker and broken connection; that the log or the database is away is said by us.
    for client in CLIENTS:
        logging.getLogger(client).setLevel(logging.CRITICAL)
