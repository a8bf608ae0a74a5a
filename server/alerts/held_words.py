"""Why an alert is held, in words."""

from __future__ import annotations

from sqlalchemy import Connection, select

from server.people.dates import day_text
from server.store.tables import alert_candidates, queue_days


def held_words(connection: Connection, alert_id: int) -> dict[str, str]:
    """By language, of the days that its queues hold back."""
    at = alert_candidates.c
    query = (
        select(at.day, at.queue, at.cooling, queue_days.c.cap)
        .outerjoin(queue_days, (queue_days.c.queue == at.queue) & (queue_days.c.day == at.day))
        .where(at.alert == alert_id)
        .order_by(at.day)
    )
    english, chinese = [], []
    for row in connection.execute(query):
        day = day_text(row.day)
        if row.cooling is not None:
            english.append(f"{day} cools down after alert {row.cooling}")
            chinese.append(f"{day} 处于告警 {row.cooling} 之后的冷却期内")
        else:
            english.append(f"{day} is over its day's cap of {row.cap or 0}")
            chinese.append(f"{day} 超出当日上限 {row.cap or 0}")
    if not english:
        return {
            "en": "not alerted: what it stood on is below the line by now, or in another alert",
            "zh": "未告警：其依据现已低于告警线，或已归入其他告警",
        }
    return {"en": "not alerted: " + "; ".join(english), "zh": "未告警：" + "；".join(chinese)}
