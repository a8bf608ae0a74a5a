"""The list of metrics: sound names, closed labels, and a page that is made from it."""

from __future__ import annotations

import re
from pathlib import Path

from server.metrics.page import metrics_page
from server.metrics.table import METRICS, MetricKind

ROOT = Path(__file__).parents[3]


def test_the_page_of_metrics_is_up_to_date() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert page == metrics_page(), "python -m server.metrics.page > docs/metrics.md renews it"


def test_names_follow_prometheus_and_are_said_once() -> None:
    names = [metric.name for metric in METRICS]
    assert len(names) == len(set(names))
    for metric in METRICS:
        assert re.fullmatch(r"(leaver|process)_[a-z_]+", metric.name)
        assert metric.name.endswith("_total") == (metric.kind is MetricKind.COUNTER), metric.name
        if metric.unit in {"seconds", "bytes"}:
            assert metric.name.removesuffix("_total").endswith(metric.unit), metric.name
        assert metric.help.endswith("."), metric.name


def test_labels_are_closed_and_none_could_hold_a_name() -> None:
    for metric in METRICS:
        assert metric.labels.keys() <= {
            "reason",
            "score",
            "state",
            "kind",
            "loop",
            "method",
            "route",
            "status",
        }
        for values in metric.labels.values():
            assert len(values) == len(set(values))
            assert len(values) < 20


def test_the_alert_rules_use_only_metrics_that_there_are() -> None:
    rules = (ROOT / "deploy" / "prometheus" / "leaver_alerts.yml").read_text(encoding="utf-8")
    used = set(re.findall(r"\b(?:leaver|process)_[a-z_]+", "\n".join(re.findall(r"expr: (.*)", rules))))
    assert used
    assert used <= {metric.name for metric in METRICS} | {"leaver_batch_seconds_bucket"}
