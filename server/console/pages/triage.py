"""Where the queue and alert pages post what an analyst decides: take, snooze, close, merge, note, escalate,
follow, and undo.

A form names alerts (`ids`, several times), and may say of which state they were shown: `seen` as ID:VERSION,
or ID:VERSION:EVENTS:SCORE:LAST, where closing and snoozing shall swallow nothing that came since.
Modules get JSON (`accept: application/json`), htmx a piece of page with a button that undoes, and forms of
themselves lead to `back`. Where nothing could be done the answer is 409 with the reason, so that nobody
loses what they typed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from sqlalchemy import Connection
from starlette.responses import Response

from server.alerts.queries import REASON_CHARACTERS, Verdict
from server.api.errors import ApiError
from server.console.page import Ask, Console, Page
from server.console.places import local_place
from server.console.snooze_times import snooze_until
from server.console.triage_told import DONE, Do, Told, carried_out, keeping_of, owner_of, told, undone
from server.people.roles import Right
from server.retention import DAY_MS
from server.store.column_types import is_storable
from server.triage.escalating import Escalated
from server.triage.escalating import escalate as escalate_alerts
from server.triage.following import follow as follow_alerts
from server.triage.judging import close as close_alerts
from server.triage.judging import reopen as reopen_alerts
from server.triage.merging import merge as merge_alerts
from server.triage.merging import unmerge as unmerge_alerts
from server.triage.outcome import Change, Outcome, Shown
from server.triage.verbs import NOTE_CHARACTERS, SNOOZE_MS_MAX
from server.triage.verbs import assign as assign_alerts
from server.triage.verbs import note as note_alerts
from server.triage.verbs import snooze as snooze_alerts
from server.triage.verbs import wake as wake_alerts

TYPED_BYTES = 256 << 10
"""A form with a long text, each of whose characters may take nine bytes."""
_DIGITS_MAX = 18
_SEEN = 4


def assign(console: Console, ask: Ask) -> Response:
    """`owner`: me, a user's name, or nothing for nobody."""
    owner = owner_of(console, ask, ask.form.get("owner", ""))
    return _done(console, ask, lambda connection, change: assign_alerts(connection, change, owner))


def note(console: Console, ask: Ask) -> Response:
    """`text`."""
    text = _words(ask, "text", NOTE_CHARACTERS)
    return _done(console, ask, lambda connection, change: note_alerts(connection, change, text))


def snooze(console: Console, ask: Ask) -> Response:
    """`until`: 1h, 4h, tomorrow, 3d, week, or a time."""
    try:
        until = snooze_until(ask.form.get("until", ""), ask.now, ask.zone)
    except ValueError:
        raise ApiError(400, "bad_time", ask.text("Say until when")) from None
    if not ask.now < until <= ask.now + SNOOZE_MS_MAX:
        days = SNOOZE_MS_MAX // DAY_MS
        raise ApiError(400, "bad_time", ask.text("Say a time that is ahead, within {days} days", days=days))
    return _done(console, ask, lambda connection, change: snooze_alerts(connection, change, until))


def wake(console: Console, ask: Ask) -> Response:
    return _done(console, ask, wake_alerts)


def close(console: Console, ask: Ask) -> Response:
    """`verdict`, `reason`."""
    reason = _words(ask, "reason", REASON_CHARACTERS)
    try:
        verdict = Verdict(ask.form.get("verdict", ""))
    except ValueError:
        raise ApiError(400, "bad_verdict", ask.text("Say what it was")) from None
    days = console.config.retention.activity_days
    return _done(
        console,
        ask,
        lambda connection, change: close_alerts(connection, change, verdict, reason, activity_days=days),
    )


def reopen(console: Console, ask: Ask) -> Response:
    keeping = keeping_of(console)
    return _done(console, ask, lambda connection, change: reopen_alerts(connection, change, keeping=keeping))


def merge(console: Console, ask: Ask) -> Response:
    """`into`: the main alert."""
    into = _number(ask, ask.form.get("into", ""))

    def do(connection: Connection, change: Change) -> Outcome:
        return merge_alerts(connection, change, into)

    return _done(console, ask, do, main=into)


def unmerge(console: Console, ask: Ask) -> Response:
    return _done(console, ask, unmerge_alerts)


