"""What the pipeline tells whoever watches it: turns of its loop, batches done, batches that failed."""

from __future__ import annotations

from typing import Protocol

import msgspec


class BatchDone(msgspec.Struct, frozen=True):
    """What one committed batch did. `events`: new ones. `reasons`: dead letters by reason; `lost`: events
    that agents told to have dropped, by reason; `alerts_opened`: their scores; `alerts_withdrawn`: how many
    open ones stronger ones put out; `conflicts`: how often it was worked out again, since another worker
    changed what it was worked out from; `erased`: new events of erased accounts, which were dropped;
    `correlations_dropped`: what bounds of correlations dropped, by which; `uses_dropped`: uses of machines
    and addresses of a crowd, not noted; `sessions_dropped`: sessions of very busy accounts, not looked at."""

    records: int
    events: int
    dead_letters: int
    duplicates: int = 0
    reasons: dict[str, int] = {}
    lost: dict[str, int] = {}
    alerts_opened: tuple[int, ...] = ()
    alerts_withdrawn: int = 0
    seconds: float = 0.0
    conflicts: int = 0
    erased: int = 0
    correlations_dropped: dict[str, int] = {}
    uses_dropped: int = 0
    sessions_dropped: int = 0


class PipelineObserver(Protocol):
    """Called from the pipeline's thread; must neither block nor raise."""

    def turned(self) -> None:
        """The loop begins another turn."""

    def batch_done(self, done: BatchDone) -> None:
        """A batch is committed."""

    def batch_failed(self) -> None:
        """A batch was not committed; it is done again."""

    def log_failed(self) -> None:
        """The log could not be read; it is asked again."""


class Unobserved:
    """Nobody watches."""

    def turned(self) -> None:
        return

    def batch_done(self, done: BatchDone) -> None:
        return

    def batch_failed(self) -> None:
        return

    def log_failed(self) -> None:
        return
