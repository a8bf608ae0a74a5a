"""A snapshot of the installation as Prometheus metrics. Keeps nothing: each scrape reads anew."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from server.metrics.table import AGENT_STATES, LOOP_METRICS, SEEN, WORKER, Metric, MetricKind
from server.process_state import ProcessState
from server.status_types import Status
from server.supervision import PartState

Family = CounterMetricFamily | GaugeMetricFamily
Values = Mapping[tuple[str, ...], float]
_DAY_SECONDS = 86_400


class SnapshotMetrics(Collector):
    """A prometheus_client collector."""

    def __init__(self, snapshot: Callable[[], Status]) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterator[Family]:
        status = self._snapshot()
        values = {**_installation(status), **_agents(status)}
        if status.process is not None:
            values |= _process(status.process)
        return _families(SEEN, values)


class WorkerMetrics(Collector):
    """A prometheus_client collector, for a `leaver worker`: its loops, and how many partitions it holds."""

    def __init__(self, parts: Callable[[], Mapping[str, PartState]], partitions: Callable[[], int]) -> None:
        self._parts = parts
        self._partitions = partitions

    def collect(self) -> Iterator[Family]:
        values = {**_loops(self._parts()), "leaver_partitions_held": _one(self._partitions())}
        return _families((*LOOP_METRICS, *WORKER), values)


def _families(metrics: Iterable[Metric], values: Mapping[str, Values]) -> Iterator[Family]:
    for metric in metrics:
        family = (
            CounterMetricFamily(metric.name, metric.help, labels=tuple(metric.labels))
            if metric.kind is MetricKind.COUNTER
            else GaugeMetricFamily(metric.name, metric.help, labels=tuple(metric.labels))
        )
        shown = dict(values.get(metric.name, {}))
        if len(metric.labels) == 1 and metric.name in values and metric not in LOOP_METRICS:
            # Zero is said, not left out; but a loop that this process does not have is not down.
            (known,) = metric.labels.values()
            shown = {(value,): 0.0 for value in known} | shown
        for labels, value in shown.items():
            family.add_metric(labels, value)
        yield family


def _one(value: float | None) -> Values:
    return {} if value is None else {(): float(value)}


def _installation(status: Status) -> dict[str, Values]:
    log, kept, training = status.log, status.retention, status.training
    erased = status.erasures
    waiting = 0 if log.oldest_waiting_at is None else (status.at - log.oldest_waiting_at) / 1000
    return {
        "leaver_events_stored": _one(status.events_stored),
        "leaver_lag_records": _one(log.lag),
        "leaver_oldest_waiting_seconds": _one(None if log.fault is not None else max(0.0, waiting)),
        "leaver_log_up": _one(log.fault is None),
        "leaver_dead_letters": {(reason,): number for reason, number in status.dead_letters.items()},
        "leaver_alerts_open": {(band,): number for band, number in status.alerts_open.items()},
        "leaver_database_bytes": _one(status.storage.database),
        "leaver_log_bytes": _one(status.storage.log),
        "leaver_disk_free_bytes": _one(status.storage.disk_free),
        "leaver_oldest_day_timestamp_seconds": _one((kept.oldest_day or 0) * _DAY_SECONDS),
        "leaver_retention_seconds": _one(kept.events_days * _DAY_SECONDS),
        "leaver_next_drop_timestamp_seconds": _one((kept.next_drop_at or 0) / 1000),
        "leaver_last_drop_timestamp_seconds": _one((kept.last_drop.at if kept.last_drop else 0) / 1000),
        "leaver_last_erasure_timestamp_seconds": _one((erased.last_at or 0) / 1000),
        "leaver_erasures_unfinished": _one(erased.unfinished),
        "leaver_erased_accounts": _one(erased.accounts),
        "leaver_model_trained_timestamp_seconds": _one((training.trained_at or 0) / 1000),
        "leaver_training_failed": _one(training.fault is not None),
    }


def _agents(status: Status) -> dict[str, Values]:
    states = dict.fromkeys(AGENT_STATES, 0)
    kinds: dict[tuple[str, ...], float] = {}
    missing = backlog = 0
    for agent in status.agents:
        states[agent.state] += 1
        backlog += agent.backlog_events or 0
        for finding in agent.findings:
            kinds[finding.kind,] = kinds.get((finding.kind,), 0) + 1
            missing += finding.count if finding.kind == "gap" else 0
    return {
        "leaver_agents": {(state,): number for state, number in states.items()},
        "leaver_agents_with_finding": kinds,
        "leaver_missing_events": _one(missing),
        "leaver_agents_backlog_events": _one(backlog),
    }


def _loops(parts: Mapping[str, PartState]) -> dict[str, Values]:
    return {
        "leaver_loop_up": {(name,): part.state == "running" for name, part in parts.items()},
        "leaver_loop_turned_seconds": {(name,): part.turned or 0 for name, part in parts.items()},
        "leaver_loop_restarts_total": {(name,): part.restarts for name, part in parts.items()},
    }


def _process(process: ProcessState) -> dict[str, Values]:
    requests: dict[tuple[str, ...], float] = {
        tuple(key.split(" ")): number for key, number in process.requests.items()
    }
    return {
        **_loops(process.parts),
        "leaver_http_requests_total": requests,
        "leaver_enrolments_failed_total": _one(
            sum(
                number
                for (_, route, status), number in requests.items()
                if route == "/v1/enrol" and status != "200"
            )
        ),
        "leaver_throttled_total": _one(requests.get(("POST", "/v1/records", "429"), 0)),
    }
