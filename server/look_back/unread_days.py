"""Days of which stored events cannot be read any more, and days that another model scored: what was found
then stays, nobody can find it again.

Of each row of such a day the one stays that more events stand behind: the stored one, or the one made anew.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec

from server.pipeline.anomaly_day import AnomalyDay
from server.pipeline.subject_state import PlaceUse, SubjectState, is_borrowed


def keep_what_was_found(state: SubjectState, stored: SubjectState, days: Collection[int]) -> None:
    """`state`: made anew. `stored`: as it is until now. `days`: local."""
    for channel, rows in stored.channels.items():
        for day in rows.keys() & set(days):
            new = state.days(channel).get(day)
            if not is_borrowed(channel) and (new is None or new.events < rows[day].events):
                state.channels.setdefault(channel, {})[day] = rows[day]
                state.dirty_days.add((channel, day))
    for key, hits in stored.rules.items():
        found = state.rules.get(key)
        if key[2] in days and not is_borrowed(key[1]) and (found is None or found.hits < hits.hits):
            state.rules[key] = hits
            state.dirty_rules.add(key)
    for place, row in stored.suspect_traits.items():
        led = state.suspect_traits.get(place)
        if place[1] in days and not is_borrowed(place[0]) and (led is None or led.events < row.events):
            state.suspect_traits[place] = row
            state.dirty_traits.add(place)
    state.activities.keep(stored.activities, days)
    for day in stored.anomalies.keys() & set(days):
        if day not in state.anomalies or state.anomalies[day].points < stored.anomalies[day].points:
            state.anomalies[day] = stored.anomalies[day]
            state.dirty_anomalies.add(day)
    for name, uses in stored.places.items():
        for channel, use in uses.items():
            same = state.places.setdefault(name, {}).setdefault(channel, use)
            first, last = min(same.first_time, use.first_time), max(same.last_time, use.last_time)
            state.places[name][channel] = PlaceUse(first, last)
    for agent, time in stored.agents.items():
        state.agents[agent] = min(time, state.agents.get(agent, time))


def keep_anomalies(
    state: SubjectState, stored: Mapping[int, AnomalyDay], first_day: int, model_id: int | None
) -> None:
    """Of days from `first_day` on that another model scored than `model_id`, which scores now (None: none
    does): what was found then stays, and what is found now counts where it is more. The model of today may
    have learnt those days."""
    for day, row in stored.items():
        if day < first_day or (row.model_id is not None and row.model_id == model_id):
            continue
        if not any(day in days for days in state.channels.values()):
            # All of its events turned out to be somebody else's.
            continue
        kept, new = row, state.anomalies.get(day)
        if new is not None and new.points > row.points:
            kept = msgspec.structs.replace(
                new, uncalmed=max(new.uncalmed, row.uncalmed), slow_points=row.slow_points
            )
            kept.slow_family = row.slow_family
        if new is not None and new.slow_points > row.slow_points:
            kept = msgspec.structs.replace(kept, slow_points=new.slow_points, slow_family=new.slow_family)
        state.anomalies[day] = kept
        state.anomaly_day(day)
