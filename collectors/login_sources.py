"""Where logins are told of: the journal, else syslog's file, else btmp, which has failures only.

Each source gives records in the order in which it keeps them, each with the cursor after it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from datetime import tzinfo
from pathlib import Path
from typing import Final, Protocol
from zoneinfo import ZoneInfo

import msgspec

from collectors.contract import Unsupported
from collectors.install_command import install_command
from collectors.linux import journal
from collectors.linux.btmp import BtmpTail, Failure
from collectors.log_tail import Line, LogTail
from collectors.login_acts import SWITCHES
from collectors.login_events import Seen
from collectors.login_messages import NO_SUCH_ACCOUNT, WRONG_CREDENTIAL, Said, understand
from collectors.logins_config import LoginsConfig
from collectors.replay import Mark
from collectors.syslog_lines import parse_syslog

LOG_FILES: Final = ("/var/log/auth.log", "/var/log/secure")
ONLY_FAILURES: Final = "sees only failures (btmp)"
WHAT_TO_DO: Final = (
    "neither a journal nor /var/log/auth.log or /var/log/secure can be read: install rsyslog, or name the "
    'file: [collectors.logins] log_file = "/…"'
)
"""See also `remedy`."""
FORGED: Final = "a message about a login that the program it names did not write"


class LoginRecord(msgspec.Struct, frozen=True):
    """One record. `said`: what it says, if anything of interest. time: ms since 1970 UTC."""

    time: int
    cursor: str
    pid: int
    said: Said | None
    is_first_hand: bool
    """Only the program that is named can have written it."""


class LoginSource(Protocol):
    seen: Seen

    @property
    def place(self) -> str:
        """Where it begins, as a cursor."""

    def take(self, wait_s: float) -> list[LoginRecord]:
        """What is there; waits at most so long where there is nothing. Raises OSError."""

    def dropped(self) -> Mapping[str, int]: ...

    def describe(self) -> str: ...

    def close(self) -> None: ...


def kind_of_source(config: LoginsConfig) -> str:
    """ "journal", "log_file" or "btmp". Raises Unsupported, with what to do."""
    if config.source in {"auto", "journal"}:
        trouble = journal.trouble(config.journal_directory)
        if trouble is None:
            return "journal"
        # A busy machine's journal is there all the same: another source would forget where we were.
        if config.source == "journal" or trouble == journal.NO_ANSWER:
            raise Unsupported(trouble)
    if config.source in {"auto", "log_file"}:
        path = log_file(config)
        if path is not None and os.access(path, os.R_OK):
            return "log_file"
        if config.source == "log_file":
            if path is None:
                raise Unsupported(WHAT_TO_DO, remedy())
            raise Unsupported(f"{path} cannot be read")
    if os.access(config.btmp_file, os.R_OK):
        return "btmp"
    raise Unsupported(WHAT_TO_DO, remedy())


def remedy() -> str:
    """What brings a log of logins."""
    return install_command("rsyslog", "rsyslog")


def log_file(config: LoginsConfig) -> Path | None:
    paths = [config.log_file] if config.log_file else LOG_FILES
    return next((Path(path) for path in paths if Path(path).exists()), None)


def open_source(config: LoginsConfig, kind: str, mark: Mark, clock: Callable[[], int]) -> LoginSource:
    """From where `mark`, which must be of the same kind of source, says. Raises OSError, Unsupported."""
    if kind == "journal":
        return JournalSource(config.journal_directory, mark.at)
    if kind == "log_file":
        path = log_file(config)
        if path is None:
            raise Unsupported(WHAT_TO_DO, remedy())
        zone = ZoneInfo(config.time_zone) if config.time_zone else None
        return LogFileSource(path, mark, zone, clock)
    return BtmpSource(Path(config.btmp_file), mark.at)


class JournalSource:
    seen: Seen = "journald"

    def __init__(self, directory: str, resume_from: str | None) -> None:
        self._journal = journal.JournalFollower(directory, resume_from)
        self._forged = 0

    @property
    def place(self) -> str:
        return self._journal.place

    def take(self, wait_s: float) -> list[LoginRecord]:
        return [self._record(entry) for entry in self._journal.take(wait_s)]

    def _record(self, entry: journal.Entry) -> LoginRecord:
        said = understand(entry.identifier, entry.message)
        is_first_hand = entry.writer == "trusted"
        if said is not None and not is_first_hand and said.kind != "disconnected":
            is_switch = said.kind == "switch_failed" or (
                said.kind == "session_opened" and said.service in SWITCHES
            )
            if is_switch and entry.writer == "unknown":
                # su or sudo was gone before journald looked which program it is. Whose it was the kernel
                # says: who forges this accuses himself.
                said = msgspec.structs.replace(said, by=None, by_uid=entry.uid)
            else:
                self._forged += 1
                said = None
        return LoginRecord(entry.time, entry.cursor, entry.pid, said, is_first_hand)

    def dropped(self) -> Mapping[str, int]:
        return {**self._journal.dropped, FORGED: self._forged}

    def describe(self) -> str:
        return self._journal.describe()

    def close(self) -> None:
        self._journal.close()


class LogFileSource:
    """Any local program can write to it through syslog's socket: never first hand."""

    seen: Seen = "log_file"

    def __init__(self, path: Path, mark: Mark, zone: tzinfo | None, clock: Callable[[], int]) -> None:
        self._path, self._zone, self._clock = path, zone, clock
        self._tail = LogTail(path, mark.at, line_bytes_max=1 << 16)
        # In the hour that autumn repeats, a restart must not go an hour back.
        self._latest = mark.time
        self._unreadable = 0

    @property
    def place(self) -> str:
        return self._tail.position()

    def take(self, wait_s: float) -> list[LoginRecord]:
        lines = self._tail.take()
        if not lines:
            time.sleep(wait_s)
        return [self._record(line) for line in lines]

    def _record(self, line: Line) -> LoginRecord:
        parsed = parse_syslog(line.content, self._clock(), self._zone, self._latest)
        if parsed is None:
            self._unreadable += 1
            return LoginRecord(self._latest, line.cursor, 0, None, False)
        self._latest = parsed.time
        return LoginRecord(
            parsed.time, line.cursor, parsed.pid, understand(parsed.program, parsed.message), False
        )

    def dropped(self) -> Mapping[str, int]:
        return {
            "a line of the log that is none of syslog's": self._unreadable,
            "a line of the log that is too long": self._tail.too_long,
            "a place in the log that is gone": self._tail.lost_places,
        }

    def describe(self) -> str:
        return f"reads {self._path}"

    def close(self) -> None:
        self._tail.close()


class BtmpSource:
    seen: Seen = "log_file"

    def __init__(self, path: Path, resume_from: str | None) -> None:
        self._tail = BtmpTail(path, resume_from)

    @property
    def place(self) -> str:
        return self._tail.place

    def take(self, wait_s: float) -> list[LoginRecord]:
        failures = self._tail.take()
        if not failures:
            time.sleep(wait_s)
        return [
            LoginRecord(failure.time, failure.cursor, failure.pid, _said(failure), True)
            for failure in failures
        ]

    def dropped(self) -> Mapping[str, int]:
        return {"a place in the log that is gone": self._tail.lost_places}

    def describe(self) -> str:
        return ONLY_FAILURES

    def close(self) -> None:
        self._tail.close()


def _said(failure: Failure) -> Said:
    return Said(
        "btmp_failed",
        "sshd" if failure.line.startswith("ssh") else "login",
        user=failure.user,
        host=failure.host or None,
        reason=WRONG_CREDENTIAL if failure.user is not None else NO_SUCH_ACCOUNT,
    )
