"""The agent as a whole: collectors into the spool, the spool to the far side, until it is told to stop.

Order of stopping, within ten seconds: collectors end and hand on what they saw, the writer syncs it to
the spool, shipping tries once more where the far side answers, the spool closes. What was not shipped
waits in the spool for the next start.
"""

from __future__ import annotations

import logging
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Sequence
from types import FrameType

import msgspec

from agent.clock_steps import ClockSteps
from agent.collector_registry import COLLECTORS, CollectorKind
from agent.collector_set import CollectorSet, Enabled
from agent.config import AgentConfig, enabled_collectors
from agent.enrolment import EnrolmentFailed, ServerAway, renew
from agent.footprint import own_footprint
from agent.host import this_host
from agent.identity import IdentityError, KafkaLog, load_identity
from agent.json_log import clock_ms
from agent.packing import Signer
from agent.settings_keeper import SettingsKeeper
from agent.shippers.choose import make_shipper
from agent.shipping import Shipping, Way
from agent.spool import Spool
from agent.spool_writer import SpoolWriter
from agent.status_file import AgentStatus, write_status
from agent.supervisor import DETAIL_CHARACTERS
from agent.switched_off import SwitchedOff
from agent.version import agent_version
from agent.watched_days import WatchedDays, owner_of
from event_schema.control_records import CollectorState, Heartbeat
from event_schema.ocsf_objects import Host

COLLECTORS_STOP_SECONDS = 3.0
WRITER_STOP_SECONDS = 3.0
SHIPPING_STOP_SECONDS = 2.5
STATUS_SECONDS = 5.0
RENEWAL_RETRY_SECONDS = 3600.0
RENEWAL_AWAY_SECONDS = 30.0
"""A server that does not answer is asked again sooner than one that refuses."""

_NAMED_AFTER_PEOPLE = re.compile(r"(/run/media|/media|/home)/[^/;,\s]+")

_log = logging.getLogger(__name__)


def without_people(text: str) -> str:
    """Folders that are called after a person, without the name: "/media/…/STICK"."""
    return _NAMED_AFTER_PEOPLE.sub(r"\1/…", text)


