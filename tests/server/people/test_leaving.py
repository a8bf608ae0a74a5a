"""What of a leaver is open, and since when somebody is one: dates, rehires, nights when clocks are set."""

from __future__ import annotations

import pytest

from event_schema.leaver_fields import PersonStatus
from server.people.directory import AccountRecord
from server.people.facts import AccountKind, Employment, Holding, LeaverFlag, PersonFacts
from server.people.holders import Binding
from server.people.leaving import Leaver, State, leaver
from tests.server.people.directories import day, ms

NOW = ms("2026-11-22T10:00:00+00:00")
LEFT = ms("2026-11-14T00:00:00+00:00")
"""The first moment after the last day of `_gone`."""


def _gone(**fields: object) -> PersonFacts:
    """Left after 13 November."""
    work = (Employment(last_day=day("2026-11-13"), leaving_type="dismissed"),)
    return PersonFacts(**{"id": "E1", "time_zone": "UTC", "employments": work, **fields})  # type: ignore[arg-type]


def _leaver(person: PersonFacts, *accounts: AccountRecord, now: int = NOW, **known: object) -> Leaver:
    closed: dict[tuple[str, str], int] = known.get("closed", {})  # type: ignore[assignment]
    traits: dict[str, tuple[Binding, ...]] = known.get("traits", {})  # type: ignore[assignment]
    found = leaver(person, accounts, closed, traits, now)
    assert found is not None
    return found


def _is_no_leaver(person: PersonFacts, now: int = NOW) -> bool:
    return leaver(person, (), {}, {}, now) is None


def test_who_stays_is_no_leaver_and_who_is_on_notice_is() -> None:
    assert _is_no_leaver(PersonFacts("E1", "UTC"))
    far = (Employment(last_day=day("2027-11-13")),)
    assert _is_no_leaver(PersonFacts("E1", "UTC", employments=far))
    found = _leaver(PersonFacts("E1", "UTC", employments=(Employment(last_day=day("2026-12-04")),)))
    assert (found.status, found.days_left, found.left_at) == (
        PersonStatus.NOTICE,
        12,
        ms("2026-12-05T00:00:00+00:00"),
    )


@pytest.mark.parametrize(
    ("employment", "now", "begins"),
    [
        (Employment(last_day=day("2026-12-04")), NOW, "2026-09-05"),
        (Employment(notice_day=day("2026-11-02"), last_day=day("2026-12-04")), NOW, "2026-11-02"),
        (Employment(notice_day=day("2026-11-02"), last_day=day("2026-11-13")), NOW, "2026-11-02"),
        (Employment(notice_day=day("2026-11-02")), NOW, "2026-11-02"),
    ],
)
def test_rules_for_who_is_leaving_hold_from_the_notice_on(
    employment: Employment, now: int, begins: str
) -> None:
    found = _leaver(PersonFacts("E1", "Asia/Shanghai", employments=(employment,)), now=now)
    assert found.notice_at == ms(f"{begins}T00:00:00+08:00")


def test_who_had_left_when_it_was_said_was_never_watched_as_leaving() -> None:
    flag = LeaverFlag(day("2026-11-13"), notice_day=day("2026-11-14"))
    late = Employment(start_day=day("2026-11-13"), notice_day=day("2026-11-20"), last_day=day("2026-11-13"))
    assert _leaver(PersonFacts("E1", "UTC", employments=(late,))).notice_at is None
    assert _leaver(PersonFacts("E1", "UTC", flag=flag)).notice_at == ms("2026-08-15T00:00:00+00:00")


def test_days_and_the_last_moment_are_those_where_the_person_is() -> None:
    work = (Employment(last_day=day("2026-11-22"), last_minute=17 * 60 + 30),)
    person = PersonFacts("E1", "Asia/Shanghai", employments=work)
    # 17:30 there is still worked.
    before = _leaver(person, now=ms("2026-11-22T17:30:59+08:00"))
    assert (before.status, before.days_left) == (PersonStatus.NOTICE, 0)
    after = _leaver(person, now=ms("2026-11-22T17:31:00+08:00"))
    assert (after.status, after.days_left, after.left_at) == (
        PersonStatus.LEFT,
        0,
        ms("2026-11-22T17:31:00+08:00"),
    )


