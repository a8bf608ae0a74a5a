"""The mount table: its escapes, and what changes in it."""

from __future__ import annotations

import os
import select
import subprocess
from pathlib import Path

import pytest

from collectors.linux.mounts import Mount, MountWatch, read_mounts
from tests.collectors.linux.real_mounts import LoopMount, needs_root

TABLE = rb"""22 1 254:0 / / rw,relatime shared:1 master:2 - ext4 /dev/vda rw
40 22 8:17 /sub\040folder /media/my\011\134\043stick rw,nosuid - fuseblk /dev/sdb1 rw,user_id=0
41 22 0:55 / /media/caf\303\251\351 ro - btrfs /dev/mapper/x rw
42 22 0:56 / /x rw -  rw
""".replace(rb" -  rw", rb" - tmpfs  rw")


def test_octal_escapes_undecodable_names_and_empty_sources_come_through(tmp_path: Path) -> None:
    table = tmp_path / "mountinfo"
    table.write_bytes(TABLE)
    root, stick, other, empty = read_mounts(str(table))
    assert root == Mount(
        22, 1, os.makedev(254, 0), "/", "/", frozenset({"rw", "relatime"}), "ext4", "/dev/vda"
    )
    assert (stick.root, stick.target) == ("/sub folder", "/media/my\t\\#stick")
    assert (stick.mount_id, stick.parent_id, stick.device) == (40, 22, os.makedev(8, 17))
    assert os.fsencode(other.target) == b"/media/caf\xc3\xa9\xe9"
    assert (empty.fs_type, empty.source) == ("tmpfs", "")


def test_own_mount_table_matches_what_stat_says() -> None:
    mounts = {mount.target: mount for mount in read_mounts()}
    assert mounts["/proc"].device == Path("/proc").stat().st_dev
    assert mounts["/proc"].fs_type == "proc"


@needs_root
@pytest.mark.root
def test_mount_bind_and_unmount_wake_the_poller_and_are_told_once(tmp_path: Path) -> None:
    strange = os.fsdecode("st\\ick \n\xe9".encode("latin-1"))
    watch = MountWatch()
    poller = select.poll()
    poller.register(watch.fileno(), select.POLLPRI | select.POLLERR)

    def changes() -> tuple[list[Mount], list[Mount]]:
        """Those of this test: other programs mount as well."""
        added, removed = watch.changes()
        ours = str(tmp_path)
        return [each for each in added if each.target.startswith(ours)], [
            each for each in removed if each.target.startswith(ours)
        ]

    assert changes() == ([], [])
    with LoopMount(tmp_path, strange) as mount:
        assert poller.poll(2000)
        (added,), removed = changes()
        assert (added.target, added.fs_type, added.root, removed) == (mount.target, "ext4", "/", [])
        assert added.device == Path(mount.target).stat().st_dev
        assert changes() == ([], [])

        inner = Path(mount.target, "inner")
        bound = tmp_path / "bound"
        inner.mkdir()
        bound.mkdir()
        subprocess.run(["mount", "--bind", inner, bound], check=True)
        (added_bind,), removed = changes()
        assert (added_bind.target, added_bind.root, removed) == (str(bound), "/inner", [])
        assert added_bind.device == added.device
        subprocess.run(["umount", bound], check=True)
        assert changes() == ([], [added_bind])

        subprocess.run(["mount", "-o", "remount,ro", mount.target], check=True)
        (now_read_only,), (before,) = changes()
        assert before == added
        assert "ro" in now_read_only.options
    assert poller.poll(2000)
    assert changes() == ([], [now_read_only])
    watch.close()
    watch.close()
