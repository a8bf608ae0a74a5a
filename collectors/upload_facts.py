"""What uploads are made of: openings, connections, parties, and the upload itself."""

from __future__ import annotations

from collections import OrderedDict
from typing import Literal

import msgspec

from collectors.linux.process_tree import ProcessFacts

Fidelity = Literal["exact", "likely", "possible"]


class Read(msgspec.Struct, frozen=True, gc=False):
    """A file was opened and not written to. `at_ms` is steady."""

    at_ms: int
    pid: int
    uid: int | None
    login_uid: int | None
    executable: str | None
    path: str
    key: tuple[int, int]
    size: int
    polled: bool = False
    modified_ns: int = 0


class Connection(msgspec.Struct):
    """One connection of a party."""

    pid: int
    address: str
    port: int
    at_ms: int
    is_told: bool = True
    """Its connect was told; else it was only seen to be held by the process."""
    cookie: int | None = None
    before: int = 0
    """Bytes that had gone over it before the files were opened."""
    sent: int = 0
    grew_ms: int = 0
    """When it was last seen to have sent more."""
    is_closed: bool = False
    is_shared: bool = False
    """Another party used the same destination, so the count may be the other one's."""
    is_guess: bool = False


class Party(msgspec.Struct):
    """What is known of one party since it last had nothing open."""

    top: int
    first_ms: int
    last_ms: int
    pids: set[int]
    reads: OrderedDict[tuple[int, int], Read]
    connections: list[Connection]
    total: int = 0
    """Bytes of all that is in `reads`."""
    read_ms: int = 0
    """When the last file was opened."""
    pushes: str | None = None
    is_doubtful: bool = False


class Upload(msgspec.Struct, frozen=True):
    """One file that left. `path` of a push is the repository's folder, and `size` is not known."""

    at_ms: int
    read: Read | None
    party: ProcessFacts | None
    path: str
    address: str
    port: int
    bytes_sent: int
    connections: int
    fidelity: Fidelity
    share: float | None
    gap: str | None = None

    @property
    def hosts(self) -> tuple[str, ...]:
        """Names of the destination in the sender's command line; they do not leave the endpoint."""
        return () if self.party is None else self.party.hosts
