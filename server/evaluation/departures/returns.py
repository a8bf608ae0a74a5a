"""Look-alikes: accounts that wake up after months, because their people are back."""

from __future__ import annotations

import msgspec

from server.evaluation.departures.ordinary_days import ServiceDesk, everybody_works, works
from server.evaluation.departures.script import HrRow, Script, Stream


def _parental_leave(script: Script) -> None:
    """Back after months: at the old machine or at one that was issued for it, and some have moved house."""
    dice, company = script.dice, script.company
    who = dice.choice(company.staff[1:])
    goes = dice.randrange(20, 30)
    back = goes + dice.randrange(60, 200)
    script.roster()
    everybody_works(script, range(1, back + 15), but=(who,))
    works(script, who, range(1, goes), leaving=True)
    machine = who.machine
    if dice.random() < 0.5:
        machine = company.new_machine()
        row = msgspec.structs.replace(script.row(who), devices=(machine.name,), since=back - 1)
        script.hr_file(back - 1, 2, row)
    if dice.random() < 0.4:
        who = msgspec.structs.replace(who, home=company.public_address())
    works(script, who, range(back, back + 15), machine=machine, leaving=True)


def _seasonal_staff(script: Script) -> None:
    """A season at the service desk, and months later another one, with the same account."""
    dice, company = script.dice, script.company
    clerks = [company.lead("support"), *company.some("support")]
    season = company.new_employee("support", clerks[0].id)
    ended = dice.randrange(25, 35)
    back = ended + dice.randrange(60, 180)
    desk = ServiceDesk(script)
    first = HrRow(
        season,
        (season.account,),
        (),
        None,
        "support",
        start=-10,
        notice=ended - 7,
        last_day=ended,
        leaving_type="end of contract",
        employment="S1",
    )
    script.roster(first)
    desk.declare(clerks[0])
    everybody_works(script, range(1, back + 20), but=clerks)
    desk.works([*clerks, season], range(1, ended + 1))
    if dice.random() < 0.5:
        desk.machines[0] = company.new_machine("desk")
    desk.works(clerks, range(ended + 1, back))
    again = HrRow(season, (season.account,), (), None, "support", start=back, employment="S2")
    script.hr_file(back - dice.randint(0, 5), 2, first, again)
    desk.works([*clerks, season], range(back, back + 20))


STREAMS = (
    Stream(
        "parental_leave", "silence", "Back from parental leave, some with another laptop", _parental_leave
    ),
    Stream("seasonal_staff", "silence", "Seasonal staff come back after months", _seasonal_staff),
)
