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
