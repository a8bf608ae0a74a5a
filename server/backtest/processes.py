"""The shares of a back-test in processes of their own, one a core; this one adds up what they found.

They are begun anew (spawn), with nothing of this one's: each opens the database for itself. Ctrl-C is this
process's alone; whatever ends it ends them, and one whose parent is gone ends with its next word to it. They
write nothing, to the database or elsewhere.
"""

from __future__ import annotations

import gc
import multiprocessing
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Final

from server.backtest.report import Totals
from server.backtest.share_work import Cancelled, Task, work
from server.store.database import StoreUnavailable, open_database

_LOOK_SECONDS: Final = 0.2
_END_SECONDS: Final = 5.0

Message = int | Totals | str
"""So many blocks more; what was found, the last one; why it cannot go on, the last one."""


class BacktestFailed(Exception):
    """A process of it failed; the message says how."""


def in_processes(
    url: str, tasks: Sequence[Task], *, progress: Callable[[int], None], stop: threading.Event
) -> Totals:
    """`url`: of the database. Raises Cancelled, BacktestFailed; whatever it raises, they have ended."""
    totals = Totals()
    with _started(url, tasks) as running:
        waiting = dict(running)
        while waiting:
            if stop.is_set():
                raise Cancelled
            for ready in wait(list(waiting), timeout=_LOOK_SECONDS):
                assert isinstance(ready, Connection)
                message = _received(ready, waiting[ready])
                match message:
                    case int():
                        progress(message)
                    case Totals():
                        totals.add(message)
                        del waiting[ready]
                    case _:
                        raise BacktestFailed(message)
    return totals


def _received(pipe: Connection, process: BaseProcess) -> Message:
    try:
        message: Message = pipe.recv()
    except EOFError:
        process.join(_END_SECONDS)
        raise BacktestFailed(f"one of its processes ended with code {process.exitcode}") from None
    return message


@contextmanager
def _started(url: str, tasks: Sequence[Task]) -> Iterator[list[tuple[Connection, BaseProcess]]]:
    context = multiprocessing.get_context("spawn")
    running: list[tuple[Connection, BaseProcess]] = []
    # They inherit what is blocked here: a Ctrl-C is not theirs.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        try:
            for task in tasks:
                here, there = context.Pipe(duplex=False)
                process: BaseProcess = context.Process(target=_run, args=(url, task, there), daemon=True)
                process.start()
                there.close()
                running.append((here, process))
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        yield running
    finally:
        for _, process in running:
            process.terminate()
        until = time.monotonic() + _END_SECONDS
        for pipe, process in running:
            process.join(max(0.0, until - time.monotonic()))
            if process.is_alive():
                process.kill()
                process.join()
            pipe.close()


def _run(url: str, task: Task, pipe: Connection) -> None:
    database = open_database(url, clock=lambda: time.time_ns() // 1_000_000)
    try:
        compared = task.rules.difference()
        # What is there by now stays: the collector need not look through it again and again.
        gc.collect()
        gc.freeze()
        pipe.send(work(database, task, compared, progress=pipe.send, stopped=lambda: False))
    except StoreUnavailable as error:
        pipe.send(str(error))
    except BrokenPipeError:
        # Nobody waits for it any more.
        return
    finally:
        database.close()
