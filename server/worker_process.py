"""`leaver worker`: the pipeline alone, for a share of a log on Kafka, into a database on PostgreSQL.

Any number run at once, beside one `leaver up` that does the rest; the consumer group shares the partitions
out. It ends like `leaver up`, within STOP_SECONDS; its partitions wait for it to come back under its name
before others get them.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable

from server.installation import Installation
from server.log.contract import WorkerReplaced
from server.pipeline.worker import PipelineWorker
from server.store.database import StoreUnavailable
from server.supervision import SupervisedThread

STOP_SECONDS = 4.5
_LOOK_SECONDS = 0.2

_logger = logging.getLogger("leaver.server")

Say = Callable[[str], None]


class WorkerFailed(Exception):
    """It must not go on; the message says why."""


def run_worker(installation: Installation, name: str, *, stop: threading.Event, say: Say) -> None:
    """Runs until `stop` is set. Raises LogUnavailable before it began; WorkerFailed later."""
    installation.prepare_log()
    log = installation.open_log()
    try:
        share = installation.open_share(log, name)
        worker = PipelineWorker(
            installation.database,
            log,
            clock=installation.clock,
            share=share,
            events_days=installation.config.retention.events_days,
            seal_key=installation.seal_key("leaver worker"),
        )
        replaced: list[WorkerReplaced] = []

        def work(stop_part: threading.Event) -> None:
            try:
                worker.run(stop_part)
            except WorkerReplaced as error:
                replaced.append(error)
                stop_part.wait()

        pipeline = SupervisedThread("pipeline", work)
        pipeline.start()
        config = installation.config
        say(f"worker     {name}")
        say(f"database   {installation.database.dialect}, {installation.database.place}")
        say(f"log        kafka, {config.log.topic} at {', '.join(config.log.bootstrap)}")
        say("ready      stop with Ctrl-C")
        deadline = 0.0
        try:
            while not stop.wait(_LOOK_SECONDS):
                if replaced:
                    raise WorkerFailed(str(replaced[0]))
        finally:
            deadline = time.monotonic() + STOP_SECONDS
            pipeline.stop()
            if pipeline.join(deadline - time.monotonic()) and not replaced:
                with contextlib.suppress(StoreUnavailable):
                    worker.end()
    finally:
        log.close()
