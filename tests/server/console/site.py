"""The console as it runs, on loopback with its own certificate, and clients of each role."""

from __future__ import annotations

from pathlib import Path

import httpx

from server.accounts.session_types import COOKIE
from server.accounts.sessions import begin_session
from server.accounts.users import add_user, required_user, set_look
from server.config import SignInConfig
from server.console.phrases import Language
from server.console.rendering import Theme
from server.people.roles import Role
from tests.server.alerts.recorded_leak import NOW, record_leak
from tests.server.api.running_server import Clock, RunningServer

HOUR = 3_600_000
USERS = {role: f"{role.value[:5]}.one" for role in Role}
"""Who signs in, a user a role: analy.one, hr.one, admin.one, audit.one."""
SAME_ORIGIN = {"sec-fetch-site": "same-origin"}


class Site:
    """A RunningServer whose clock stands still an hour after the recorded leak, and who uses it."""

    def __init__(
        self,
        folder: Path,
        *,
        database_url: str | None = None,
        leak_files: int = 30,
        sign_in: SignInConfig | None = None,
    ) -> None:
        self.clock = Clock(NOW + HOUR)
        self.server = RunningServer(folder, clock=self.clock, database_url=database_url, sign_in=sign_in)
        self.database = self.server.database
        self.url = self.server.url
        if leak_files:
            record_leak(self.database, leak_files)
        with self.database.begin() as connection:
            for role, name in USERS.items():
                add_user(connection, name, role, now=self.clock(), actor="test")
        self._opened: list[httpx.Client] = []

    def cookie(self, role: Role, *, user: str | None = None) -> str:
        """The value of a new session's cookie."""
        name = user or USERS[role]
        with self.database.begin() as connection:
            found = required_user(connection, name)
            return begin_session(
                connection,
                found.id,
                address="127.0.0.1",
                now=self.clock(),
                lasts_ms=12 * HOUR,
                idle_ms=HOUR,
            )

    def add_user(self, name: str, role: Role) -> None:
        with self.database.begin() as connection:
            add_user(connection, name, role, now=self.clock(), actor="test")

    def choose_look(
        self, role: Role, *, user: str | None, language: Language, theme: Theme, time_zone: str
    ) -> None:
        """How the user sees the console from now on."""
        with self.database.begin() as connection:
            set_look(
                connection,
                user or USERS[role],
                language=language,
                theme=theme,
                time_zone=time_zone,
                single_keys=True,
            )

    def client(self, role: Role | None, *, user: str | None = None) -> httpx.Client:
        """Signed in as somebody of the role; None: nobody. It is closed with the site."""
        opened = self.server.client()
        opened.headers.update({**SAME_ORIGIN, "accept": "text/html"})
        if role is not None:
            opened.headers["cookie"] = f"{COOKIE}={self.cookie(role, user=user)}"
        self._opened.append(opened)
        return opened

    def close(self) -> None:
        for opened in self._opened:
            opened.close()
        self.server.close()
