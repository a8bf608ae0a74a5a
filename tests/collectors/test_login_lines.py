"""What lines say about logins, one by one and together; strangers can shape some of their text."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from collectors.gathering import COUNT_MAX, KINDS_MAX, Gathering
from collectors.login_acts import CONNECTIONS_MAX, LoginAct, LoginActs, Withdrawn
from collectors.login_messages import MESSAGE_CHARACTERS, understand
from collectors.syslog_lines import parse_syslog

BERLIN = ZoneInfo("Europe/Berlin")
NOW = int(datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp() * 1000)


def acts(*lines: tuple[str, str], pid: int = 7, step_ms: int = 10) -> list[LoginAct | Withdrawn]:
    """Of lines (program, message) of one process."""
    reader, found = LoginActs(uses_pam=True), []
    for number, (program, message) in enumerate(lines):
        said = understand(program, message)
        if said is not None:
            act = reader.said(said, number * step_ms, pid, is_first_hand=True)
            if act is not None:
                found.append(act)
    return found


def sshd(*messages: str) -> list[LoginAct | Withdrawn]:
    return acts(*(("sshd", message) for message in messages))


def failure(found: Sequence[LoginAct | Withdrawn]) -> tuple[str | None, str | None, str | None]:
    (act,) = found
    assert isinstance(act, LoginAct)
    return act.user, act.host, act.reason


@pytest.mark.parametrize(
    "name",
    [
        "x from 10.0.0.1 port 1",
        "x from 10.0.0.1 port 1 ssh2",
        "root from 10.0.0.1 port 22 ssh2: RSA SHA256:abc",
        "invalid user root",
        "",
        "\\033[31m",
        "a" * 900,
    ],
)
def test_a_name_that_a_stranger_typed_moves_no_address_and_is_not_told(name: str) -> None:
    found = sshd(
        f"Invalid user {name} from 203.0.113.9 port 50000",
        f"Failed password for invalid user {name} from 203.0.113.9 port 50000 ssh2",
        f"Connection closed by invalid user {name} 203.0.113.9 port 50000 [preauth]",
    )
    assert failure(found) == (None, "203.0.113.9", "no_such_account")


def test_a_typed_name_cannot_pass_for_an_accepted_login() -> None:
    assert sshd("Invalid user Accepted password for root from 1.1.1.1 port 1 ssh2 from 2.2.2.2 port 2") == []


def test_keys_that_were_offered_before_the_right_one_are_no_failures() -> None:
    offered = "Failed publickey for anna from 10.1.1.1 port 5 ssh2: ED25519 SHA256:old"
    (act,) = sshd(
        offered, offered, "Accepted publickey for anna from 10.1.1.1 port 5 ssh2: ED25519 SHA256:new"
    )
    assert isinstance(act, LoginAct)
    assert (act.reason, act.credential) == (None, "SHA256:new")
    (act,) = sshd(offered, "Connection closed by authenticating user anna 10.1.1.1 port 5 [preauth]")
    assert isinstance(act, LoginAct)
    assert (act.reason, act.credential, act.method) == ("no_credential_accepted", "SHA256:old", "publickey")


def test_what_syslog_says_of_repetition_is_counted() -> None:
    line = "Failed password for anna from 10.1.1.1 port 5 ssh2"
    found = sshd(line, f"message repeated 3 times: [ {line}]")
    assert [act.times for act in found if isinstance(act, LoginAct)] == [1, 3]
    accepted = "Accepted password for anna from 10.1.1.1 port 5 ssh2"
    assert sshd(f"message repeated 3 times: [ {accepted}]") == []


def test_an_account_that_pam_refuses_is_told_once_with_the_reason() -> None:
    found = sshd(
        'Connection from 10.1.1.1 port 5 on 10.0.0.1 port 22 rdomain ""',
        "pam_sss(sshd:account): Access denied for user anna: 6 (Permission denied)",
        "Failed password for anna from 10.1.1.1 port 5 ssh2",
        "fatal: Access denied for user anna by PAM account configuration [preauth]",
    )
    assert failure(found) == ("anna", "10.1.1.1", "account_denied")


def test_a_login_at_the_screen_that_a_later_module_let_in_is_no_failure() -> None:
    refused = "authentication failure; logname= uid=0 euid=0 tty=/dev/tty1 ruser= rhost=  user=anna"
    found = acts(
        ("gdm-password]", f"pam_unix(gdm-password:auth): {refused}"),
        ("gdm-password]", "pam_sss(gdm-password:auth): authentication success; logname= uid=0 user=anna"),
        (
            "gdm-password]",
            "pam_unix(gdm-password:session): session opened for user anna(uid=1000) by (uid=0)",
        ),
    )
    assert [type(act) for act in found] == [LoginAct, Withdrawn, LoginAct]
    twice = acts(
        ("gdm-password]", f"pam_unix(gdm-password:auth): {refused}"),
        ("gdm-password]", f"pam_sss(gdm-password:auth): {refused}"),
    )
    assert failure(twice) == ("anna", None, "wrong_credential")


@pytest.mark.parametrize("service", ["cron", "systemd-user", "runuser", "polkit-1", "gdm-launch-environment"])
def test_what_no_person_does_is_no_login(service: str) -> None:
    opened = f"pam_unix({service}:session): session opened for user anna(uid=1000) by (uid=0)"
    assert (
        acts((service, opened), (service, f"pam_unix({service}:session): session closed for user anna")) == []
    )


def test_sudo_tells_no_command_and_no_target_that_a_command_could_have_named() -> None:
    plain = (
        "  ben : 2 incorrect password attempts ; TTY=pts/0 ; PWD=/tmp ; USER=root ; COMMAND=/bin/cat s3cret"
    )
    (act,) = acts(("sudo", plain))
    assert isinstance(act, LoginAct)
    assert (act.by, act.user, act.times) == ("ben", "root", 2)
    assert "s3cret" not in repr(act)
    (act,) = acts(("sudo", plain.replace("/tmp", "/tmp/ ; USER=carl ; x")))
    assert isinstance(act, LoginAct)
    assert (act.by, act.user) == ("ben", "ben")


def test_a_message_longer_than_any_of_theirs_is_not_read() -> None:
    name = "x" * MESSAGE_CHARACTERS
    assert understand("sshd", f"Failed password for {name} from 1.1.1.1 port 5 ssh2") is None


def test_a_name_that_a_module_of_pam_repeats_and_no_account_has_is_not_told() -> None:
    """pam_sss writes down whatever was typed where the name belongs."""
    line = "pam_sss(login:auth): authentication failure; logname= uid=0 euid=0 tty=tty1 rhost= user=s3cret"
    reader = LoginActs(uses_pam=True, is_account=lambda name: name == "anna")
    for name, user, reason in (("s3cret", None, "no_such_account"), ("anna", "anna", "wrong_credential")):
        said = understand("login", line.replace("s3cret", name))
        assert said is not None
        act = reader.said(said, 10_000 if user else 0, 7, is_first_hand=True)
        assert isinstance(act, LoginAct)
        assert (act.user, act.reason) == (user, reason)


@pytest.mark.parametrize("back_ms", [5, 60_000])
def test_lines_in_the_wrong_order_and_a_clock_set_back_break_no_open_connection(back_ms: int) -> None:
    reader, found = LoginActs(uses_pam=True), []
    for pid, time, message in (
        (7, 100_000, "User barred from 10.1.1.1 not allowed because listed in DenyUsers"),
        (8, 100_000 - back_ms, "Invalid user x from 10.2.2.2 port 5"),
        (7, 100_010, "Failed password for invalid user barred from 10.1.1.1 port 6 ssh2"),
    ):
        said = understand("sshd", message)
        assert said is not None
        found.append(reader.said(said, time, pid, is_first_hand=True))
    assert failure([act for act in found if act is not None]) == ("barred", "10.1.1.1", "not_permitted")


def test_connections_that_never_end_are_forgotten_in_time_and_number() -> None:
    reader = LoginActs(uses_pam=True)
    said = understand("sshd", "Invalid user x from 203.0.113.9 port 50000")
    assert said is not None
    for pid in range(CONNECTIONS_MAX + 50):
        reader.said(said, pid // 100, pid, is_first_hand=True)
    assert len(reader.open_connections) <= CONNECTIONS_MAX + 1
    reader.said(said, 1_000_000, 1, is_first_hand=True)
    assert reader.open_connections == {1}


def test_ten_thousand_equal_failures_are_two_events_and_ten_thousand_different_ones_are_bounded() -> None:
    for kinds in (1, 10_000):
        gathering: Gathering[str] = Gathering(60_000)
        at_once = sum(
            gathering.add(n % kinds, "x", rest=("rest", "rest"), count=1, time=n, now=0.0)
            for n in range(10_000)
        )
        groups = gathering.take()
        assert at_once + sum(count for _, count in groups) == 10_000
        assert at_once + len(groups) <= (2 if kinds == 1 else KINDS_MAX + 1)


def test_a_count_that_no_event_can_hold_is_cut() -> None:
    gathering: Gathering[str] = Gathering(60_000)
    for _ in range(3):
        gathering.add("a", "a", rest=("r", "r"), count=2**63 - 1, time=0, now=0.0)
    assert gathering.take() == [("a", COUNT_MAX)]


def test_a_window_ends_by_the_logs_time_or_by_ours() -> None:
    gathering: Gathering[str] = Gathering(60_000)
    assert not gathering.is_over(1e9)
    gathering.add("a", "a", rest=("r", "r"), count=1, time=1_000, now=5.0)
    assert [gathering.ends_before(time) for time in (60_999, 61_000)] == [False, True]
    assert [gathering.is_over(now) for now in (64.9, 65.0)] == [False, True]


def when(text: str, now: datetime, zone: ZoneInfo | None = BERLIN, latest: int = 0) -> str:
    line = parse_syslog(f"{text} host sshd[12]: hello".encode(), int(now.timestamp() * 1000), zone, latest)
    assert line is not None
    assert (line.program, line.pid, line.message) == ("sshd", 12, "hello")
    return datetime.fromtimestamp(line.time / 1000, UTC).isoformat(timespec="milliseconds")


def test_a_year_that_a_line_does_not_name_is_the_nearest_one() -> None:
    new_year = datetime(2027, 1, 1, 0, 30, tzinfo=UTC)
    assert when("Dec 31 23:59:59", new_year) == "2026-12-31T22:59:59.000+00:00"
    assert when("Jan  1 00:10:00", new_year) == "2026-12-31T23:10:00.000+00:00"
    # Our clock, or our idea of the zone, may be behind the log.
    assert when("Jan  1 00:00:01", datetime(2026, 12, 31, 22, tzinfo=UTC)) == "2026-12-31T23:00:01.000+00:00"
    assert when("Feb 29 12:00:00", datetime(2026, 3, 1, tzinfo=UTC)) == "2024-02-29T11:00:00.000+00:00"


def test_in_the_hour_that_autumn_repeats_the_logs_order_decides() -> None:
    autumn = datetime(2026, 10, 25, 3, tzinfo=UTC)
    assert when("Oct 25 02:30:00", autumn) == "2026-10-25T00:30:00.000+00:00"
    before = int(datetime(2026, 10, 25, 0, 59, tzinfo=UTC).timestamp() * 1000)
    assert when("Oct 25 02:01:00", autumn, latest=before) == "2026-10-25T01:01:00.000+00:00"


def test_times_that_name_their_zone_are_taken_as_they_are() -> None:
    now = datetime(2026, 11, 22, tzinfo=UTC)
    assert when("2026-11-22T02:01:54.123456+01:00", now) == "2026-11-22T01:01:54.123+00:00"


def test_a_log_that_goes_on_over_new_year_and_a_clock_that_is_wrong_keep_their_order() -> None:
    times = []
    for text, now in (
        ("Dec 31 23:59:59", datetime(2026, 12, 31, 23, 0, tzinfo=UTC)),
        ("Jan  1 00:00:01", datetime(2026, 12, 31, 23, 1, tzinfo=UTC)),
        # Our own clock is far behind: the year can only be the nearest one.
        ("Jan  1 00:00:02", datetime(2026, 12, 30, 23, 30, tzinfo=UTC)),
    ):
        times.append(when(text, now))
    assert times == sorted(times)
    assert when("Mar  3 10:00:00", datetime(1970, 1, 1, tzinfo=UTC), ZoneInfo("UTC")).startswith("1970-01-01")


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\xff\xfe",
        b"Nov 99 02:01:54 host sshd[1]: x",
        b"2026-11-22T02:01:54 host sshd[1]: x",
        b"x" * 60_000,
    ],
)
def test_what_is_no_line_of_syslog_is_none(line: bytes) -> None:
    assert parse_syslog(line, NOW, BERLIN, 0) is None