@pytest.mark.parametrize(
    ("zone", "last", "minute", "left_at"),
    [
        # Clocks show 01:30 twice: the later one.
        ("America/New_York", "2026-11-01", 90, "2026-11-01T01:31:00-05:00"),
        # 02:30 is skipped: half an hour after the skipped hour began.
        ("Europe/Berlin", "2026-03-29", 150, "2026-03-29T03:31:00+02:00"),
        # Midnight is skipped on the day after: the day ends at 1 o'clock.
        ("America/Santiago", "2026-09-05", None, "2026-09-06T01:00:00-03:00"),
    ],
)
def test_on_nights_when_clocks_are_set_nobody_has_left_too_early(
    zone: str, last: str, minute: int | None, left_at: str
) -> None:
    work = (Employment(last_day=day(last), last_minute=minute),)
    person = PersonFacts("E1", zone, employments=work)
    moment = ms(left_at)
    assert not _leaver(person, now=moment - 1).has_left
    assert _leaver(person, now=moment).has_left
    assert _leaver(person, now=moment).left_at == moment


def test_a_rehire_on_the_day_after_leaves_nobody_on_the_list_and_a_gap_does_as_long_as_it_lasts() -> None:
    first = Employment(1, last_day=day("2026-11-13"))
    at_once = Employment(2, start_day=day("2026-11-14"))
    assert _is_no_leaver(_gone(employments=(first, at_once)))
    later = Employment(2, start_day=day("2026-12-01"))
    person = _gone(employments=(first, later))
    assert _leaver(person).left_at == LEFT
    assert _is_no_leaver(person, now=ms("2026-12-01T00:00:00+00:00"))


def test_who_ends_one_of_two_jobs_is_no_leaver() -> None:
    jobs = (Employment(1, last_day=day("2026-11-13")), Employment(2, reference="B"))
    assert _is_no_leaver(PersonFacts("E1", "UTC", employments=jobs))


def test_a_flag_by_hand_makes_a_leaver_with_its_own_dates() -> None:
    flag = LeaverFlag(day("2026-11-20"), last_minute=720, leaving_type="resigned")
    found = _leaver(PersonFacts("E1", "UTC", flag=flag))
    assert (found.last_day, found.last_minute, found.leaving_type, found.is_flagged) == (
        day("2026-11-20"),
        720,
        "resigned",
        True,
    )


def _account(name: str, *owners: Binding, kind: AccountKind = "personal", **more: object) -> AccountRecord:
    return AccountRecord(name, kind=kind, owners=owners, **more)  # type: ignore[arg-type]


def test_an_account_is_open_until_it_is_closed_or_somebody_elses() -> None:
    mine = Binding("E1")
    held = tuple(Holding(name) for name in ("alive", "closed"))
    handed = Holding("handed", until=LEFT + 5)
    dropped = Holding("dropped", until=LEFT + 5)
    before = Holding("before", until=LEFT - 5)
    person = _gone(accounts=(*held, handed, dropped, before))
    found = _leaver(
        person,
        _account("alive", mine),
        _account("closed", mine),
        _account("handed", Binding("E1", until=LEFT + 5), Binding("E2", since=LEFT + 5)),
        _account("dropped", Binding("E1", until=LEFT + 5)),
        _account("before", Binding("E1", until=LEFT - 5), Binding("E2", since=LEFT - 5)),
        closed={("", "closed"): NOW - 5},
    )
    assert {each.account: each.state for each in found.accounts} == {
        "alive": State.OPEN,
        "closed": State.CLOSED,
        "handed": State.HANDED_OVER,
        "dropped": State.ENDED,
    }


def test_a_closing_that_is_yet_to_come_closes_nothing() -> None:
    person = _gone(accounts=(Holding("alive"),))
    found = _leaver(person, _account("alive", Binding("E1")), closed={("", "alive"): NOW + 5})
    assert found.accounts[0].state is State.OPEN


def test_an_account_that_was_closed_and_given_out_again_is_open() -> None:
    person = _gone(accounts=(Holding("reused", since=LEFT - 1000),))
    bound = _account("reused", Binding("E0", until=LEFT - 9000), Binding("E1", since=LEFT - 1000))
    assert _leaver(person, bound, closed={("", "reused"): LEFT - 5000}).accounts[0].state is State.OPEN
    assert _leaver(person, bound, closed={("", "reused"): LEFT - 500}).accounts[0].state is State.CLOSED


