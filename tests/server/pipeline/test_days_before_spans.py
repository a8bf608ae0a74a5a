"""Windows of days that were written before they kept which events a day had."""

from __future__ import annotations

import msgspec
import pytest
from sqlalchemy import select

from policies.correlation.group_state import decode_group, encode_group
from server.store.tables import alert_days, alerts, correlation_groups
from tests.server.pipeline.conftest import DAY, NOW, Server
from tests.server.pipeline.correlated import adds_up, policies
from tests.server.pipeline.endpoint import copied_file
from tests.server.pipeline.test_correlations import enrolled, evidence_names, take
from tests.server.pipeline.test_worker import rows


@pytest.mark.parametrize("before_spans", [False, True])
def test_an_alert_points_to_whole_days_where_the_window_does_not_know_its_events(
    server: Server, before_spans: bool
) -> None:
    (laptop,) = enrolled(server, "laptop")
    policy = policies(adds_up())
    old = [copied_file(NOW - DAY + n, name=f"old-{n}.doc", size=1_000) for n in range(2)]
    take(server, policy, laptop.record(old))
    if before_spans:
        _forget_spans(server)
    # The old day gets one more, of which its window knows.
    more = [copied_file(NOW - DAY + 2, name="old-2.doc", size=1_000)]
    more += [copied_file(NOW + n, name=f"new-{n}.doc", size=1_000) for n in range(2)]
    take(server, policy, laptop.record(more))
    (alert,) = rows(server, alerts)
    assert {bool(row["whole"]) for row in rows(server, alert_days)} == {before_spans}
    names = ["new-0.doc", "new-1.doc", "old-0.doc", "old-1.doc", "old-2.doc"]
    assert evidence_names(server, alert["id"]) == names
    assert alert["events"] == len(names)


def _forget_spans(server: Server) -> None:
    at = correlation_groups.c
    with server.database.begin() as connection:
        (state,) = connection.execute(select(at.state)).scalars()
        key, kept = decode_group(state)
        assert all(day.spans for day in kept.days)
        days = [msgspec.structs.replace(day, spans={}) for day in kept.days]
        changed = encode_group(key, msgspec.structs.replace(kept, days=days))
        connection.execute(correlation_groups.update().values(state=changed))
