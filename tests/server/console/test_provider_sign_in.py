"""Single sign-on with a real OpenID provider: who comes in, in which role, and who does not."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import msgspec
import pytest
from sqlalchemy import select

from server.accounts.oidc import Provider
from server.accounts.provider_http import AT_ONCE, ProviderBusy, ProviderHttp, ProviderUnusable
from server.accounts.session_types import COOKIE
from server.accounts.users import User, disable, list_users
from server.config import SignInConfig
from server.people.roles import Role
from server.store.tables import audit
from tests.oidc_provider.provider import CLIENT, SECRET, OidcProvider
from tests.server.console.site import Site

ROLES = {"it-admins": Role.ADMINISTRATOR, "soc": Role.ANALYST, "people-team": Role.HR}


def settings_for(issuer: str, secret: Path, **others: object) -> SignInConfig:
    secret.write_text(SECRET + "\n", encoding="utf-8")
    plain = {
        "oidc_issuer": issuer,
        "oidc_client_id": CLIENT,
        "oidc_client_secret_file": str(secret),
        "oidc_roles": ROLES,
    }
    return msgspec.convert({**plain, **others}, SignInConfig)


@contextmanager
def site_with(folder: Path, provider: OidcProvider, **settings: object) -> Iterator[Site]:
    """Its clock goes with the provider's."""
    opened = Site(folder, leak_files=0, sign_in=settings_for(provider.issuer, folder / "s", **settings))
    opened.clock.now = int(time.time() * 1000)
    provider.expect(f"{opened.url}/sign-in/return")
    yield opened
    opened.close()


@pytest.fixture
def provider() -> Iterator[OidcProvider]:
    opened = OidcProvider()
    yield opened
    opened.close()


@pytest.fixture
def site(tmp_path: Path, provider: OidcProvider) -> Iterator[Site]:
    with site_with(tmp_path, provider) as opened:
        yield opened


def come_in(site: Site, provider: OidcProvider) -> tuple[httpx.Client, httpx.Response]:
    client = site.client(None)
    sent = client.get("/sign-in/provider?next=/settings")
    assert sent.status_code == 303, sent.text
    return client, client.get(provider.walk(sent.headers["location"]))


def users(site: Site) -> dict[str, User]:
    with site.database.read() as connection:
        return {user.name: user for user in list_users(connection) if user.by_provider}


def test_who_has_a_role_comes_in_by_the_provider_and_leads_on(site: Site, provider: OidcProvider) -> None:
    assert "Sign in with your company" in site.client(None).get("/sign-in").text
    provider.next("u-17", preferred_username="Anna Weber", groups=["everybody", "soc"])
    client, answer = come_in(site, provider)
    assert (answer.status_code, answer.headers["location"]) == (303, "/settings")
    assert COOKIE in answer.headers["set-cookie"]
    assert "anna-weber" in client.get("/settings").text
    assert client.get("/").headers["location"] == "/alerts"
    assert client.post("/sign-out").headers["location"] == "/sign-in"
    assert client.get("/").headers["location"].startswith("/sign-in")
    found = users(site)["anna-weber"]
    assert (found.role, found.has_password) == (Role.ANALYST, False)


def test_who_somebody_is_does_not_hang_on_their_name(site: Site, provider: OidcProvider) -> None:
    provider.next("u-17", preferred_username="anna", groups=["soc"])
    come_in(site, provider)
    provider.next("u-17", preferred_username="anna.married", groups=["soc"])
    come_in(site, provider)
    provider.next("u-99", preferred_username="anna", groups="people-team")
    come_in(site, provider)
    provider.next("u-5", preferred_username="admin.one", groups=["soc"])
    come_in(site, provider)
    found = users(site)
    assert {name: user.role for name, user in found.items()} == {
        "anna": Role.ANALYST,
        "anna-2": Role.HR,
        "admin.one-2": Role.ANALYST,
    }


def test_the_role_follows_the_claim_at_each_sign_in(site: Site, provider: OidcProvider) -> None:
    provider.next("u-17", preferred_username="anna", groups=["soc", "it-admins"])
    first, _ = come_in(site, provider)
    assert users(site)["anna"].role is Role.ADMINISTRATOR
    provider.next("u-17", preferred_username="anna", groups=["soc"])
    second, _ = come_in(site, provider)
    assert first.get("/").headers["location"].startswith("/sign-in")
    assert second.get("/").headers["location"] == "/alerts"
    provider.next("u-17", preferred_username="anna", groups=["everybody"])
    _, answer = come_in(site, provider)
    assert (answer.status_code, "no role here" in answer.text) == (403, True)
    assert second.get("/").headers["location"].startswith("/sign-in")
    with site.database.read() as connection:
        rows = connection.execute(
            select(audit.c.action, audit.c.actor).where(audit.c.object == "user:anna").order_by(audit.c.seq)
        ).all()
    assert ("user.role", "provider") in [tuple(row) for row in rows]
    assert rows[-1].action == "session.refused"


def test_who_has_no_role_or_is_disabled_or_refused_stays_out(site: Site, provider: OidcProvider) -> None:
    provider.next("u-1", preferred_username="stranger", groups=[])
    assert come_in(site, provider)[1].status_code == 403
    assert users(site) == {}
    provider.next("u-2", preferred_username="omar", groups=["soc"])
    come_in(site, provider)
    with site.database.begin() as connection:
        disable(connection, "omar", now=site.clock(), actor="test")
    _, answer = come_in(site, provider)
    assert (answer.status_code, COOKIE + "=" in answer.headers.get("set-cookie", "")) == (403, False)
    provider.next("u-3", refuses=True)
    assert come_in(site, provider)[1].status_code == 502


