"""Settings of the logins collector: `[collectors.logins]`."""

from __future__ import annotations

from pathlib import PurePath
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta


class LoginsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All have defaults that suit a machine with systemd, or with rsyslog."""

    enabled: bool = True
    source: Literal["auto", "journal", "log_file", "btmp"] = "auto"
    """auto: the journal, else the log file, else btmp (failures only)."""
    journal_directory: str = ""
    """A journal elsewhere than this machine's own."""
    log_file: str = ""
    """Where syslog writes logins; empty: /var/log/auth.log or /var/log/secure."""
    time_zone: str = ""
    """Of a log whose times name none; empty: this machine's."""
    btmp_file: str = "/var/log/btmp"
    gather_s: Annotated[float, Meta(ge=1, le=600)] = 60.0
    """Equal failures, and equal uses of su and sudo, within so many seconds are put together."""

    def __post_init__(self) -> None:
        for name in ("journal_directory", "log_file", "btmp_file"):
            path = getattr(self, name)
            if path and (not PurePath(path).is_absolute() or "\0" in path):
                raise ValueError(f"{name}: {path!r} is not an absolute path")
        if self.time_zone:
            check_time_zone(self.time_zone)


def check_time_zone(name: str) -> None:
    """Raises ValueError."""
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"time_zone: {name!r} is not known here, as Europe/Berlin would be") from error
