"""Nine shapes of leaks, planted into the last thirty days of a company, each into somebody who does nothing
else.

| shape | what happens |
|---|---|
| stick_burst | 0.8–15 GB to a stick in a day or two, mostly by somebody who never used one |
| slow_drip | a little more than usual each working day, by cloud, chat or mail, over weeks |
| export_then_stick | a large database export, packed, and on a stick within days |
| after_leaving | the account of somebody who left is used, from a machine and an address never seen |
| shared_account | 30–45 orders a day with a shared account, on four days, from a new address |
| notice_period | on notice, three channels moderately raised over a week |
| chat_or_mail_burst | 100–800 MB by chat or private mail in a day |
| ramp | one channel grows twelvefold over months, so that it teaches its own baseline |
| view_only | 80–300 records more a day are looked at, on three days; nothing is seen to leave |
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Final

import msgspec
import numpy as np

from server.evaluation.simulator.amounts import PLACE, Floats
from server.evaluation.simulator.company import NEVER, TEST_DAYS, Company

SHAPES: Final = (
    "stick_burst",
    "slow_drip",
    "export_then_stick",
    "after_leaving",
    "shared_account",
    "notice_period",
    "chat_or_mail_burst",
    "ramp",
    "view_only",
)
_FILES: Final = {"cloud": "cloud_files", "chat": "chat_files", "mail": "mails", "stick": "stick_files"}
_OF_1000: Final = 6
_SHARED_OF_1000: Final = 2


class Leak(msgspec.Struct, frozen=True):
    """`days`: on which it happens, of the test range. `foreign`: from a machine and an address that are not
    the person's."""

    shape: str
    person: int
    days: tuple[int, ...]
    foreign: bool = False


