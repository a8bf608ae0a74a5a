"""The metrics of one process: its own registry, the pipeline's counters, and what is seen at each scrape: the
whole installation (`leaver up`) or the process itself (`leaver worker`)."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from server.metrics.table import COUNTED, MetricKind
from server.pipeline.observer import BatchDone
from server.pulse import Pulse
from server.status_types import score_band

BATCH_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class PipelineMetrics:
    """A PipelineObserver that counts, and beats the pipeline's pulse."""

    def __init__(self, registry: CollectorRegistry, pulse: Pulse) -> None:
        self._pulse = pulse
        self._counters: dict[str, Counter] = {}
        for metric in COUNTED:
            if metric.kind is MetricKind.HISTOGRAM:
                self._seconds = Histogram(metric.name, metric.help, buckets=BATCH_SECONDS, registry=registry)
                continue
            counter = Counter(metric.name, metric.help, tuple(metric.labels), registry=registry)
            self._counters[metric.name] = counter
            # Shown as 0 from the start, so that a first failure is a rise.
            for value in next(iter(metric.labels.values()), ()):
                counter.labels(value)

    def turned(self) -> None:
        self._pulse.beat()

    def batch_done(self, done: BatchDone) -> None:
        self._add("leaver_records_total", done.records)
        self._add("leaver_events_total", done.events)
        self._add("leaver_duplicate_events_total", done.duplicates)
        self._add("leaver_erased_events_total", done.erased)
        self._add("leaver_uses_dropped_total", done.uses_dropped)
        self._add("leaver_sessions_dropped_total", done.sessions_dropped)
        for reason, number in done.reasons.items():
            self._add("leaver_dead_letters_total", number, reason)
        for reason, number in done.lost.items():
            self._add("leaver_events_lost_total", number, reason)
        for bound, number in done.correlations_dropped.items():
            self._add("leaver_correlations_dropped_total", number, bound)
        for score in done.alerts_opened:
            self._add("leaver_alerts_opened_total", 1, score_band(score))
        self._add("leaver_alerts_withdrawn_total", done.alerts_withdrawn)
        self._add("leaver_batch_conflicts_total", done.conflicts)
        self._seconds.observe(done.seconds)

    def batch_failed(self) -> None:
        self._add("leaver_batch_failures_total", 1)

    def log_failed(self) -> None:
        self._add("leaver_log_failures_total", 1)

    def _add(self, name: str, number: int, *labels: str) -> None:
        counter = self._counters[name]
        (counter.labels(*labels) if labels else counter).inc(number)


class _WithoutBirths(Collector):
    """A registry's metrics without the time at which each counter was made: every one costs a line for
    each combination of labels, and nobody asks."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        for family in self._registry.collect():
            family.samples = [sample for sample in family.samples if not sample.name.endswith("_created")]
            yield family


class ProcessMetrics:
    """`pipeline` observes the worker. `render()` is what a scrape gets."""

    def __init__(self, seen: Collector, *, pipeline_pulse: Pulse) -> None:
        # Not the library's global registry: two servers in one process share nothing.
        self._registry = CollectorRegistry(auto_describe=False)
        counted = CollectorRegistry(auto_describe=False)
        self.pipeline = PipelineMetrics(counted, pipeline_pulse)
        self._registry.register(_WithoutBirths(counted))
        ProcessCollector(registry=self._registry)
        self._registry.register(seen)

    def render(self) -> bytes:
        return generate_latest(self._registry)
