"""The data directory: one holder of the lock, private files, atomic replacement."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from server.data_directory import (
    AlreadyRunning,
    DataDirectory,
    DataDirectoryError,
    data_directory_from,
    write_private,
)

NOW = 1_795_305_600_000


def _clock() -> int:
    return NOW


def test_the_second_holder_is_refused_and_told_who_holds_it(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    program = (
        "import sys\nfrom pathlib import Path\nfrom server.data_directory import DataDirectory\n"
        f"with DataDirectory(Path({str(tmp_path)!r})).locked(clock=lambda: {NOW}):\n"
        "    print('held', flush=True)\n    sys.stdin.read()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    assert directory.is_running()
    words = f"process {holder.pid} on .* since 2026-11-22T00:00:00"
    with pytest.raises(AlreadyRunning, match=words), directory.locked(clock=_clock):
        pass
    holder.kill()
    holder.wait()
    holder.communicate()
    # Whatever ended the holder, the kernel gave the lock back.
    assert not directory.is_running()
    with directory.locked(clock=_clock):
        assert directory.is_running()


def test_a_missing_directory_is_made_private_and_an_unusable_one_named(tmp_path: Path) -> None:
    root = tmp_path / "a" / "b"
    DataDirectory(root).create()
    assert stat.S_IMODE(root.stat().st_mode) == 0o700
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(DataDirectoryError, match="file"):
        DataDirectory(file / "below").create()
    with pytest.raises(DataDirectoryError, match="none"):
        DataDirectory(tmp_path / "none").require()


def test_private_files_are_replaced_whole_and_readable_by_their_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "key"
    write_private(path, b"one")
    write_private(path, b"two")
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.root
@pytest.mark.skipif(
    os.geteuid() != 0 and os.environ.get("CI") != "true", reason="only root writes files for others"
)
def test_what_root_writes_into_the_servers_folder_the_server_can_read(tmp_path: Path) -> None:
    os.chown(tmp_path, 65534, 65534)
    write_private(tmp_path / "key", b"one")
    found = (tmp_path / "key").stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (65534, 65534, 0o600)


def test_the_option_goes_before_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEAVER_DATA", str(tmp_path / "environment"))
    assert data_directory_from(None).root == tmp_path / "environment"
    assert data_directory_from(tmp_path / "option").root == tmp_path / "option"
    monkeypatch.delenv("LEAVER_DATA")
    assert data_directory_from(None).root == Path("/var/lib/leaver")
