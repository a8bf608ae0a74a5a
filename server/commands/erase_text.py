"""How `leaver erase` says what would go, what went, and what is on the record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from rich.table import Table

from event_schema.printable import printable_name
from server.erasure.plan import Target
from server.erasure.record import Erasure
from server.erasure.staying import Stays
from server.people.dates import day_text

_WORDS = {
    "events": ("event", "events"),
    "people": ("row of HR's list", "rows of HR's list"),
    "person_names": ("name", "names"),
    "employments": ("employment", "employments"),
    "leaver_flags": ("flag as a leaver", "flags as a leaver"),
    "leaver_sign_offs": ("sign-off of the leaving", "sign-offs of the leaving"),
    "account_bindings": ("account that was the person's", "accounts that were the person's"),
    "trait_bindings": ("machine that was the person's", "machines that were the person's"),
    "people_changes": ("entry of the person's history", "entries of the person's history"),
    "removed_people": (
        "note of what somebody was called whom an undone import took away",
        "notes of what somebody was called whom an undone import took away",
    ),
    "scim_users": ("user that an identity provider told of", "users that identity providers told of"),
    "accounts": ("account", "accounts"),
    "pseudonyms": ("pseudonym", "pseudonyms"),
    "alerts": ("alert", "alerts"),
    "judged_days": ("note of what a verdict was about", "notes of what verdicts were about"),
    "channel_days": ("day's sums of a channel", "days' sums of channels"),
    "activity_days": ("day's sums of an activity", "days' sums of activities"),
    "anomaly_days": ("day's anomaly", "days' anomalies"),
    "rule_days": ("day on which a rule hit", "days on which rules hit"),
    "policy_versions": (
        "version of a rule or exception, in which the person is no longer named",
        "versions of rules and exceptions, in which the person is no longer named",
    ),
    "hidden_hits": ("day of an exception's count", "days of exceptions' counts"),
    "correlation_groups": ("window of a correlation", "windows of correlations"),
    "subject_places": ("device or destination seen", "devices and destinations seen"),
    "trait_uses": (
        "use of a machine, address or account noted",
        "uses of machines, addresses and accounts noted",
    ),
    "subject_agents": ("endpoint seen", "endpoints seen"),
    "known_exports": (
        "hash of what a database or file server gave out",
        "hashes of what databases and file servers gave out",
    ),
    "dead_letters": ("unreadable record (dead letter)", "unreadable records (dead letters)"),
    "people_led": ("person whose manager is left empty", "people whose manager is left empty"),
    "alerts_blanked": (
        "alert of others, in which the person is no longer named",
        "alerts of others, in which the person is no longer named",
    ),
    "blocks_looked_at": ("signed block to look through", "signed blocks to look through"),
    "event_blocks": ("signed block, whole", "signed blocks, whole"),
    "blocks_rewritten": (
        "signed block that holds events of others too: written anew, and sealed",
        "signed blocks that hold events of others too: written anew, and sealed",
    ),
    "blocks_unreadable": (
        "signed block that cannot be read: nobody looks at it, and it goes with retention",
        "signed blocks that cannot be read: nobody looks at them, and they go with retention",
    ),
}
"""One, and several. The index of events (subject_events) goes with the events and is not told."""

DIGEST_NOTE = "About whom is a digest, which names nobody: --person ID or --account NAME looks for one."

_STEPS = {
    "dead letters": "unreadable records",
    "subject events": "index of events",
    "subject places": "devices and destinations seen",
    "subject agents": "endpoints seen",
    "known exports": "hashes of exports",
}
"""What server/erasure calls its steps, where people would not."""


def step_words(step: str) -> str:
    """A step of an erasure, for its progress bar."""
    return _STEPS.get(step, step)


def counts_text(target: Target, rows: Mapping[str, int], stays: Sequence[Stays]) -> str:
    """What would go, and what would not."""
    shown = printable_name(target.shown)
    if not target.plan.subjects and target.plan.first_day is None:
        return f"{shown} was erased on {_date(target.erased_at)}; nothing is kept."
    begun = "" if target.erasure is None else " (an erasure was begun before, and goes on)"
    what = "events of " if target.kind == "days" else f"{target.kind} "
    lines = [f"To be erased, {what}{shown}{begun}:", *_lines(rows)]
    if rows.get("events"):
        lines.append(
            "Signed blocks that hold such events go, or are written anew where others' are in them too."
        )
    return "\n".join([*lines, *_stays_lines(stays)])


def result_text(
    rows: Mapping[str, int], left: Sequence[str], waiting: int | None, stays: Sequence[Stays] = ()
) -> str:
    """What went, and what is left."""
    lines = ["Erased:", *_lines(rows)] if rows else []
    lines += _stays_lines(stays)
    if waiting:
        wait = "record waits" if waiting == 1 else "records wait"
        lines.append(f"{waiting:,} {wait} on the log: what is to be erased there is dropped as it is read.")
    if left:
        lines += ["Still in files:", *(f"  {words}" for words in left)]
    lines.append("Out of reach: endpoints' own spools, backups, archived WAL.")
    return "\n".join(lines)


def erasures_table(found: Sequence[Erasure]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("id", "kind", "begun", "finished", "events", "alerts", "about"):
        table.add_column(column, no_wrap=True, justify="right" if column in {"events", "alerts"} else "left")
    for erasure in found:
        finished = "not yet" if erasure.finished_at is None else _date(erasure.finished_at)
        if erasure.restored_at is not None:
            finished += f", taken back {_date(erasure.restored_at)}"
        table.add_row(
            str(erasure.id),
            erasure.kind,
            _date(erasure.begun_at),
            finished,
            f"{erasure.removed.get('events', 0):,}",
            f"{erasure.removed.get('alerts', 0):,}",
            _about(erasure),
        )
    return table


def _about(erasure: Erasure) -> str:
    if erasure.first_day is None or erasure.last_day is None:
        return (erasure.digest or "")[:16]
    return f"{day_text(erasure.first_day)} to {day_text(erasure.last_day)}"


def _lines(rows: Mapping[str, int]) -> list[str]:
    width = max((len(f"{count:,}") for count in rows.values()), default=0)
    lines = [
        f"  {rows[name]:>{width},}  {one if rows[name] == 1 else several}"
        for name, (one, several) in _WORDS.items()
        if rows.get(name)
    ]
    return lines or ["  nothing"]


def _stays_lines(stays: Sequence[Stays]) -> list[str]:
    lines = ["Stays as proof of what was done here; by itself it names nobody:"] if stays else []
    for each in stays:
        until = "for good" if each.until is None else f"until {_date(each.until)}"
        lines.append(f"  {each.number:,} {each.what}, {until}")
    return lines


def _date(at: int | None) -> str:
    return "-" if at is None else datetime.fromtimestamp(at / 1000, UTC).date().isoformat()
