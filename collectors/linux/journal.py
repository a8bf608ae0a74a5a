"""The systemd journal through its own program: `journalctl --follow --output=json`, kept going.

Asked for are syslog's facilities auth and authpriv, and sshd by name. Without --all a field over 4,096 bytes
comes as null: a hostile megabyte costs nothing, and no login program writes so much. Reading is the
backpressure: a child whose pipe is full waits.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import IO, Any, Final, Literal

import msgspec

from collectors.contract import Unsupported

MATCHES: Final = (
    "SYSLOG_FACILITY=4",
    "SYSLOG_FACILITY=10",
    "+",
    "SYSLOG_IDENTIFIER=sshd",
    "SYSLOG_IDENTIFIER=sshd-session",
    "SYSLOG_IDENTIFIER=sshd-auth",
)
_FIELDS: Final = "MESSAGE,SYSLOG_IDENTIFIER,SYSLOG_PID,_PID,_UID,_EXE"
_ENTRY_BYTES_MAX: Final = 1 << 20
_READ_BYTES: Final = 1 << 18
_RESTART_MIN_S: Final = 1.0
_RESTART_MAX_S: Final = 30.0
_ASK_S: Final = 10
_RUN_BY_ANYBODY: Final = frozenset({"/usr/bin/su", "/bin/su", "/usr/bin/sudo", "/usr/bin/sudo-rs"})
"""Login programs that a user starts; all others run as root from the beginning."""
_SOCKET: Final = Path("/run/systemd/journal/socket")
_NO_JOURNAL: Final = "there is no journal: systemd-journald does not run here"
LOST_PLACE: Final = "a place in the journal that is gone"
NO_ANSWER: Final = "journalctl does not answer"
_ENVIRONMENT: Final = {"LC_ALL": "C", "PATH": "/usr/bin:/bin", "SYSTEMD_COLORS": "0"}


Writer = Literal["trusted", "other", "unknown"]
"""The kernel says that root, su or sudo wrote it; another program; one that ended before journald looked."""


class Entry(msgspec.Struct, frozen=True):
    """time: ms since 1970 UTC, when journald took it. uid: who wrote it, says the kernel."""

    time: int
    cursor: str
    identifier: str
    pid: int
    message: str
    writer: Writer
    uid: str | None


def trouble(directory: str = "") -> str | None:  # noqa: PLR0911 - one return a trouble
    """Why the journal cannot be read, and what to do; None where it can."""
    if not directory and not _SOCKET.exists():
        return _NO_JOURNAL
    try:
        asked = _ask(directory, "--lines=1", "--output=cat", "--output-fields=_PID")
    except FileNotFoundError:
        return "there is no journalctl: install systemd, or rsyslog for a log file"
    except subprocess.TimeoutExpired:
        return NO_ANSWER
    said = asked.stderr.decode("utf-8", "replace").strip()
    if asked.returncode:
        return f"the journal cannot be read: {said.splitlines()[-1] if said else asked.returncode}"
    if b"No journal files were" in asked.stderr:
        return _NO_JOURNAL
    if b"permission" in asked.stderr.lower() or b"insufficient" in asked.stderr.lower():
        return "this user may not read the system's journal: run as root, or in the group systemd-journal"
    return None


def check() -> None:
    """For `doctor`. Raises Unsupported with the remedy."""
    why = trouble()
    if why is not None:
        raise Unsupported(why)


def _command(directory: str, *arguments: str) -> list[str]:
    where = [f"--directory={directory}"] if directory else ["--system"]
    return ["journalctl", *where, "--no-pager", *arguments]


def _ask(directory: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        _command(directory, *arguments),
        env=_ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_ASK_S,
        check=False,
    )


class JournalFollower:
    """Entries after `resume_from` (see `place`), None: from now on. Not for several threads."""

    def __init__(self, directory: str, resume_from: str | None) -> None:
        self._directory = directory
        self._cursor = resume_from or None
        self._begin_anew = resume_from == ""
        self._child: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None
        self._rest = b""
        self._skipping = False
        self._wait_s = _RESTART_MIN_S
        self._start_at = 0.0
        self._said = ""
        self.dropped: Counter[str] = Counter()
        if resume_from is None:
            self._cursor = self._newest()
            # No entry yet: whatever comes is new.
            self._begin_anew = self._cursor is None
        elif self._cursor is not None and not self._holds(self._cursor):
            # journalctl would say nothing, and go on with what is nearest.
            self.dropped[LOST_PLACE] += 1
        self._start()

    @property
    def place(self) -> str:
        """The cursor after the entry that was taken last; "" begins with the journal's first entry."""
        return self._cursor or ""

    def take(self, wait_s: float) -> list[Entry]:
        """What is there; waits at most so long."""
        child = self._child
        if child is None or child.stdout is None:
            pause = self._start_at - time.monotonic()
            if pause > 0:
                time.sleep(min(pause, wait_s))
            else:
                self._start()
            return []
        if not select.select([child.stdout], [], [], wait_s)[0]:
            return []
        content = os.read(child.stdout.fileno(), _READ_BYTES)
        if not content:
            self._ended(child)
            return []
        entries = self._entries(content)
        if entries:
            self._wait_s = _RESTART_MIN_S
            self._cursor = entries[-1].cursor
        return entries

    def describe(self) -> str:
        where = f"the journal in {self._directory}" if self._directory else "the journal"
        if self._child is None:
            return f"{where} cannot be followed just now: {self._said}"
        return f"follows {where}"

    def close(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.wait()
            if child.stdout is not None:
                child.stdout.close()
        if self._errors is not None:
            self._errors.close()
            self._errors = None

    def _newest(self) -> str | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            asked = _ask(self._directory, "--lines=1", "--output=json", "--output-fields=_PID", *MATCHES)
            with contextlib.suppress(msgspec.DecodeError):
                cursor = msgspec.json.decode(asked.stdout)["__CURSOR"]
                return str(cursor)
        return None

    def _holds(self, cursor: str) -> bool:
        """Whether the journal still has this entry. Where it does not answer, nobody knows."""
        try:
            asked = _ask(
                self._directory, f"--cursor={cursor}", "--lines=1", "--output=json", "--output-fields=_PID"
            )
            return bool(msgspec.json.decode(asked.stdout)["__CURSOR"] == cursor)
        except subprocess.TimeoutExpired:
            return True
        except (msgspec.DecodeError, KeyError, TypeError):
            return False

    def _start(self) -> None:
        begin = ["--no-tail"]
        if self._cursor is not None:
            begin.append(f"--after-cursor={self._cursor}")
        elif not self._begin_anew:
            begin = ["--lines=0"]
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the child
        self._rest, self._skipping = b"", False
        self._child = subprocess.Popen(
            _command(
                self._directory,
                "--quiet",
                "--follow",
                "--output=json",
                f"--output-fields={_FIELDS}",
                *begin,
                *MATCHES,
            ),
            env=_ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )

    def _ended(self, child: subprocess.Popen[bytes]) -> None:
        code = child.wait()
        if self._errors is not None:
            self._errors.seek(0)
            self._said = self._errors.read(400).decode("utf-8", "replace").strip() or f"exit code {code}"
        if "seek to cursor" in self._said and self._cursor is not None:
            # No cursor of any journal.
            self._cursor = None
        self.close()
        self.dropped["journalctl ended and was started again"] += 1
        self._start_at = time.monotonic() + self._wait_s
        self._wait_s = min(self._wait_s * 2, _RESTART_MAX_S)

    def _entries(self, content: bytes) -> list[Entry]:
        *whole, rest = (self._rest + content).split(b"\n")
        found = []
        for line in whole:
            if self._skipping:
                self._skipping = False
                continue
            entry = _entry(line)
            if entry is None:
                self.dropped["an entry of the journal that cannot be read"] += bool(line)
            else:
                found.append(entry)
        if len(rest) > _ENTRY_BYTES_MAX:
            self.dropped["an entry of the journal that is too long"] += not self._skipping
            rest, self._skipping = b"", True
        self._rest = rest
        return found


def _entry(line: bytes) -> Entry | None:
    try:
        fields: dict[str, Any] = msgspec.json.decode(line, type=dict)
        time_us, cursor = int(fields["__REALTIME_TIMESTAMP"]), str(fields["__CURSOR"])
    except (msgspec.DecodeError, KeyError, ValueError, TypeError):
        return None
    exe, uid = _text(fields.get("_EXE")), _text(fields.get("_UID"))
    pid = _text(fields.get("_PID")) or _text(fields.get("SYSLOG_PID")) or ""
    return Entry(
        max(0, time_us // 1000),
        cursor,
        _text(fields.get("SYSLOG_IDENTIFIER")) or "",
        int(pid) if pid.isdecimal() and len(pid) < 11 else 0,
        _text(fields.get("MESSAGE")) or "",
        _writer(uid, exe),
        uid,
    )


def _writer(uid: str | None, exe: str | None) -> Writer:
    if uid == "0" or exe in _RUN_BY_ANYBODY:
        return "trusted"
    return "unknown" if exe is None and uid is not None else "other"


def _text(value: Any) -> str | None:
    """What is not UTF-8 comes as a list of bytes, and a field that came twice as a list of texts."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value:
        if all(isinstance(byte, int) and 0 <= byte < 256 for byte in value):
            return bytes(value).decode("utf-8", "backslashreplace")
        return value[0] if isinstance(value[0], str) else None
    return None
