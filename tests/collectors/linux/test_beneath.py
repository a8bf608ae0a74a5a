"""Paths below a watched place, while somebody puts links and pipes in their way."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from collectors.linux import beneath
from collectors.linux.beneath import Root
from tests.collectors.drives import needs_root
from tests.collectors.linux.real_mounts import LoopMount


@pytest.fixture(params=["openat2", "step by step"], autouse=True)
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param != "openat2":
        # A number that no kernel knows: the answer is ENOSYS, as before Linux 5.6.
        monkeypatch.setattr(beneath, "_OPENAT2", 4_000)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "place" / "a" / "b").mkdir(parents=True)
    (tmp_path / "place" / "a" / "b" / "f").write_bytes(b"12345")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "f").write_bytes(b"secret")
    return tmp_path / "place"


def refused(root: Root, path: Path, inode: int = 0) -> list[int | None]:
    """What each way of reaching the path is refused with."""
    found: list[int | None] = []
    for act in (
        lambda: root.look(str(path)),
        lambda: os.close(root.open_regular(str(path), root.device, inode)),
    ):
        try:
            act()
        except OSError as error:
            found.append(error.errno)
        else:
            found.append(None)
    return found


def test_files_are_found_and_read_where_they_are(place: Path) -> None:
    root = Root(str(place))
    path = place / "a" / "b" / "f"
    seen = root.look(str(path))
    assert (seen.st_size, seen.st_ino) == (5, path.stat().st_ino)
    fd = root.open_regular(str(path), seen.st_dev, seen.st_ino)
    assert os.read(fd, 10) == b"12345"
    os.close(fd)
    assert root.look(str(place)).st_ino == place.stat().st_ino
    with root.folder(str(place / "a")) as fd:
        assert os.listdir(fd) == ["b"]  # noqa: PTH208 - of a descriptor
    assert not root.leads_away(str(path))
    with pytest.raises(FileNotFoundError):
        root.look(str(place / "a" / "none" / "f"))
    assert not root.leads_away(str(place / "a" / "none" / "f"))


@pytest.mark.parametrize("held", [False, True])
def test_links_on_the_way_are_not_followed_and_a_link_at_the_end_is_seen_as_a_link(
    place: Path, held: bool
) -> None:
    root = Root(str(place))
    inode = (place.parent / "outside" / "f").stat().st_ino
    shutil.rmtree(place / "a" / "b")
    (place / "a" / "b").symlink_to(place.parent / "outside")
    (place / "a" / "l").symlink_to("/etc/passwd")

    def check() -> None:
        assert refused(root, place / "a" / "b" / "f", inode) == [errno.ELOOP, errno.ELOOP]
        assert root.leads_away(str(place / "a" / "b" / "f"))
        assert not root.leads_away(str(place / "a" / "b"))
        assert refused(root, place / "a" / "l") == [None, errno.ESTALE]
        assert root.look(str(place / "a" / "l")).st_size == len("/etc/passwd")
        with pytest.raises(OSError), root.folder(str(place / "a" / "b")):
            raise AssertionError

    if held:
        with root.held():
            check()
    check()


def test_nothing_outside_is_reached_by_a_path_either(place: Path) -> None:
    root = Root(str(place))
    for path in (place.parent / "outside" / "f", place / ".." / "outside" / "f", Path(f"{place}x/f")):
        assert refused(root, path) == [errno.EXDEV, errno.EXDEV]


def test_pipes_and_other_files_of_that_name_are_not_opened(place: Path) -> None:
    root = Root(str(place))
    path = place / "a" / "b" / "f"
    inode = path.stat().st_ino
    path.rename(place / "kept")
    os.mkfifo(path)
    assert refused(root, path, path.stat().st_ino) == [None, errno.ESTALE]
    path.unlink()
    path.write_bytes(b"other")
    assert refused(root, path, inode) == [None, errno.ESTALE]


def test_another_folder_in_the_place_s_place_is_not_entered(place: Path) -> None:
    root = Root(str(place))
    place.rename(place.parent / "moved")
    shutil.copytree(place.parent / "moved", place)
    assert refused(root, place / "a" / "b" / "f") == [errno.ESTALE, errno.ESTALE]
    assert not root.is_there()


@pytest.mark.root
@needs_root
def test_mounts_below_a_watched_mount_are_not_entered(tmp_path: Path) -> None:
    with LoopMount(tmp_path) as outer:
        Path(outer.target, "d").mkdir()
        root = Root(outer.target, is_mount=True)
        inside = tmp_path / "inside"
        inside.mkdir()
        with LoopMount(inside) as other:
            Path(other.target, "f").write_bytes(b"other")
            os.system(f"mount --bind {other.target} {outer.target}/d")
            try:
                assert refused(root, Path(outer.target, "d", "f")) == [errno.EXDEV, errno.EXDEV]
                with pytest.raises(OSError), root.folder(f"{outer.target}/d"):
                    raise AssertionError
            finally:
                os.system(f"umount {outer.target}/d")
