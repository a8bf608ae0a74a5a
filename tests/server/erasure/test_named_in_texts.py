"""What people typed of alerts forgets who is erased; who saw whose name goes with the person."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, insert, select

from server import audit
from server.accounts.audit_reading import Wanted, read_page
from server.erasure.counting import count_rows
from server.erasure.plan import person_target
from server.erasure.undone_imports import undo_import
from server.people.pseudonyms import known_pseudonyms, pseudonym_key
from server.people.roles import Role
from server.people.unmaskings import grant
from server.store.tables import leaver_flags, leaver_sign_offs, saved_views, unmaskings
from tests.server.erasure.shared_machine import PERSON, erase, prepare, take_over, traces_in_rows
from tests.server.pipeline.conftest import Server
from tests.server.pipeline.endpoint import Endpoint


def test_an_erased_name_goes_from_reasons_about_others_and_its_own_unmaskings_go(server: Server) -> None:
    prepare(server, [Endpoint("desk-4")])
    take_over(server, "id,name\nE2,Jo Alder\n")
    with server.database.begin() as connection:
        pseudonym_key(connection)
        shown = known_pseudonyms(connection, [f"person:{PERSON}", "person:E2"])
        reason = f"asked by Zymborska, Xanthippe ({PERSON}) about Jo"
        grant(connection, shown["person:E2"], actor="user:omar", at=server.now, reason=reason)
        grant(connection, shown[f"person:{PERSON}"], actor="user:omar", at=server.now, reason="case 7")
    assert any("unmaskings.reason" in trace for trace in traces_in_rows(server))
    with server.database.read() as connection:
        target = person_target(connection, PERSON)
    counted = count_rows(server.database, target.plan)
    removed = erase(server)
    assert [trace for trace in traces_in_rows(server) if not trace.startswith("audit")] == []
    with server.database.read() as connection:
        left = connection.execute(select(unmaskings.c.subject, unmaskings.c.reason)).all()
    assert left == [("person:E2", "asked by [name] ([name]) about Jo")]
    assert (removed["unmaskings_texts"], removed["unmaskings"]) == (1, 1)
    assert (counted["unmaskings_texts"], counted["unmaskings"]) == (1, 1)


def test_what_the_audit_trail_says_of_somebody_who_was_erased_is_shown_to_nobody(server: Server) -> None:
    prepare(server, [Endpoint("desk-4")])
    texts: list[dict[str, Any]] = [
        {"reason": "Xanthippe Zymborska left early"},
        {"detail": {"said": ["about", {"who": "ZYMBORSKA, Xanthippe"}]}},
        {"reason": "somebody else", "detail": {"rows": 7}},
    ]
    with server.database.begin() as connection:
        rows = [
            audit.append(
                connection, at=server.now, actor="user:omar", action="user.add", object="user:x", **text
            )
            for text in texts
        ]
    erase(server)
    with server.database.read() as connection:
        assert audit.withheld(connection, rows) == frozenset(rows[:2])
        assert audit.verify(connection) is None
    for role in (Role.AUDITOR, Role.ADMINISTRATOR):
        found = {row.seq: row for row in read_page(server.database, role, Wanted()).rows}
        assert [found[seq].withheld for seq in rows] == [True, True, False]
        assert not any(len(text) == 64 for row in found.values() for text in repr(row).split("'"))
        assert not any("zymborska" in repr(row).casefold() for row in found.values())
        assert read_page(server.database, role, Wanted(text="Zymborska")).rows == []


def test_what_was_typed_about_other_leavers_and_views_that_look_for_the_name_go(server: Server) -> None:
    prepare(server, [Endpoint("desk-4")])
    take_over(server, "id,name\nE2,Jo Alder\n")
    with server.database.begin() as connection:
        flag = {"person_id": "E2", "last_day": 20_000, "flagged_at": server.now}
        connection.execute(insert(leaver_flags).values(flag | {"note": "told by Xanthippe Zymborska"}))
        signed = {"person_id": "E2", "last_day": 20_000, "signed_at": server.now, "signed_by": "user:hr"}
        for item, note in (("dates", "as Xanthippe Zymborska said"), ("accounts", "all shut")):
            row = signed | {"item": item, "role": "hr", "note": note}
            connection.execute(insert(leaver_sign_offs).values(row))
        for name, query in (
            ("Zymborska, Xanthippe", "state=open"),
            ("hers", "text=Xanthippe+Zymborska"),
            ("all", "state=open"),
        ):
            view = {"owner": "omar", "name": name, "query": query, "created_at": server.now}
            connection.execute(insert(saved_views).values(view))
    with server.database.read() as connection:
        counted = count_rows(server.database, person_target(connection, PERSON).plan)
    removed = erase(server)
    assert [trace for trace in traces_in_rows(server) if not trace.startswith("audit")] == []
    with server.database.read() as connection:
        assert connection.execute(select(leaver_flags.c.note)).scalars().all() == ["told by [name]"]
        notes = connection.execute(select(leaver_sign_offs.c.note).order_by(leaver_sign_offs.c.item))
        assert notes.scalars().all() == ["all shut", "as [name] said"]
        assert connection.execute(select(saved_views.c.name)).scalars().all() == ["all"]
    for told in (counted, removed):
        assert [told[f"{name}_texts"] for name in ("leaver_flags", "leaver_sign_offs", "saved_views")] == [
            1,
            1,
            2,
        ]


def test_who_is_erased_again_with_an_undone_import_goes_from_what_was_typed_meanwhile(server: Server) -> None:
    prepare(server, [])
    erase(server)
    earlier = {"owner": "omar", "name": "Zymborska of old", "query": "", "created_at": server.now - 1}
    with server.database.begin() as connection:
        connection.execute(insert(saved_views).values(earlier))
    back = take_over(server, restore_erased=True)
    assert back.import_id is not None
    with server.database.begin() as connection:
        shown = known_pseudonyms(connection, ["person:E2"])["person:E2"]
        reason = "as Xanthippe Zymborska said of Bob"
        grant(connection, shown, actor="user:omar", at=server.now, reason=reason)
    with server.database.begin() as connection:
        undo_import(connection, back.import_id, actor="test", at=server.now + 1)
    with server.database.begin() as connection:
        # What was typed before the file came is none of its business: its names may be wrong ones.
        assert connection.execute(delete(saved_views)).rowcount == 1
    left = {trace.partition(":")[0] for trace in traces_in_rows(server)}
    # The trail's rows prove each other, and her pseudonym stays as her alerts would.
    assert {name for name in left if not name.startswith("audit.")} == {"pseudonyms.subject"}
    with server.database.read() as connection:
        assert connection.execute(select(unmaskings.c.reason)).scalars().all() == ["as [name] said of Bob"]
    found = read_page(server.database, Role.AUDITOR, Wanted()).rows
    assert [row.action for row in found[:2]] == ["people.undo", "erasure.undo_restore"]
    assert found[1].detail == {"rows": {"unmaskings_texts": 1}}
    assert not any("zymborska" in repr(row).casefold() for row in found)
