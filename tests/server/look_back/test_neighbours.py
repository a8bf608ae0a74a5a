"""Whom somebody's leaving touches, where there are more than can be looked at."""

from __future__ import annotations

import pytest

from server.look_back.neighbours import ACCOUNTS_SHARE, NEIGHBOURS_MAX, neighbours
from server.people.account_facts import AccountWords, declare_account
from server.people.directory import load_directory
from tests.server.look_back.company import STAYS, archive, enrolled, take_over
from tests.server.pipeline.conftest import DAY, NOW, Server
from tests.server.pipeline.endpoint import Endpoint, copied_file

pytestmark = pytest.mark.databases("sqlite")

LEFT_AT = NOW - 12 * DAY


def test_a_colleague_on_the_persons_machine_comes_before_the_hosts_of_a_shared_account(
    server: Server,
) -> None:
    endpoint = Endpoint("desk-1")
    enrolled(server, [endpoint])
    take_over(server, STAYS)
    with server.database.begin() as connection:
        words = AccountWords("kiosk", kind="shared", knows=("E1",))
        declare_account(connection, words, actor="x", at=NOW, reason="r")
    till = [
        copied_file(NOW - n * 1000, account="kiosk", host=f"till-{n:02}", device=f"d{n}") for n in range(60)
    ]
    server.take(endpoint.record([archive(NOW - 20 * DAY)]), endpoint.record(till))
    server.take(endpoint.record([archive(NOW - 2 * DAY, account="bob")]))
    with server.database.read() as connection:
        found = neighbours(connection, load_directory(connection), ["E1"], ["person:E1"], LEFT_AT)
    assert found[0] == "person:E2"
    assert found[1 : 1 + ACCOUNTS_SHARE] == [f"account:kiosk@till-{n:02}" for n in range(ACCOUNTS_SHARE)]
    assert len(found) == NEIGHBOURS_MAX
