"""An alert's chain of custody holds what is wide of it: names read elsewhere, packs of cases it has left."""

from __future__ import annotations

from sqlalchemy import update

from server import audit
from server.cases.changing import open_or_join_case, remove_alerts
from server.evidence_pack.custody import custody_of_alert
from server.evidence_pack.stored import begin_pack, fail_pack
from server.people.pseudonyms import give_pseudonyms
from server.people.unmaskings import UNMASKED_MS, grant
from server.store.database import Database
from server.store.tables import alerts
from tests.server.alerts.recorded_leak import NOW, open_alert, record_leak

OMAR = "user:omar"
SUBJECT = "person:E1007"


def _told(database: Database, alert_id: int) -> list[tuple[str, str]]:
    with database.read() as connection:
        found, more = custody_of_alert(connection, alert_id, limit=100)
    assert not more
    return [(row.action, row.object) for row in reversed(found)]


def test_a_name_that_was_still_off_when_the_alert_opened_was_read_in_it(database: Database) -> None:
    record_leak(database)
    with database.begin() as connection:
        shown = give_pseudonyms(connection, [SUBJECT])[SUBJECT]
        connection.execute(update(alerts).values(opened_at=NOW))
        for before in (UNMASKED_MS + 1, UNMASKED_MS - 1):
            grant(connection, shown, actor=OMAR, at=NOW - before, reason="another alert")
    with database.read() as connection:
        found, _ = custody_of_alert(connection, 1, limit=100)
    assert [(row.action, row.at) for row in found] == [("pseudonym.unmask", NOW - UNMASKED_MS + 1)]


def test_packs_made_while_the_alert_was_in_the_case_stay_in_its_custody_and_no_others(
    database: Database,
) -> None:
    record_leak(database)
    open_alert(database, events=30, subject="person:E1001", alert_id=2)
    at = iter(range(NOW, NOW + 1000))
    with database.begin() as connection:
        case = open_or_join_case(connection, [2], actor=OMAR, at=next(at), title="two people").case

    def pack() -> str:
        number = begin_pack(database, case, reason=None, actor=OMAR, at=next(at), alerts=1)
        with database.begin() as connection:
            assert fail_pack(connection, number, "failed", "no room", at=next(at))
        return f"pack:{number}"

    def move(verb: str) -> None:
        with database.begin() as connection:
            if verb == "in":
                open_or_join_case(connection, [1], actor=OMAR, at=next(at), case_id=case)
            else:
                remove_alerts(connection, case, [1], actor=OMAR, at=next(at))

    packs = [pack()]
    for verb in ("in", "out", "in"):
        move(verb)
        packs.append(pack())
    made = [each for each in _told(database, 1) if each[0] == "pack.make"]
    assert made == [("pack.make", packs[1]), ("pack.make", packs[3])]
    made = [each for each in _told(database, 2) if each[0] == "pack.make"]
    assert made == [("pack.make", each) for each in packs]

    def write_a_file() -> None:
        with database.begin() as connection:
            audit.append(connection, at=next(at), actor=OMAR, action="pack.make", object=f"case:{case}")

    write_a_file()
    move("out")
    write_a_file()
    assert ("pack.make", packs[3]) in _told(database, 1)
    # What a command wrote into a file while the alert was in there, and no later one.
    assert _told(database, 1).count(("pack.make", f"case:{case}")) == 1
    assert _told(database, 2).count(("pack.make", f"case:{case}")) == 2
