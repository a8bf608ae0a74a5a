"""What points to somebody who left, and what does not: reissued machines, cafés, rehires, late files."""

from __future__ import annotations

import itertools

from server.enrich.left_traits import LeftTrait
from server.enrich.trait_uses import USES_MAX
from server.people.company_places import CompanyPlaces, NamedPlaces
from server.people.facts import Employment
from server.people.holders import Binding
from tests.server.enrich.people_who_left import DAY, LEFT, LEFT_DAY, Company, act

HERS = "device:laptop-ana"
HOME = "198.51.100.7"


def _used_by_ana(company: Company, *days_before: int) -> None:
    company.acts(*(act("ana", LEFT - n * DAY, device="laptop-ana", ip=HOME) for n in days_before))


def test_a_colleagues_account_on_the_device_of_who_left_points_to_that_person() -> None:
    company = Company()
    _used_by_ana(company, 90, 30, 1)
    theirs = act("ben", LEFT + 200 * DAY, device="laptop-ana", ip=HOME)
    found = company.around.left_traits(theirs, company.who.who(theirs, theirs.time), theirs.time)
    known = LeftTrait(HERS, ("ana",), LEFT, LEFT - 90 * DAY, LEFT - DAY, users=1, others=0)
    assert found == (known, LeftTrait(f"address:{HOME}", *_rest(known)))


def _rest(known: LeftTrait) -> tuple[tuple[str, ...], int, int | None, int | None, int, int]:
    return known.people, known.left_at, known.first_used, known.last_used, known.users, known.others


def test_it_goes_on_pointing_there_when_it_was_done_before() -> None:
    company = Company()
    _used_by_ana(company, 10)
    for number in range(5):
        later = act("ben", LEFT + (60 + number) * DAY, device="laptop-ana")
        assert company.of_left(later) == (HERS,)
        company.act(later)


def test_while_the_person_is_there_nothing_points_anywhere() -> None:
    company = Company()
    _used_by_ana(company, 10)
    assert company.of_left(act("ben", LEFT - 1, device="laptop-ana")) == ()
    assert company.of_left(act("ben", LEFT, device="laptop-ana")) == (HERS,)


def test_a_device_that_others_used_meanwhile_is_not_theirs_alone() -> None:
    company = Company()
    _used_by_ana(company, 30)
    company.act(act("cem", LEFT - 5 * DAY, device="laptop-ana"))
    _used_by_ana(company, 2)
    assert company.of_left(act("ben", LEFT + DAY, device="laptop-ana")) == ()


def test_who_had_it_before_them_does_not_free_it_but_for_their_own_acts() -> None:
    company = Company()
    company.act(act("cem", LEFT - 300 * DAY, device="laptop-ana"))
    _used_by_ana(company, 200, 2)
    assert company.of_left(act("ben", LEFT + DAY, device="laptop-ana")) == (HERS,)
    assert company.of_left(act("cem", LEFT + DAY, device="laptop-ana")) == ()


def test_who_had_it_before_them_is_the_same_person_where_hr_did_not_list_the_account_then() -> None:
    company = Company()
    company.uses.add(HERS, "account:cem@app-1", "account:cem@app-1", LEFT - 300 * DAY)
    _used_by_ana(company, 200, 2)
    assert company.of_left(act("cem", LEFT + DAY, device="laptop-ana")) == ()
    theirs = act("ben", LEFT + DAY, device="laptop-ana")
    (found,) = company.around.left_traits(theirs, company.who.who(theirs, theirs.time), theirs.time)
    assert (found.trait, found.users, found.others) == (HERS, 2, 1)


def test_what_somebody_used_before_hr_listed_the_account_is_not_anothers_use() -> None:
    company = Company()
    _used_by_ana(company, 30)
    company.uses.add(HERS, "account:ben@app-1", "account:ben@app-1", LEFT + DAY)
    theirs = act("ben", LEFT + 9 * DAY, device="laptop-ana")
    (found,) = company.around.left_traits(theirs, company.who.who(theirs, theirs.time), theirs.time)
    assert (found.users, found.others) == (2, 0)


def test_shared_accounts_and_root_neither_bind_nor_free() -> None:
    company = Company()
    _used_by_ana(company, 30)
    company.acts(
        act("kefu", LEFT - 20 * DAY, device="laptop-ana"), act("root", LEFT - 20 * DAY, device="laptop-ana")
    )
    _used_by_ana(company, 2)
    assert company.of_left(act("kefu", LEFT + DAY, device="laptop-ana")) == (HERS,)
    company.act(act("kefu", LEFT - 20 * DAY, device="till"))
    assert company.of_left(act("ben", LEFT + DAY, device="till")) == ()


def test_an_account_of_nobody_known_is_somebody_who_has_not_left() -> None:
    company = Company()
    _used_by_ana(company, 30)
    company.act(act("temp7", LEFT - 20 * DAY, device="laptop-ana"))
    assert company.of_left(act("ben", LEFT + DAY, device="laptop-ana")) == ()


