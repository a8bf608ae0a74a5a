"""Look-alikes: a login that several share goes on being used after one of them left, by those who may."""

from __future__ import annotations

from server.evaluation.departures.company import Employee
from server.evaluation.departures.ordinary_days import SERVICE_LOGIN, SHIPPING, ServiceDesk, everybody_works
from server.evaluation.departures.script import HrRow, Script, Stream


def _desk_loses_clerk(script: Script, after: int) -> tuple[ServiceDesk, list[Employee], int]:
    """Up to the last day of a clerk, who knows the password; (desk, who stays, last day). Others work `after`
    days longer."""
    dice, company = script.dice, script.company
    lead, (leaver, *clerks) = company.lead("support"), company.some("support")
    last_day = dice.randrange(28, 42)
    desk = ServiceDesk(script)
    script.roster()
    desk.declare(lead, knows=(leaver,) if dice.random() < 0.5 else ())
    everybody_works(script, range(1, last_day + after), but=(leaver, lead, *clerks))
    desk.works([lead, *clerks, leaver], range(1, last_day + 1))
    script.leaves(leaver, last_day, told=last_day - dice.randrange(0, 20))
    return desk, [lead, *clerks], last_day


def _shift_roster(script: Script) -> None:
    desk, clerks, last_day = _desk_loses_clerk(script, after=35)
    desk.works(clerks, range(last_day + 1, last_day + 35))


def _promotion_week(script: Script) -> None:
    desk, clerks, last_day = _desk_loses_clerk(script, after=35)
    begins = last_day + script.dice.randrange(5, 20)
    ends = begins + script.dice.randint(4, 7)
    desk.works(clerks, range(last_day + 1, begins))
    desk.works(clerks, range(begins, ends), orders=script.dice.uniform(4, 9))
    desk.works(clerks, range(ends, last_day + 35))


def _new_clerk(script: Script) -> None:
    desk, clerks, last_day = _desk_loses_clerk(script, after=35)
    begins = last_day + script.dice.randrange(2, 12)
    comer = script.company.new_employee("support", clerks[0].id)
    script.hr_file(begins, 2, HrRow(comer, (comer.account,), (), None, "support", start=begins))
    desk.works(clerks, range(last_day + 1, begins))
    desk.works([*clerks, comer], range(begins, last_day + 35))


def _new_password(script: Script) -> None:
    """Changed after the clerk left; then it is used from a new machine, and from a clerk's home."""
    dice = script.dice
    desk, clerks, last_day = _desk_loses_clerk(script, after=35)
    changed = last_day + dice.randrange(1, 5)
    script.account(changed, dice.uniform(8, 17), SERVICE_LOGIN, system=SHIPPING, rotated=True)
    desk.works(clerks, range(last_day + 1, changed + 1))
    desk.machines.append(script.company.new_machine("desk"))
    desk.works(clerks, range(changed + 1, last_day + 35))
    for day in dice.sample(range(changed + 1, last_day + 34), 6):
        who = dice.choice(clerks)
        desk.shift(who, day, (20.0, 23.5), machine=who.machine, address=who.home)


STREAMS = (
    Stream(
        "shift_roster", "silence", "The others work on in shifts, the password is not changed", _shift_roster
    ),
    Stream("promotion_week", "silence", "A week with many times the usual orders", _promotion_week),
    Stream("new_clerk", "silence", "A new clerk at a rostered machine, with the old password", _new_clerk),
    Stream("new_password", "silence", "The password is changed, then used from new places", _new_password),
)
