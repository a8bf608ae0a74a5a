"""Which event counts as what."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from analytics.measures import ACTIVITIES
from event_schema.channels import CHANNELS
from event_schema.ocsf_account_events import ApiActivity, ApiActivityKind, Authentication, Outcome
from event_schema.ocsf_endpoint_events import FileActivity, FileSystemActivity
from event_schema.ocsf_events import Event
from event_schema.ocsf_network import Resource
from event_schema.ocsf_objects import DriveType
from event_schema.ocsf_transfer_events import FileHostingActivity
from server.enrich.amounts import places_of
from server.evaluation.departures.observed_acts import login, server
from server.evaluation.simulator.desks import Desk
from server.evaluation.simulator.single_events import (
    archived,
    copied,
    logged_in,
    login_failed,
    mailed,
    plugged_in,
    printed,
    queried,
    screenshot_taken,
    uploaded,
)
from server.pipeline.activity_history import FEEDING, SOURCES
from server.pipeline.measuring import PLACE_KINDS, Measured, is_off_hours, measured, prints_of
from tests.event_schema.sample_events import sample_events
from tests.server.pipeline.endpoint import copied_file

T = 1_795_000_000_000
KEY = b"an installation's"
DESK = Desk("alice", server("laptop-1"), "10.0.0.7", is_server=False)
FILE = next(e for e in sample_events() if isinstance(e, FileSystemActivity))
ACT = next(e for e in sample_events() if isinstance(e, ApiActivity))
UPLOAD = next(e for e in sample_events() if isinstance(e, FileHostingActivity))


def _measured(event: Event, *, off_hours: bool = False) -> tuple[str, dict[str, int]] | None:
    """By name, what is not zero."""
    found = measured(event, off_hours)
    if found is None:
        return None
    activity, increments = found
    names = [measure.name for measure in ACTIVITIES[activity]]
    return activity, {name: value for name, value in zip(names, increments, strict=True) if value}


def _act(
    kind: ApiActivityKind,
    operation: str,
    thing: str | None,
    count: int | None,
    status: Outcome = Outcome.SUCCESS,
) -> Event:
    api = msgspec.structs.replace(ACT.api, operation=operation)
    resources = None if thing is None else (Resource(name="x", type=thing),)
    return msgspec.structs.replace(
        ACT,
        activity_id=kind,
        type_uid=600_300 + kind,
        api=api,
        resources=resources,
        count=count,
        status_id=status,
    )


def _file(
    kind: FileActivity, drive: DriveType, ext: str | None = None, origin: str | None = "file_server"
) -> Event:
    file = msgspec.structs.replace(FILE.file, drive_type_id=drive, ext=ext, size=5)
    unmapped = msgspec.structs.replace(FILE.unmapped, origin=origin)
    return msgspec.structs.replace(
        FILE, activity_id=kind, type_uid=100_100 + kind, file=file, unmapped=unmapped
    )


@pytest.mark.parametrize(
    ("event", "wanted"),
    [
        (copied(DESK, "S1", "a.zip", 700, "0" * 64, T), ("removable_storage", {"bytes": 700, "files": 1})),
        (plugged_in(DESK, "S1", T), ("removable_storage", {})),
        (_file(FileActivity.UPDATE, DriveType.FIXED, "ZIP"), ("files", {"archives": 1})),
        (_file(FileActivity.CREATE, DriveType.FIXED, "txt"), None),
        (_file(FileActivity.CREATE, DriveType.FIXED, "gz", "database_export"), None),
        (archived(DESK, 1, T), ("files", {"archives": 1})),
        (_file(FileActivity.DELETE, DriveType.REMOVABLE), ("files", {"deletions": 1})),
        (_file(FileActivity.RENAME, DriveType.REMOVABLE), ("files", {"renames": 1})),
        (
            uploaded(DESK, "WeChat", "messenger", "a", 7, "0" * 64, None, T),
            ("messaging", {"bytes": 7, "files": 1}),
        ),
        (uploaded(DESK, "X", "cloud_drive", "a", 7, "0" * 64, None, T), ("cloud", {"bytes": 7, "files": 1})),
        (
            uploaded(DESK, "git", "code_hosting", "a", 7, "0" * 64, "g.example", T),
            ("code", {"code_bytes": 7}),
        ),
        (
            uploaded(DESK, "chrome", "other", "a", 7, "0" * 64, "u.example", T),
            ("web_upload", {"upload_bytes": 7, "uploads": 1}),
        ),
        (mailed(DESK, "b.example", "other", "a", 9, "0" * 64, T), ("mail", {"bytes": 12, "messages": 1})),
        (
            mailed(DESK, "gmail.com", "webmail", "a", 9, "0" * 64, T),
            ("mail", {"bytes": 12, "messages": 1, "personal_messages": 1}),
        ),
        (queried(DESK, T, rows=50, count=3, size=10_000), ("database", {"queries": 3, "rows": 50})),
        (
            queried(DESK, T, rows=50, count=1, size=10_000, is_export=True),
            ("database", {"rows": 50, "export_bytes": 10_000}),
        ),
        (printed(DESK, 12, T), ("printing", {"pages": 12})),
        (screenshot_taken(DESK, T), ("screenshots", {"screenshots": 1})),
        (logged_in(DESK.host, "alice", None, "gdm-password", T), ("logins", {"logins": 1})),
        (login_failed(DESK.host, "alice", 4, T), ("logins", {"failures": 4})),
        (_act(ApiActivityKind.READ, "open", "document", 8), ("files", {"reads": 8})),
        (_act(ApiActivityKind.READ, "open", "Customer", 8), ("files", {"sensitive_reads": 8})),
        (_act(ApiActivityKind.DELETE, "delete", "file", None), ("files", {"deletions": 1})),
        (_act(ApiActivityKind.UPDATE, "rename", "file", 2), ("files", {"renames": 2})),
        (_act(ApiActivityKind.UPDATE, "edit", "file", 2), ("application", {"actions": 2})),
        (_act(ApiActivityKind.CREATE, "archive_made", "folder", 1), ("files", {"archives": 1})),
        (
            _act(ApiActivityKind.CREATE, "create_manual_order", "order", 2),
            ("application", {"actions": 2, "sensitive_actions": 2}),
        ),
        (_act(ApiActivityKind.READ, "page_viewed", None, 2), ("application", {"actions": 2})),
        (_act(ApiActivityKind.READ, "open", "document", 8, Outcome.FAILURE), None),
    ],
)
def test_an_event_counts_in_one_activity(event: Event, wanted: tuple[str, dict[str, int]] | None) -> None:
    assert _measured(event) == wanted


@pytest.mark.parametrize("event", sample_events(), ids=lambda event: type(event).__name__)
def test_every_class_of_events_has_its_measures_and_a_number_for_each(event: Event) -> None:
    found: Measured | None = measured(event, False)
    if found is not None:
        assert len(found[1]) == len(ACTIVITIES[found[0]])
        assert len(prints_of(event, found[0], places_of(event), KEY)) in (0, len(PLACE_KINDS[found[0]]))


def test_every_activity_is_fed_by_collectors_that_there_are() -> None:
    assert set(SOURCES) == set(ACTIVITIES)
    assert FEEDING == CHANNELS


@pytest.mark.parametrize(
    ("off_shift", "hour", "wanted"),
    [
        (None, 3, True),
        (None, 7, False),
        (None, 19, False),
        (None, 20, True),
        (True, 12, True),
        (False, 3, False),
    ],
)
def test_hours_are_off_by_the_companys_word_and_else_at_night(
    off_shift: bool | None, hour: int, wanted: bool
) -> None:
    assert is_off_hours(off_shift, hour) is wanted


def test_only_a_login_that_worked_shows_a_host_and_an_address_and_hours() -> None:
    came: Any = login(T, DESK.host, "alice", service="sshd", address="203.0.113.9")
    assert _measured(came, off_hours=True) == ("logins", {"logins": 1, "off_hours": 1})
    hosts, addresses = prints_of(came, "logins", (), KEY)
    assert len(hosts) == len(addresses) == 1
    assert prints_of(login_failed(DESK.host, "alice", 1, T), "logins", (), KEY) == ()
    nearby: Any = login(T, DESK.host, "alice", service="sshd", address="127.0.0.1")
    assert prints_of(nearby, "logins", (), KEY) == (hosts, ())
    assert isinstance(came, Authentication)


def test_two_sticks_are_two_places_and_messengers_are_none() -> None:
    sticks = [copied_file(T, device=name) for name in ("a", "b", "a")]
    first, second, again = (prints_of(each, "removable_storage", places_of(each), KEY) for each in sticks)
    assert first == again != second
    assert prints_of(UPLOAD, "messaging", places_of(UPLOAD), KEY) == ()


def test_with_another_key_the_same_places_have_other_numbers() -> None:
    came, stick = login(T, DESK.host, "alice", service="sshd", address="203.0.113.9"), copied_file(T)
    for event, activity in ((came, "logins"), (stick, "removable_storage")):
        ours, theirs = (prints_of(event, activity, places_of(event), key) for key in (KEY, bytes(32)))
        for mine, others in zip(ours, theirs, strict=True):
            assert mine and not {*mine} & {*others}
