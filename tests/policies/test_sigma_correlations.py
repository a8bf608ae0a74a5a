"""The sequences among the conformance cases, written to files and run as people run them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from policies.correlation.correlator import Limits
from policies.sigma_matching import RuleMatch, SigmaMatcher, load_matcher
from tests.policies.test_sigma_conformance import conformance_cases


def loaded(folder: Path, documents: list[dict[str, Any]], limits: Limits | None = None) -> SigmaMatcher:
    folder.mkdir(exist_ok=True)
    (folder / "rules.yml").write_text(yaml.safe_dump_all(documents, sort_keys=False), encoding="utf-8")
    matcher = load_matcher([folder], limits=limits)
    assert [str(error) for error in matcher.errors] == []
    return matcher


def alerts_by_step(matcher: SigmaMatcher, steps: list[dict[str, Any]]) -> list[list[RuleMatch]]:
    found: list[list[RuleMatch]] = [[] for _ in steps]
    for at, step in enumerate(steps):
        for match in matcher.take(at, step["ts"] * 1000, step["event"]):
            found[match.event].append(match)
    for match in matcher.finish():
        found[match.event].append(match)
    return found


@pytest.mark.parametrize("lateness", [0, 3_600_000], ids=["at once", "an hour's lateness"])
def test_all_sequences_give_the_alerts_of_each_step(tmp_path: Path, lateness: int) -> None:
    cases = conformance_cases("correlation.jsonl")
    wrong = []
    for number, case in enumerate(cases):
        matcher = loaded(tmp_path / str(number), case["docs"], Limits(lateness=lateness))
        for at, matches in enumerate(alerts_by_step(matcher, case["steps"])):
            step = case["steps"][at]
            alerts = [(m.title, dict(m.group), m.value) for m in matches if m.group is not None]
            expected = [(a["title"], {k: str(v) for k, v in a["group"]}, a["value"]) for a in step["alerts"]]
            titles = [m.title for m in matches if m.group is None]
            if alerts != expected or titles != step["detections"]:
                wrong.append((case["id"], at, alerts, expected, titles))
    assert wrong == []
    assert len(cases) >= 33


def test_windows_of_whole_days_run_on_files_too(tmp_path: Path) -> None:
    rule = {"title": "copy", "name": "copy", "logsource": {"category": "test"}}
    rule["detection"] = {"s": {"kind": "copy"}, "condition": "s"}
    value = {"type": "value_sum", "rules": ["copy"], "timespan": "7d", "group-by": ["user"]}
    value["condition"] = {"field": "size", "gte": 10}  # type: ignore[assignment]
    documents = [rule, {"title": "adds up", "correlation": value, "leaver": {"window": "days"}}]
    day = 86_400
    event = {"kind": "copy", "user": "lin", "size": 4}
    # A day longer than seven times 24 hours, and within seven days of the calendar only at its end.
    steps = [{"ts": at, "event": event} for at in (day - 1, 3 * day, 7 * day, 7 * day + 1)]
    found = alerts_by_step(loaded(tmp_path / "rules", documents), steps)
    assert [[m.value for m in each if m.group is not None] for each in found] == [[], [], [], [12.0]]
