"""Look-alikes: machines that somebody who left had used, in the hands of others who may."""

from __future__ import annotations

import msgspec

from server.evaluation.departures import observed_acts as acts
from server.evaluation.departures.company import Employee
from server.evaluation.departures.ordinary_days import (
    everybody_works,
    is_weekend,
    opens_page,
    works,
    works_on,
)
from server.evaluation.departures.script import HrRow, Script, Stream


def _leaves_and_is_replaced(script: Script) -> tuple[Employee, Employee, int]:
    """Ordinary weeks; (who leaves, who comes, last day). The laptop is not given on yet."""
    dice, company = script.dice, script.company
    leaver = dice.choice([*company.some("sales"), *company.some("support")])
    comer = company.new_employee(leaver.department, leaver.manager)
    last_day = dice.randrange(28, 45)
    script.roster()
    everybody_works(script, range(1, last_day + 40), but=(leaver,))
    works(script, leaver, range(1, last_day + 1), leaving=True)
    script.leaves(leaver, last_day, told=last_day - dice.randrange(5, 25))
    return leaver, comer, last_day


def _reissued_laptop(script: Script) -> None:
    leaver, comer, last_day = _leaves_and_is_replaced(script)
    starts = last_day + script.dice.randrange(3, 21)
    laptop = leaver.machine
    script.hr_file(
        starts - 1,
        2,
        msgspec.structs.replace(script.row(leaver), devices=()),
        HrRow(comer, (comer.account,), (laptop.name,), starts - 1, comer.department, start=starts),
    )
    works(script, comer, range(starts, last_day + 40), machine=laptop)


def _laptop_through_it(script: Script) -> None:
    dice, company = script.dice, script.company
    admin = next(e for e in company.staff if e.department == "it")
    leaver, comer, last_day = _leaves_and_is_replaced(script)
    for day in range(2, last_day):
        # The admin looks after others' machines all the time.
        if not is_weekend(day) and dice.random() < 0.3:
            machine = dice.choice(company.staff).machine
            script.send(acts.login(script.some_time(day, 9, 17), acts.laptop(machine.name), admin.account))
    handed_in, given_out = last_day + 1, last_day + dice.randrange(6, 20)
    own = (admin.machine.name,)
    script.hr_file(
        last_day,
        23,
        msgspec.structs.replace(script.row(leaver), devices=()),
        msgspec.structs.replace(script.row(admin), devices=(*own, leaver.machine.name), since=handed_in),
    )
    for day in range(handed_in, handed_in + 3):
        time = script.some_time(day, 9, 17)
        script.send(acts.login(time, acts.laptop(leaver.machine.name), admin.account))
        address = script.address(leaver.machine, day=day)
        opens_page(script, time + 60_000, admin.account, address, leaver.machine, user=admin)
    script.hr_file(
        given_out - 1,
        2,
        msgspec.structs.replace(script.row(admin), devices=own, since=None),
        HrRow(
            comer, (comer.account,), (leaver.machine.name,), given_out - 1, comer.department, start=given_out
        ),
    )
    works(script, comer, range(given_out, last_day + 40), machine=leaver.machine)


def _hot_desks(script: Script) -> None:
    dice, company = script.dice, script.company
    desks = [company.new_machine("hotdesk") for _ in range(3)]
    leaver, _, last_day = _leaves_and_is_replaced(script)
    sitting = [e for e in company.staff if e is not leaver]
    for day in range(1, last_day + 40):
        if is_weekend(day):
            continue
        for desk in desks:
            who = leaver if day <= last_day and dice.random() < 0.3 else dice.choice(sitting)
            works_on(script, who, day, machine=desk, at_home=False)


def _new_team_new_machine(script: Script) -> None:
    """Somebody is promoted into the team that another one has just left, and gets another machine."""
    dice, company = script.dice, script.company
    leaver = dice.choice(company.some("sales"))
    mover = dice.choice(company.some("support"))
    last_day = dice.randrange(28, 40)
    moves = last_day + dice.randrange(1, 10)
    script.roster()
    everybody_works(script, range(1, moves + 25), but=(leaver, mover))
    works(script, leaver, range(1, last_day + 1), leaving=True)
    works(script, mover, range(1, moves))
    script.leaves(leaver, last_day, told=last_day - dice.randrange(5, 25))
    machine = company.new_machine()
    lead = company.lead("sales")
    moved = msgspec.structs.replace(mover, manager=lead.id, department="sales")
    row = msgspec.structs.replace(
        script.row(mover), employee=moved, department="sales", devices=(machine.name,), since=moves
    )
    script.hr_file(moves, 2, row)
    works(script, moved, range(moves, moves + 25), machine=machine)


STREAMS = (
    Stream(
        "reissued_laptop",
        "silence",
        "The laptop of somebody who left goes to a new colleague",
        _reissued_laptop,
    ),
    Stream(
        "laptop_through_it",
        "silence",
        "IT logs in to a returned laptop before it goes on",
        _laptop_through_it,
    ),
    Stream("hot_desks", "silence", "Desks that everybody uses, so did somebody who left", _hot_desks),
    Stream(
        "new_team_new_machine",
        "silence",
        "A promotion into another team, with another machine",
        _new_team_new_machine,
    ),
)
