"""Exceptions and rules that name an erased person lose the name, in all versions, and go on otherwise."""

from __future__ import annotations

from server.dry_runs.stored_runs import add_run
from server.erasure.counting import count_rows
from server.erasure.plan import person_target
from server.people.pseudonyms import pseudonym_key
from server.policies.running import PolicyLoader
from server.policies.versions import save, set_version, versions_of_rule
from tests.server.erasure.shared_machine import PERSON, erase, prepare, take_over, traces_in_rows
from tests.server.pipeline.conftest import Server
from tests.server.pipeline.endpoint import Endpoint
from tests.server.policies.rule_texts import BUILD_SERVER, COPIED, EXCEPTION

NAMING = BUILD_SERVER.replace("device.hostname: build-1", f"leaver.person.id: [{PERSON}, E2]").replace(
    "Nightly copies, change 4711", "asked by Xanthippe Zymborska"
)


def test_a_name_goes_from_all_versions_and_the_rest_of_the_exception_works_on(server: Server) -> None:
    prepare(server, [Endpoint("desk-4")])
    take_over(server, "id,name\nE2,Jo Alder\n")
    with server.database.begin() as connection:
        pseudonym_key(connection)
        for text in (COPIED, NAMING, NAMING.replace("2026-12-31", "2027-01-31")):
            saved = save(connection, text, file="a.yml", actor="cli:lin", reason="x", now=server.now)
        before = set_version(connection)
        target = person_target(connection, PERSON)
        add_run(
            connection,
            rule_id=EXCEPTION,
            base=2,
            text=NAMING,
            enabled=True,
            days=30,
            actor="user:lin",
            now=server.now,
        )
    assert any("policy_versions.text" in trace for trace in traces_in_rows(server))
    assert any("dry_runs.text" in trace for trace in traces_in_rows(server))
    assert count_rows(server.database, target.plan)["dry_runs"] == 1
    counted = count_rows(server.database, target.plan)["policy_versions"]
    assert erase(server)["policy_versions"] == counted == 2
    assert traces_in_rows(server) == []
    with server.database.read() as connection:
        assert set_version(connection) > before, "workers take it over"
        newest = versions_of_rule(connection, EXCEPTION)
        running = PolicyLoader().load(connection, set_version(connection))
    assert [each.number for each in newest] == [3, 2, 1]
    assert newest[1].hash == saved.hash, "alerts of then name it by this"
    assert newest[0].text is not None
    assert "leaver.person.id: [erased, E2]" in newest[0].text
    assert [each.exception_id for each in running.exceptions.exceptions] == [EXCEPTION]
