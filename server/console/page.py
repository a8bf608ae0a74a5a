"""What a page is made of: a route with who may call it, and what its handler gets.

A handler is a plain function that may block: `handler(console, ask) -> Response`, called in a thread after
server/console/access.py has checked session, role, origin and sizes. There is no route without `needs`.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Mapping
from enum import StrEnum
from typing import Any, Final, TypeVar, cast
from urllib.parse import quote
from zoneinfo import ZoneInfo

import msgspec
from starlette.datastructures import Headers, ImmutableMultiDict
from starlette.responses import Response

from server.accounts.session_types import Session
from server.api.errors import ApiError
from server.api.service import ApiService
from server.config import ServerConfig
from server.console.rendering import Look, Templates
from server.people.roles import Right, Role, may
from server.store.database import Database

Kept = TypeVar("Kept")
FORM_BYTES = 64 << 10
UPLOAD_BYTES = 33 << 20
_ADDRESS_SAFE: Final = "/?&=#%~:@!$'()*+,;"
"""What stays as it is in an address: what is quoted already, too."""


class Open(StrEnum):
    """What needs no right."""

    PUBLIC = "public"
    """Nobody has to sign in."""
    SIGNED_IN = "signed_in"
    """Everybody who did, in whatever role."""


class Viewer(msgspec.Struct, frozen=True):
    """Who asks. A program shows a token and has no session: it never unmasks and manages nobody."""

    user: str
    role: Role
    session: Session | None = None
    token: str | None = None

    @property
    def actor(self) -> str:
        """As the audit trail names who wrote."""
        return f"user:{self.user}" if self.token is None else f"token:{self.token}"

    def may(self, right: Right) -> bool:
        return may(self.role, right)


class Console:
    """What pages work with; one for a listener. `made` keeps what several pages share, such as caches."""

    def __init__(self, service: ApiService) -> None:
        self.service = service
        self.database: Database = service.database
        self.config: ServerConfig = service.config
        self.clock: Callable[[], int] = service.clock
        self.templates = Templates()
        self._made: dict[type, object] = {}
        self._making: dict[type, threading.RLock] = {}
        self._lock = threading.Lock()

    def made(self, kind: Callable[[Console], Kept]) -> Kept:
        """The one object of this class, made from the console at the first call. What takes long to make
        keeps nobody waiting who asks for something else."""
        assert isinstance(kind, type)
        with self._lock:
            making = self._making.setdefault(kind, threading.RLock())
        with making:
            if kind not in self._made:
                self._made[kind] = kind(self)
            return cast(Kept, self._made[kind])


class Uploaded(msgspec.Struct, frozen=True):
    """A file of a form. `name` is what the browser called it: never a path to write to."""

    name: str
    content: bytes


class Ask:
    """One request after its checks, and the ways to answer it."""

    def __init__(
        self,
        console: Console,
        *,
        viewer: Viewer | None,
        look: Look,
        method: str,
        url_path: str,
        query: ImmutableMultiDict[str, str],
        path: Mapping[str, Any],
        headers: Headers,
        address: str,
        now: int,
    ) -> None:
        self._console = console
        self._viewer = viewer
        self.look = look
        self.method = method
        self.url_path = url_path
        self.query = query
        self.path = path
        self.headers = headers
        self.address = address
        self.now = now
        self.form: ImmutableMultiDict[str, str] = ImmutableMultiDict()
        self.files: dict[str, Uploaded] = {}
        self.body = b""

    @property
    def viewer(self) -> Viewer:
        """Raises ApiError(401) on a public page that nobody signed in to."""
        if self._viewer is None:
            raise ApiError(401, "signed_out", "sign in first")
        return self._viewer

    @property
    def signed_in(self) -> Viewer | None:
        return self._viewer

    @property
    def fragment(self) -> bool:
        """Whether a part of a page was asked for, by htmx or one of our modules."""
        return self.headers.get("hx-request") == "true"

    @property
    def zone(self) -> ZoneInfo:
        return self.look.zone

    def text(self, phrase: str, /, **values: object) -> str:
        """The phrase in the viewer's language."""
        return self.look.text(phrase, **values)

    def page(self, template: str, *, status: int = 200, **values: object) -> Response:
        """A whole page."""
        body = self._console.templates.render(template, self.look, self._about() | values)
        return Response(body, status, media_type="text/html")

    def fragment_of(self, template: str, *, status: int = 200, **values: object) -> Response:
        """A part of a page; a template of its own."""
        return self.page(template, status=status, **values)

    def redirect(self, place: str) -> Response:
        """Elsewhere in the console; `place` begins with a slash. htmx follows too."""
        assert place.startswith("/") and not place.startswith("//"), place
        # An id of HR's may be written in any script, a header only in ASCII.
        address = quote(place, safe=_ADDRESS_SAFE)
        if self.fragment:
            return Response(None, 204, headers={"hx-redirect": address})
        return Response(None, 303, headers={"location": address})

    def nothing(self) -> Response:
        return Response(None, 204)

    def json(self, content: object, status: int = 200) -> Response:
        return Response(msgspec.json.encode(content), status, media_type="application/json")

    def download(self, content: bytes, name: str, media_type: str) -> Response:
        """`name`: ASCII, without quotes."""
        assert name.isascii() and '"' not in name
        headers = {"content-disposition": f'attachment; filename="{name}"'}
        return Response(content, 200, headers=headers, media_type=media_type)

    def _about(self) -> dict[str, object]:
        return {"viewer": self._viewer, "here": self.url_path, "query": self.query, "now": self.now}


Handler = Callable[[Console, Ask], Response]


class Page(msgspec.Struct, frozen=True):
    """One route. `form_limit`: bytes that a POST may bring; a form that brings files needs `uploads`."""

    method: str
    path: str
    needs: Right | Open
    handler: Handler
    form_limit: int = FORM_BYTES
    uploads: bool = False

    @property
    def route(self) -> str:
        return f"{self.method} {self.path}"


class Stream(msgspec.Struct, frozen=True):
    """A route that sends events for as long as it is listened to (text/event-stream). The handler is called
    in a thread after the checks, may refuse, and gives the bytes to send; `again` says whether the session
    still holds, for the handler to ask about once a minute at least."""

    path: str
    needs: Right | Open
    handler: Callable[[Console, Ask, Callable[[], bool]], AsyncIterator[bytes]]
    method: str = "GET"

    @property
    def route(self) -> str:
        return f"{self.method} {self.path}"
