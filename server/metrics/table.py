"""Every metric that Leaver shows, in one list: docs/metrics.md is made from it, and nothing else is emitted.

Labels have closed sets of values: never the name of a person, account, agent, host or file.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from event_schema.control_records import LossReason
from event_schema.wire import Rejected
from policies.correlation.correlator import Counts
from server.agents.health import SETTINGS_FINDINGS
from server.pipeline.agent_state import FindingKind
from server.status_types import SCORE_BANDS


class MetricKind(StrEnum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Metric(msgspec.Struct, frozen=True):
    """`name` as it is scraped (a counter's ends with _total). `labels`: what values each may have; an
    empty set: those of the server's routes."""

    name: str
    kind: MetricKind
    unit: str
    help: str
    labels: dict[str, tuple[str, ...]] = {}


AGENT_STATES = ("invited", "enrolled", "silent", "stopped", "revoked")
LOOPS = ("https", "http", "pipeline", "housekeeping", "looking back", "training", "one server")
"""`http` is a worker's; `one server` looks whether another server took the database over."""
Labels = dict[str, tuple[str, ...]]
_REASON: Labels = {"reason": tuple(reason.value for reason in Rejected)}
_LOSS: Labels = {"reason": tuple(reason.value for reason in LossReason)}
_BOUND: Labels = {"reason": Counts.__struct_fields__}
_SCORE: Labels = {"score": tuple(SCORE_BANDS)}
_LOOP: Labels = {"loop": LOOPS}
_COUNTER, _GAUGE, _HISTOGRAM = MetricKind.COUNTER, MetricKind.GAUGE, MetricKind.HISTOGRAM

COUNTED = (
    Metric("leaver_records_total", _COUNTER, "records", "Records that the pipeline worked through."),
    Metric("leaver_events_total", _COUNTER, "events", "New events that the pipeline took in."),
    Metric("leaver_duplicate_events_total", _COUNTER, "events", "Events that came again; they count once."),
    Metric("leaver_erased_events_total", _COUNTER, "events", "New events of erased accounts; not stored."),
    Metric(
        "leaver_uses_dropped_total", _COUNTER, "uses", "Users of a machine or address with 256; not noted."
    ),
    Metric(
        "leaver_sessions_dropped_total",
        _COUNTER,
        "sessions",
        "Older ones of accounts with 256; not looked at, in each batch.",
    ),
    Metric(
        "leaver_dead_letters_total", _COUNTER, "letters", "Records or events that were set aside.", _REASON
    ),
    Metric("leaver_events_lost_total", _COUNTER, "events", "Events that agents say they had to drop.", _LOSS),
    Metric(
        "leaver_correlations_dropped_total",
        _COUNTER,
        "events or groups",
        "What correlations left out, by the bound that was met; suppressed alerts.",
        _BOUND,
    ),
    Metric("leaver_alerts_opened_total", _COUNTER, "alerts", "Alerts opened, by their first score.", _SCORE),
    Metric(
        "leaver_alerts_withdrawn_total",
        _COUNTER,
        "alerts",
        "Open alerts that stronger ones of their days put out: held since.",
    ),
    Metric("leaver_batch_seconds", _HISTOGRAM, "seconds", "From records in hand to their commit."),
    Metric("leaver_batch_failures_total", _COUNTER, "batches", "Batches not committed, and done again."),
    Metric(
        "leaver_batch_conflicts_total",
        _COUNTER,
        "batches",
        "Batches worked out again, since another worker was faster.",
    ),
    Metric("leaver_log_failures_total", _COUNTER, "reads", "Times that the log could not be read."),
)
"""Since this process started; of its pipeline."""

SEEN = (
    Metric("leaver_events_stored", _GAUGE, "events", "Events in the database."),
    Metric("leaver_lag_records", _GAUGE, "records", "Records on the log that the pipeline has yet to read."),
    Metric("leaver_oldest_waiting_seconds", _GAUGE, "seconds", "Age of the oldest of them; 0: none waits."),
    Metric("leaver_log_up", _GAUGE, "0 or 1", "Whether the log answers."),
    Metric("leaver_dead_letters", _GAUGE, "letters", "Dead letters that are kept.", _REASON),
    Metric("leaver_alerts_open", _GAUGE, "alerts", "Open alerts, by score.", _SCORE),
    Metric("leaver_agents", _GAUGE, "agents", "Agents, by state.", {"state": AGENT_STATES}),
    Metric(
        "leaver_agents_with_finding",
        _GAUGE,
        "agents",
        "Agents about which something of this kind is open.",
        {"kind": (*(kind.value for kind in FindingKind), *SETTINGS_FINDINGS)},
    ),
    Metric("leaver_missing_events", _GAUGE, "events", "Numbers that never came, over all agents (gaps)."),
    Metric("leaver_agents_backlog_events", _GAUGE, "events", "Events in agents' spools, as they last said."),
    Metric("leaver_database_bytes", _GAUGE, "bytes", "Size of the database."),
    Metric("leaver_log_bytes", _GAUGE, "bytes", "Size of the embedded log; not there with Kafka."),
    Metric("leaver_disk_free_bytes", _GAUGE, "bytes", "Free space where the data directory lies."),
    Metric(
        "leaver_oldest_day_timestamp_seconds",
        _GAUGE,
        "seconds",
        "Beginning of the oldest day with events; 0: none.",
    ),
    Metric("leaver_retention_seconds", _GAUGE, "seconds", "So long events are kept, as it is set."),
    Metric(
        "leaver_next_drop_timestamp_seconds", _GAUGE, "seconds", "When old data is dropped next; 0: unknown."
    ),
    Metric(
        "leaver_last_drop_timestamp_seconds", _GAUGE, "seconds", "When old data was dropped last; 0: unknown."
    ),
    Metric(
        "leaver_last_erasure_timestamp_seconds",
        _GAUGE,
        "seconds",
        "When the last erasure was finished; 0: none.",
    ),
    Metric("leaver_erasures_unfinished", _GAUGE, "erasures", "Erasures that were begun and not finished."),
    Metric("leaver_erased_accounts", _GAUGE, "accounts", "Erased accounts whose late events are dropped."),
    Metric(
        "leaver_model_trained_timestamp_seconds",
        _GAUGE,
        "seconds",
        "When the model in use was made; 0: none.",
    ),
    Metric("leaver_training_failed", _GAUGE, "0 or 1", "Whether the last training failed."),
    Metric("leaver_loop_up", _GAUGE, "0 or 1", "Whether this loop of the process runs and turns.", _LOOP),
    Metric("leaver_loop_turned_seconds", _GAUGE, "seconds", "Since the loop turned last.", _LOOP),
    Metric("leaver_loop_restarts_total", _COUNTER, "restarts", "How often the loop failed.", _LOOP),
    Metric(
        "leaver_http_requests_total",
        _COUNTER,
        "requests",
        "Answers, by route and status.",
        {"method": (), "route": (), "status": ()},
    ),
    Metric("leaver_enrolments_failed_total", _COUNTER, "requests", "Enrolments that were refused."),
    Metric("leaver_throttled_total", _COUNTER, "requests", "Requests of agents that sent too much."),
)
"""From the installation's snapshot (server/status.py), the same that `leaver status` shows."""

LOOP_METRICS = tuple(metric for metric in SEEN if metric.labels is _LOOP)
"""Those of SEEN that are about the process itself."""

WORKER = (
    Metric(
        "leaver_partitions_held",
        _GAUGE,
        "partitions",
        "Partitions of the log that this worker works on.",
    ),
)
"""Of a `leaver worker`, beside COUNTED, LOOP_METRICS and PROCESS."""

PROCESS = (
    Metric("process_start_time_seconds", _GAUGE, "seconds", "When the process started."),
    Metric("process_cpu_seconds_total", _COUNTER, "seconds", "CPU time of the process."),
    Metric("process_resident_memory_bytes", _GAUGE, "bytes", "Memory in use (RSS)."),
    Metric("process_virtual_memory_bytes", _GAUGE, "bytes", "Address space in use."),
    Metric("process_open_fds", _GAUGE, "files", "Open file descriptors."),
    Metric("process_max_fds", _GAUGE, "files", "Most that may be open."),
)
"""What prometheus-client knows of every process."""

METRICS = (*COUNTED, *SEEN, *WORKER, *PROCESS)
