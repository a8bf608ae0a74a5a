"""Who acted: the user and the program of a process, and where that knowledge comes from."""

from __future__ import annotations

from typing import Literal

import msgspec

WhoFrom = Literal["audit", "proc_events", "proc", "file_owner", "unknown"]


class Who(msgspec.Struct, frozen=True, gc=False):
    """What is known of a process that acted. None means not known. Never its command line."""

    uid: int | None
    user_name: str | None
    exe: str | None
    pid: int
    auid: int | None
    source: WhoFrom
    """Best first: the kernel's record of the act; its record of the process; /proc; the file's owner."""


def acting_uid(real: int, on_files: int) -> int:
    """The user behind a process with this real user and this one for access to files.

    A set-user-id program acts for who started it, the real user; a service of root that acts for a user
    (a file server, a desktop's mount helper) takes that user's rights for its access to files.
    """
    return real if real != 0 else on_files
