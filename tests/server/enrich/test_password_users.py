"""Who knows a shared password by using it: what is kept between acts says the same as looking at everything,
and an account that is everybody's costs about what others do."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from types import FrameType

import pytest

from event_schema.ocsf_events import Event
from server.enrich.account_uses import KnownToLeft, known_to_left
from server.enrich.left_traits import LeftTraits
from server.enrich.surroundings import surroundings_of
from server.enrich.trait_uses import MACHINES_MAX, TraitUses
from server.enrich.who import Who, WhoIsWho
from server.people.directory import AccountRecord, Directory, PersonRecord
from server.people.facts import Employment
from server.people.holders import Binding
from server.retention import EVER
from server.store.database import Database
from server.store.tables import trait_uses
from server.store.upsert import upsert
from tests.server.enrich.people_who_left import DAY, LEFT, LEFT_DAY, Company, act
from tests.server.people.directories import owned

MACHINES, USERS = 256, 80


def _plainly_known(company: Company, who: Who, time: int) -> KnownToLeft:
    """All uses of all machines, looked at anew."""
    assert who.record is not None
    uses, directory = company.uses, company.directory
    left = LeftTraits(directory, company.who.person_of)
    used_by: list[Binding] = []
    for machine, known in uses._traits.items():
        for shared in [] if machine.startswith("account:") else known.uses.values():
            if shared.account not in who.name.names or shared.first_time > time:
                continue
            holder = directory.holder(machine, shared.first_time)
            if holder is not None:
                used_by.append(Binding(holder.id, shared.first_time, min(shared.last_time, time) + 1))
                continue
            users = [u for u in left.users(known).users if u.is_one and u.use.first_time <= time]
            alone = len({user.id for user in users}) == 1
            for user in users:
                first = max(user.use.first_time, shared.first_time)
                last = min(shared.last_time, time if alone else user.use.last_time, time)
                if user.person is not None and first <= last:
                    used_by.append(Binding(user.person.id, first, last + 1))
    return known_to_left(who.record, used_by, time, directory=directory, left=left)


class _Desks(Company):
    """Ana, Eve and Finn leave on different days and one of them comes back; `kefu` is everybody's."""

    def __init__(self, dice: random.Random) -> None:
        leave = {"ana": 0, "eve": 20, "finn": 40}
        people = [PersonRecord(p, employments=(Employment(last_day=LEFT_DAY + n),)) for p, n in leave.items()]
        back = Employment(number=2, start_day=LEFT_DAY + 60)
        people[1] = PersonRecord("eve", employments=(*people[1].employments, back))
        people += map(PersonRecord, ("ben", "cem"))
        rotated_at = dice.choice((None, LEFT - 10 * DAY, LEFT + 10 * DAY, LEFT + 30 * DAY))
        knowers = dice.choice(((), (Binding("finn", until=LEFT + 50 * DAY),)))
        kefu = AccountRecord("kefu", "", "shared", rotated_at, (Binding("ben"),), knowers)
        accounts = owned({name: name for name in ("ana", "eve", "finn", "ben", "cem")})
        desk = {"device:desk-0": (Binding("ana", until=LEFT - 20 * DAY), Binding("eve", since=LEFT))}
        self.directory = Directory(1, people, [*accounts, kefu], dice.choice(({}, desk)))
        self.who = WhoIsWho(self.directory)
        self.uses = TraitUses()
        self.around = surroundings_of(self.who, self.uses)


@pytest.mark.parametrize("seed", range(40))
def test_what_is_kept_between_acts_says_the_same_as_all_uses_looked_at_anew(seed: int) -> None:
    dice = random.Random(seed)
    company = _Desks(dice)
    names = ("kefu", "kefu", "ana", "eve", "finn", "ben", "cem", "temp")
    answers = set()
    for _ in range(150):
        time = LEFT + dice.randrange(-40, 90) * DAY + dice.randrange(3)
        event = act(dice.choice(names), time, device=f"desk-{dice.randrange(4)}")
        asked = act("kefu", LEFT + dice.randrange(-40, 90) * DAY + dice.randrange(3))
        who = company.who.who(asked, asked.time)
        found = company.around._known_to_left(who, asked.time)
        assert found == _plainly_known(company, who, asked.time)
        answers.add(found)
        company.act(event)
    assert len(answers) > 1


def test_an_account_that_is_everybodys_on_all_machines_costs_about_what_others_do() -> None:
    company = _everybodys()
    mine = _calls(company, [act("ben", LEFT + 9 * DAY + n, device=f"till-{n % 8}") for n in range(100)])
    shared = [act("kefu", LEFT + 9 * DAY + n, device=f"till-{n % 8}") for n in range(100)]
    everybodys = _calls(company, shared)
    # The first look is at all of it.
    assert sum(everybodys[1:]) < 2 * sum(mine[1:])
    assert everybodys[0] < 50 * MACHINES * USERS
    who = company.who.who(shared[0], shared[0].time)
    assert "leaver0" in company.around.left_who_know(who, shared[0].time)


def _everybodys() -> Company:
    """A shared account on MACHINES machines with USERS users each, one in ten of whom left."""
    company = Company()
    people = [
        PersonRecord(f"leaver{n}", employments=(Employment(last_day=LEFT_DAY),)) for n in range(USERS // 10)
    ]
    company.directory._by_id.update((person.id, person) for person in people)
    for number in range(MACHINES):
        machine = f"device:till-{number}"
        for user in range(USERS):
            name = f"leaver{user}" if user < len(people) else f"seller{user}"
            subject = f"person:{name}" if user < len(people) else f"account:{name}@app-1"
            company.uses.add(machine, subject, f"account:{name}", LEFT - 30 * DAY)
            company.uses.add(machine, subject, f"account:{name}", LEFT - DAY)
        company.uses.add(machine, "account:kefu@app-1", "account:kefu", LEFT - 20 * DAY)
    return company


def _calls(company: Company, events: list[Event]) -> list[int]:
    """Calls of functions that each of them takes to be looked at and noted."""
    return [count for event in events for count in _counted(company, event)]


def _counted(company: Company, event: Event) -> Iterator[int]:
    count = 0

    def counted(_frame: FrameType, kind: str, _argument: object) -> None:
        nonlocal count
        count += kind in ("call", "c_call")

    who = company.who.who(event, event.time)
    sys.setprofile(counted)
    try:
        around = company.around.look_at(event, who, event.time)
        company.around.suspicion(event, who, event.time, around)
        company.around.note(event, who, event.time)
    finally:
        sys.setprofile(None)
    yield count


def test_of_an_account_that_is_everybodys_the_machines_used_last_are_looked_at(database: Database) -> None:
    company = Company()
    for number in range(MACHINES_MAX + 6):
        company.uses.add(f"device:till-{number:03}", "account:kefu@app-1", "account:kefu", LEFT + number)
    with database.begin() as connection:
        upsert(connection, trait_uses, company.uses.rows())
    uses, stale = TraitUses(), set[str]()
    with database.read() as connection:
        uses.load(connection, (), ("account:kefu",), EVER)
    uses.watch("account:kefu", stale, 0)
    assert stale == {f"device:till-{number:03}" for number in range(6, MACHINES_MAX + 6)}
