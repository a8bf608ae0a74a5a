"""What an account's history says: who that left knows it, how long it slept, what is new to it."""

from __future__ import annotations

from server.enrich.around import Around
from server.people.directory import AccountRecord
from server.people.facts import Employment
from server.people.holders import Binding
from tests.server.enrich.people_who_left import DAY, LEFT, LEFT_DAY, Company, act, shared

HOME = "198.51.100.7"


def _around(company: Company, account: str, time: int, *, device: str = "", ip: str = "") -> Around:
    event = act(account, time, device=device or None, ip=ip or None)
    return company.around.look_at(event, company.who.who(event, time), time)


def _known(company: Company, time: int) -> tuple[bool | None, bool | None]:
    found = _around(company, "kefu", time)
    return found.known_to_left, found.rotated_since_left


def test_who_left_knows_the_shared_password_until_it_is_changed() -> None:
    knows = (Binding("ana"),)
    never = Company(kefu=shared(knowers=knows))
    assert _known(never, LEFT - 1) == (False, None)
    assert _known(never, LEFT + 400 * DAY) == (True, False)
    event = act("kefu", LEFT + DAY)
    assert never.around.left_who_know(never.who.who(event, event.time), event.time) == ("ana",)
    before = Company(kefu=shared(knowers=knows, rotated_at=LEFT - DAY))
    assert _known(before, LEFT + DAY) == (True, False)
    after = Company(kefu=shared(knowers=knows, rotated_at=LEFT + 3 * DAY))
    assert _known(after, LEFT + 2 * DAY) == (True, False)
    assert _known(after, LEFT + 4 * DAY) == (False, True)


def test_what_was_told_to_nobody_who_left_is_known_to_nobody_who_left() -> None:
    assert _known(Company(kefu=shared(knowers=(Binding("cem"),))), LEFT + DAY) == (False, None)
    later = (Binding("ana", since=LEFT + DAY),)
    assert _known(Company(kefu=shared(knowers=later)), LEFT + 2 * DAY) == (False, None)
    forgot = (Binding("ana", until=LEFT - DAY),)
    assert _known(Company(kefu=shared(knowers=forgot)), LEFT + DAY) == (False, None)


def test_who_answered_for_a_shared_account_knows_it() -> None:
    handed_over = (Binding("ana", until=LEFT - 30 * DAY), Binding("ben", since=LEFT - 30 * DAY))
    assert _known(Company(kefu=shared(owners=handed_over)), LEFT + DAY) == (True, False)
    changed = shared(owners=handed_over, rotated_at=LEFT - 20 * DAY)
    assert _known(Company(kefu=changed), LEFT + DAY) == (False, True)


def test_an_account_of_ones_own_that_changed_hands_is_not_known_to_who_had_it() -> None:
    own = AccountRecord("kefu", owners=(Binding("ana", until=LEFT), Binding("ben", since=LEFT)))
    assert _known(Company(kefu=own), LEFT + DAY) == (False, None)


def test_of_an_account_that_nobody_declared_it_is_not_known_who_knows_it() -> None:
    found = _around(Company(), "orders", LEFT + DAY)
    assert (found.known_to_left, found.rotated_since_left) == (None, None)


def test_who_used_the_shared_account_from_a_machine_of_their_own_knows_it() -> None:
    company = Company()
    company.acts(
        act("ana", LEFT - 30 * DAY, device="laptop-ana"), act("kefu", LEFT - 20 * DAY, device="laptop-ana")
    )
    assert _known(company, LEFT + DAY) == (True, False)
    changed = Company(kefu=shared(rotated_at=LEFT - 10 * DAY))
    changed.acts(
        act("ana", LEFT - 30 * DAY, device="laptop-ana"), act("kefu", LEFT - 20 * DAY, device="laptop-ana")
    )
    assert _known(changed, LEFT + DAY) == (False, True)


