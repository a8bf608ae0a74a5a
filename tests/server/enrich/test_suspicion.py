"""Whom an act may be by, beside whoever's account it was: only who left, and only one person."""

from __future__ import annotations

import itertools

import pytest

from server.enrich.left_traits import LeftTrait
from server.enrich.suspicion import Pointer, Suspicion, pointers, suspicion
from server.people.directory import Directory, PersonRecord
from server.people.facts import Employment
from server.people.holders import Binding
from tests.server.enrich.people_who_left import act
from tests.server.people.directories import day, ms
from tests.server.pipeline.endpoint import copied_file

LAST = day("2026-03-31")
LATER = ms("2026-06-29T12:00:00Z")


def _person(
    person_id: str, department: str | None, manager_id: str | None = None, last_day: int | None = None
) -> PersonRecord:
    return PersonRecord(person_id, department, manager_id, employments=(Employment(last_day=last_day),))


GONE = _person("gone", "sales", "boss", LAST)
ALSO_GONE = _person("also", "sales", last_day=LAST + 10)
BOSS = _person("boss", "management")
BACK = PersonRecord(
    "back", employments=(Employment(last_day=LAST), Employment(number=2, start_day=LAST + 30))
)
MATE = _person("mate", "sales")
OTHER = _person("other", "accounts")
DIRECTORY = Directory(1, [GONE, ALSO_GONE, BOSS, BACK, MATE, OTHER])


def _of(*led_by: tuple[str, str], user: PersonRecord | None = OTHER, at: int = LATER) -> Suspicion | None:
    return suspicion(
        DIRECTORY, user, user.id if user else "other", at, [Pointer(trait, who) for trait, who in led_by]
    )


def test_a_machine_of_who_left_leads_to_them_with_the_days_since() -> None:
    found = _of(("host:pc-9", "gone"))
    assert found is not None
    assert found.person == GONE
    assert found.fields is not None
    assert (found.fields.id, found.fields.days_since_left) == ("gone", 90)


def test_on_the_last_evening_after_the_last_hour_no_day_has_passed() -> None:
    early = PersonRecord("gone", employments=(Employment(last_day=LAST, last_minute=14 * 60),))
    found = suspicion(
        Directory(1, [early]), None, None, ms("2026-03-31T18:00:00Z"), [Pointer("host:pc-9", "gone")]
    )
    assert found is not None
    assert found.fields is not None
    assert found.fields.days_since_left == 0


@pytest.mark.parametrize(
    ("pointer", "user", "at"),
    [
        ("gone", GONE, LATER),
        ("gone", OTHER, ms("2026-03-31T12:00:00Z")),
        ("back", OTHER, LATER),
        ("mate", OTHER, LATER),
        ("nobody", OTHER, LATER),
    ],
    ids=["own account", "before leaving", "rehired", "still here", "not known"],
)
def test_nobody_is_suspected(pointer: str, user: PersonRecord, at: int) -> None:
    assert _of(("host:pc-9", pointer), user=user, at=at) is None


def test_who_came_back_was_a_suspect_in_the_gap() -> None:
    found = _of(("host:pc-9", "back"), at=ms("2026-04-10T12:00:00Z"))
    assert found is not None
    assert found.person == BACK


@pytest.mark.parametrize(("user", "link"), [(BOSS, "manager"), (MATE, "team"), (OTHER, None), (None, None)])
def test_the_link_is_that_of_the_accounts_owner(user: PersonRecord | None, link: str | None) -> None:
    found = _of(("address:203.0.113.9", "gone"), user=user)
    assert found is not None
    assert found.fields is not None
    assert found.fields.link == link


@pytest.mark.parametrize(
    ("led_by", "suspect"),
    [
        ((("knows:kefu", "gone"),), "gone"),
        ((("knows:kefu", "gone"), ("knows:kefu", "also")), None),
        ((("knows:kefu", "gone"), ("knows:kefu", "also"), ("address:203.0.113.9", "also")), "also"),
        ((("host:pc-9", "gone"), ("address:203.0.113.9", "also")), "gone"),
        ((("host:pc-9", "gone"), ("host:pc-9", "also"), ("knows:kefu", "also")), "also"),
        ((("host:pc-9", "gone"), ("key:k", "also")), None),
        ((("host:pc-9", "gone"), ("host:pc-9", "also"), ("knows:kefu", "boss")), None),
    ],
)
def test_what_is_nearer_counts_first_and_what_is_farther_chooses(
    led_by: tuple[tuple[str, str], ...], suspect: str | None
) -> None:
    for order in itertools.permutations(led_by):
        found = _of(*order)
        assert found is not None
        assert (found.person.id if found.person else None) == suspect
        if suspect is None:
            assert found.fields is None
            assert {pointer.person_id for pointer in found.pointers} == {"gone", "also"}
        else:
            assert {pointer.person_id for pointer in found.pointers} == {suspect}


def _given_on(*, since: int | None) -> Directory:
    machine = (Binding("gone", None, since), Binding("other", since))
    return Directory(1, [GONE, OTHER, MATE], traits={"host:pc-9": machine})


@pytest.mark.parametrize("trait", ["host:pc-9", "device:certificate-of-pc-9"])
def test_a_machine_does_not_lead_from_whoever_was_given_one_of_theirs(trait: str) -> None:
    directory = _given_on(since=LATER - 30 * 86_400_000)
    found = [Pointer(trait, "gone")]
    assert suspicion(directory, OTHER, "other", LATER, found) is None
    assert suspicion(directory, MATE, "mate", LATER, found) is not None


def test_their_address_leads_from_whoever_was_given_their_machine_all_the_same() -> None:
    directory = _given_on(since=LATER - 30 * 86_400_000)
    found = suspicion(directory, OTHER, "other", LATER, [Pointer("address:203.0.113.9", "gone")])
    assert found is not None
    assert found.person == GONE


def _bound(trait: str, *, users: int = 1) -> LeftTrait:
    return LeftTrait(trait, ("gone",), LATER, None, None, users, 0)


def test_neither_a_stick_left_behind_nor_a_busy_address_is_a_pointer() -> None:
    copy, login = copied_file(LATER), act("cem", LATER)
    assert list(pointers(copy, [_bound("device:0781:5591:S1")], (), "cem")) == []
    assert [p.trait for p in pointers(login, [_bound("device:phone-1")], (), "cem")] == ["device:phone-1"]
    assert list(pointers(login, [_bound("address:203.0.113.9", users=4)], (), "cem")) == []
    assert len(list(pointers(login, [_bound("address:203.0.113.9", users=3)], (), "cem"))) == 1


def test_who_knows_the_password_is_a_pointer_of_the_account() -> None:
    assert list(pointers(act("kefu", LATER), [], ("gone",), "kefu")) == [Pointer("knows:kefu", "gone")]
