"""What somebody is suspected to have done through accounts of others, added to what is stored of it. Pure."""

from __future__ import annotations

from server.pipeline.day_sums import DAY_BYTES_MAX
from server.pipeline.subject_state import SubjectState, is_borrowed


def take_borrowed(state: SubjectState, stored: SubjectState) -> None:
    """What is stored, in place of what the state had."""
    state.channels = {
        **{channel: days for channel, days in state.channels.items() if not is_borrowed(channel)},
        **{channel: days for channel, days in stored.channels.items() if is_borrowed(channel)},
    }
    state.rules = {
        **{key: hits for key, hits in state.rules.items() if not is_borrowed(key[1])},
        **{key: hits for key, hits in stored.rules.items() if is_borrowed(key[1])},
    }
    state.suspect_traits = {
        **{key: row for key, row in state.suspect_traits.items() if not is_borrowed(key[0])},
        **{key: row for key, row in stored.suspect_traits.items() if is_borrowed(key[0])},
    }


def add_borrowed(state: SubjectState, added: SubjectState) -> None:
    """All that was added, also what correlations found with it. Events are in one of both, never in both."""
    for days in added.channels.values():
        for more in days.values():
            row = state.channel_day(more.channel, more.day, more.day_type)
            row.events += more.events
            row.files += more.files
            row.bytes = min(row.bytes + more.bytes, DAY_BYTES_MAX)
            row.items = min(row.items + more.items, DAY_BYTES_MAX)
            row.first_time = min(row.first_time, more.first_time)
            row.last_time = max(row.last_time, more.last_time)
    for place, hits in added.rules.items():
        state.rule_hit(
            place,
            family=hits.family,
            level=hits.level,
            title=hits.title,
            time=hits.last_time,
            version=hits.last_version,
            begun=hits.first_time,
            count=hits.hits,
            outside_budget=hits.outside_budget,
        )
    for key, trait in added.suspect_traits.items():
        state.suspect_trait(
            key, owner_id=trait.owner_id, since=trait.since, until=trait.until, others=trait.others
        )
        state.suspect_traits[key].events += trait.events - 1
    state.dirty_ranges |= added.dirty_ranges
