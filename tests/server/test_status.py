"""What of a snapshot needs a look, and how it is told: calm where all is well, short where much is not."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from server.agents.health import AgentHealth, Finding
from server.commands.status_text import status_lines
from server.erasure.record import ErasureState
from server.look_back.queue import LookBackState
from server.people.undo import FolderState
from server.pipeline.worker_rows import SILENT_MS, WorkerRow
from server.process_state import LastDrop, ProcessState
from server.service_tokens import ServiceToken, TokenRole
from server.status_findings import DISK_FREE_MIN, WAITING_MS_MAX, status_findings
from server.status_types import (
    LogState,
    RetentionState,
    Status,
    StatusFinding,
    StorageState,
    TrainingState,
    score_band,
)
from server.supervision import PartState
from server.training.model_watch import ModelWatch

NOW = 1_795_305_600_000
TODAY = NOW // 86_400_000
PROCESS = ProcessState(
    pid=1,
    since=NOW - 3_600_000,
    at=NOW,
    address="https://siem.example:8443",
    parts={"https": PartState("running", 0, None, 0.1), "pipeline": PartState("running", 2, "OSError", 0.2)},
    requests={},
    next_drop_at=NOW + 1_800_000,
)
WITHOUT_PIPELINE = msgspec.structs.replace(PROCESS, parts={"https": PartState("running", 0, None, 0.1)})
WELL = Status(
    at=NOW,
    process=PROCESS,
    log=LogState("embedded", 1, 9, 9, 0, None, None),
    events_stored=1_234_567,
    dead_letters={},
    alerts_open={"40-69": 3, "70-100": 1},
    agents=(),
    workers=(),
    storage=StorageState(2_500_000_000, 12_000_000, 80_000_000_000),
    retention=RetentionState(90, 730, TODAY - 90, NOW + 1_800_000),
    erasures=ErasureState(None, 0, 0, 0, 0),
    training=TrainingState(NOW - 86_400_000 * 3, 812, False, None),
    findings=(),
    anomaly_model=ModelWatch(7, NOW - 86_400_000 * 3, False, None, None, 50, False),
)


def _agent(name: str, state: str = "enrolled", *findings: Finding, lost: int = 0) -> AgentHealth:
    return AgentHealth(name, state, NOW, 0, lost, 0, None, "0.1.0", {}, None, None, findings)


def _kinds(**changes: Any) -> list[str]:
    return [finding.kind for finding in status_findings(msgspec.structs.replace(WELL, **changes))]


def test_where_all_is_well_nothing_needs_a_look() -> None:
    assert _kinds() == []
    assert _kinds(agents=(_agent("a"), _agent("b", "stopped"), _agent("c", "revoked"))) == []


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"process": None}, "not_running"),
        ({"workers": (WorkerRow("w1", 0, NOW - SILENT_MS - 1, (0, 1), None, 0, 0),)}, "worker_silent"),
        ({"process": WITHOUT_PIPELINE}, "no_worker"),
        ({"log": LogState("kafka", None, None, 9, None, None, "away")}, "log_unavailable"),
        ({"log": LogState("embedded", 1, 9, 8, 1, NOW - WAITING_MS_MAX - 1, None)}, "behind"),
        ({"dead_letters": {"bad_event": 1}}, "dead_letters"),
        ({"storage": StorageState(1, 1, DISK_FREE_MIN - 1)}, "disk_full"),
        ({"retention": RetentionState(90, 730, TODAY - 95, NOW - 1)}, "retention_late"),
        ({"retention": RetentionState(90, 730, TODAY - 95, None)}, "retention_late"),
        ({"agents": (_agent("a", "silent"),)}, "agent_silent"),
        ({"agents": (_agent("a", lost=4),)}, "events_lost"),
        ({"agents": (_agent("a", "enrolled", Finding("cloned", "twice", 0, 0, 1)),)}, "cloned"),
    ],
)
def test_what_needs_a_look_is_one_finding(changes: dict[str, Any], kind: str) -> None:
    assert _kinds(**changes) == [kind]


@pytest.mark.parametrize(
    "changes",
    [
        {"log": LogState("embedded", 1, 9, 8, 1, NOW - WAITING_MS_MAX, None)},
        {"storage": StorageState(1, None, None)},
        {"retention": RetentionState(90, 730, TODAY - 95, NOW + 1)},
    ],
)
def test_what_is_on_its_way_needs_none(changes: dict[str, Any]) -> None:
    assert _kinds(**changes) == []


def test_a_server_that_leaves_the_pipeline_to_workers_is_well_while_one_works() -> None:
    workers = (WorkerRow("w1", 0, NOW - SILENT_MS, (0,), None, 0, 0),)
    assert _kinds(process=WITHOUT_PIPELINE, workers=workers) == []


def test_loops_that_fail_or_hang_and_agents_that_flood_are_named() -> None:
    parts = {
        "pipeline": PartState("hanging", 0, None, 200.4),
        "training": PartState("waiting", 2, "TrainingFailed"),
    }
    process = msgspec.structs.replace(PROCESS, parts=parts, held_back={"desk-7": 1234})
    found = status_findings(msgspec.structs.replace(WELL, process=process))
    assert [(finding.kind, finding.detail) for finding in found] == [
        ("part_hangs", "pipeline has not turned for 200 s"),
        ("part_down", "training is waiting after 2 restarts: TrainingFailed"),
        ("agent_floods", "desk-7 sends more than it may; held back 1,234 times"),
    ]


def test_a_calm_status_is_nine_lines() -> None:
    agents = (_agent("a"), _agent("b"), _agent("c", "revoked"))
    lines = [line.text for line in status_lines(msgspec.structs.replace(WELL, agents=agents), width=80)]
    assert lines == [
        "server        https://siem.example:8443, started 60 min ago",
        "loops         https; pipeline, 2 restarts",
        "log           embedded, nothing waits, 12 MB",
        "events        1,234,567 since 2026-08-24, kept 90 days, next sweep in 30 min",
        "dead letters  none",
        "agents        2 well heard, 1 revoked",
        "alerts        4 open: 1 at 70-100, 3 at 40-69; closed ones kept 730 days",
        "database      2.5 GB, 80 GB free on the disk",
        "model         model 7, trained 3 d ago on 812 people; alerts from risk 50 on",
    ]


def test_what_retention_and_erasures_did_is_a_line_and_an_unfinished_one_a_finding() -> None:
    dropped = LastDrop(NOW - 60_000, {"event_blocks": 1_200, "subject_events": 30})
    status = msgspec.structs.replace(
        WELL,
        retention=RetentionState(90, 730, TODAY - 90, NOW + 1_800_000, dropped),
        erasures=ErasureState(NOW - 3_600_000, 1, 2, 14, 5),
    )
    lines = [line.text for line in status_lines(status, width=200)]
    assert lines[5] == (
        "gone          1,200 event blocks, 30 subject events in the last sweep, 60 s ago; "
        "last erasure 60 min ago; 2 erased accounts shut out, 14 events dropped"
    )
    assert [finding.kind for finding in status_findings(status)] == ["erasure_unfinished"]


def test_before_the_first_start_the_log_is_not_missed() -> None:
    fresh = msgspec.structs.replace(WELL, process=None, log=LogState("embedded", 0, 0, 0, 0, None, None))
    assert [finding.kind for finding in status_findings(fresh)] == ["not_running"]
    lines = [line.text for line in status_lines(fresh, width=80)]
    assert "log           embedded, begins with the first leaver up" in lines


def test_each_worker_is_a_line_with_what_it_holds_and_did() -> None:
    minute_ago = NOW - 60_000
    workers = (
        WorkerRow("w1", 0, NOW, (0, 3, 5), minute_ago, 250, 4),
        WorkerRow("w2", 0, NOW, (1,), None, 0, 0),
    )
    lines = [line.text for line in status_lines(msgspec.structs.replace(WELL, workers=workers), width=80)]
    assert lines[2:4] == [
        "worker        w1: 3 partitions, last batch 60 s ago, 4 of 250 batches done again",
        "worker        w2: 1 partition, no batch yet",
    ]


def test_agents_are_called_well_heard_only_where_a_server_hears_them() -> None:
    never = msgspec.structs.replace(_agent("b"), heartbeat_at=None, clock_offset=None)

    def told(process: ProcessState | None) -> str:
        changed = msgspec.structs.replace(WELL, agents=(_agent("a"), never), process=process)
        lines = [line.text for line in status_lines(changed, width=80)]
        return next(line for line in lines if line.startswith("agents"))

    assert told(PROCESS) == "agents        1 well heard, 1 without a heartbeat yet"
    assert told(None) == "agents        2 enrolled"


def test_a_thousand_silent_agents_take_four_lines() -> None:
    findings = tuple(StatusFinding("agent_silent", f"desk-{n} says nothing") for n in range(1000))
    lines = [
        line
        for line in status_lines(msgspec.structs.replace(WELL, findings=findings), width=80)
        if line.is_finding
    ]
    assert [line.text for line in lines] == [
        "! agent_silent: desk-0 says nothing",
        "! agent_silent: desk-1 says nothing",
        "! agent_silent: desk-2 says nothing",
        "! agent_silent: 997 more of it (--json shows all)",
    ]


def test_the_line_of_the_week_is_told_and_that_it_does_not_keep_to_the_budget() -> None:
    def told(line: int, over: bool) -> str:
        watched = ModelWatch(7, NOW - 86_400_000 * 3, False, None, None, line, over)
        lines = status_lines(msgspec.structs.replace(WELL, anomaly_model=watched), width=200)
        return next(line.text for line in lines if line.text.startswith("model"))

    assert told(63, False).endswith("on 812 people; alerts from risk 63 on")
    assert told(70, True).endswith(
        "alerts from risk 70 on, the highest line: rules and anomalies ask for more than the budget"
    )


def test_bands_of_scores_meet_without_a_gap() -> None:
    assert [score_band(score) for score in (0, 39, 40, 69, 70, 100)] == [
        "0-39", "0-39", "40-69", "40-69", "70-100", "70-100",
    ]  # fmt: skip


@pytest.mark.parametrize(("minutes", "words"), [(None, None), (14, None), (16, "of 2 people 16 min ago")])
def test_who_waits_for_long_to_be_looked_back_at_is_a_finding(minutes: int | None, words: str | None) -> None:
    oldest = None if minutes is None else NOW - minutes * 60_000
    state = LookBackState(0 if minutes is None else 2, oldest, 0, 5, NOW, 40, 1, 0)
    found = list(status_findings(msgspec.structs.replace(WELL, look_backs=state)))
    assert [finding.kind for finding in found] == ([] if words is None else ["look_back_late"])
    assert all(words is not None and words in finding.detail for finding in found)


def test_whom_it_fails_to_look_back_at_is_a_finding() -> None:
    state = LookBackState(3, NOW, 0, 5, NOW, 40, 1, 0, failed=2)
    (finding,) = status_findings(msgspec.structs.replace(WELL, look_backs=state))
    assert finding.kind == "look_back_failed"
    assert "of 2 people looking back fails" in finding.detail


@pytest.mark.parametrize(
    ("folder", "words"),
    [
        (
            FolderState(7, NOW, 0, "it would mark 60 of 100 people as leaving"),
            "(import 7) was not taken over (it would mark 60 of 100 people as leaving): see",
        ),
        (FolderState(7, NOW, 3, None), "(import 7) left out 3 bad rows"),
        (FolderState(7, NOW, 0, None), None),
        (None, None),
    ],
)
def test_hrs_file_that_was_not_taken_whole_is_a_finding(
    folder: FolderState | None, words: str | None
) -> None:
    found = list(status_findings(msgspec.structs.replace(WELL, hr_folder=folder)))
    assert [finding.kind for finding in found] == ([] if words is None else ["hr_file_refused"])
    assert all(words is not None and words in finding.detail for finding in found)


def test_a_watched_folder_that_does_not_work_is_a_finding() -> None:
    assert WELL.process is not None
    process = msgspec.structs.replace(WELL.process, hr_folder_fault="Permission denied")
    (finding,) = status_findings(msgspec.structs.replace(WELL, process=process))
    assert finding.kind == "hr_folder_waits"
    assert finding.detail.endswith("does not work: Permission denied")


@pytest.mark.parametrize(("days", "words"), [(13, "ends on 2026-12-05"), (-3, "ended on 2026-11-19")])
def test_a_token_in_use_that_ends_soon_or_did_is_a_finding(days: int, words: str) -> None:
    ends = NOW + days * 86_400_000
    token = ServiceToken(1, "workday", TokenRole.HR_IMPORT, 0, "cli:root", ends, NOW - 86_400_000, None)
    found = list(status_findings(msgspec.structs.replace(WELL, tokens_ending=(token,))))
    assert [finding.kind for finding in found] == ["token_ends"]
    assert f"the token of workday (hr-import) {words}" in found[0].detail


def test_a_password_that_who_left_still_knows_is_a_task_and_no_alert() -> None:
    (found,) = status_findings(msgspec.structs.replace(WELL, passwords_known=2))
    assert found.kind == "password_not_changed"
    assert found.detail.startswith("2 with a password that somebody who left still knows")


def test_how_many_alerts_are_held_is_told() -> None:
    held = msgspec.structs.replace(WELL, alerts_held=4)
    words = " ".join(line.text for line in status_lines(held, width=200))
    assert "4 open: 1 at 70-100, 3 at 40-69; 4 held in the last 7 days (leaver alerts below);" in words
