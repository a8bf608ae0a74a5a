"""Configuration of the database collectors: tables [collectors.postgresql] and [collectors.mariadb].

Passwords never stand here: `account_file` names a file that only its owner may read.
"""

from __future__ import annotations

import stat
from pathlib import Path, PurePath
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from collectors.contract import narrowed_by
from collectors.postgresql_log import zone_of

AccountPath = Annotated[str, Meta(max_length=4096)]
_ACCOUNT_BYTES_MAX = 64 * 1024


class AccountUnusable(Exception):
    """The account's file cannot be used. The message says why, and holds nothing of it."""


class PostgresqlConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Off until it is told where the log is."""

    to_enable: ClassVar[str] = (
        "switched off; where PostgreSQL runs set enabled, log and account_file (docs/databases.md)"
    )

    enabled: bool = False
    """Whether the collector runs at all."""
    log: str = ""
    """The server's jsonlog or csvlog; `*` may stand in the file's name. What ends in .csv is read as CSV."""
    account_file: AccountPath = ""
    """File with the monitoring account, a libpq connection string. Without it rows of COPY are not known."""
    log_time_zone: str = ""
    """The server's log_timezone; empty: this machine's."""
    large_rows: Annotated[int, Meta(ge=1)] = 10_000
    """A result of so many rows or more is an export."""
    rows_wait_s: Annotated[float, Meta(ge=1, le=3_600)] = 30.0
    """So long a COPY waits for its rows."""
    hash_max_bytes: Annotated[int, Meta(ge=0), narrowed_by("smaller")] = 2 * 1024**3
    """Larger files that the server wrote are reported without a hash; 0 hashes nothing."""
    unsummed_users: Annotated[tuple[str, ...], narrowed_by("union")] = ()
    """Accounts whose small reads are not counted, as an application's own. Their exports still are told."""

    def __post_init__(self) -> None:
        check_places(self.enabled, self.log, "log")
        check_places(False, self.account_file, "account_file")
        zone_of(self.log_time_zone)

    @staticmethod
    def lines_to_enable() -> str:
        """What to paste, for `doctor`."""
        from collectors.postgresql_settings import lines_to_enable  # noqa: PLC0415 - only doctor needs it

        return "\n".join(lines_to_enable())


class MariadbConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Off until it is told where the logs are."""

    to_enable: ClassVar[str] = (
        "switched off; where MariaDB or MySQL runs set enabled, audit_log, slow_log and account_file "
        "(docs/databases.md)"
    )

    enabled: bool = False
    """Whether the collector runs at all."""
    audit_log: str = ""
    """The file that the plugin server_audit writes."""
    slow_log: str = ""
    """The slow query log: rows and bytes. Empty: they are not known."""
    account_file: AccountPath = ""
    """MySQL option file with the monitoring account in [client]. Without it client programs are not known."""
    data_dir: str = "/var/lib/mysql"
    """The server's datadir, below which INTO OUTFILE writes relative paths."""
    log_time_zone: str = ""
    """The server's time zone; empty: this machine's."""
    large_rows: Annotated[int, Meta(ge=1)] = 10_000
    """A result of so many rows or more is an export."""
    hash_max_bytes: Annotated[int, Meta(ge=0), narrowed_by("smaller")] = 2 * 1024**3
    """Larger files that the server wrote are reported without a hash; 0 hashes nothing."""
    unsummed_users: Annotated[tuple[str, ...], narrowed_by("union")] = ()
    """Accounts whose small reads are not counted, as an application's own. Their exports still are told."""

    def __post_init__(self) -> None:
        check_places(self.enabled and not self.slow_log, self.audit_log, "audit_log")
        for name in ("slow_log", "account_file", "data_dir"):
            check_places(False, getattr(self, name), name)
        zone_of(self.log_time_zone)

    @staticmethod
    def lines_to_enable() -> str:
        """What to paste, for `doctor`."""
        from collectors.mariadb_settings import lines_to_enable  # noqa: PLC0415 - only doctor needs it

        return "\n".join(lines_to_enable())


def check_places(is_needed: bool, path: str, name: str) -> None:
    """Raises ValueError for what is no absolute path."""
    if is_needed and not path:
        raise ValueError(f"{name}: say where it is, or leave the collector off")
    if path and (not PurePath(path).is_absolute() or "\0" in path):
        raise ValueError(f"{name}: {path!r} is not an absolute path")


def read_account(path: str) -> str:
    """What the account's file says. Raises AccountUnusable where others could read it as well."""
    file = Path(path)
    try:
        mode = file.stat().st_mode
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise AccountUnusable(f"{path}: others may read it: chmod 600 {path}")
        content = file.read_bytes()
        if len(content) > _ACCOUNT_BYTES_MAX:
            raise AccountUnusable(f"{path}: over {_ACCOUNT_BYTES_MAX} bytes")
        return content.decode()
    except OSError as error:
        raise AccountUnusable(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise AccountUnusable(f"{path}: not UTF-8 at byte {error.start}") from error