class Leaks:
    """`more`: by day and person: what comes on top of an ordinary day."""

    def __init__(self, company: Company) -> None:
        self._company = company
        self._dice = np.random.default_rng([company.seed, 3])
        self._taken: set[int] = set()
        self.leaks: list[Leak] = []
        self.more: dict[int, dict[int, list[tuple[str, float]]]] = {}
        plants: dict[str, Callable[[], Leak | None]] = {
            "stick_burst": self._stick_burst,
            "slow_drip": self._slow_drip,
            "export_then_stick": self._export_then_stick,
            "after_leaving": self._after_leaving,
            "shared_account": self._shared_account,
            "notice_period": self._notice_period,
            "chat_or_mail_burst": self._chat_or_mail_burst,
            "ramp": self._ramp,
            "view_only": self._view_only,
        }
        assert tuple(plants) == SHAPES
        cases = max(1, round(company.size * _OF_1000 / 1020))
        shared = max(1, round(company.size * _SHARED_OF_1000 / 1020))
        for case in range(cases):
            for shape, plant in plants.items():
                if shape == "shared_account" and case >= shared:
                    continue
                made = plant()
                if made is not None:
                    self.leaks.append(made)

    def add_to(self, day: int, amounts: Floats) -> None:
        for person, added in self.more.get(day, {}).items():
            for name, amount in added:
                amounts[person, PLACE[name]] += amount

    # ---- whom and when ------------------------------------------------------------------------------------

    def _pick(self, wanted: Iterable[int]) -> int | None:
        free = [person for person in wanted if person not in self._taken]
        if not free:
            return None
        person = int(self._dice.choice(free))
        self._taken.add(person)
        return person

    def _regular(self) -> list[int]:
        c = self._company
        return [
            p for p in range(c.size) if not c.is_shared[p] and c.last_days[p] == NEVER and c.joins[p] == 0
        ]

    def _working_days(self, first: int, last: int) -> list[int]:
        """From the test's begin plus `first` to plus `last`."""
        begins = self._company.test_begins
        return [
            day
            for day in range(max(begins + first, 0), min(begins + last, self._company.days))
            if not self._company.is_off[day]
        ]

    def _some_day(self, first: int, last: int) -> int:
        return int(self._dice.choice(self._working_days(first, last)))

    def _between(self, least: float, most: float) -> float:
        return math.exp(self._dice.uniform(math.log(least), math.log(most)))

    def _whole(self, first: int, last: int) -> int:
        return int(self._dice.integers(first, last))

    def _put(self, person: int, day: int, name: str, amount: float) -> None:
        if amount > 0:
            self.more.setdefault(day, {}).setdefault(person, []).append((name, amount))

    def _usual(self, person: int, name: str) -> float:
        return float(self._company.base[person, PLACE[name]])

    def _leak(self, shape: str, person: int, days: Iterable[int], *, foreign: bool = False) -> Leak:
        for day in days:
            if not foreign:
                self._put(person, day, "logons", 1)
        return Leak(shape, person, tuple(days), foreign)

    # ---- the shapes ---------------------------------------------------------------------------------------

    def _stick_burst(self) -> Leak | None:
        regular, place = self._regular(), PLACE["stick_mb"]
        if self._dice.random() < 0.7:
            regular = [p for p in regular if not self._company.uses[p, place]]
        person = self._pick(regular)
        if person is None:
            return None
        first = self._some_day(2, 28)
        days = [first, first + 1] if self._dice.random() < 0.3 else [first]
        for day in days:
            self._put(person, day, "stick_mb", self._between(800, 15000))
            self._put(person, day, "stick_files", round(self._between(100, 6000)))
            self._put(person, day, "records_read", round(self._between(30, 600)))
            self._put(person, day, "new_stick", float(self._dice.random() < 0.8))
        return self._leak("stick_burst", person, days)

    def _slow_drip(self) -> Leak | None:
        person = self._pick(self._regular())
        if person is None:
            return None
        days = self._working_days(self._whole(0, 6), 30)[:18]
        days = [day for day in days if self._dice.random() < 0.85]
        channel = str(self._dice.choice(["cloud", "chat", "mail"], p=[0.4, 0.3, 0.3]))
        for day in days:
            usual = self._usual(person, f"{channel}_mb")
            self._put(person, day, f"{channel}_mb", max(15.0, usual * self._dice.uniform(1, 3)))
            self._put(person, day, _FILES[channel], self._whole(4, 18))
            self._put(person, day, "records_read", self._whole(6, 25))
            if channel == "mail":
                self._put(person, day, "private_mails", 1)
        return self._leak("slow_drip", person, days)

    def _export_then_stick(self) -> Leak | None:
        uses = self._company.uses[:, PLACE["rows"]]
        person = self._pick(p for p in self._regular() if uses[p])
        if person is None:
            return None
        day = self._some_day(2, 24)
        self._put(person, day, "rows", max(20000.0, self._usual(person, "rows") * self._dice.uniform(8, 60)))
        self._put(person, day, "export_mb", self._between(40, 600))
        self._put(person, day, "archives", self._whole(1, 4))
        self._put(person, day, "queries", self._whole(5, 40))
        begins = self._company.test_begins
        after = self._working_days(day - begins + 1, day - begins + 8)[0]
        self._put(person, after, "stick_mb", self._between(60, 900))
        self._put(person, after, "stick_files", self._whole(1, 10))
        self._put(person, after, "new_stick", float(self._dice.random() < 0.7))
        return self._leak("export_then_stick", person, [day, after])

    def _after_leaving(self) -> Leak | None:
        c = self._company
        person = self._pick(p for p in range(c.size) if c.last_days[p] < c.test_begins + 10)
        if person is None:
            return None
        first = max(c.test_begins + 10, int(c.last_days[person]) + 5)
        days = sorted({self._whole(first, c.days) for _ in range(3)})
        for day in days:
            self._put(person, day, "logons", self._whole(1, 4))
            self._put(person, day, "new_host", 1)
            self._put(person, day, "new_address", 1)
            self._put(person, day, "off_hours", self._whole(3, 20))
            self._put(person, day, "records_read", self._whole(5, 60))
            self._put(person, day, "files_read", self._whole(5, 80))
            if self._dice.random() < 0.5:
                self._put(person, day, "queries", self._whole(5, 40))
                self._put(person, day, "rows", self._between(200, 6000))
        return self._leak("after_leaving", person, days, foreign=True)

    def _shared_account(self) -> Leak | None:
        c = self._company
        person = self._pick(p for p in range(c.size) if c.is_shared[p])
        if person is None:
            return None
        first = self._whole(c.test_begins + 2, c.test_begins + 25)
        days = list(range(first, first + 4))
        for day in days:
            orders = self._whole(30, 46)
            self._put(person, day, "orders", orders)
            self._put(person, day, "new_address", 1)
            self._put(person, day, "off_hours", orders * self._dice.uniform(0.5, 1))
            self._put(person, day, "logons", self._whole(1, 3))
        return self._leak("shared_account", person, days, foreign=True)

    def _notice_period(self) -> Leak | None:
        c = self._company
        leaves = [p for p in range(c.size) if c.test_begins + 6 < c.last_days[p] < NEVER]
        person = self._pick(leaves)
        if person is None:
            return None
        last = int(c.last_days[person]) - c.test_begins
        days = self._working_days(max(0, last - 9), last)[:6]
        channels = [
            str(ch) for ch in self._dice.choice(["stick", "cloud", "mail", "chat", "pages"], 3, False)
        ]
        for day in days:
            self._put(person, day, "records_read", self._whole(10, 50))
            self._put(person, day, "archives", float(self._dice.random() < 0.5))
            for channel in channels:
                if self._dice.random() >= 0.7:
                    continue
                if channel == "pages":
                    self._put(person, day, "pages", self._whole(20, 90))
                    continue
                usual = self._usual(person, f"{channel}_mb")
                self._put(person, day, f"{channel}_mb", max(30.0, usual * self._dice.uniform(2, 5)))
                self._put(person, day, _FILES[channel], self._whole(5, 25))
        return self._leak("notice_period", person, days)

    def _chat_or_mail_burst(self) -> Leak | None:
        person = self._pick(self._regular())
        if person is None:
            return None
        day, channel = self._some_day(2, 28), "chat" if self._dice.random() < 0.5 else "mail"
        self._put(person, day, f"{channel}_mb", self._between(100, 800))
        self._put(person, day, _FILES[channel], self._whole(15, 150))
        self._put(person, day, "records_read", self._whole(20, 150))
        if channel == "mail":
            self._put(person, day, "private_mails", self._whole(2, 20))
        return self._leak("chat_or_mail_burst", person, [day])

    def _ramp(self) -> Leak | None:
        c = self._company
        person = self._pick(self._regular())
        if person is None:
            return None
        channel = str(self._dice.choice(["cloud", "chat", "mail"]))
        begins = c.days // 4
        days = self._working_days(begins - c.test_begins, TEST_DAYS)
        usual = max(self._usual(person, f"{channel}_mb"), 8.0)
        for day in days:
            grown = math.exp(math.log(12) * (day - begins) / (c.days - begins)) - 1
            self._put(person, day, f"{channel}_mb", usual * grown * self._dice.uniform(0.7, 1.3))
            self._put(person, day, _FILES[channel], round(grown * self._dice.uniform(0.7, 1.5)))
            self._put(person, day, "records_read", round(grown * self._dice.uniform(1, 3)))
        return self._leak("ramp", person, [day for day in days if day >= c.test_begins])

    def _view_only(self) -> Leak | None:
        person = self._pick(self._regular())
        if person is None:
            return None
        first = self._some_day(2, 22) - self._company.test_begins
        days = self._working_days(first, first + 8)[:3]
        for day in days:
            self._put(person, day, "records_read", self._whole(80, 300))
            self._put(person, day, "off_hours", self._whole(0, 12))
        return self._leak("view_only", person, days)