class Agent:
    """Everything that runs. Made for one run()."""

    def __init__(
        self,
        config: AgentConfig,
        *,
        kinds: Sequence[CollectorKind] = COLLECTORS,
        clock: Callable[[], int] = clock_ms,
    ) -> None:
        """Raises NotEnrolled, IdentityError, ConfigError, ShipperUnusable, SpoolLocked, OSError."""
        self._config, self._clock = config, clock
        self._identity = load_identity(config.state_dir)
        shipper = make_shipper(self._identity, config.shipper)
        self._spool = Spool(
            config.state_dir / "spool",
            max_bytes=config.spool.max_bytes,
            segment_bytes=config.spool.segment_bytes,
        )
        self._started_at = clock()
        self._version = agent_version()
        self._stop = threading.Event()
        self._watched_days = WatchedDays(config.state_dir, owner_of(self._identity, self._spool.epoch))
        self._clock_steps = ClockSteps(clock, self._spool.stats().next_seq)
        self._writer = SpoolWriter(self._spool, self._clock_steps)
        facts = self._identity.facts
        host = this_host(facts.agent)
        self._kinds = kinds
        self._settings = SettingsKeeper(config, config.state_dir, lambda: self._identity, kinds)
        self._settings_changed = threading.Event()
        in_force = self._settings.config
        enabled = enabled_collectors(in_force, kinds)
        self._collectors = self._collector_set(host, enabled, in_force)
        way = Way(Signer(self._identity.key, facts.agent, self._spool.epoch), shipper)
        self._renew_not_before = 0.0
        self._failed_statuses = 0
        self._shipping = Shipping(
            self._spool,
            way,
            self.heartbeat,
            self._renew_when_due,
            clock=clock,
            clock_steps=lambda: self._clock_steps.changes,
        )

    def _collector_set(self, host: Host, enabled: Enabled, config: AgentConfig) -> CollectorSet:
        off = SwitchedOff(config.state_dir, self._spool.cursor)
        running = {kind.name for kind, _ in enabled}
        for kind in self._kinds:
            if kind.name not in running:
                off.note(kind.name, self._spool.cursor(kind.name))
        return CollectorSet(
            host,
            self._version,
            self._writer.hand_on,
            off.resume_from,
            enabled,
            config.shared,
            off.note,
        )

    def run(self) -> None:
        """Until SIGTERM or SIGINT, or stop() from another thread. Only from the main thread."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        _log.info("agent started", extra={"facts": {"version": self._version, "epoch": self._spool.epoch}})
        self._writer.start()
        self._collectors.start()
        self._shipping.start()
        keeper = threading.Thread(
            target=self._settings.run,
            args=(self._on_settings, self._stop),
            name="settings",
            daemon=True,
        )
        keeper.start()
        status_at = 0.0
        while not self._stop.is_set():
            if time.monotonic() >= status_at:
                status_at = time.monotonic() + STATUS_SECONDS
                self._write_status()
            if self._settings_changed.wait(max(0.0, status_at - time.monotonic())):
                self._settings_changed.clear()
                self._use_settings()
        self._collectors.stop()
        self._finish()

    def stop(self) -> None:
        self._stop.set()
        self._settings_changed.set()

    def _use_settings(self) -> None:
        if self._stop.is_set():
            return
        config = self._settings.config
        if not self._collectors.replace(enabled_collectors(config, self._kinds), config.shared):
            self._settings_changed.set()

    def _on_settings(self) -> None:
        _log.info("other settings hold", extra={"facts": {"version": self._settings.state.version}})
        self._settings_changed.set()

    def heartbeat(self, stopping: bool) -> Heartbeat:
        """How the agent is just now."""
        stats = self._spool.stats()
        self._clock_steps.look()
        now = self._clock()
        states = self._collectors.states()
        running = [state.name for state in states if state.state == "running"]
        self._watched_days.look(running, self._identity.facts, now=now)
        footprint = own_footprint()
        settings = self._settings.state
        return Heartbeat(
            sent_at=now,
            version=self._version,
            next_seq=stats.next_seq,
            backlog_events=stats.backlog_events,
            backlog_bytes=stats.backlog_bytes,
            lost_events=stats.lost_events,
            collectors=tuple(self._as_told(state) for state in states),
            oldest_unsent=stats.oldest_unsent,
            stopping=stopping or None,
            failed_reports=self._failed_statuses + self._shipping.state().failed_heartbeats,
            clock_steps=self._clock_steps.recent(),
            cpu_seconds=None if footprint is None else footprint.cpu_seconds,
            memory_bytes=None if footprint is None else footprint.memory_bytes,
            settings_version=settings.version,
            settings_problem=None if settings.problem is None else without_people(settings.problem),
        )

    def _as_told(self, state: CollectorState) -> CollectorState:
        """With the days it watched. One that waits for a full disk says so, and nobody is named by a mount
        under their name."""
        words = [text for text in (self._writer.fault(), state.detail) if text is not None]
        detail = without_people("; ".join(words))[:DETAIL_CHARACTERS] if words else None
        return msgspec.structs.replace(state, detail=detail, days_watched=self._watched_days.of(state.name))

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.stop()

    def _finish(self) -> None:
        late = self._collectors.join(COLLECTORS_STOP_SECONDS)
        if late:
            _log.error("collectors did not stop in time", extra={"facts": {"collectors": late}})
        saved = self._writer.finish(WRITER_STOP_SECONDS)
        said = self._shipping.finish(SHIPPING_STOP_SECONDS)
        self._write_status()
        stats = self._spool.stats()
        self._spool.close()
        facts = {"backlog_events": stats.backlog_events, "saved": saved, "shipping_ended": said}
        _log.info("agent stopped", extra={"facts": facts})

    def _write_status(self) -> None:
        try:
            write_status(self._config.state_dir, self._status())
        except OSError:
            _log.debug("status cannot be written", exc_info=True)
        except Exception:  # noqa: BLE001 - what the agent says about itself is not worth the agent
            self._failed_statuses += 1
            if self._failed_statuses == 1:
                _log.error("status failed", exc_info=True)

    def _status(self) -> AgentStatus:
        return AgentStatus(
            agent=self._identity.facts.agent,
            pid=os.getpid(),
            started_at=self._started_at,
            written_at=self._clock(),
            epoch=self._spool.epoch,
            certificate_until=self._identity.facts.not_after,
            heartbeat=self.heartbeat(self._stop.is_set()),
            shipping=self._shipping.state(),
        )

    def _shut_out_of_kafka(self) -> bool:
        """The brokers refuse this agent. If the answer to its last renewal was lost, another helps."""
        on_kafka = isinstance(self._identity.facts.log, KafkaLog)
        return on_kafka and self._shipping.state().fault_code == "unauthorised"

    def _renew_when_due(self, way: Way) -> Way:
        """The same way, or one with a new key. Runs on the shipping thread."""
        now = time.monotonic()
        due = self._clock() >= self._identity.facts.renew_at or self._shut_out_of_kafka()
        if not due or now < self._renew_not_before:
            return way
        # Where new credentials do not help either, they are not asked for all the time.
        self._renew_not_before = now + RENEWAL_RETRY_SECONDS
        try:
            identity = renew(self._identity, self._config.state_dir, timeouts=self._config.shipper)
        except (EnrolmentFailed, IdentityError, OSError) as error:
            if isinstance(error, ServerAway):
                self._renew_not_before = now + RENEWAL_AWAY_SECONDS
            reason = str(error) if isinstance(error, EnrolmentFailed) else type(error).__name__
            _log.error("the certificate was not renewed", extra={"facts": {"reason": reason}})
            return way
        self._identity = identity
        _log.info("certificate renewed", extra={"facts": {"until": identity.facts.not_after}})
        shipper = make_shipper(identity, self._config.shipper)
        way.shipper.close()
        return Way(Signer(identity.key, identity.facts.agent, self._spool.epoch), shipper)
