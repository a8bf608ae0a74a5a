"""Look-alikes: addresses from which somebody who left had worked, and from which others work, too."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from server.evaluation.departures.company import Employee
from server.evaluation.departures.ordinary_days import (
    ServiceDesk,
    everybody_works,
    is_weekend,
    opens_page,
    works,
    works_on,
)
from server.evaluation.departures.script import Script, Stream


def _one_leaves(script: Script, after: int = 40) -> tuple[Employee, int]:
    """Ordinary weeks of all; (who leaves, last day)."""
    dice, company = script.dice, script.company
    leaver = dice.choice([*company.some("sales"), *company.some("support")])
    last_day = dice.randrange(28, 45)
    script.roster()
    everybody_works(script, range(1, last_day + after), but=(leaver,))
    works(script, leaver, range(1, last_day + 1), leaving=True)
    script.leaves(leaver, last_day, told=last_day - dice.randrange(5, 25))
    return leaver, last_day


def _sits_at(script: Script, who: Employee, day: int, address: str) -> None:
    """With their own machine."""
    for _ in range(script.dice.randint(1, 4)):
        opens_page(script, script.some_time(day, 10, 20), who.account, address, who.machine, user=who)


def _cafe(script: Script) -> None:
    leaver, last_day = _one_leaves(script)
    dice = script.dice
    cafe = script.company.public_address()
    others = [e for e in script.company.staff if e is not leaver]
    regulars = dice.sample(others, dice.randint(2, 4))
    for who in (leaver, *regulars):
        for day in dice.sample(range(3, last_day), 3):
            _sits_at(script, who, day, cafe)
    for day in dice.sample(range(last_day + 2, last_day + 38), 8):
        _sits_at(script, dice.choice(regulars if dice.random() < 0.6 else others), day, cafe)


def _many_behind(script: Script, addresses: Sequence[str]) -> None:
    """Everybody is behind them now and then, the one who leaves, too."""
    leaver, last_day = _one_leaves(script)
    dice = script.dice
    for day in range(1, last_day + 38):
        who = dice.sample(script.company.staff, 3)
        for each in who:
            if each is not leaver or day <= last_day:
                _sits_at(script, each, day, dice.choice(addresses))


def _carrier_nat(script: Script) -> None:
    _many_behind(script, [script.company.public_address() for _ in range(script.dice.randint(1, 3))])


def _vpn_exit(script: Script) -> None:
    _many_behind(script, [script.company.office.vpn])


def _shared_home(script: Script) -> None:
    """A couple works for the company, and at home from the same address; one of them leaves."""
    dice, company = script.dice, script.company
    one, other = dice.sample([*company.some("sales"), *company.some("support")], 2)
    one = msgspec.structs.replace(one, home=other.home, homeworking=0.4)
    company.staff = [one if e.id == one.id else e for e in company.staff]
    last_day = dice.randrange(28, 45)
    script.roster()
    everybody_works(script, range(1, last_day + 40), but=(one, other))
    works(script, one, range(1, last_day + 1), leaving=True)
    for day in range(1, last_day + 40):
        if not is_weekend(day):
            works_on(script, other, day, at_home=dice.random() < 0.5)
    script.leaves(one, last_day, told=last_day - dice.randrange(5, 25))


def _moved_office(script: Script) -> None:
    """The whole office moves into another network; the shared login's password is still known to a clerk who
    left before."""
    dice, company = script.dice, script.company
    lead, (leaver, *clerks) = company.lead("support"), company.some("support")
    last_day = dice.randrange(25, 35)
    moves = last_day + dice.randrange(5, 20)
    desk = ServiceDesk(script)
    script.roster()
    desk.declare(lead, knows=(leaver,))
    script.moves_office(moves, company.new_office())
    everybody_works(script, range(1, moves + 20), but=(leaver, lead, *clerks))
    desk.works([lead, *clerks, leaver], range(1, last_day + 1))
    desk.works([lead, *clerks], range(last_day + 1, moves + 20))
    script.leaves(leaver, last_day, told=last_day - dice.randrange(5, 20))


STREAMS = (
    Stream("cafe", "silence", "Colleagues work from the café where somebody who left had sat", _cafe),
    Stream(
        "carrier_nat", "silence", "A mobile carrier's addresses, behind which all are at times", _carrier_nat
    ),
    Stream("vpn_exit", "silence", "The exit of the company's VPN", _vpn_exit),
    Stream(
        "shared_home", "silence", "Of a couple at one address one leaves, the other works on", _shared_home
    ),
    Stream("moved_office", "silence", "The office moves: all addresses are new on one day", _moved_office),
)
