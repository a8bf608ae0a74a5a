"""Which partitions a worker holds: its share of the log, and the fence and position of each in the database.

The share says which are this worker's, the fence makes it so: taking one over raises its fence, and what
an earlier holder still tries to commit changes no row. A worker that finds itself fenced out holds nothing
any more, and takes over anew what is still its share.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from server.log.contract import EventLog, PartitionShare
from server.pipeline.commit import claim_positions
from server.store.database import Database

_logger = logging.getLogger("leaver.pipeline")


class HeldPartitions:
    def __init__(self, database: Database, log: EventLog, share: PartitionShare) -> None:
        self._database = database
        self._log = log
        self._share = share
        self._held: dict[int, tuple[int, int]] = {}

    @property
    def name(self) -> str | None:
        return self._share.name

    @property
    def held(self) -> Mapping[int, tuple[int, int]]:
        """(fence, next offset) by partition."""
        return self._held

    @property
    def positions(self) -> dict[int, int]:
        """Next offset by partition."""
        return {partition: next_offset for partition, (_, next_offset) in self._held.items()}

    def settle(self) -> bool:
        """Lets go what is not this worker's share any more, takes over what has become it. Whether anything
        changed. Raises LogUnavailable, StoreUnavailable, WorkerReplaced."""
        share = self._share.owned()
        if share == self._held.keys():
            return False
        for partition in self._held.keys() - share:
            del self._held[partition]
        new = share - self._held.keys()
        if new:
            firsts = self._log.first_offsets()
            with self._database.begin(alone=False, brief=True) as connection:
                claimed = claim_positions(connection, {partition: firsts[partition] for partition in new})
            self._held.update(claimed)
        if self.name is not None:
            _logger.info("partitions", extra={"held": sorted(self._held)})
        return True

    def moved(self, positions: Mapping[int, int]) -> None:
        """A commit moved these partitions' positions."""
        for partition, next_offset in positions.items():
            self._held[partition] = (self._held[partition][0], next_offset)

    def let_go(self) -> None:
        """Nothing is certain any more: the next `settle` takes over anew."""
        self._held.clear()

    def close(self) -> None:
        """The share stays this worker's for a while, in case it comes back."""
        self._held.clear()
        self._share.close()
