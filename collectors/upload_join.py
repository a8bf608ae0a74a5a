"""Files that a party of processes read, joined with the bytes that it then sent. Pure.

Facts come in any order and from several sources: openings, connects, closings with their counts, counts of
what stays open. Which of it is an upload, and how sure that is, says upload_verdict.py.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Protocol

import msgspec

from collectors.linux.process_tree import ProcessFacts
from collectors.linux.tcp_sockets import TcpSocket
from collectors.upload_connections import MOST_CONNECTIONS, ConnectionTable
from collectors.upload_facts import Connection, Party, Read, Upload
from collectors.upload_verdict import (
    COMPRESSED,
    FEW_BYTES,
    WHOLE,
    fidelity_of,
    fits,
    is_about,
    satisfies,
    sent_of,
)

SETTLE_MS: Final = 1_000
QUIET_MS: Final = 2_500
"""Counts of a connection that stays open must stand still for so long."""
STALLED_MS: Final = 30_000
"""A sender that has sent a part may stand still for so long, and go on."""
CLOSING_MS: Final = 5_000
"""How long the last count of a connection is waited for after its program has ended."""
LONGEST_MS: Final = 3_600_000
MOST_PARTIES: Final = 4_096
MOST_READS: Final = 20_000
MOST_READS_IN_ALL: Final = 100_000
_PIPE_MS: Final = 5_000


class Tree(Protocol):
    """What is asked of process_tree.ProcessTree."""

    def of(self, pid: int) -> ProcessFacts | None: ...
    def party(self, pid: int) -> int: ...
    def has_ended(self, pid: int) -> bool: ...
    def pushed_from(self, pid: int) -> str | None: ...


class UploadJoin:
    """Takes facts in any order, gives uploads. Times are steady ms. `guesses`: connects are not told, so that
    a connection that is first seen open was opened after the files."""

    def __init__(
        self,
        tree: Tree,
        is_outside: Callable[[str], bool],
        *,
        window_ms: int = 60_000,
        guesses: bool = False,
        late_ms: int = 0,
    ) -> None:
        """`late_ms`: by how much an opening may be told after what followed it."""
        self._tree = tree
        self._is_outside = is_outside
        self._window_ms = window_ms
        self.guesses = guesses
        self._late_ms = late_ms
        self._parties: OrderedDict[int, Party] = OrderedDict()
        self._table = ConnectionTable()
        self._reads = 0
        self._dropped: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._parties)

    def opened(self, read: Read) -> None:
        """A file was opened."""
        if read.size <= 0:
            return
        party = self._party(read.pid, read.at_ms)
        if read.key in party.reads:
            party.last_ms = max(party.last_ms, read.at_ms)
            return
        if len(party.reads) >= MOST_READS or self._reads >= MOST_READS_IN_ALL:
            self._dropped["openings_over_the_limit"] += 1
            return
        if not party.reads:
            for connection in party.connections:
                if connection.grew_ms < read.at_ms - self._late_ms:
                    connection.before = connection.sent
        party.reads[read.key] = read
        party.total += read.size
        party.last_ms = max(party.last_ms, read.at_ms)
        party.read_ms = max(party.read_ms, read.at_ms)
        self._reads += 1

    def written(self, pid: int, key: tuple[int, int]) -> None:
        """A file was closed by somebody who could write to it: it was not opened to be sent."""
        party = self._parties.get(self._tree.party(pid))
        read = None if party is None else party.reads.pop(key, None)
        if party is not None and read is not None:
            party.total -= read.size
            self._reads -= 1

    def connected(self, pid: int, address: str, port: int, at_ms: int) -> None:
        """A process connected somewhere."""
        if not self._is_outside(address) or port == 0:
            return
        party = self._party(pid, at_ms)
        party.pushes = self._tree.pushed_from(pid) or party.pushes
        held = [
            each
            for each in party.connections
            if not each.is_told and (each.address, each.port) == (address, port) and each.at_ms >= at_ms
        ]
        if held:
            # It was counted before its connect was told: all that went over it is new.
            newest = min(held, key=lambda each: each.before)
            newest.is_told, newest.before, newest.at_ms = True, 0, at_ms
            return
        connection = Connection(pid, address, port, at_ms)
        self._table.add(party, connection)
        claimed = self._table.claim(address, port, at_ms)
        if claimed is not None:
            self._table.close(party, connection, claimed[1], claimed[0])

    def closed(self, sockets: Iterable[TcpSocket], at_ms: int) -> None:
        """Connections that ended, with what went over them."""
        for each in sockets:
            known = self._table.of_cookie(each.cookie)
            if known is not None:
                self._table.close(*known, each, at_ms)
                continue
            waiting = self._table.nameless(each.address, each.port)
            if waiting:
                party, connection = next((pair for pair in waiting if fits(each, pair[0])), waiting[0])
                # Where it would satisfy the others as well, it does not matter whose it is.
                connection.is_shared |= any(
                    other is not party and not satisfies(each, other) for other, _ in waiting
                )
                self._table.close(party, connection, each, at_ms)
            elif self._is_outside(each.address) and each.bytes_sent > 0:
                self._table.keep(each, at_ms)

    def counted(self, held: Mapping[int, Iterable[TcpSocket]], at_ms: int) -> None:
        """Connections that are open, by the process that holds them."""
        for pid, sockets in held.items():
            for each in sockets:
                if not self._is_outside(each.address):
                    continue
                known = self._table.of_cookie(each.cookie)
                if known is None:
                    known = self._recognise(pid, each, at_ms)
                    if known is None:
                        continue
                party, connection = known
                if each.bytes_sent > connection.sent:
                    if not party.reads:
                        # What it had sent by the last look belongs to no file; later bytes may.
                        connection.before = connection.sent
                    connection.sent, connection.grew_ms = each.bytes_sent, at_ms
                    if party.reads:
                        party.last_ms = max(party.last_ms, at_ms)

    def wants_counts(self) -> list[int]:
        """Tops of the parties whose open connections must be counted."""
        return [party.top for party in self._parties.values() if party.reads and not self._is_over(party)]

    def due(self, now_ms: int, *, everything: bool = False) -> list[Upload]:
        """What can be told by now; `everything`: what is known, at the end."""
        uploads: list[Upload] = []
        for party in list(self._parties.values()):
            if not (everything or self._is_due(party, now_ms)):
                continue
            found = self._judge(party)
            if found or everything or self._is_over(party) or now_ms - party.first_ms >= self._window_ms:
                uploads += found
                self._settle(party)
        self._table.forget(now_ms)
        return uploads

    def dropped(self) -> dict[str, int]:
        """What could not be kept, by reason."""
        return self._table.dropped() | self._dropped

    def _party(self, pid: int, at_ms: int) -> Party:
        top = self._tree.party(pid)
        party = self._parties.get(top)
        if party is None:
            party = Party(top, at_ms, at_ms, {pid, top}, OrderedDict(), [])
            self._parties[top] = party
            if len(self._parties) > MOST_PARTIES:
                _, evicted = self._parties.popitem(last=False)
                self._dropped["parties_evicted"] += 1
                self._release(evicted)
        elif not party.reads and not party.connections:
            party.first_ms = at_ms
        party.pids.add(pid)
        return party

    def _recognise(self, pid: int, socket: TcpSocket, at_ms: int) -> tuple[Party, Connection] | None:
        """The connection that a process is seen to hold: one that was told of, or one from before."""
        party = self._party(pid, at_ms)
        nameless = self._table.nameless(socket.address, socket.port)
        known = next((pair for pair in nameless if pair[0] is party), None)
        if known is None:
            if len(party.connections) >= MOST_CONNECTIONS:
                return None
            connection = Connection(pid, socket.address, socket.port, at_ms, is_told=False)
            connection.sent = socket.bytes_sent
            # What went over it before anybody looked is not known to belong to the files.
            connection.before = 0 if self.guesses and party.reads else socket.bytes_sent
            connection.grew_ms = at_ms
            self._table.add(party, connection)
            known = (party, connection)
        self._table.name(known, socket.cookie)
        return known

    def _is_over(self, party: Party) -> bool:
        return all(self._tree.has_ended(pid) for pid in party.pids)

    def _is_due(self, party: Party, now_ms: int) -> bool:
        quiet = now_ms - party.last_ms
        if now_ms - party.first_ms >= LONGEST_MS:
            return True
        if self._is_over(party):
            if quiet >= SETTLE_MS and party.reads and not party.connections:
                partner = self._partner(party)
                if partner is not None and not self._is_over(partner):
                    return now_ms - party.first_ms >= self._window_ms and now_ms - partner.last_ms >= QUIET_MS
            if any(not each.is_closed for each in party.connections) or self._may_have_sent(party):
                return quiet >= CLOSING_MS
            return quiet >= SETTLE_MS
        return self._is_quiet(party, quiet, now_ms)

    def _is_quiet(self, party: Party, quiet: int, now_ms: int) -> bool:
        """Whether one that lives has sent what it had to, so far as can be seen."""
        sent = sent_of(party.connections) if party.reads else 0
        if sent >= WHOLE * party.total:
            # Who talks to somebody all the time is never quiet.
            return quiet >= QUIET_MS or (bool(sent) and now_ms - party.read_ms >= self._window_ms)
        if sent >= COMPRESSED * party.total and self._is_known_sender(party):
            return quiet >= STALLED_MS
        return quiet >= QUIET_MS

    def _may_have_sent(self, party: Party) -> bool:
        """Whether something closed that fits, and who connected there is not told yet: audit can be late."""
        if party.connections or not party.reads or self.guesses:
            return False
        return bool(self._table.unclaimed(party.first_ms, lambda each: fits(each, party)))

    def _is_known_sender(self, party: Party) -> bool:
        top = self._tree.of(party.top)
        return top is not None and top.application is not None and top.application.kind != "local_reader"

    def _judge(self, party: Party) -> list[Upload]:
        total = party.total
        connections = [each for each in party.connections if each.sent > each.before]
        guess = False
        if not connections and party.reads:
            connections = self._of_partner(party)
            guess = bool(connections)
            if not connections and self.guesses:
                connections = self._guess(party, total)
        sent = sent_of(connections)
        if not sent:
            return []
        top = self._sender(party, connections)
        by_place: Counter[tuple[str, int]] = Counter()
        for each in connections:
            by_place[each.address, each.port] += each.sent - each.before
        address, port = by_place.most_common(1)[0][0]
        if party.pushes is not None and sent >= FEW_BYTES:
            push = Upload(
                party.first_ms,
                None,
                top,
                party.pushes,
                address,
                port,
                sent,
                len(connections),
                "likely",
                None,
                "which files were pushed is not known",
            )
            return [push]
        if not party.reads:
            return []
        share = sent / total
        kind = None if top is None or top.application is None else top.application.kind
        fidelity = fidelity_of(party, connections, kind, share, sent, total)
        if fidelity is None:
            return []
        if guess and fidelity == "exact":
            fidelity = "likely"
        gap = None if share >= WHOLE else f"sent {share:.0%} of what was read"
        return [
            Upload(
                read.at_ms, read, top, read.path, address, port, sent, len(connections), fidelity, share, gap
            )
            for read in map(self._now_known, party.reads.values())
        ]

    def _now_known(self, read: Read) -> Read:
        """A shell that opens a file for a program becomes that program only then."""
        facts = self._tree.of(read.pid)
        if facts is None or facts.application is None or facts.executable is None:
            return read
        return msgspec.structs.replace(read, executable=facts.executable)

    def _sender(self, party: Party, connections: list[Connection]) -> ProcessFacts | None:
        """The catalogued application that sent, else the party's topmost process."""
        top = self._tree.of(party.top)
        if top is not None and top.application is not None:
            return top
        for pid in {each.pid for each in connections}:
            facts = self._tree.of(pid)
            if facts is not None and facts.application is not None:
                return facts
        return top

    def _of_partner(self, party: Party) -> list[Connection]:
        partner = self._partner(party)
        connections = [] if partner is None else partner.connections
        return [
            msgspec.structs.replace(each, is_guess=True) for each in connections if each.sent > each.before
        ]

    def _partner(self, party: Party) -> Party | None:
        """Who sends what this party reads, by a pipe: an uploader that was started beside it (`tar | ssh`)
        or by it, or whoever started it with a connection in its hands."""
        facts = self._tree.of(party.top)
        if facts is None or facts.parent <= 1:
            return None
        for other in self._parties.values():
            if other is party or other.reads or not other.connections:
                continue
            if other.top == facts.parent:
                return other
            beside = self._tree.of(other.top)
            if (
                beside is not None
                and beside.parent in (facts.parent, party.top)
                and beside.application is not None
                and beside.application.kind == "uploader"
                and abs(beside.started_ms - facts.started_ms) <= _PIPE_MS
            ):
                return other
        return None

    def _guess(self, party: Party, total: int) -> list[Connection]:
        """A connection that closed at the right time with about the right number of bytes, for programs
        that are known to send: any other one merely reads at the same time."""
        top = self._tree.of(party.top)
        if top is None or top.application is None or top.application.kind == "local_reader":
            return []
        fitting = self._table.unclaimed(party.first_ms, lambda each: is_about(each.bytes_sent, total))
        if not fitting:
            return []
        # Where several places would fit, none is likely.
        party.is_doubtful = len({(each.address, each.port) for _, each in fitting}) > 1
        nearest = min(fitting, key=lambda each: abs(each[1].bytes_sent - total))
        self._table.take(nearest)
        at_ms, closed = nearest
        found = Connection(party.top, closed.address, closed.port, at_ms, is_guess=True)
        found.sent, found.is_closed = closed.bytes_sent, True
        return [found]

    def _settle(self, party: Party) -> None:
        """Begins anew: what was told is not told again."""
        self._reads -= len(party.reads)
        party.reads.clear()
        party.total = 0
        party.pushes = None
        party.is_doubtful = False
        if self._is_over(party) or not party.connections:
            self._parties.pop(party.top, None)
            self._release(party)
            return
        for each in [each for each in party.connections if each.is_closed]:
            party.connections.remove(each)
        for each in party.connections:
            each.before = each.sent
        party.pids = {pid for pid in party.pids if not self._tree.has_ended(pid)} | {party.top}

    def _release(self, party: Party) -> None:
        self._reads -= len(party.reads)
        for connection in party.connections:
            self._table.take_out(connection)
