"""Whose account it was at the event's own time, whatever was declared or learned when."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.people.directory import AccountRecord, Directory, PersonRecord
from server.people.facts import AccountKind
from server.people.holders import Binding, Changing, holders
from tests.server.people.directories import owned

A, B = PersonRecord("a"), PersonRecord("b")


def _directory(*accounts: AccountRecord) -> Directory:
    return Directory(1, [A, B], accounts)


def _who(directory: Directory, account: str, time: int, host: str = "h", system: str = "") -> str | None:
    found = directory.person_by_account(account, host, time, system)
    return None if found is None else found.id


def test_an_account_that_was_handed_over_is_judged_by_the_time_of_the_event() -> None:
    desk = AccountRecord("desk", owners=(Binding("a", None, 100), Binding("b", 100, 200)))
    directory = _directory(desk)
    assert [_who(directory, "DESK", time) for time in (0, 99, 100, 199, 200)] == ["a", "a", "b", "b", None]


def test_what_was_learned_never_stands_against_what_is_declared() -> None:
    account = AccountRecord(
        "x", owners=(Binding("a", 50, 100), Binding("b", None, None, "learned", 0.99), Binding("a", None, 10))
    )
    directory = _directory(account)
    assert [_who(directory, "x", time) for time in (5, 20, 50, 99, 100)] == ["a", "b", "a", "a", "b"]


def test_a_narrower_listing_holds_for_its_time_and_then_the_wider_one() -> None:
    directory = _directory(
        AccountRecord("user", owners=(Binding("a"),)),
        AccountRecord("user@kiosk", owners=(Binding("b", 10, 20),)),
    )
    assert [_who(directory, "user", time, "kiosk") for time in (9, 10, 19, 20)] == ["a", "b", "b", "a"]
    assert _who(directory, "user", 15, "laptop") == "a"


def test_an_account_of_an_application_is_another_one_than_that_of_the_same_name_everywhere() -> None:
    directory = _directory(
        AccountRecord("kefu", owners=(Binding("a"),)),
        AccountRecord("kefu", "shipping", owners=(Binding("b"),)),
    )
    assert _who(directory, "kefu", 1, system="shipping") == "b"
    assert _who(directory, "kefu", 1, system="crm") == "a"


@pytest.mark.parametrize("kind", ["shared", "service"])
def test_a_shared_account_has_an_owner_and_says_of_nobody_that_they_used_it(kind: AccountKind) -> None:
    account = AccountRecord("kefu", kind=kind, owners=(Binding("a"),), knowers=(Binding("b"),))
    directory = _directory(account, *owned({"kefu2": "b"}))
    assert _who(directory, "kefu", 1) is None
    assert directory.owner(account, 1) == A
    assert directory.account("Kefu", "h") == account
    assert _who(directory, "kefu2", 1) == "b"


def test_a_machine_that_was_reissued_is_the_next_persons_from_then_on() -> None:
    bound = {"host:laptop-7": (Binding("a", None, 100), Binding("b", 100))}
    directory = Directory(1, [A, B], [], bound)
    assert [directory.holder("host:laptop-7", time) for time in (99, 100)] == [A, B]
    assert directory.holder("host:laptop-8", 0) is None
    assert len(directory.holdings("host:laptop-7")) == 2


_moment = st.none() | st.integers(0, 20)
_binding = st.builds(
    Binding,
    st.sampled_from(["a", "b", "c"]),
    _moment,
    _moment,
    st.sampled_from(["import", "learned"]),
    st.sampled_from([0.5, 1.0]),
)


@given(st.lists(_binding, max_size=6), st.integers(-2, 22))
def test_at_any_time_the_holder_is_one_of_those_whose_binding_holds_and_declared_ones_win(
    bindings: list[Binding], time: int
) -> None:
    found = holders(bindings)
    holder = found.at(time) if isinstance(found, Changing) else found
    holding = [binding for binding in bindings if binding.holds_at(time)]
    declared = {binding.person_id for binding in holding if binding.source != "learned"}
    if not holding:
        assert holder is None
    elif declared:
        assert holder in declared
    else:
        assert holder in {binding.person_id for binding in holding}


@given(st.lists(_binding, max_size=6), st.integers(-2, 22))
def test_the_order_of_bindings_does_not_show(bindings: list[Binding], time: int) -> None:
    def holder(found: str | Changing[str] | None) -> str | None:
        return found.at(time) if isinstance(found, Changing) else found

    assert holder(holders(bindings)) == holder(holders(bindings[::-1]))
