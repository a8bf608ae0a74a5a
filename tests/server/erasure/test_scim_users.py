"""What an identity provider told of a person goes with the person, and does not come back by itself."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from server.erasure.erasing import carry_out
from server.erasure.plan import account_target
from server.scim.provisioning import WasErased, provision
from server.scim.user_store import StoredUser, find_user
from server.scim.user_words import UserWords
from server.store.tables import scim_users
from tests.server.erasure.shared_machine import (
    PERSON,
    SEAL_KEY,
    erase,
    prepare,
    quiet,
    start,
    take_over,
    traces_in_rows,
)
from tests.server.pipeline.conftest import Server


def _say(server: Server, words: UserWords) -> StoredUser:
    with server.database.begin() as connection:
        return provision(connection, None, words, at=server.now, actor="token:okta", time_zone="UTC")


def test_users_and_those_whom_they_led_name_an_erased_person_nowhere(server: Server) -> None:
    prepare(server, [])
    take_over(server, "id\nE2\nE3\n")
    hers = UserWords("xanthippe@corp.example", employee_number=PERSON, display_name="Zymborska")
    first = _say(server, hers)
    led = [
        _say(server, UserWords("two@corp.example", employee_number="E2", manager=first.id)),
        _say(server, UserWords("three@corp.example", employee_number="E3", manager="Xanthippe@corp.example")),
    ]
    assert any("scim_users.said" in trace for trace in traces_in_rows(server))
    removed = erase(server)
    assert removed["scim_users"] == 1
    assert traces_in_rows(server) == []
    with server.database.read() as connection:
        now = [find_user(connection, user.id) for user in led]
    assert [(user.words.manager, user.version) for user in now if user is not None] == [(None, 2), (None, 2)]
    for words in (hers, UserWords("xanthippe@corp.example")):
        with pytest.raises(WasErased):
            _say(server, words)
    assert traces_in_rows(server) == []


def test_an_erased_account_of_nobody_goes_from_what_providers_told(server: Server) -> None:
    prepare(server, [])
    _say(server, UserWords("Stray@corp.example"))
    with server.database.begin() as connection:
        target = account_target(connection, "stray@corp.example")
    removed = carry_out(
        server.database, start(server, target), seal_key=SEAL_KEY, actor="test", progress=quiet
    )
    assert (removed["scim_users"], removed["accounts"]) == (1, 1)
    with server.database.read() as connection:
        assert connection.execute(select(scim_users.c.id)).all() == []
    with pytest.raises(WasErased):
        _say(server, UserWords("stray@corp.example"))
