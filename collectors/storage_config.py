"""Configuration of the removable-storage collector: table [collectors.removable_storage]."""

from __future__ import annotations

from pathlib import PurePath
from typing import Annotated

import msgspec
from msgspec import Meta

from collectors.contract import narrowed_by


class RemovableStorageConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is watched on removable storage. The defaults suit most endpoints."""

    enabled: bool = True
    """Whether the collector runs at all."""
    extra_mounts: tuple[str, ...] = ()
    """More places to watch, as absolute paths: mount points (network shares, fixed disks that leave the
    house) or plain folders."""
    trusted_devices: Annotated[tuple[str, ...], narrowed_by("union")] = ()
    """Serial numbers or uids ("vendor:product:serial") of the company's own devices; for one without a
    serial number the UUID of its file system. What is copied to them is not collected; that they are
    plugged in and out still is."""
    settle_s: Annotated[float, Meta(ge=0.1, le=60)] = 1.0
    """A file is finished when nothing touched it for so long after it was closed."""
    longest_s: Annotated[float, Meta(ge=1, le=3_600)] = 60.0
    """A file that never comes to rest is reported so long after it was first closed, and again."""
    hash_cpu_share: Annotated[float, Meta(gt=0, le=1), narrowed_by("smaller")] = 0.25
    """How much of one core hashing may use; all who hash and label take turns (reading_pace.py)."""
    hash_max_bytes: Annotated[int, Meta(ge=0), narrowed_by("smaller")] = 2 * 1024**3
    """Larger files are reported without a hash; 0 hashes nothing."""
    hash_wait_s: Annotated[float, Meta(ge=0, le=3_600)] = 30.0
    """No event waits longer than this for its hash and its labels."""
    labels: Annotated[bool, narrowed_by("and")] = True
    """Whether files are labelled, as the table [labels] says."""

    def __post_init__(self) -> None:
        for path in self.extra_mounts:
            if not PurePath(path).is_absolute() or "\0" in path:
                raise ValueError(f"extra_mounts: {path!r} is not an absolute path")
