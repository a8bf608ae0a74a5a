"""Says at the end of an alert's sentence that nothing of what it stood on reaches the line any longer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection, update

from server.store.tables import alerts

_NOTHING_LEFT: Final = {
    "en": "; nothing of what is stored of it now reaches the line",
    "zh": "；其现存数据均未达到告警线",
}
_NOTHING_LEFT_BY_HR: Final = {
    "en": "; by what HR says now nothing of it reaches the line",
    "zh": "；按人力资源现有信息，均未达到告警线",
}


def say_nothing_is_left(
    connection: Connection,
    alert: int,
    sentence: Mapping[str, str],
    now: int,
    *,
    by_hr: bool,
    looked_back: bool,
) -> None:
    """It stays open: whether it is closed is for people to say. `sentence`: what it says. now: ms UTC."""
    ending = _NOTHING_LEFT_BY_HR if by_hr else _NOTHING_LEFT
    ends = (_NOTHING_LEFT, _NOTHING_LEFT_BY_HR)
    added = {
        language: words
        if words.endswith(tuple(each[language] for each in ends))
        else words + ending[language]
        for language, words in sentence.items()
    }
    if added != sentence:
        values: dict[str, object] = {"sentence": added, "updated_at": now}
        if looked_back:
            values["looked_back_at"] = now
        connection.execute(update(alerts).where(alerts.c.id == alert).values(values))
