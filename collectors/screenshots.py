"""Screenshot tools: that one was started, by whom. Never a picture, never where it was saved.

Told by the kernel's process events, which programs the catalogue names. A tool that lives shorter than a
look at /proc is missed and counted; a desktop that takes pictures by itself, without a program of its own,
is not seen.
"""

from __future__ import annotations

import select
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import ClassVar, Final

from collectors.contract import Observation
from collectors.linux import proc_events
from collectors.linux.process_tree import ProcessFacts, ProcessTree
from collectors.linux.user_names import UserNames
from collectors.screenshots_config import ScreenshotsConfig
from collectors.steady_clock import SteadyClock
from collectors.upload_events import actor_of
from event_schema.catalogue import load_catalogue
from event_schema.ocsf_endpoint_events import ProcessActivity, process_launch
from event_schema.ocsf_events import Event, event_metadata
from event_schema.ocsf_objects import Host
from event_schema.ocsf_unmapped import Evidence, Unmapped

__all__ = ["ScreenshotsCollector", "ScreenshotsConfig"]

_TURN_S: Final = 0.2
_SAME_MS: Final = 2_000
"""A wrapper and the program that it starts are one start."""


class ScreenshotsCollector:
    """See Collector. `clock` gives ms since 1970 UTC."""

    name: ClassVar[str] = "screenshots"
    emits: ClassVar[tuple[type, ...]] = (ProcessActivity,)

    def __init__(
        self,
        config: ScreenshotsConfig,
        host: Host,
        version: str,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        del config
        self._host = host
        self._version = version
        self._wall = clock
        self._catalogue = load_catalogue()
        self._closing = threading.Event()
        self._dropped: Counter[str] = Counter()
        self._tree: ProcessTree | None = None
        self._names: UserNames | None = None
        self._last: dict[tuple[int | None, str], int] = {}

    def check_supported(self) -> None:
        proc_events.check()

    def observe(self, resume_from: str | None, stop: threading.Event) -> Iterator[Observation | None]:
        self._closing.clear()
        clock = SteadyClock(self._wall)
        self._names = UserNames()
        self._tree = tree = ProcessTree(self._catalogue, clock.now_ms, only_launches=True)
        try:
            tree.follow()
            ready = select.poll()
            ready.register(tree.fileno(), select.POLLIN)
            while not (stop.is_set() or self._closing.is_set()):
                until = time.monotonic() + _TURN_S
                while (left := until - time.monotonic()) > 0 and not self._closing.is_set():
                    ready.poll(left * 1000)
                    tree.pump()
                yield from self._observations(tree, clock)
            if not self._closing.is_set():
                tree.pump()
                yield from self._observations(tree, clock)
        finally:
            self._release()

    def dropped(self) -> Mapping[str, int]:
        tree = self._tree
        return dict(self._dropped + Counter({} if tree is None else tree.dropped()))

    def detail(self) -> str | None:
        return None if self._tree is None else "starts of screenshot tools: process events"

    def close(self) -> None:
        self._closing.set()
        self._release()

    def _observations(self, tree: ProcessTree, clock: SteadyClock) -> Iterator[Observation | None]:
        told = False
        for facts in tree.launches():
            if facts.application is None or facts.application.kind != "screenshot_tool":
                continue
            same = (facts.uid, facts.application.id)
            before = self._last.get(same)
            self._last[same] = facts.started_ms
            if before is not None and facts.started_ms - before < _SAME_MS:
                continue
            told = True
            yield Observation(self._event(facts, clock.wall_ms(facts.started_ms)))
        if not told:
            yield None

    def _event(self, facts: ProcessFacts, at_ms: int) -> Event:
        name = None if self._names is None else self._names.name(facts.uid)
        actor = actor_of(facts.uid, name, facts.pid, facts.executable, facts.login_uid)
        assert actor.process is not None
        return process_launch(
            time=max(0, at_ms),
            metadata=event_metadata(self.name, self._version),
            actor=actor,
            device=self._host,
            process=actor.process,
            unmapped=Unmapped(
                evidence=Evidence(fidelity="exact", observed_by="proc_events", actor_from="proc_events")
            ),
        )

    def _release(self) -> None:
        tree, names = self._tree, self._names
        self._tree = self._names = None
        if tree is not None:
            self._dropped.update(tree.dropped())
            tree.close()
        if names is not None:
            names.close()
        self._last.clear()