def test_a_till_that_several_use_tells_nobody_knows_it() -> None:
    company = Company()
    company.acts(
        act("ana", LEFT - 30 * DAY, device="till"),
        act("cem", LEFT - 30 * DAY, device="till"),
        act("kefu", LEFT - 20 * DAY, device="till"),
    )
    assert _known(company, LEFT + DAY) == (False, None)


def test_using_it_after_leaving_is_not_knowing_it_before() -> None:
    company = Company(traits={"device:laptop-ana": (Binding("ana"),)})
    company.act(act("kefu", LEFT + DAY, device="laptop-ana"))
    assert _known(company, LEFT + 2 * DAY) == (False, None)


def test_after_a_rehire_nobody_who_left_knows_it() -> None:
    back = (Employment(last_day=LEFT_DAY), Employment(number=2, start_day=LEFT_DAY + 50))
    company = Company(kefu=shared(knowers=(Binding("ana"),)), ana=back)
    assert _known(company, LEFT + 20 * DAY) == (True, False)
    assert _known(company, LEFT + 60 * DAY) == (False, None)


def test_dormant_days_are_those_since_the_last_use() -> None:
    company = Company()
    assert _around(company, "ben", LEFT).dormant_days is None
    company.act(act("ben", LEFT))
    assert _around(company, "ben", LEFT + 60 * DAY + 5).dormant_days == 60
    company.act(act("ben", LEFT + 60 * DAY, failed=True))
    assert _around(company, "ben", LEFT + 61 * DAY).dormant_days == 61
    company.act(act("ben", LEFT + 61 * DAY))
    assert _around(company, "ben", LEFT + 61 * DAY + 9).dormant_days is None
    assert _around(company, "ben", LEFT + 75 * DAY - 1).dormant_days is None
    assert _around(company, "ben", LEFT + 75 * DAY).dormant_days == 14


def test_a_late_event_does_not_wake_an_account_that_was_used_later() -> None:
    company = Company()
    company.acts(act("ben", LEFT), act("ben", LEFT + 80 * DAY))
    assert _around(company, "ben", LEFT + 70 * DAY).dormant_days is None
    assert _around(company, "ben", LEFT + 80 * DAY - 1000).dormant_days is None


def test_nothing_is_new_to_an_account_of_which_little_is_known() -> None:
    company = Company()
    assert _around(company, "ben", LEFT, ip=HOME).first_seen_ip is None
    company.act(act("ben", LEFT))
    assert _around(company, "ben", LEFT + 6 * DAY, ip=HOME, device="d").first_seen_device is None
    found = _around(company, "ben", LEFT + 8 * DAY, ip=HOME, device="d")
    assert (found.first_seen_ip, found.first_seen_device) == (True, True)


def test_what_is_new_stays_so_for_a_day() -> None:
    company = Company()
    company.acts(act("ben", LEFT - 30 * DAY), act("ben", LEFT, ip=HOME))
    assert _around(company, "ben", LEFT + DAY - 1, ip=HOME).first_seen_ip is True
    assert _around(company, "ben", LEFT + DAY, ip=HOME).first_seen_ip is False
    assert _around(company, "ben", LEFT + DAY, ip="10.1.2.3").first_seen_ip is None
    # New to the account, though others used it.
    company.act(act("cem", LEFT - 30 * DAY))
    assert _around(company, "cem", LEFT + 9 * DAY, ip=HOME).first_seen_ip is True


def test_an_address_tells_how_many_had_come_from_it() -> None:
    company = Company()
    company.acts(act("ben", LEFT, ip=HOME), act("ben", LEFT + 9, ip=HOME), act("cem", LEFT + 5, ip=HOME))
    assert _around(company, "ben", LEFT + 4, ip=HOME).historical_users == 1
    found = _around(company, "dora", LEFT + 9, ip=HOME)
    assert (found.historical_users, found.corporate_network, found.has_device) == (2, False, False)
    inside = _around(company, "dora", LEFT + 9, ip="10.1.2.3")
    assert (inside.historical_users, inside.corporate_network) == (None, True)
