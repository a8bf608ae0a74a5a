"""What stops a file that is more often wrong than right, until somebody says that it is meant: many who would
be leaving, most leaving dates taken back, many who would have no account any more or somebody else's;
and ids of known people under which others come (other_person.py).

A column that is empty, or that slipped by a row, looks like that; unwatched, nobody would notice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from server.people.facts import PersonFacts
from server.people.hr_columns import Column
from server.people.import_plan import Plan, is_leaving
from server.people.import_report import Stop

NEW_LEAVERS_SHARE, NEW_LEAVERS_MIN = 0.10, 5
"""More than this share of those who are active, and more people than this, stop an import."""
WITHDRAWN_SHARE, WITHDRAWN_MIN = 0.50, 5
"""The same, of leaving dates that it would take back, of those who are leaving."""
LATER_DAYS = 180
"""A last day that moves by more is one that is taken back: 2099 means that nobody leaves."""
ACCOUNTS_SHARE, ACCOUNTS_MIN = 0.10, 5
"""The same, of people whose accounts it would take away, of those who have one."""


class Effects:
    """On whom it would tell: sets of ids. `stored`: all people; `changed`: as those would be who change."""

    def __init__(self, stored: Mapping[str, PersonFacts], changed: Iterable[PersonFacts]) -> None:
        wanted = {person.id: person for person in changed}
        before = {person_id for person_id, person in stored.items() if is_leaving(person)}
        after = {person_id for person_id, person in wanted.items() if is_leaving(person)}
        later = {each for each in before & after if _much_later(stored[each], wanted[each])}
        self.new_leavers = after - before
        self.withdrawn = ((before & wanted.keys()) - after) | later
        self.leaving = len(before)
        self.active = len(stored) - len(before) + sum(person_id not in stored for person_id in wanted)
        holders = {person_id: _open_accounts(person) for person_id, person in stored.items()}
        self.holders = sum(bool(names) for names in holders.values())
        self.without_accounts = _lose_accounts(holders, wanted)


def _much_later(before: PersonFacts, after: PersonFacts) -> bool:
    """Where a flag stands, its day counts and no file moves it."""
    ends = {each.number: each.last_day for each in before.employments if each.last_day is not None}
    return before.flag is None and any(
        each.number in ends and each.last_day is not None and each.last_day - ends[each.number] > LATER_DAYS
        for each in after.employments
    )


def _open_accounts(person: PersonFacts) -> set[tuple[str, str]]:
    return {(held.system, held.name) for held in person.accounts if held.until is None}


def _lose_accounts(
    holders: Mapping[str, set[tuple[str, str]]], wanted: Mapping[str, PersonFacts]
) -> set[str]:
    """Who would have none any more, or one less that somebody else would have."""
    held = {person_id: _open_accounts(person) for person_id, person in wanted.items()}
    gained = {name for person_id, names in held.items() for name in names - holders.get(person_id, set())}
    return {
        person_id
        for person_id, names in held.items()
        if (had := holders.get(person_id)) and (not names or not gained.isdisjoint(had - names))
    }


def why_stopped(
    plan: Plan,
    effects: Effects,
    *,
    skip_bad_rows: bool,
    same_people: bool,
    expect_leavers: int | None,
    expect_withdrawn: int | None,
    expect_accounts: int | None,
    misspelt: Iterable[Column] = (),
) -> Stop | None:
    """None: nothing stops it. What is expected: so many are meant, at most. `misspelt`: columns that are not
    read, for a slip in their name."""
    slips = sorted({column.replace("_", " ") for column in misspelt})
    if slips:
        # Kept for good, so without what stands in the file.
        why = f"it has a column that is not read, called almost as: {', '.join(slips)}"
        return Stop(f"{why}; rename it, or leave it out with --ignore-columns", "ignore_columns=true")
    if plan.problems and not skip_bad_rows:
        return _bad_rows(plan, same_people)
    new, withdrawn, moved = map(len, (effects.new_leavers, effects.withdrawn, effects.without_accounts))
    if (
        new > NEW_LEAVERS_MIN
        and new > NEW_LEAVERS_SHARE * effects.active
        and (expect_leavers is None or new > expect_leavers)
    ):
        why = f"it would mark {new:,} of {effects.active:,} people as leaving"
        return _unless_meant(why, "expect_leavers", new)
    if (
        withdrawn > WITHDRAWN_MIN
        and withdrawn > WITHDRAWN_SHARE * effects.leaving
        and (expect_withdrawn is None or withdrawn > expect_withdrawn)
    ):
        why = f"it would take back the leaving dates of {withdrawn:,} of {effects.leaving:,} people"
        return _unless_meant(why, "expect_withdrawn", withdrawn)
    if (
        moved > ACCOUNTS_MIN
        and moved > ACCOUNTS_SHARE * effects.holders
        and (expect_accounts is None or moved > expect_accounts)
    ):
        why = f"it would take the last account of {moved:,} of {effects.holders:,} people, or give one away"
        return _unless_meant(why, "expect_accounts", moved)
    return None


def _bad_rows(plan: Plan, same_people: bool) -> Stop:
    others = len(plan.others)
    if others and not same_people:
        why = f"{others} of its ids are known by other names and other accounts: other people, most likely"
        answers = "--same-people says that they are the same, --skip-bad-rows leaves them out"
        return Stop(f"{why}; {answers}", "same_people=true")
    count = len(plan.problems)
    why = f"{count} of its rows are bad; mend them, or leave them out with --skip-bad-rows"
    return Stop(why, "skip_bad_rows=true")


def _unless_meant(why: str, parameter: str, count: int) -> Stop:
    option = f"--{parameter.replace('_', '-')} {count}"
    return Stop(f"{why}; if that is meant: {option}", f"{parameter}={count}")
