"""Looking back at one person may let another's alert through: what it says of itself tells the two apart."""

from __future__ import annotations

from sqlalchemy import insert

from server.look_back.queue import look_back_state
from server.store.tables import alerts, queue_days
from tests.server.look_back.company import TODAY, enrolled, flag, take_over
from tests.server.look_back.outcomes import look_back, rows
from tests.server.pipeline.conftest import DAY, NOW, Server
from tests.server.pipeline.endpoint import Endpoint, copied_file


def test_an_alert_of_somebody_else_that_a_look_back_lets_through_is_none_that_it_changed(
    server: Server,
) -> None:
    endpoint = Endpoint("desk-1")
    enrolled(server, [endpoint])
    take_over(server, "id,accounts\nE1,alice\nE9,carol\n")
    with server.database.begin() as connection:
        connection.execute(insert(queue_days).values(queue="day", day=TODAY - 1, cap=1, line=50))
    for account in ("alice", "carol"):
        files = [
            copied_file(NOW - DAY, name=f"{n}.zip", size=3 * 10**9, account=account, device=f"{account}{n}")
            for n in range(3)
        ]
        server.take(endpoint.record(files))
    status = {row["subject"]: row["status"] for row in rows(server, alerts)}
    assert status == {"person:E1": "open", "person:E9": "held"}
    flag(server, TODAY - 3)
    assert look_back(server) == 1
    # Hers needs no place any longer.
    status = {row["subject"]: row["status"] for row in rows(server, alerts)}
    assert status == {"person:E1": "open", "person:E9": "open"}
    with server.database.read() as connection:
        state = look_back_state(connection)
    assert (state.opened, state.joined) == (1, 1)
