"""The connections of all parties, by where they lead and by the kernel's cookie, so that what closes finds
whose it was; and what closed before anybody was known to have opened it. Pure.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from typing import Final

from collectors.linux.tcp_sockets import TcpSocket
from collectors.upload_facts import Connection, Party

MOST_CONNECTIONS: Final = 256
"""Of one party."""
MOST_UNCLAIMED: Final = 4_096
UNCLAIMED_MS: Final = 60_000
_CLOCK_SLACK_MS: Final = 50

Held = tuple[Party, Connection]


class ConnectionTable:
    """Times are steady ms."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, int], list[Held]] = {}
        self._cookies: dict[int, Held] = {}
        self._unclaimed: deque[tuple[int, TcpSocket]] = deque(maxlen=MOST_UNCLAIMED)
        self._dropped: Counter[str] = Counter()

    def add(self, party: Party, connection: Connection) -> None:
        """A connection that is open. Makes room where the party has too many."""
        if len(party.connections) >= MOST_CONNECTIONS:
            gone = next((each for each in party.connections if each.is_closed), party.connections[0])
            if gone.is_closed:
                # Its bytes stay in the sum of another one, whatever that one's own count will be.
                heir = next(each for each in party.connections if each is not gone)
                heir.before -= max(0, gone.sent - gone.before)
            else:
                self._dropped["connections_over_the_limit"] += 1
            self.take_out(gone)
            party.connections.remove(gone)
        party.connections.append(connection)
        party.last_ms = max(party.last_ms, connection.at_ms)
        self._open.setdefault((connection.address, connection.port), []).append((party, connection))

    def close(self, party: Party, connection: Connection, closed: TcpSocket, at_ms: int) -> None:
        """It ended, with this count."""
        connection.sent, connection.grew_ms = max(connection.sent, closed.bytes_sent), at_ms
        connection.is_closed = True
        party.last_ms = max(party.last_ms, at_ms)
        self.take_out(connection)

    def take_out(self, connection: Connection) -> None:
        """Nothing is waited for any more."""
        if connection.cookie is not None:
            self._cookies.pop(connection.cookie, None)
        key = (connection.address, connection.port)
        waiting = [pair for pair in self._open.get(key, ()) if pair[1] is not connection]
        if waiting:
            self._open[key] = waiting
        else:
            self._open.pop(key, None)

    def of_cookie(self, cookie: int) -> Held | None:
        """The connection that is known by this cookie."""
        return self._cookies.get(cookie)

    def name(self, held: Held, cookie: int) -> None:
        """From now on it is known by its cookie."""
        held[1].cookie = cookie
        self._cookies[cookie] = held

    def nameless(self, address: str, port: int) -> list[Held]:
        """Open connections to there that are known by no cookie."""
        return [pair for pair in self._open.get((address, port), ()) if pair[1].cookie is None]

    def keep(self, closed: TcpSocket, at_ms: int) -> None:
        """It closed, and nobody is known to have opened it."""
        self._unclaimed.append((at_ms, closed))

    def claim(self, address: str, port: int, since_ms: int) -> tuple[int, TcpSocket] | None:
        """The first that closed there since then without being known."""
        found = self.unclaimed(since_ms, lambda each: (each.address, each.port) == (address, port))
        if not found:
            return None
        self.take(found[0])
        return found[0]

    def unclaimed(self, since_ms: int, fits: Callable[[TcpSocket], bool]) -> list[tuple[int, TcpSocket]]:
        """What closed since then without being known."""
        return [each for each in self._unclaimed if each[0] >= since_ms - _CLOCK_SLACK_MS and fits(each[1])]

    def take(self, unclaimed: tuple[int, TcpSocket]) -> None:
        """One of those is somebody's."""
        self._unclaimed.remove(unclaimed)

    def forget(self, now_ms: int) -> None:
        """What nobody claimed in time."""
        while self._unclaimed and self._unclaimed[0][0] < now_ms - UNCLAIMED_MS:
            self._unclaimed.popleft()

    def dropped(self) -> dict[str, int]:
        """What could not be kept, by reason."""
        return dict(self._dropped)
