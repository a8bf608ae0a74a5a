"""Look-alikes: dates that change, come late, or mean another person, another job or another time zone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import msgspec

from server.evaluation.departures.company import Employee
from server.evaluation.departures.ordinary_days import everybody_works, is_weekend, works, works_on
from server.evaluation.departures.script import Script, Stream

_WEEKS = 9
_NIGHTS = (
    # Sundays on which clocks are set back, and forward.
    ("Europe/Berlin", date(2026, 10, 25)),
    ("Europe/Berlin", date(2027, 3, 28)),
    ("America/New_York", date(2026, 11, 1)),
    ("America/New_York", date(2027, 3, 14)),
)


def _somebody(script: Script) -> Employee:
    return script.dice.choice([*script.company.some("sales"), *script.company.some("support")])


def _others_work(script: Script, who: Sequence[Employee]) -> None:
    everybody_works(script, range(1, 7 * _WEEKS), but=who)


def _file_of_rehired_comes_late(script: Script) -> None:
    """A contract ended on Friday, the next one began on Monday, or a week later; HR's file of both comes days
    after."""
    who = _somebody(script)
    ended = 7 * script.dice.randrange(4, 6) + 4
    begins = ended + script.dice.choice((3, 3, 10))
    script.roster()
    _others_work(script, (who,))
    works(script, who, [*range(1, ended + 1), *range(begins, 7 * _WEEKS)], leaving=True)
    row = script.row(who)
    old = msgspec.structs.replace(
        row, employment="C1", start=-300, last_day=ended, leaving_type="end of contract"
    )
    new = msgspec.structs.replace(row, employment="C2", start=begins)
    script.hr_file(begins + script.dice.randint(2, 9), 2, old, new)


def _rehired_next_day(script: Script) -> None:
    who = _somebody(script)
    dice = script.dice
    ended = dice.randrange(28, 40)
    script.roster()
    _others_work(script, (who,))
    works(script, who, range(1, 7 * _WEEKS), leaving=True)
    old = msgspec.structs.replace(
        script.row(who),
        employment="C1",
        start=-300,
        notice=ended - 14,
        last_day=ended,
        last_hour=dice.choice(("", "17:30", "12:00")),
        leaving_type="end of contract",
    )
    script.hr_file(ended - 14, 2, old)
    new = msgspec.structs.replace(
        script.row(who), employment="C2", start=ended + 1, notice=None, last_day=None
    )
    new = msgspec.structs.replace(new, last_hour="", leaving_type="")
    script.hr_file(ended - dice.randint(0, 5), 2, old, new)


def _withdrawn_resignation(script: Script) -> None:
    who = _somebody(script)
    dice = script.dice
    told = dice.randrange(20, 30)
    last_day = told + dice.randrange(10, 20)
    script.roster()
    _others_work(script, (who,))
    works(script, who, range(1, 7 * _WEEKS), leaving=True)
    if dice.random() < 0.5:
        script.flag(told, 11, who, last_day, None)
        script.unflag(last_day - dice.randint(0, 5), 9, who)
    else:
        before = script.row(who)
        script.leaves(who, last_day, told=told)
        script.hr_file(last_day - dice.randint(0, 5), 2, before)


def _stays_longer(script: Script) -> None:
    """The last day is put off for an agreed handover, as late as in the night after it."""
    who = _somebody(script)
    dice = script.dice
    last_day = dice.randrange(28, 38)
    later = last_day + dice.randrange(2, 12)
    script.roster()
    _others_work(script, (who,))
    works(script, who, range(1, later + 1), leaving=True)
    script.leaves(who, last_day, told=last_day - 14)
    row = msgspec.structs.replace(script.row(who), last_day=later)
    script.hr_file(last_day + dice.choice((-3, 0, 1)), 2, row)


def _two_jobs(script: Script) -> None:
    who = _somebody(script)
    ended = script.dice.randrange(28, 40)
    script.roster()
    _others_work(script, (who,))
    works(script, who, range(1, 7 * _WEEKS), leaving=True)
    row = script.row(who)
    main = msgspec.structs.replace(row, employment="J1", start=-300)
    other = msgspec.structs.replace(row, employment="J2", start=-200)
    script.hr_file(2, 2, main, other)
    ends = msgspec.structs.replace(other, notice=ended - 20, last_day=ended, leaving_type="resigned")
    script.hr_file(ended - 20, 2, main, ends)


def _namesakes(script: Script) -> None:
    """Two people of one name; one of them leaves."""
    dice, company = script.dice, script.company
    one, other = dice.sample([*company.some("sales"), *company.some("support")], 2)
    twin = msgspec.structs.replace(other, name=one.name, account=f"{one.account}2")
    company.staff = [twin if e.id == other.id else e for e in company.staff]
    last_day = dice.randrange(28, 40)
    script.roster()
    everybody_works(script, range(1, 7 * _WEEKS), but=(one,))
    works(script, one, range(1, last_day + 1), leaving=True)
    script.leaves(one, last_day, told=last_day - 14)


def _night_clocks_are_set(script: Script) -> None:
    """The last day, or the night to it, is one on which clocks are set; the person works through it."""
    dice = script.dice
    script.company.time_zone, sunday = dice.choice(_NIGHTS)
    before = 7 * dice.randrange(4, 6) + 6
    script.first_date = sunday - timedelta(days=before)
    who = _somebody(script)
    last_day = before if dice.random() < 0.6 else before - 1
    script.roster()
    everybody_works(script, range(1, before + 10), but=(who,))
    works(script, who, range(1, before - 2), leaving=True)
    script.leaves(who, last_day, told=last_day - 14)
    for hour in (0.2, 1.5, 2.5, 3.5, 22.0, 23.4):
        works_on(script, who, last_day, at_home=True, until=hour + 0.5)
    works_on(script, who, last_day, at_home=True, until=23.95)


def _another_time_zone(script: Script) -> None:
    """Somebody works far away: the last afternoon there is the day after here."""
    dice = script.dice
    script.company.time_zone = "Asia/Shanghai"
    who = _somebody(script)
    last_day = dice.randrange(28, 40)
    zone, behind = dice.choice((("America/Los_Angeles", 15), ("America/New_York", 12), ("Europe/Berlin", 6)))
    script.roster(msgspec.structs.replace(script.row(who), time_zone=zone))
    _others_work(script, (who,))
    for day in range(1, last_day + 1):
        if day == last_day or not is_weekend(day):
            # Hours of the day there, as the script's clock shows them.
            works_on(script, who, day, at_home=True, until=17.4 + behind)
    script.leaves(who, last_day, told=last_day - 14, last_hour=dice.choice(("", "18:30")))


STREAMS = (
    Stream(
        "file_of_rehired_comes_late",
        "silence",
        "HR's file tells days later that somebody left and came back",
        _file_of_rehired_comes_late,
    ),
    Stream(
        "rehired_next_day", "silence", "A new contract begins on the day after the last", _rehired_next_day
    ),
    Stream("withdrawn_resignation", "silence", "A resignation is taken back in time", _withdrawn_resignation),
    Stream("stays_longer", "silence", "The last day is put off, even in the night after it", _stays_longer),
    Stream("two_jobs", "silence", "Somebody ends one of two jobs", _two_jobs),
    Stream("namesakes", "silence", "Of two people of one name one leaves", _namesakes),
    Stream("night_clocks_are_set", "silence", "A last day on which clocks are set", _night_clocks_are_set),
    Stream("another_time_zone", "silence", "A last day far away, where it ends later", _another_time_zone),
)