def test_a_machine_is_open_until_it_is_back_or_reissued() -> None:
    person = _gone(
        traits=(
            Holding("host:out"),
            Holding("host:back", until=LEFT + 5),
            Holding("device:reissued", until=LEFT + 5),
            Holding("host:long-gone", until=LEFT - 5),
            Holding("address:10.0.0.7"),
        )
    )
    found = _leaver(
        person,
        traits={
            "host:out": (Binding("E1"),),
            "host:back": (Binding("E1", until=LEFT + 5),),
            "device:reissued": (Binding("E1", until=LEFT + 5), Binding("E2", since=LEFT + 5)),
        },
    )
    assert {each.machine: each.state for each in found.machines} == {
        "host:out": State.OPEN,
        "host:back": State.ENDED,
        "device:reissued": State.HANDED_OVER,
    }


def test_a_machine_that_somebody_else_was_given_is_theirs_although_nobody_said_that_it_came_back() -> None:
    person = _gone(traits=(Holding("host:both"),))
    both = (Binding("E1"), Binding("E2", since=LEFT + 5))
    found = _leaver(person, traits={"host:both": both})
    assert found.machines[0].state is State.HANDED_OVER


@pytest.mark.parametrize(
    ("until", "rotated_at", "state"),
    [
        (None, None, State.OPEN),
        (None, LEFT - 1, State.OPEN),
        (None, LEFT, State.ROTATED),
        # Moved to another team in summer; the password was changed then, while they were still here.
        (LEFT - 1000, LEFT - 1000, State.ROTATED),
        (LEFT - 1000, LEFT - 1001, State.OPEN),
        # Said to know it no more only after leaving: the leaving counts.
        (LEFT + 1000, LEFT + 10, State.ROTATED),
    ],
)
def test_a_password_is_known_until_it_is_changed_after_the_leaving(
    until: int | None, rotated_at: int | None, state: State
) -> None:
    knows = (Binding("E1", until=until),)
    kefu = AccountRecord("kefu", "shipping", "shared", rotated_at, (Binding("E2"),), knows)
    (found,) = _leaver(_gone(), kefu).secrets
    assert (found.account, found.system, found.state) == ("kefu", "shipping", state)


def test_who_answers_for_a_shared_account_knows_its_password_and_whose_own_it_is_has_no_secret() -> None:
    person = _gone(accounts=(Holding("kefu"), Holding("own")))
    shared = _account("kefu", Binding("E1"), kind="shared")
    found = _leaver(person, shared, _account("own", Binding("E1")))
    assert [each.account for each in found.secrets] == ["kefu"]
    assert {each.account: each.state for each in found.accounts} == {"kefu": State.OPEN, "own": State.OPEN}


def test_a_colleagues_own_password_that_somebody_was_told_is_a_secret() -> None:
    told = AccountRecord("boss", owners=(Binding("E9"),), knowers=(Binding("E1"),))
    (found,) = _leaver(_gone(), told).secrets
    assert (found.account, found.state) == ("boss", State.OPEN)


def test_what_somebody_was_told_after_leaving_is_no_matter_of_the_leaving() -> None:
    later = AccountRecord("kefu", kind="shared", knowers=(Binding("E1", since=LEFT + 5),))
    assert _leaver(_gone(), later).secrets == ()


def test_on_notice_a_password_is_still_known_whenever_it_was_changed() -> None:
    person = PersonFacts("E1", "UTC", employments=(Employment(last_day=day("2026-12-04")),))
    kefu = AccountRecord("kefu", kind="shared", rotated_at=NOW - 1, knowers=(Binding("E1"),))
    assert _leaver(person, kefu).secrets[0].state is State.OPEN


def test_the_password_of_a_closed_account_is_nobodys_task() -> None:
    kefu = AccountRecord("kefu", kind="shared", knowers=(Binding("E1"),))
    assert _leaver(_gone(), kefu, closed={("", "kefu"): NOW - 1}).secrets[0].state is State.CLOSED
