"""The company: who works there, how much each usually does, and what a day comes to.

Lognormal and Pareto volumes, channels that many never use, roles, weekends, China's public holidays with
their make-up days, ends of months in finance, projects, holidays, people who change their work, join or
leave; a move to the cloud for everybody in the middle. Who leaves and does nothing wrong hands over: reads,
packs and deletes more, and some copy their private things to a stick of their own. All from a seed; a day
is drawn from the seed and its number, so memory does not grow with the days.
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from server.evaluation.simulator.amounts import (
    AMOUNTS,
    FOLLOWS,
    GROUPS,
    IS_COUNT,
    LEAVES,
    NAMES,
    ONLY_WITH,
    PLACE,
    ROLES,
    SHARED,
    Floats,
    Role,
)
from server.people.calendar import Calendar

CALENDAR: Final = "CN"
TEST_DAYS: Final = 30
NEVER: Final = 10**6
Mask = npt.NDArray[np.bool_]
_FACTORS_MIN: Final = 0.05
_SHARED_NEVER: Final = frozenset({"stick", "mail", "chat", "cloud", "code", "web", "print"})


class Project(msgspec.Struct, frozen=True):
    person: int
    first: int
    last: int
    places: tuple[int, ...]
    factor: float


class Move(msgspec.Struct, frozen=True):
    """From this day on the person does of these things as much as another one."""

    person: int
    day: int
    other: int
    places: tuple[int, ...]


class Company:
    """Days count from 0. `test_begins`: from that day on leaks happen and scores count. `last_days`,
    `notices`, `joins`: by person, NEVER where none; a person works up to the day before `last_days`,
    incl."""

    def __init__(self, seed: int, people: int, days: int, first_day: int) -> None:
        self.seed, self.days, self.first_day = seed, days, first_day
        self.test_begins = days - TEST_DAYS
        dice = np.random.default_rng([seed, 0])
        calendar = Calendar(CALENDAR)
        self.is_off = np.array([calendar.day_type(first_day + day) == "off" for day in range(days)])
        self.roles = _roles(people)
        self.size = len(self.roles)
        self.is_shared = np.array([role is SHARED for role in self.roles])
        self._shifts = np.array([role.works_in_shifts for role in self.roles])
        self.uses, self.base, self._active = _usual(dice, self.roles)
        self._absent = self._holidays(dice)
        self.joins, self.last_days, self.notices = self._comings_and_goings(dice)
        self._projects = self._made_projects(dice)
        self._moves = self._made_moves(dice)
        self._moved_on = round(days * 0.58)

    def exists(self, day: int) -> Mask:
        """Who works there."""
        return np.asarray((self.joins <= day) & (day < self.last_days))

    def day(self, day: int) -> Floats:
        """Amounts by person and AMOUNTS' order, without leaks."""
        dice = np.random.default_rng([self.seed, 1, day])
        n, off = self.size, bool(self.is_off[day])
        uses, base, active = self._of_that_day(day)
        works = dice.random(n) < np.where(self._shifts, 0.75, 0.07) if off else np.ones(n, bool)
        works &= self.exists(day) & ~self._absent[:, day]
        acts = (dice.random(base.shape) < active) & uses & works[:, None]
        if off:
            acts &= dice.random(base.shape) < np.where(self._shifts, 0.9, 0.4)[:, None]
        for name, leader in FOLLOWS.items():
            acts[:, PLACE[name]] = acts[:, PLACE[leader]]
        for name, leader in ONLY_WITH.items():
            acts[:, PLACE[name]] &= acts[:, PLACE[leader]]
        sigma = np.array([amount.day for amount in AMOUNTS])
        mood = dice.normal(0, 0.35, n)[:, None]
        found = base * np.exp(sigma * dice.normal(size=base.shape) + mood * (sigma > 0.3))
        for project in self._projects:
            if project.first <= day <= project.last:
                found[project.person, list(project.places)] *= project.factor
        burst = (dice.random(base.shape) < 0.004) & (sigma > 0.5)
        found = np.where(burst, found * (1 + dice.pareto(1.5, base.shape) * 4), found)
        if day >= self._moved_on:
            self._to_the_cloud(dice, found, acts)
        if not off and (day % 30) >= 27:
            self._month_ends(found)
        found = np.where(acts, np.maximum(found, 1), 0)
        self._goodbyes(day, found)
        return np.where(IS_COUNT, np.round(found), found)

    def _of_that_day(self, day: int) -> tuple[Mask, Floats, Floats]:
        moves = [move for move in self._moves if move.day <= day]
        if not moves:
            return self.uses, self.base, self._active
        uses, base, active = self.uses.copy(), self.base.copy(), self._active.copy()
        for move in moves:
            places = list(move.places)
            for mine, of_all in ((uses, self.uses), (base, self.base), (active, self._active)):
                mine[move.person, places] = of_all[move.other, places]
        return uses, base, active

    def _to_the_cloud(self, dice: np.random.Generator, found: Floats, acts: Mask) -> None:
        for name in ("cloud_mb", "cloud_files"):
            found[:, PLACE[name]] *= 1.7
        still = dice.random(self.size) < 0.75
        for name in ("stick_mb", "stick_files", "new_stick"):
            acts[:, PLACE[name]] &= still

    def _month_ends(self, found: Floats) -> None:
        finance = [n for n, role in enumerate(self.roles) if role.name == "finance"]
        more = [p for p, a in enumerate(AMOUNTS) if a.group in {"file", "mail", "print", "database"}]
        found[np.ix_(np.array(finance), np.array(more))] *= 2.3

    def _goodbyes(self, day: int, found: Floats) -> None:
        """Of those who hand over in their last week, and of some who take their private things along."""
        for person in np.flatnonzero((self.last_days > day) & (self.last_days <= day + 7)):
            for name, factor in (
                ("files_read", 2.0),
                ("archives", 2.0),
                ("files_deleted", 3.0),
                ("cloud_mb", 1.5),
                ("mails", 1.3),
            ):
                found[person, PLACE[name]] *= factor
            dice = np.random.default_rng([self.seed, 2, int(person)])
            if dice.random() < 0.4 and day == self.last_days[person] - int(dice.integers(1, 4)):
                found[person, PLACE["stick_mb"]] += dice.uniform(150, 2000)
                found[person, PLACE["stick_files"]] += int(dice.integers(30, 400))
                found[person, PLACE["new_stick"]] += 1

    # ---- made once ----------------------------------------------------------------------------------------

    def _holidays(self, dice: np.random.Generator) -> Mask:
        absent = np.zeros((self.size, self.days), bool)
        for person in np.flatnonzero(~self.is_shared):
            for _ in range(int(dice.poisson(0.6))):
                first = int(dice.integers(0, self.days))
                absent[person, first : first + int(dice.integers(1, 6))] = True
        return absent

    def _comings_and_goings(
        self, dice: np.random.Generator
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        joins, last, notices = (np.full(self.size, value) for value in (0, NEVER, NEVER))
        order = dice.permutation(np.flatnonzero(~self.is_shared))
        counts = [max(2, round(len(order) * share)) for share in (0.04, 0.026, 0.018)]
        new, late, early, _ = np.split(order, np.cumsum(counts))
        joins[new] = dice.integers(min(20, self.days // 4), self.days - 10, len(new))
        last[late] = dice.integers(self.test_begins - 15, self.days - 1, len(late))
        last[early] = dice.integers(self.test_begins - 10, self.test_begins + 7, len(early))
        gone = np.concatenate([late, early])
        notices[gone] = last[gone] - dice.integers(10, 31, len(gone))
        return joins, last, notices

    def _made_projects(self, dice: np.random.Generator) -> list[Project]:
        found = []
        for person in range(self.size):
            for _ in range(int(dice.poisson(2 * self.days / 120))):
                first = int(dice.integers(0, self.days))
                names = dice.choice(LEAVES, int(dice.integers(1, 5)), replace=False)
                places = tuple(PLACE[str(name)] for name in names)
                last = first + int(dice.integers(2, 9)) - 1
                found.append(Project(person, first, last, places, float(np.exp(dice.normal(0.9, 0.6)))))
        return found

    def _made_moves(self, dice: np.random.Generator) -> list[Move]:
        found = []
        own = np.flatnonzero(~self.is_shared)
        for person in dice.choice(own, max(1, round(len(own) * 0.025)), replace=False):
            places = tuple(int(p) for p in dice.choice(len(NAMES), 6, replace=False))
            day = int(dice.integers(self.days // 3, self.days - 10))
            found.append(Move(int(person), day, int(dice.choice(own)), places))
        return found


def _roles(people: int) -> list[Role]:
    """So many people, and a shared account for every fifty."""
    total = sum(role.of_1000 for role in ROLES)
    found: list[Role] = []
    reached = 0
    for role in ROLES:
        reached += role.of_1000
        found += [role] * (round(people * reached / total) - len(found))
    return found + [SHARED] * max(2, round(people * SHARED.of_1000 / 1000))


def _usual(dice: np.random.Generator, roles: list[Role]) -> tuple[Mask, Floats, Floats]:
    """Who does what at all, how much on an active day, and how often."""
    n = len(roles)
    level = np.tile(np.array([amount.level for amount in AMOUNTS]), (n, 1))
    share = np.tile(np.array([amount.uses for amount in AMOUNTS]), (n, 1))
    for person, role in enumerate(roles):
        for prefix, factor, users in role.more:
            for name in NAMES:
                if name.startswith(prefix):
                    level[person, PLACE[name]] *= factor
                    share[person, PLACE[name]] = users
    sigma = np.array([amount.person for amount in AMOUNTS])
    uses = np.zeros((n, len(AMOUNTS)), bool)
    bend = np.zeros((n, len(AMOUNTS)))
    for group in GROUPS:
        # Whoever uses a channel uses all of it, and much of one thing goes with much of the other.
        draw, common = dice.random(n), dice.normal(size=n)
        for place in (p for p, amount in enumerate(AMOUNTS) if amount.group == group):
            uses[:, place] = draw < share[:, place]
            bend[:, place] = sigma[place] * (0.85 * common + 0.53 * dice.normal(size=n))
    for name in ("new_host", "new_address", "logons", "hosts"):
        uses[:, PLACE[name]] = True
    shared = np.array([role is SHARED for role in roles])
    never = [p for p, amount in enumerate(AMOUNTS) if amount.group in _SHARED_NEVER]
    uses[np.ix_(shared, np.array(never))] = False
    base = np.maximum(level * np.exp(bend - sigma**2 / 2), level * _FACTORS_MIN)
    often = np.array([amount.active for amount in AMOUNTS])
    return uses, base, np.clip(often * np.exp(dice.normal(0, 0.35, (n, len(AMOUNTS)))), 0, 0.99)
