"""The directory that holds all of one installation: configuration, database, log, keys, lock.

| path | is |
|---|---|
| server.toml | settings (config.py); may be missing |
| leaver.db | the database, unless database.url names another |
| log.db | the embedded log |
| pki/ | the installation's CA and the server's certificates; keys are mode 0600 |
| lock | held (flock) by the running `leaver up`; its text says by whom |
| up.json | address and health of the running `leaver up`, rewritten every few seconds |
| packs/ | evidence packs that were made in the console (evidence_pack/stored.py) |
| clock | the last time that was sure, the last leap (trusted_clock.py) |

Invariant: one `leaver up` at a time; other commands may run beside it.
"""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from server.config import ConfigError, ServerConfig, load_config

DEFAULT_DATA_DIRECTORY = Path("/var/lib/leaver")
DATA_VARIABLE = "LEAVER_DATA"
LOG_NAME = "log.db"
_SECRET_BYTES_MAX = 4096
_LOCK_SECONDS = 0.5


class DataDirectoryError(Exception):
    """The data directory cannot be used; the message names it and says why."""


class AlreadyRunning(DataDirectoryError):
    """Another `leaver up` holds the lock."""


class DataDirectory:
    """Paths inside one data directory. Making the object touches nothing."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.config_path = self.root / "server.toml"
        self.database_path = self.root / "leaver.db"
        self.log_path = self.root / LOG_NAME
        self.pki_path = self.root / "pki"
        self.packs_path = self.root / "packs"
        self.lock_path = self.root / "lock"
        self.state_path = self.root / "up.json"
        self.clock_path = self.root / "clock"

    def create(self) -> None:
        """Makes the directory (0700) if it is missing. Raises DataDirectoryError."""
        try:
            missing = [folder for folder in (self.root, *self.root.parents) if not folder.exists()]
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Agents will pin the CA that is put into it: it must not be gone after a power cut.
            for folder in missing:
                _sync(folder.parent)
        except OSError as error:
            raise DataDirectoryError(f"{self.root}: {error.strerror}") from error
        if not os.access(self.root, os.R_OK | os.W_OK | os.X_OK):
            raise DataDirectoryError(f"{self.root}: not readable and writable for this user")

    def require(self) -> None:
        """Raises DataDirectoryError unless the directory is there and can be read."""
        try:
            with os.scandir(self.root):
                pass
        except FileNotFoundError as error:
            raise DataDirectoryError(self.nothing_there()) from error
        except OSError as error:
            raise DataDirectoryError(f"{self.root}: {error.strerror}") from error

    def nothing_there(self) -> str:
        """What to say where no installation was made yet."""
        return f"{self.root}: nothing there yet; leaver up makes it, or say --data DIR"

    def load_config(self, override: Path | None = None) -> ServerConfig:
        """Raises ConfigError."""
        if override is not None:
            return load_config(override, required=True)
        return load_config(self.config_path, required=False)

    def database_url(self, config: ServerConfig) -> str:
        """With the password from its file, so never to be shown. Raises ConfigError."""
        if not config.database.url:
            return f"sqlite:///{self.database_path}"
        try:
            url = make_url(config.database.url)
        except ArgumentError:
            raise ConfigError("database.url: not a database URL") from None
        if config.database.password_file:
            url = url.set(password=read_secret(Path(config.database.password_file)))
        return url.render_as_string(hide_password=False)

    @contextmanager
    def locked(self, *, clock: Callable[[], int]) -> Iterator[None]:
        """Holds the installation's lock. Raises AlreadyRunning (says who), DataDirectoryError."""
        try:
            descriptor = os.open(self.lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise DataDirectoryError(f"{self.lock_path}: {error.strerror}") from error
        try:
            if not _lock_within(descriptor, _LOCK_SECONDS):
                holder = os.pread(descriptor, 256, 0).decode(errors="replace").strip()
                raise AlreadyRunning(f"{self.root} is in use by another leaver up ({holder or 'unknown'})")
            since = datetime.fromtimestamp(clock() / 1000, UTC).isoformat(timespec="seconds")
            os.ftruncate(descriptor, 0)
            os.pwrite(
                descriptor, f"process {os.getpid()} on {socket.gethostname()} since {since}\n".encode(), 0
            )
            yield
            os.ftruncate(descriptor, 0)
        finally:
            os.close(descriptor)

    def is_running(self) -> bool:
        """Whether a `leaver up` holds the lock now."""
        try:
            descriptor = os.open(self.lock_path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False


def data_directory_from(option: Path | None) -> DataDirectory:
    """--data, else $LEAVER_DATA, else /var/lib/leaver."""
    if option is not None:
        return DataDirectory(option)
    return DataDirectory(Path(os.environ.get(DATA_VARIABLE) or DEFAULT_DATA_DIRECTORY))


def write_private(path: Path, data: bytes) -> None:
    """Replaces `path` by `data`, mode 0600, atomically and durably.

    Written by root it belongs to whom the folder belongs to: the server must be able to read it."""
    # A name of its own: several threads may replace the same file. mkstemp makes it 0600.
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".new", dir=path.parent)
    temporary = Path(name)
    try:
        if os.geteuid() == 0:
            folder = path.parent.stat()
            os.fchown(descriptor, folder.st_uid, folder.st_gid)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync(path.parent)


def _sync(folder: Path) -> None:
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _lock_within(descriptor: int, seconds: float) -> bool:
    # is_running() of another process holds the lock for an instant: a refusal must outlast that.
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.05)
        else:
            return True


def read_secret(path: Path) -> str:
    """What stands in a password file. Raises ConfigError."""
    try:
        with path.open("rb") as file:
            data = file.read(_SECRET_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    secret = data.decode(errors="replace").strip()
    if not secret or len(data) > _SECRET_BYTES_MAX or "\n" in secret:
        raise ConfigError(f"{path}: expected one line with the password")
    return secret
