"""One company and its leaks: HR's files, and the events of each day."""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Iterator
from typing import Final

import numpy as np

from analytics.activity_peers import group_name
from event_schema.ocsf_events import Event
from server.evaluation.simulator.acts import day_events
from server.evaluation.simulator.amounts import NAMES
from server.evaluation.simulator.company import CALENDAR, NEVER, Company, Mask
from server.evaluation.simulator.desks import Desk, foreign, person_desk, shared_desk
from server.evaluation.simulator.leaks import Leak, Leaks
from server.evaluation.walk.walk import WalkedCompany, day_name, day_number

DAYS_MIN: Final = 60
PEOPLE_MIN: Final = 50
FIRST_DAY: Final = day_number(2026, 1, 5)
"""A Monday: 120 days from it hold the Spring Festival and Tomb-Sweeping Day with their make-up days."""
TIME_ZONE: Final = "Asia/Shanghai"
_COLUMNS: Final = ("id", "accounts", "department", "role", "start date", "notice date", "last working day")


class Simulation:
    """`leaks`: what was planted. Days count from 0 here; `local_day` is what the product calls them."""

    def __init__(self, seed: int, people: int, days: int) -> None:
        self.company = Company(seed, people, days, FIRST_DAY)
        self._planted = Leaks(self.company)
        self._seed = seed
        self.days = days
        self.test_begins = self.company.test_begins
        shared = self.company.is_shared
        self.desks = tuple(
            shared_desk(number) if shared[number] else person_desk(number)
            for number in range(self.company.size)
        )

    @property
    def leaks(self) -> list[Leak]:
        return self._planted.leaks

    def local_day(self, day: int) -> int:
        return FIRST_DAY + day

    def subject(self, person: int) -> str:
        """As the product calls whoever this is."""
        desk = self.desks[person]
        return f"account:{desk.account}@{desk.host.hostname}" if desk.is_server else f"person:{desk.account}"

    def group(self, person: int) -> str:
        """As the product calls those of one department and role."""
        role = self.company.roles[person]
        return group_name(role.department, role.name)

    def on_notice(self) -> Mask:
        """By person and day."""
        day = np.arange(self.days)[None]
        notices, last = self.company.notices[:, None], self.company.last_days[:, None]
        return np.asarray((notices <= day) & (day < last))

    def walked(self) -> WalkedCompany:
        """As it is on the first day: nobody has given notice."""
        own = [n for n in range(self.company.size) if not self.company.is_shared[n]]
        return WalkedCompany(
            people=self._hr_file(own, day=-1),
            time_zone=TIME_ZONE,
            calendar=CALENDAR,
            working_hours="07:00-20:00",
            domains=("firm.example",),
        )

    def hr_file(self, day: int) -> bytes | None:
        """Those who gave notice on the day; None where nobody did."""
        told = [n for n in range(self.company.size) if self.company.notices[n] == day]
        return self._hr_file(told, day) if told else None

    def events(self, day: int, midnight: int) -> Iterator[Event]:
        """Of one day. midnight: ms UTC at which it begins."""
        amounts = self.company.day(day)
        self._planted.add_to(day, amounts)
        away = {leak.person for leak in self.leaks if leak.foreign and day in leak.days}
        for person in range(len(amounts)):
            dice = random.Random(f"{self._seed}/{day}/{person}")
            done = {name: float(v) for name, v in zip(NAMES, amounts[person], strict=True) if v > 0}
            if not done:
                continue
            if person in away:
                yield from self._from_elsewhere(person, day, done, midnight, dice)
            else:
                yield from day_events(self.desks[person], done, midnight, dice)

    def _from_elsewhere(
        self, person: int, day: int, done: dict[str, float], midnight: int, dice: random.Random
    ) -> Iterator[Event]:
        """What the leak adds comes from another machine; what remains is the account's own day."""
        desk = self.desks[person]
        added = dict[str, float]()
        for name, amount in self._planted.more[day][person]:
            added[name] = added.get(name, 0.0) + amount
        rest = {name: amount - added.get(name, 0.0) for name, amount in done.items()}
        yield from day_events(desk, {n: a for n, a in rest.items() if a > 0}, midnight, dice)
        yield from day_events(self._foreign(desk, person), added, midnight, dice)

    def _foreign(self, desk: Desk, person: int) -> Desk:
        return foreign(desk, random.Random(f"{self._seed}/foreign/{person}"))

    def _hr_file(self, persons: list[int], day: int) -> bytes:
        lines = io.StringIO()
        writer = csv.writer(lines)
        writer.writerow(_COLUMNS)
        for person in persons:
            account, company = self.desks[person].account, self.company
            joins, notice, last = (
                int(each[person]) for each in (company.joins, company.notices, company.last_days)
            )
            known = notice <= day and notice != NEVER
            writer.writerow(
                [
                    account,
                    account,
                    company.roles[person].department,
                    company.roles[person].name,
                    day_name(self.local_day(joins)) if joins else "",
                    day_name(self.local_day(notice)) if known else "",
                    day_name(self.local_day(last - 1)) if known else "",
                ]
            )
        return lines.getvalue().encode()
