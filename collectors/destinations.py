"""Where bytes went, in the catalogue's words.

What the kernel tells is an address. A name comes from, in this order:

1. the hosts in the uploader's own command line, read on the endpoint: only the catalogue's name for one of
them is kept, and only such a host as resolves to the address counts towards the company's own places; 2.
the names that the catalogue's domains resolve to just now, asked by the agent itself, at most every half
hour; 3. the name that the address's owner gave it (PTR).

What cannot be known: which site a browser meant behind an address that many share (a CDN), what is inside
TLS or behind a proxy. Nothing of names that are in no catalogue is kept or sent. Asking is done by a thread
of its own.
"""

from __future__ import annotations

import contextlib
import ipaddress
import queue
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from event_schema.catalogue import Catalogue, RecognisedHost

AGAIN_S: Final = 1800.0
MOST_NAMES: Final = 8192
_MOST_QUESTIONS: Final = 1024
_FRESH_S: Final = 600.0


class Place(msgspec.Struct, frozen=True):
    """Where bytes went. `is_trusted`: the company's own. `is_sure`: the address was compared."""

    host: RecognisedHost | None
    is_trusted: bool
    is_sure: bool


def addresses_of(host: str) -> list[str]:
    """The addresses of a name by the system's resolver; none where it has none."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [_plain(str(each[4][0])) for each in found]


def name_of(address: str) -> str | None:
    """The name that the address's owner gave it."""
    try:
        return socket.gethostbyaddr(address)[0]
    except (OSError, UnicodeError):
        return None


class Destinations:
    """Recognises places. `look_up` False: nothing is asked of the name service."""

    def __init__(
        self,
        catalogue: Catalogue,
        *,
        trusted_domains: Sequence[str] = (),
        look_up: bool = True,
        forward: Callable[[str], list[str]] = addresses_of,
        reverse: Callable[[str], str | None] = name_of,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._catalogue = catalogue
        self._trusted = tuple(trusted_domains)
        self._look_up = look_up
        self._forward = forward
        self._reverse = reverse
        self._monotonic = monotonic
        self._names: OrderedDict[str, set[str]] = OrderedDict()
        self._asked: OrderedDict[str, float] = OrderedDict()
        self._questions: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._waiting = 0
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._catalogue_asked = -AGAIN_S

    def prepare(self, address: str, hosts: Sequence[str]) -> None:
        """Begins to ask what `place` will want to know."""
        if not self._look_up:
            return
        # Only those: other words of a command line that look like a host may be names of files.
        wanted = [host for host in hosts if self._is_of_interest(host)]
        wanted += self._trusted
        if not any(self._catalogue.of_host(host) for host in hosts):
            wanted.append(address)
            if self._monotonic() - self._catalogue_asked >= AGAIN_S:
                self._catalogue_asked = self._monotonic()
                wanted += self._catalogue.domains(
                    "webmail", "cloud_drive", "code_hosting", "file_transfer", "messenger"
                )
        now = self._monotonic()
        with self._lock:
            for host in wanted:
                if now - self._asked.get(host, -_FRESH_S) < _FRESH_S or self._waiting >= _MOST_QUESTIONS:
                    continue
                self._asked[host] = now
                self._asked.move_to_end(host)
                if len(self._asked) > MOST_NAMES:
                    self._asked.popitem(last=False)
                self._waiting += 1
                self._questions.put(host)
            if self._thread is None and self._waiting:
                self._thread = threading.Thread(target=self._ask, name="destinations", daemon=True)
                self._thread.start()

    @property
    def is_asking(self) -> bool:
        """Whether answers are still awaited."""
        with self._lock:
            return self._waiting > 0

    def place(self, address: str, hosts: Sequence[str]) -> Place:
        """What is known by now."""
        with self._lock:
            names = tuple(self._names.get(address, ()))
        trusted = self._catalogue.is_trusted(address=address)
        trusted = trusted or any(
            self._catalogue.is_trusted(host=name[1:]) for name in names if name[0] == "="
        )
        told = [found for host in hosts if (found := self._catalogue.of_host(host)) is not None]
        sure = [found for name in names if (found := self._catalogue.of_host(name[1:])) is not None]
        for host in told:
            if host in sure:
                return Place(host, trusted, True)
        if told:
            return Place(told[0], trusted, False)
        # Several names of one address: a network that many share. Its first one is as good as any.
        return Place(sure[0] if sure else None, trusted, False)

    def close(self) -> None:
        """Ends the thread once it has its present answer. May be called twice."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._questions.put(None)

    def _is_of_interest(self, host: str) -> bool:
        return self._catalogue.of_host(host) is not None or self._catalogue.is_trusted(host=host)

    def _ask(self) -> None:
        while (question := self._questions.get()) is not None:
            is_address = False
            with contextlib.suppress(ValueError):
                ipaddress.ip_address(question)
                is_address = True
            answers: list[tuple[str, str]] = []
            try:
                if is_address:
                    name = self._reverse(question)
                    # What others say of themselves recognises, but never makes a place the company's own.
                    answers = [] if name is None else [(question, "~" + name.lower())]
                else:
                    answers = [(address, "=" + question) for address in self._forward(question)]
            finally:
                with self._lock:
                    self._waiting -= 1
                    for address, name in answers:
                        self._names.setdefault(address, set()).add(name)
                        self._names.move_to_end(address)
                    while len(self._names) > MOST_NAMES:
                        self._names.popitem(last=False)


def _plain(address: str) -> str:
    return address.removeprefix("::ffff:").partition("%")[0]