def test_a_machine_that_is_declared_to_be_somebody_elses_was_reissued() -> None:
    given = LEFT + 20 * DAY
    company = Company(traits={HERS: (Binding("ana", until=given), Binding("cem", since=given))})
    _used_by_ana(company, 10)
    assert company.of_left(act("cem", given - 1, device="laptop-ana")) == (HERS,)
    assert company.of_left(act("cem", given, device="laptop-ana")) == ()


def test_a_machine_that_was_given_back_points_to_nobody() -> None:
    company = Company(traits={HERS: (Binding("ana", until=LEFT + 5 * DAY),)})
    _used_by_ana(company, 10)
    assert company.of_left(act("ben", LEFT + 4 * DAY, device="laptop-ana")) == (HERS,)
    assert company.of_left(act("ben", LEFT + 6 * DAY, device="laptop-ana")) == ()


def test_a_declared_machine_points_to_who_left_where_no_use_was_seen() -> None:
    company = Company(traits={HERS: (Binding("ana"),)})
    event = act("ben", LEFT + DAY, device="laptop-ana")
    (found,) = company.around.left_traits(event, company.who.who(event, event.time), event.time)
    assert (found.people, found.first_used, found.users) == (("ana",), None, 0)


def test_after_a_rehire_the_device_is_somebodys_who_is_there() -> None:
    back = Employment(number=2, start_day=LEFT_DAY + 100)
    company = Company(ana=(Employment(last_day=LEFT_DAY), back))
    _used_by_ana(company, 10)
    assert company.of_left(act("ben", LEFT + 98 * DAY, device="laptop-ana")) == (HERS,)
    assert company.of_left(act("ben", LEFT + 100 * DAY, device="laptop-ana")) == ()


def test_addresses_of_the_company_and_of_carriers_point_to_nobody() -> None:
    company = Company(places=CompanyPlaces(NamedPlaces(("203.0.113.0/24",))))
    for ip in ("203.0.113.9", "100.64.7.7", "127.0.0.1"):
        company.act(act("ana", LEFT - 5 * DAY, ip=ip))
        assert company.of_left(act("ben", LEFT + DAY, ip=ip)) == ()
    assert not [row for row in company.uses.rows() if row["trait"].startswith("address:")]


def test_an_ipv6_address_is_known_by_its_network() -> None:
    company = Company()
    company.act(act("ana", LEFT - 5 * DAY, ip="2001:db8:1:2:aaaa::1"))
    event = act("ben", LEFT + DAY, ip="2001:db8:1:2:bbbb::2")
    assert company.of_left(event) == ("address:2001:db8:1:2::/64",)


def test_a_crowds_address_points_to_nobody_and_what_is_not_kept_is_counted() -> None:
    company = Company()
    company.act(act("ana", LEFT - 5 * DAY, ip=HOME))
    assert company.of_left(act("ben", LEFT + DAY, ip=HOME)) == (f"address:{HOME}",)
    for number in range(USES_MAX + 4):
        company.act(act(f"guest{number}", LEFT + DAY, ip=HOME))
    assert company.of_left(act("ben", LEFT + DAY, ip=HOME)) == ()
    assert company.uses.dropped == 5


def test_what_failed_is_no_use() -> None:
    company = Company()
    company.act(act("ana", LEFT - 5 * DAY, device="laptop-ana", failed=True))
    assert company.uses.rows() == []


def test_the_order_in_which_acts_came_does_not_show_in_the_uses() -> None:
    events = [
        act("ana", LEFT - 9 * DAY, device="laptop-ana"),
        act("ben", LEFT - 5 * DAY, device="laptop-ana"),
        act("ana", LEFT - 2 * DAY, device="laptop-ana"),
        act("kefu", LEFT + 2 * DAY, device="laptop-ana", ip=HOME),
    ]
    found = []
    for order in itertools.permutations(events):
        company = Company()
        company.acts(*order)
        found.append(sorted(repr(sorted(row.items())) for row in company.uses.rows()))
        # A late event is judged by uses that had begun by its own time.
        assert company.of_left(act("ben", LEFT - 6 * DAY, device="laptop-ana")) == ()
    assert all(each == found[0] for each in found)


def test_who_is_behind_an_account_may_be_declared_later_than_it_was_used() -> None:
    company = Company()
    company.act(act("a.novak", LEFT - 5 * DAY, device="laptop-ana"))
    rows = company.uses.rows()
    assert {row["subject"] for row in rows} == {"account:a.novak@app-1"}
    assert company.of_left(act("ben", LEFT + DAY, device="laptop-ana")) == ()
    late = Company(kefu=None)
    late.directory._everywhere["a.novak"] = late.directory._everywhere["ana"]
    for row in rows:
        late.uses.add(row["trait"], row["subject"], row["account"], row["first_time"])
    assert late.of_left(act("ben", LEFT + DAY, device="laptop-ana")) == (HERS,)
