"""What every collector is: a source of observations that can be asked, resumed, stopped and closed.

Pull is the backpressure: the agent asks for the next observation only when the spool has room.
The contract suite in tests/collectors/ runs on every collector.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import ClassVar, Final, Literal, Protocol

import msgspec

from event_schema.ocsf_events import Event

NARROWED_BY: Final = "narrowed_by"


class Unsupported(Exception):
    """This host cannot run the collector. The message says why, and what to install or change; `remedy` is
    what brings it, ready to be pasted: commands, or lines of settings."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy


class Observation(msgspec.Struct, frozen=True):
    """One event, and from where to resume once it is safely on disk.

    `cursor` is opaque to the agent. It is stored only after the spool has fsynced the event; None
    says that the source has no history to resume from.
    """

    event: Event
    cursor: str | None = None


Narrowing = Literal["and", "smaller", "union", "within", "listed", "later"]


def narrowed_by(rule: Narrowing) -> msgspec.Meta:
    """Annotates a setting: how an endpoint's own file may narrow what the installation's settings ask for.

    "and": both must be true; "smaller": the smaller number; "union": the entries of both; "within": of
    both lists of folders those that lie in one of the other's; "listed": of the installation's tables those
    that the file has under the same `name` and `path`; "later": of the setting's words the one that stands
    later, which must be the lesser. The installation's value holds where a setting has none of these;
    `enabled` is "and" in every collector.
    """
    return msgspec.Meta(extra={NARROWED_BY: rule})


class Advice(msgspec.Struct, frozen=True):
    """What a collector needs of something else that is set up on this host: `about` names it in a few words.
    Where `is_met` is false, `text` says what to set; `remedy` as in Unsupported."""

    about: str
    is_met: bool
    text: str
    remedy: str = ""


class Collector(Protocol):
    """A channel. The constructor takes the collector's config struct and the host; it opens nothing."""

    name: ClassVar[str]
    """A noun, also its configuration table: "removable_storage"."""
    emits: ClassVar[tuple[type, ...]]
    """The event types it yields, and no others."""

    def check_supported(self) -> None:
        """Raises Unsupported. Cheap, leaves nothing open."""

    def observe(self, resume_from: str | None, stop: threading.Event) -> Iterator[Observation | None]:
        """Observations as they happen, from after `resume_from` where the source has history.

        Yields None at least every 0.5 s while nothing happens, so that the caller can do its work;
        ends within 1 s once `stop` is set, having yielded what was already seen. Errors propagate: the
        supervisor restarts the collector with backoff.
        """

    def dropped(self) -> Mapping[str, int]:
        """Observations that could not be kept, by reason, since construction."""

    def detail(self) -> str | None:
        """What it uses just now ("fanotify FID on /media/x"), in words for `doctor` and the heartbeat."""

    # A collector may have `advice() -> Sequence[Advice]`: what it cannot see on this host for want of
    # something else, and what would bring it. `doctor` shows it.

    # A collector may have `saved(cursor: str | None)`: where it stood at its last event on disk, told in its
    # own thread after a turn that yielded None. What it holds for events up to there may go.

    def close(self) -> None:
        """Gives everything back. May be called twice, and without observe()."""
