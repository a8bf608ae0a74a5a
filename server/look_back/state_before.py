"""A subject's state as it was before the window in which its events are scored again."""

from __future__ import annotations

from collections.abc import Callable, Collection

from server.pipeline.subject_state import SubjectState, is_borrowed


def state_before(
    stored: SubjectState, first_day: int, rescored: Collection[str], day_of: Callable[[int], int]
) -> SubjectState:
    """Without what the events from `first_day` (local) brought. `rescored`: ids of the rules that will be
    matched again; hits of others, which are no policies any more, stay, as does what came through accounts
    of others. `day_of`: a time's local day."""
    state = SubjectState(stored.subject)
    state.channels = {
        channel: {day: row for day, row in days.items() if day < first_day or is_borrowed(channel)}
        for channel, days in stored.channels.items()
    }
    state.rules = {
        key: hits
        for key, hits in stored.rules.items()
        if key[2] < first_day or key[0] not in rescored or is_borrowed(key[1])
    }
    state.suspect_traits = {
        key: row for key, row in stored.suspect_traits.items() if key[1] < first_day or is_borrowed(key[0])
    }
    state.activities = stored.activities.before(first_day)
    state.anomalies = {day: row for day, row in stored.anomalies.items() if day < first_day}
    for place, uses in stored.places.items():
        earlier = {channel: use for channel, use in uses.items() if day_of(use.first_time) < first_day}
        if earlier:
            state.places[place] = earlier
    if any(day < first_day for days in stored.channels.values() for day in days):
        state.correlations.begin_with(first_day)
    state.agents = {agent: time for agent, time in stored.agents.items() if day_of(time) < first_day}
    return state
