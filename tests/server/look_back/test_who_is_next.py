"""Who is looked back at next, and how often: nobody waits behind an import, nor behind whom it fails at."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from sqlalchemy import select

from server.look_back.attempt import Attempt
from server.look_back.queue import FIRST_PAUSE_MS, look_back_state
from server.store.tables import look_backs, suspect_traits
from tests.server.enrich.people_who_left import act
from tests.server.look_back.company import STAYS, TODAY, archive, date_of, enrolled, flag, take_over
from tests.server.look_back.outcomes import looking_back, rows
from tests.server.pipeline.conftest import DAY, NOW, Server
from tests.server.pipeline.endpoint import Endpoint

pytestmark = pytest.mark.databases("sqlite")


def _three_who_copied(server: Server) -> None:
    endpoint = Endpoint("desk-1")
    enrolled(server, [endpoint])
    take_over(server, STAYS)
    server.take(endpoint.record([archive(NOW - DAY, account=name) for name in ("alice", "bob", "carol")]))


def _finished(server: Server) -> list[str]:
    """In turn."""
    with server.database.read() as connection:
        query = select(look_backs.c.person_id).where(look_backs.c.finished_at.is_not(None))
        return list(connection.execute(query.order_by(look_backs.c.finished_at)).scalars())


def test_a_flag_does_not_wait_behind_an_import_that_is_being_worked_off(server: Server) -> None:
    _three_who_copied(server)
    leaves = date_of(TODAY + 6)
    take_over(server, f"id,last working day\nE2,{leaves}\nE3,{leaves}\n")
    worker = looking_back(server)
    assert worker.step() == 1
    flag(server)
    server.now += 1
    assert worker.step() == 1
    server.now += 1
    assert worker.step() == 1
    assert _finished(server) == ["E2", "E1", "E3"]


def test_people_at_whom_it_fails_keep_nobody_waiting_and_are_tried_again(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    _three_who_copied(server)
    flag(server)
    flag(server, person="E2")
    stop, whole, tried = threading.Event(), Attempt.look_back, 0

    def fails(attempt: Attempt, *arguments: Any) -> bool:
        nonlocal tried
        if attempt._group.people == ("E1",):
            tried += 1
            raise ValueError("something that nobody thought of")
        return whole(attempt, *arguments)

    class StopsWhenNothingIsToBeDone:
        def beat(self) -> None:
            with server.database.read() as connection:
                if (state := look_back_state(connection)).finished and state.failed:
                    stop.set()

    monkeypatch.setattr(Attempt, "look_back", fails)
    worker = looking_back(server)
    monkeypatch.setattr(worker._pulse, "beat", StopsWhenNothingIsToBeDone().beat)
    monkeypatch.setattr("server.look_back.looking_back.LOOK_SECONDS", 0.01)
    worker.run(stop)
    assert _finished(server) == ["E2"]
    assert tried == 1
    assert worker.step() == 0
    assert tried == 1, "not at once"
    monkeypatch.undo()
    server.now += FIRST_PAUSE_MS
    assert worker.step() == 1
    assert _finished(server) == ["E2", "E1"]
    with server.database.read() as connection:
        assert look_back_state(connection).failed == 0


@pytest.mark.parametrize("others", [50, 1])
def test_who_else_is_concerned_is_collected_in_one_pass_and_bound(
    server: Server, monkeypatch: pytest.MonkeyPatch, others: int
) -> None:
    monkeypatch.setattr("server.look_back.looking_back.OTHERS_MAX", others)
    endpoint = Endpoint("laptop-1")
    enrolled(server, [endpoint])
    names = ("alice", "anna", "ada", "amy")
    staff = [f"E{number},{name},E9," for number, name in enumerate(names)]
    take_over(server, "\n".join(("id,accounts,manager,last working day", "E9,boris,,", *staff)))
    seen = [(name, n * DAY) for name in names for n in (89, 85, 80)]
    old = [act(name, NOW - ago, device=f"{name}-phone") for name, ago in seen]
    his = [act("boris", NOW - n * DAY, device="pc-2", ip="198.51.100.8") for n in (89, 70, 40, 3)]
    hers = [act("boris", NOW - 3_600_000, device=f"{name}-phone") for name in names]
    server.take(endpoint.record(old + his + hers))
    late = [f"{line}{date_of(TODAY - 60)}" for line in staff]
    take_over(server, "\n".join(("id,accounts,manager,last working day", *late)))
    passes, whole = [], Attempt.look_back

    def counted(attempt: Attempt, *arguments: Any) -> bool:
        passes.append(len(attempt._subjects))
        return whole(attempt, *arguments)

    monkeypatch.setattr(Attempt, "look_back", counted)
    assert looking_back(server).step() == 1
    assert passes == [2, 5 if others > 1 else 3]
    suspects = {row["person_id"] for row in rows(server, suspect_traits)}
    assert suspects == {"E0", "E1", "E2", "E3"}, "nothing is lost, whoever is left out"
