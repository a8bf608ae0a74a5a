"""The way from the spool to the far side: one thread that packs, ships, acknowledges and tries again.

A lone event goes at once; under load a request waits until it holds a full record, at most a second.
What the far side does not take stays in the spool, but for an event that it calls too large again and again:
that one is given up, with a loss record in its place. Heartbeats go between, and are not kept: an old one
says nothing. All waiting is by the monotonic clock, so that a jump of the wall clock delays nothing.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from typing import Literal

import msgspec

from agent.backoff import Backoff
from agent.packing import Signer
from agent.portion import Portion
from agent.shippers.contract import ShipLater, Shipper, ShipRefused, ShipRetry
from agent.spool import Spool, SpoolUnavailable
from agent.spool_reader import SpooledEvent, SpoolItem
from event_schema.control_records import Heartbeat, Loss, LossReason
from event_schema.wire import EVENTS_PER_RECORD_MAX

HEARTBEAT_SECONDS = 15.0
GATHER_SECONDS = 1.0
RETRY_CAP_SECONDS = 60.0
REFUSED_SECONDS = 60.0
REFUSED_CAP_SECONDS = 600.0
HELD_BACK_QUIET_SECONDS = 300.0
_POLL_SECONDS = 0.5
_NOT_ABOUT_THE_WAY = frozenset(("bad_request", "too_large", "spool", "internal"))
"""Faults of what was to be sent: that a heartbeat goes through is no reason to try the events again now."""

_What = Literal["events", "heartbeat"]

_log = logging.getLogger(__name__)


class ShippingState(msgspec.Struct, frozen=True):
    """For `status`: how shipping is doing. Times are the agent's clock, ms UTC."""

    to: str
    shipped_events: int
    last_success: int | None
    fault: str | None
    fault_code: str | None
    failed_heartbeats: int = 0
    """That could not even be made: a fault of the agent's own."""
    held_back: int = 0
    """How often the far side made this agent wait, for sending more than it may."""


class Way(msgspec.Struct, frozen=True):
    """With which key, and through what. Replaced whole when the key is renewed."""

    signer: Signer
    shipper: Shipper