def test_an_answer_of_another_browser_or_another_time_is_refused(site: Site, provider: OidcProvider) -> None:
    provider.next("u-17", preferred_username="anna", groups=["soc"])
    client = site.client(None)
    back = provider.walk(client.get("/sign-in/provider").headers["location"])
    assert site.client(None).get(back).status_code == 502
    other = site.client(None)
    other.get("/sign-in/provider")
    assert other.get(back).status_code == 502
    assert client.get(back + "&iss=https://evil.example").status_code in (502, 303)
    used = site.client(None)
    assert used.get(provider.walk(used.get("/sign-in/provider").headers["location"])).status_code == 303
    for odd in ("/sign-in/return", "/sign-in/return?state=x&code=y", "/sign-in/return?error=%00"):
        assert site.client(None).get(odd).status_code == 502
    kept = site.client(None)
    kept.headers["cookie"] = "__Host-leaver-provider=" + "ff" * 900
    assert kept.get("/sign-in/return?state=x&code=y").status_code == 502


def test_claims_may_stand_in_the_id_token_under_a_path_and_be_the_only_way(tmp_path: Path) -> None:
    provider = OidcProvider(in_id_token=True)
    try:
        settings: dict[str, object] = {"oidc_claim": "realm_access.roles", "local_accounts": False}
        with site_with(tmp_path, provider, **settings) as site:
            provider.next("u-1", preferred_username="wei", realm_access={"roles": ["people-team"]})
            assert come_in(site, provider)[1].status_code == 303
            assert users(site)["wei"].role is Role.HR
            client = site.client(None)
            assert 'name="password"' not in client.get("/sign-in").text
            assert client.post("/sign-in", data={"name": "a", "password": "b"}).status_code == 404
    finally:
        provider.close()


def test_without_a_provider_there_are_no_such_pages(tmp_path: Path) -> None:
    site = Site(tmp_path, leak_files=0)
    try:
        for path in ("/sign-in/provider", "/sign-in/return?code=1&state=2"):
            assert site.client(None).get(path).status_code == 404
    finally:
        site.close()


class Hostile:
    """A server that does with each connection what it is told to."""

    def __init__(self, act: Callable[[socket.socket], None]) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.issuer = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.connections = 0
        self._act = act
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        try:
            with connection:
                self._act(connection)
        except OSError:
            return

    def close(self) -> None:
        self._listening.close()


def _says_nothing(connection: socket.socket) -> None:
    time.sleep(15)


def _dribbles(connection: socket.socket) -> None:
    for byte in b"HTTP/1.1 200 OK\r\nx-long: " + b"x" * 1000:
        connection.send(bytes([byte]))
        time.sleep(0.2)


def _floods(connection: socket.socket) -> None:
    connection.send(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        connection.send(b" " * 65536)


def _is_no_http(connection: socket.socket) -> None:
    connection.send(b"\x00\xff" * 100)


@pytest.mark.parametrize("act", [_says_nothing, _dribbles, _floods, _is_no_http])
def test_a_hostile_provider_costs_few_threads_and_seconds(
    tmp_path: Path, act: Callable[[socket.socket], None]
) -> None:
    server = Hostile(act)
    try:
        provider = Provider(settings_for(server.issuer, tmp_path / "s"), clock=lambda: 0)
        began, outcomes = time.monotonic(), []

        def ask() -> None:
            try:
                provider.begin("https://here/sign-in/return", "/")
            except (ProviderBusy, ProviderUnusable) as error:
                outcomes.append(type(error))

        threads = [threading.Thread(target=ask) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert len(outcomes) == 12
        assert ProviderUnusable in outcomes
        if act is _says_nothing or act is _dribbles:
            assert outcomes.count(ProviderBusy) >= 11
            assert server.connections == 1
        assert time.monotonic() - began < 9
    finally:
        server.close()


def test_at_most_so_many_calls_wait_for_the_provider(tmp_path: Path) -> None:
    server = Hostile(_says_nothing)
    try:
        http, outcomes = ProviderHttp(), []

        def call() -> None:
            try:
                http.get(server.issuer)
            except (ProviderBusy, ProviderUnusable) as error:
                outcomes.append(type(error))

        threads = [threading.Thread(target=call) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert outcomes.count(ProviderBusy) == 12 - AT_ONCE
    finally:
        server.close()


def test_what_was_kept_is_used_while_the_provider_is_away(provider: OidcProvider, tmp_path: Path) -> None:
    provider.expect("https://here/sign-in/return")
    now = [0]
    own = Provider(settings_for(provider.issuer, tmp_path / "s"), clock=lambda: now[0])
    address, _ = own.begin("https://here/sign-in/return", "/")
    assert address.startswith(provider.issuer)
    assert "code_challenge_method=S256" in address
    provider.close()
    for hours in (1, 23):
        now[0] = hours * 3_600_000
        assert own.begin("https://here/sign-in/return", "/")[0].startswith(provider.issuer)
    now[0] = 25 * 3_600_000
    with pytest.raises(ProviderUnusable):
        own.begin("https://here/sign-in/return", "/")
