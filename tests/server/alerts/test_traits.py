"""Why an alert is about whom it is about: a function of the subject's rows, whatever their order."""

from __future__ import annotations

import random
from typing import Any

import msgspec

from server.alerts.trait_words import trait_words
from server.alerts.traits import AlertTrait, Blame, blame, without_person
from server.pipeline.subject_state import SubjectState, TraitPlace

DAY = 20_500
LOG = "access_log"
SHOP = "account:kefu@shop"
JUNE, MARCH = 1_780_272_000_000, 1_772_323_200_000


def _state(subject: str, acts: list[tuple[TraitPlace, dict[str, Any]]]) -> SubjectState:
    state = SubjectState(subject)
    for place, known in acts:
        state.suspect_trait(place, **known)
    return state


def _act(
    trait: str, *, through: str = "person:boss", who: str = "gone", day: int = DAY, **known: Any
) -> tuple[TraitPlace, dict[str, Any]]:
    return (LOG, day, through, trait, who), {"owner_id": "boss", **known}


def _blame(state: SubjectState, *, person_id: str | None = "gone", events: int = 2, day: int = DAY) -> Blame:
    return blame(state, frozenset({(LOG, day)}), person_id=person_id, events=events)


def test_the_one_who_left_is_the_suspect_and_the_colleague_the_owner() -> None:
    acts = [_act(""), _act("")]
    acts.append(_act("host:pc-9", since=MARCH, until=JUNE, others=0))
    acts.append(_act("host:pc-9", since=MARCH + 5, until=JUNE - 5, others=1))
    expected = Blame(
        account_owner="boss",
        suspected_actor="gone",
        traits=(
            AlertTrait(
                *("machine", "pc-9", "person:gone", "person:boss", MARCH, JUNE, 1),
                events=2,
            ),
        ),
    )
    dice = random.Random(7)
    for _ in range(10):
        dice.shuffle(acts)
        assert _blame(_state("person:gone", acts)) == expected


def test_own_acts_of_the_same_days_are_said_too_and_the_account_of_most_acts_has_its_owner_named() -> None:
    state = _state("person:gone", [_act(""), _act("address:203.0.113.9")])
    found = _blame(state, events=5)
    assert [(trait.kind, trait.events) for trait in found.traits] == [("own_account", 4), ("address", 1)]
    assert found.account_owner == "gone"


def test_days_that_are_not_the_alerts_take_no_part() -> None:
    state = _state("person:gone", [_act("", day=DAY - 1), _act("host:pc-9", day=DAY - 1)])
    assert _blame(state, events=1).traits == (AlertTrait("own_account", events=1),)


def test_a_shared_account_that_several_who_left_know_names_no_suspect_and_all_of_them() -> None:
    acts = [_act("", through=SHOP, who="")]
    acts += [_act("knows:kefu", through=SHOP, who=who) for who in ("gone", "also")]
    found = _blame(_state(SHOP, acts), person_id=None, events=1)
    assert (found.account_owner, found.suspected_actor) == ("boss", None)
    assert [(t.kind, t.value, t.leads_to, t.through) for t in found.traits] == [
        ("password", None, "person:also", None),
        ("password", None, "person:gone", None),
    ]


def test_an_account_of_nobody_has_neither_owner_nor_suspect() -> None:
    assert _blame(SubjectState("account:x@y"), person_id=None, events=3) == Blame(
        None, None, (AlertTrait("unknown_account", events=3),)
    )


def test_who_is_erased_is_in_no_trait_any_more() -> None:
    traits = (
        AlertTrait("device", "pc-9", "person:gone", "person:boss", events=2),
        AlertTrait("password", None, "person:also", events=1),
    )
    assert without_person(traits, "gone") == traits[1:]
    assert without_person(traits, "boss") == (
        msgspec.structs.replace(traits[0], through=None),
        traits[1],
    )


def test_a_trait_reads_as_a_person_would_say_it() -> None:
    trait = AlertTrait("device", "pc-9", "person:gone", "person:boss", MARCH, JUNE, 0, events=153)
    words = trait_words(
        trait, value="H-1234", leads_to="P-AAAAA", through="P-BBBBB", time_zone="Asia/Shanghai"
    )
    assert words == {
        "en": "device H-1234, used by P-AAAAA 2026-03-01 to 2026-06-01, nobody else ever: 153 events"
        " under the account of P-BBBBB",
        "zh": "设备 H-1234，P-AAAAA 2026-03-01 至 2026-06-01 使用过，其他人从未使用：153 个事件，"
        "使用 P-BBBBB 的账号",
    }
    known = AlertTrait("password", leads_to="person:gone", through=SHOP, events=1)
    assert trait_words(known, value=None, leads_to="P-AAAAA", through="A-CCCCC", time_zone=None)["en"] == (
        "password known to P-AAAAA: 1 event under the account of A-CCCCC"
    )
    others = msgspec.structs.replace(trait, kind="address", others=2, since=None, until=None, through=None)
    assert trait_words(others, value="N-9", leads_to=None, through=None, time_zone=None)["en"] == (
        "address N-9, used by somebody who left, and 2 others: 153 events"
    )