class Shipping:
    """`heartbeat(stopping)` says how the agent is; `upkeep(way)` may give a new way (renewed key).

    Both are called from this thread. `clock_steps`: how often what there is to tell of the machine's clock
    changed; a heartbeat tells it before events go that are dated by the new time.
    """

    def __init__(
        self,
        spool: Spool,
        way: Way,
        heartbeat: Callable[[bool], Heartbeat],
        upkeep: Callable[[Way], Way],
        *,
        clock: Callable[[], int],
        clock_steps: Callable[[], int] = lambda: 0,
        retry: Backoff | None = None,
        refused: Backoff | None = None,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
    ) -> None:
        self._spool, self._way, self._heartbeat, self._upkeep = spool, way, heartbeat, upkeep
        self._clock, self._heartbeat_seconds = clock, heartbeat_seconds
        self._clock_steps, self._told_steps = clock_steps, 0
        self._retry = retry or Backoff(1.0, RETRY_CAP_SECONDS)
        self._refused = refused or Backoff(REFUSED_SECONDS, REFUSED_CAP_SECONDS)
        self._portion = Portion()
        self._asked_until = 0.0
        self._finish = threading.Event()
        self._finish_by = 0.0
        self._lock = threading.Lock()
        self._shipped_events = self._failed_heartbeats = self._failed_upkeeps = self._held_back = 0
        self._held_back_at = -HELD_BACK_QUIET_SECONDS
        self._last_success: int | None = None
        self._faults: dict[_What, tuple[str, str]] = {}
        self._thread = threading.Thread(target=self._run, name="shipping", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def finish(self, timeout: float) -> bool:
        """Tries once more to empty the spool and to say goodbye, for at most `timeout` seconds."""
        self._finish_by = time.monotonic() + timeout
        self._finish.set()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def state(self) -> ShippingState:
        with self._lock:
            code, reason = self._faults.get("events") or self._faults.get("heartbeat") or (None, None)
            to = self._way.shipper.describe()
            return ShippingState(
                to,
                self._shipped_events,
                self._last_success,
                reason,
                code,
                self._failed_heartbeats,
                self._held_back,
            )

    def _run(self) -> None:
        heartbeat_at = not_before = last_ship = 0.0
        while not self._finish.is_set():
            now = time.monotonic()
            if now >= heartbeat_at or (now >= not_before and self._clock_steps() != self._told_steps):
                # Never in step: a thousand agents that were started together would call together.
                heartbeat_at = now + self._heartbeat_seconds * random.uniform(0.8, 1.0)
                self._keep_up()
                if self._beat(stopping=False):
                    not_before = min(not_before, self._asked_until)
            if self._clock_steps() != self._told_steps:
                not_before = max(not_before, time.monotonic() + self._retry.failed())
            if now < not_before:
                self._finish.wait(min(not_before, heartbeat_at) - now)
                continue
            full = min(EVENTS_PER_RECORD_MAX, self._portion.items)
            want = full if now - last_ship < GATHER_SECONDS else 1
            patience = min(_POLL_SECONDS, max(0.0, heartbeat_at - now))
            if want > 1:
                patience = min(patience, last_ship + GATHER_SECONDS - now)
            waiting = self._spool.wait(-1, max(0.0, patience), at_least=want)
            if waiting == 0 or (waiting < want and time.monotonic() - last_ship < GATHER_SECONDS):
                continue
            not_before = time.monotonic() + self._ship_once()
            last_ship = time.monotonic()
        self._say_goodbye()
        self._way.shipper.close()

    def _keep_up(self) -> None:
        try:
            self._way = self._upkeep(self._way)
        except Exception:  # noqa: BLE001 - shipping goes on with the way that it has
            self._failed_upkeeps += 1
            _log.error("upkeep failed", exc_info=True, extra={"facts": {"times": self._failed_upkeeps}})

    def _say_goodbye(self) -> None:
        """Only where the far side answers: everything else is safe in the spool."""
        while (
            "events" not in self._faults
            and self._way_is_free()
            and time.monotonic() < self._finish_by - 1.0
            and self._spool.wait(-1, 0.0) > 0
        ):
            if self._ship_once() > 0:
                break
        if self._way_is_free():
            self._beat(stopping=True)

    def _way_is_free(self) -> bool:
        return all(code in _NOT_ABOUT_THE_WAY for code, _ in self._faults.values())

    def _ship_once(self) -> float:
        """Seconds to wait before the next try; 0 after success."""
        try:
            items = self._spool.read(-1, max_events=self._portion.items)
            shipped = self._deliver(items) if items else None
        except ShipRefused as error:
            self._failed("events", error.code, error.reason)
            return self._refused.failed()
        except ShipLater as error:
            return self._hold_back(error.not_before)
        except ShipRetry as error:
            self._failed("events", "unreachable", error.reason)
            return max(error.not_before, self._retry.failed())
        except SpoolUnavailable as error:
            self._failed("events", "spool", str(error))
            return self._retry.failed()
        except Exception as error:  # noqa: BLE001 - events stay in the spool; the agent must go on
            _log.error("shipping failed", exc_info=True)
            self._failed("events", "internal", type(error).__name__)
            return self._retry.failed()
        if shipped is not None:
            self._shipped(shipped)
        asked = self._way.shipper.asked_to_wait()
        return self._hold_back(asked) if asked else 0.0

    def _hold_back(self, seconds: float) -> float:
        """`seconds`, counted, and told where it was long ago that this happened before."""
        now = time.monotonic()
        if now - self._held_back_at >= HELD_BACK_QUIET_SECONDS:
            _log.warning("held back: more is sent than this agent may")
        self._held_back_at, self._asked_until = now, now + seconds
        with self._lock:
            self._held_back += 1
        return seconds

    def _deliver(self, items: list[SpoolItem]) -> int | None:
        """How many events the far side has now; None where to try with fewer, or after a heartbeat."""
        if self._clock_steps() != self._told_steps:
            # Some of them may be dated by a time that the far side has not heard of.
            return None
        try:
            self._way.shipper.ship(self._way.signer.records(items))
        except ShipRefused as error:
            if error.code != "too_large":
                raise
            if self._portion.cut(len(items)):
                return None
            first = items[0]
            if isinstance(first, Loss) or not self._portion.is_hopeless():
                raise
            self._give_up(first)
            return 0
        self._spool.acknowledge(_last(items))
        self._portion.went()
        return sum(1 for item in items if not isinstance(item, Loss))

    def _give_up(self, event: SpooledEvent) -> None:
        """Raises what ship() raises: where not even the loss is taken, it is not about this event."""
        loss = Loss(
            reason=LossReason.TOO_LARGE,
            first_seq=event.seq,
            count=1,
            first_time=event.time,
            last_time=event.time,
        )
        self._way.shipper.ship(self._way.signer.records([loss]))
        self._spool.acknowledge(event.seq, lost=1)
        self._portion.went()
        facts = {"seq": event.seq, "bytes": len(event.data)}
        _log.error("an event was given up: refused as too large", extra={"facts": facts})

    def _beat(self, *, stopping: bool) -> bool:
        """Whether events may be tried again at once. A lost heartbeat is not repeated: the next one comes."""
        steps = self._clock_steps()
        try:
            record = self._way.signer.heartbeat(self._heartbeat(stopping), self._spool.acknowledged)
            self._way.shipper.ship([record])
        except ShipLater:
            return False
        except (ShipRetry, ShipRefused) as error:
            code = error.code if isinstance(error, ShipRefused) else "unreachable"
            self._failed("heartbeat", code, error.reason)
            return False
        except Exception as error:  # noqa: BLE001 - a heartbeat is not worth the agent
            with self._lock:
                self._failed_heartbeats += 1
                first = self._failed_heartbeats == 1
            if first:
                _log.error("heartbeat failed", exc_info=True)
            self._failed("heartbeat", "internal", type(error).__name__)
            return False
        self._told_steps = steps
        with self._lock:
            self._last_success = self._clock()
        # That of the events stays until events went: only they prove that they go.
        self._disproved("heartbeat")
        events = self._faults.get("events")
        return events is None or events[0] not in _NOT_ABOUT_THE_WAY

    def _failed(self, what: _What, code: str, reason: str) -> None:
        with self._lock:
            new = all(known != code for known, _ in self._faults.values())
            self._faults[what] = (code, reason)
        if new:
            facts = {"of": what, "code": code, "reason": reason}
            _log.warning("shipping stands still", extra={"facts": facts})

    def _shipped(self, events: int) -> None:
        with self._lock:
            self._shipped_events += events
            self._last_success = self._clock()
        self._retry.succeeded()
        self._refused.succeeded()
        self._disproved("events", "heartbeat")

    def _disproved(self, *faults: _What) -> None:
        with self._lock:
            before = len(self._faults)
            for what in faults:
                self._faults.pop(what, None)
            goes_on = before > 0 and not self._faults
        if goes_on:
            _log.info("shipping goes on")


def _last(items: list[SpoolItem]) -> int:
    item = items[-1]
    return item.first_seq + item.count - 1 if isinstance(item, Loss) else item.seq
