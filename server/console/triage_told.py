"""What came of judging alerts, as pages and programs are told it: words in the viewer's language."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import msgspec
from sqlalchemy import Connection

from server.accounts.users import find_user
from server.api.errors import ApiError
from server.cases.records import CaseRefused, UnknownCase
from server.console.cases_shown import refusal
from server.console.page import Ask, Console
from server.console.queue_words import verdict_word
from server.console.said_words import said
from server.people.roles import Right, may
from server.triage.in_turns import in_turns, undo_in_turns
from server.triage.judging import Keeping
from server.triage.merging import NoMain
from server.triage.outcome import BULK_MAX, MESSAGES, Change, Outcome, Refused, Shown, TooMany
from server.triage.undoing import CannotUndo

Do = Callable[[Connection, Change], Outcome]
ME: Final = "me"

DONE: Final[Mapping[str, str]] = {
    "assign": "{n} alert assigned|{n} alerts assigned",
    "note": "Note added to {n} alert|Note added to {n} alerts",
    "snooze": "{n} alert snoozed|{n} alerts snoozed",
    "wake": "{n} alert woken|{n} alerts woken",
    "close": "{n} alert closed|{n} alerts closed",
    "reopen": "{n} alert reopened|{n} alerts reopened",
    "merge": "{n} alert merged|{n} alerts merged",
    "unmerge": "{n} alert taken out|{n} alerts taken out",
    "escalate": "{n} alert escalated|{n} alerts escalated",
    "follow": "{n} alert followed|{n} alerts followed",
    "unfollow": "{n} alert no longer followed|{n} alerts no longer followed",
    "undo": "Undone for {n} alert|Undone for {n} alerts",
}


class ToldRefusal(msgspec.Struct, frozen=True):
    """`why`: a word that programs may rely on."""

    id: int
    why: str
    message: str


class Told(msgspec.Struct, frozen=True):
    """`changed`: with parts of merged alerts. `group`: what undoes all of it, for ten minutes. `case`: where
    alerts were escalated to."""

    verb: str
    message: str
    done: tuple[int, ...]
    refused: tuple[ToldRefusal, ...]
    changed: tuple[int, ...]
    group: int | None
    case: int | None = None


def told(ask: Ask, outcome: Outcome, *, case: int | None = None) -> Told:
    refused = tuple(
        ToldRefusal(each.id, each.why.value, _refusal_words(ask, each)) for each in outcome.refused
    )
    message = ask.text(DONE[outcome.verb], n=len(outcome.done))
    return Told(outcome.verb, message, outcome.done, refused, outcome.changed, outcome.group, case)


def _refusal_words(ask: Ask, refused: Refused) -> str:
    values = dict(refused.values)
    if "verdict" in values:
        values["verdict"] = verdict_word(str(values["verdict"]), ask.text)
    if "message" in values:
        values["message"] = said(ask, str(values["message"]))
    return ask.text(MESSAGES[refused.why], id=refused.id, **values)


def carried_out(
    console: Console,
    ask: Ask,
    numbers: Iterable[int],
    versions: Mapping[int, int],
    do: Do,
    shown: Mapping[int, Shown] | None = None,
    *,
    at_once: bool = False,
    main: int | None = None,
) -> Outcome:
    """In short write transactions (`main`: as in_turns), or one (`at_once`).

    Raises ApiError where nothing can be tried at all."""
    with _faults_told(ask):
        change = Change(ask.viewer.actor, ask.now, tuple(numbers), versions, shown or {})
        if not at_once:
            return in_turns(console.database, change, do, main=main)
        with console.database.begin() as connection:
            return do(connection, change)


def undone(console: Console, ask: Ask, group: int) -> Outcome:
    """Raises ApiError where there is nothing to undo."""
    with _faults_told(ask):
        keeping = keeping_of(console)
        return undo_in_turns(console.database, group, ask.viewer.actor, ask.now, keeping=keeping)


@contextmanager
def _faults_told(ask: Ask) -> Iterator[None]:
    try:
        yield
    except NoMain as error:
        refused = _refusal_words(ask, error.refused)
        raise ApiError(409, error.refused.why.value, refused) from None
    except CannotUndo as error:
        raise ApiError(409, "cannot_undo", ask.text(str(error))) from None
    except UnknownCase:
        raise ApiError(409, "unknown_case", ask.text("There is no such case")) from None
    except CaseRefused as error:
        raise refusal(ask, error) from None
    except TooMany:
        raise ApiError(400, "too_many", ask.text("Choose 1 to {most} alerts", most=BULK_MAX)) from None
    except ValueError as error:
        raise ApiError(400, "bad_form", str(error)) from None


def owner_of(console: Console, ask: Ask, given: str) -> str | None:
    """`given`: me, a user's name, or nothing for nobody. Raises ApiError where they judge no alerts."""
    if not given:
        return None
    name = ask.viewer.user if given == ME else given
    with console.database.read() as connection:
        user = find_user(connection, name)
    if user is None or user.disabled_at is not None or not may(user.role, Right.TRIAGE):
        raise ApiError(400, "bad_owner", ask.text("Nobody of this name judges alerts"))
    return name


def keeping_of(console: Console) -> Keeping:
    retention = console.config.retention
    return Keeping(retention.events_days, retention.activity_days, console.clock)