def escalate(console: Console, ask: Ask) -> Response:
    """`case`: a number, or nothing for a new one with `title`, which is called by the alert where no title is
    sent at all."""
    given = ask.form.get("case", "").strip()
    case = _number(ask, given) if given else None
    title = ask.form.get("title", "").strip() or None
    if case is None and title is None and "title" in ask.form:
        raise ApiError(400, "no_title", ask.text("Give the new case a title, or choose a case."))
    owner = ask.viewer.user if ask.viewer.token is None else None
    found: list[Escalated] = []

    def do(connection: Connection, change: Change) -> Outcome:
        found.append(escalate_alerts(connection, change, case=case, title=title, owner=owner))
        return found[-1].outcome

    numbers, versions, _ = _named(ask)
    outcome = carried_out(console, ask, numbers, versions, do, at_once=True)
    return _answer(ask, told(ask, outcome, case=found[-1].case))


def follow(console: Console, ask: Ask) -> Response:
    return _done(console, ask, partial(follow_alerts, on=True))


def unfollow(console: Console, ask: Ask) -> Response:
    return _done(console, ask, partial(follow_alerts, on=False))


def undo(console: Console, ask: Ask) -> Response:
    """`group`: as the answer said that is undone."""
    group = _number(ask, ask.form.get("group", ""))
    return _answer(ask, told(ask, undone(console, ask, group)))


def _done(console: Console, ask: Ask, do: Do, *, main: int | None = None) -> Response:
    numbers, versions, shown = _named(ask)
    return _answer(ask, told(ask, carried_out(console, ask, numbers, versions, do, shown, main=main)))


def _answer(ask: Ask, found: Told) -> Response:
    wants_json = "application/json" in ask.headers.get("accept", "")
    if not found.done and found.refused:
        why = " ".join(each.message for each in found.refused[:3])
        if wants_json or ask.fragment:
            return ask.json({"error": why, "reason": found.refused[0].why, "refused": found.refused}, 409)
        raise ApiError(409, found.refused[0].why, why)
    if wants_json:
        return ask.json(found)
    if ask.fragment and "back" not in ask.form:
        return ask.fragment_of("triage/outcome.html", found=found)
    return ask.redirect(local_place(ask.form.get("back", "/alerts")))


def _named(ask: Ask) -> tuple[tuple[int, ...], dict[int, int], dict[int, Shown]]:
    numbers = tuple(_number(ask, given) for given in ask.form.getlist("ids"))
    versions, shown = {}, {}
    for each in ask.form.getlist("seen"):
        number, *told_of = (_number(ask, given) for given in each.split(":"))
        if len(told_of) not in (1, _SEEN):
            raise ApiError(400, "bad_number", ask.text("This is no number"))
        versions[number] = told_of[0]
        if len(told_of) == _SEEN:
            shown[number] = Shown(*told_of[1:])
    return numbers, versions, shown


def _number(ask: Ask, given: str) -> int:
    given = given.strip()
    if not (given.isascii() and given.isdigit() and len(given) <= _DIGITS_MAX):
        raise ApiError(400, "bad_number", ask.text("This is no number"))
    return int(given)


def _words(ask: Ask, name: str, longest: int) -> str:
    """What was typed; refused in words, so that it can be put right."""
    typed = ask.form.get(name, "").strip()
    if not typed:
        raise ApiError(400, "no_words", ask.text("Say why, in a few words"))
    if len(typed) > longest:
        words = ask.text(
            "These are {n} characters, and {longest} at most can be kept", n=len(typed), longest=longest
        )
        raise ApiError(400, "too_long", words)
    if not is_storable(typed):
        raise ApiError(400, "unstorable", ask.text("There is a character in it that cannot be kept"))
    return typed


_HANDLERS: dict[str, Callable[[Console, Ask], Response]] = {
    "assign": assign,
    "note": note,
    "snooze": snooze,
    "wake": wake,
    "close": close,
    "reopen": reopen,
    "merge": merge,
    "unmerge": unmerge,
    "escalate": escalate,
    "follow": follow,
    "unfollow": unfollow,
    "undo": undo,
}
PAGES = [
    Page("POST", f"/alerts/{verb}", Right.TRIAGE, _HANDLERS[verb], form_limit=TYPED_BYTES) for verb in DONE
]
