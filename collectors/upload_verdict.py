"""What an upload is, and how sure. Pure.

The rule. A party (process_tree.py) opened files without writing to them, and afterwards bytes went out over
its connections. With `share` = bytes sent since the first opening / size of all files opened meanwhile:

    share ≥ 0.9              uploaded
    share ≥ 0.02, ≥ 256 B    possibly uploaded, by a program made for it (it may compress, or send changes)
    share ≥ 0.5              possibly uploaded, by any other program
    less                     nothing to tell: programs that read files also talk to the network

Files are taken together, since one connection carries many. What a program reads and does not send
therefore lowers its share; what it sends beside the files raises it, so of a program that is no uploader a
share over 20 (and a megabyte) or files under a kilobyte count as possible only.

`exact`: the kernel told of the opening and of the connect (or the open connection), both of one party, all
connections were counted as they closed, and nobody else used the same destination at that time. `likely`:
the count comes from connections that stay open, or the destination was shared, or nothing but time and size
ties them. `possible`: as above, or openings were polled.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from collectors.linux.tcp_sockets import TcpSocket
from collectors.upload_facts import Connection, Fidelity, Party

WHOLE: Final = 0.9
HALF: Final = 0.5
COMPRESSED: Final = 0.02
FEW_BYTES: Final = 256
SMALL_FILES: Final = 1024
MUCH_MORE: Final = 20
MUCH_BYTES: Final = 1 << 20
CLOCK_SLACK_MS: Final = 20
"""Audit stamps with the kernel's coarse clock, up to a tick behind."""


def fidelity_of(
    party: Party,
    connections: list[Connection],
    kind: str | None,
    share: float,
    sent: int,
    total: int,
) -> Fidelity | None:
    """How sure it is that what the party read left over these connections; None: nothing to tell."""
    if share < WHOLE:
        by_purpose = kind in ("uploader", "cloud_drive") and share >= COMPRESSED and sent >= FEW_BYTES
        return "possible" if by_purpose or (share >= HALF and sent >= SMALL_FILES) else None
    if any(read.polled for read in party.reads.values()):
        return "possible"
    if kind != "uploader" and (total < SMALL_FILES or (share > MUCH_MORE and sent > MUCH_BYTES)):
        return "possible"
    if party.is_doubtful:
        return "possible"
    first = min(each.at_ms for each in party.reads.values())
    if kind != "uploader" and any(each.at_ms < first - CLOCK_SLACK_MS for each in connections):
        # Opened while the connection stood, or told late: what came first is not certain.
        return "likely"
    told = all(each.is_closed and not (each.is_shared or each.is_guess) for each in connections)
    return "exact" if told and kind != "browser" else "likely"


def sent_of(connections: Iterable[Connection]) -> int:
    """Bytes that went out since the files were opened."""
    return sum(each.sent - each.before for each in connections if each.sent > each.before)


def is_about(sent: int, total: int) -> bool:
    """Whether so many bytes can be these files and what goes around them."""
    return WHOLE * total <= sent <= 1.5 * total + 16_384


def fits(closed: TcpSocket, party: Party) -> bool:
    """Whether this can be what the party sent."""
    return bool(party.reads) and is_about(closed.bytes_sent, party.total)


def satisfies(closed: TcpSocket, party: Party) -> bool:
    """Whether this would be enough for the party."""
    return closed.bytes_sent >= WHOLE * party.total
