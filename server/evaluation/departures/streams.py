"""All streams, by name."""

from __future__ import annotations

from typing import Final

from server.evaluation.departures import (
    cases,
    dates_of_hr,
    left_running,
    passed_on_machines,
    returns,
    sessions_at_once,
    shared_logins,
    shared_places,
)
from server.evaluation.departures.script import Stream

STREAMS: Final[dict[str, Stream]] = {
    stream.name: stream
    for module in (
        cases,
        passed_on_machines,
        shared_places,
        shared_logins,
        dates_of_hr,
        returns,
        left_running,
        sessions_at_once,
    )
    for stream in module.STREAMS
}
