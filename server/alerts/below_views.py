"""What was not alerted, as analysts see it: pseudonyms, why not, what stood out."""

from __future__ import annotations

from typing import Final

import msgspec

from analytics.explanation_words import ACTIVITY_WORDS
from analytics.risk_line import ALERT_LINE
from server.alerts.below import NotAlerted, not_alerted
from server.alerts.view_types import Who
from server.people.dates import day_text
from server.people.directory import Directory, load_directory
from server.people.pseudonyms import shown_names
from server.store.database import Database

_WHY: Final = {
    "below_the_line": ("below the line", "低于告警线"),
    "below_a_raised_line": ("below this week's line {line}", "低于本周告警线 {line}"),
    "calmed": ("calmed by alert {after}", "因告警 {after} 的结论而平息"),
    "cooling_down": ("cooling down since alert {after}", "告警 {after} 之后的冷却期内"),
    "over_the_cap": ("over the day's cap of {cap}", "超出当日上限 {cap}"),
}


class NotAlertedView(msgspec.Struct, frozen=True):
    """`words`, `stood_out`: by language, why it is no alert, and of what it is. All else as in NotAlerted."""

    who: Who
    day: str
    """Local."""
    family: str
    score: int
    points: float
    slow_points: float
    uncalmed: float
    strength: float
    why: str
    held: int | None
    after: int | None
    cap: int | None
    line: int
    activities: tuple[str, ...]
    rules: tuple[str, ...]
    words: dict[str, str]
    stood_out: dict[str, str]


def below_views(
    database: Database, *, now: int, days: int, limit: int, directory: Directory | None = None
) -> list[NotAlertedView]:
    """The highest first. now: ms UTC. `directory` where the caller keeps a current one."""
    with database.read() as connection:
        # Somewhere it is tomorrow already.
        found = not_alerted(connection, until=now // 86_400_000 + 1, days=days + 1, limit=limit)
        known = directory or load_directory(connection)
    _, shown = shown_names(database, (each.subject for each in found))
    return [_view(each, known, shown[each.subject]) for each in found]


def _view(each: NotAlerted, directory: Directory, pseudonym: str) -> NotAlertedView:
    person = None
    if each.subject.startswith("person:"):
        person = directory.person(each.subject.removeprefix("person:"))
    status, days_left = directory.status_on(person, each.day)
    plain = {name: getattr(each, name) for name in each.__struct_fields__ if name not in ("subject", "day")}
    return NotAlertedView(
        **plain,
        who=Who(
            pseudonym=pseudonym,
            status=status,
            days_to_last_day=days_left,
            department=person.department if person else None,
            time_zone=person.time_zone if person else None,
        ),
        day=day_text(each.day),
        words=dict(
            zip(
                ("en", "zh"),
                (text.format(after=each.after, cap=each.cap, line=each.line) for text in _why(each)),
                strict=True,
            )
        ),
        stood_out={"en": _stood_out(each, 0), "zh": _stood_out(each, 1)},
    )


def _why(each: NotAlerted) -> tuple[str, str]:
    if each.why == "calmed" and each.after is None:
        # The alert is gone by now.
        return "calmed by a verdict", "因既有结论而平息"
    if each.why == "below_the_line" and each.line > ALERT_LINE:
        return _WHY["below_a_raised_line"]
    return _WHY[each.why]


def _stood_out(each: NotAlerted, language: int) -> str:
    words = [ACTIVITY_WORDS.get(name, (name, name))[language] for name in each.activities]
    return (", ", "、")[language].join([*words, *each.rules])
