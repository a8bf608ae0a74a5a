"""Who may see which page. Every route states what it needs, and this file alone turns that into checks.

| needs | the caller shows |
|---|---|
| Open.PUBLIC | nothing |
| Open.SIGNED_IN | a session's cookie, whatever the role |
| a Right | a session of a role that has it; under /api/ also a token of such a role, with the scope |

What changes something must come from our own page (same_origin.py), unless a token is shown. Without a
session a page leads to the sign-in, and whatever a script asked for answers 401, so that the page can ask to
sign in again and keep what was typed. A token never unmasks and never manages accounts.

The checks and the handlers run in threads of the console's own: agents do not wait for people.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from http.cookies import CookieError, SimpleCookie
from typing import Final, TypeVar
from urllib.parse import quote
from zoneinfo import ZoneInfo

import anyio
import anyio.to_thread
from starlette.datastructures import ImmutableMultiDict
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from server.accounts.session_types import COOKIE
from server.accounts.sessions import find_session, note_use
from server.accounts.uses_noted import UsesNoted
from server.api.errors import ApiError, closing, refusal_response, with_retry_after
from server.api.request_body import RequestBody
from server.api.service import RETRY_SECONDS
from server.console.forms import read_form
from server.console.page import Ask, Console, Open, Page, Stream, Viewer
from server.console.phrases import Language
from server.console.rendering import Look
from server.console.said_words import said_in
from server.console.same_origin import is_same_origin
from server.console.security_headers import secured
from server.people.roles import Right, may
from server.service_tokens import Scope, find_token
from server.service_tokens import note_use as note_token_use
from server.store.column_types import WHOLE_MAX, is_storable
from server.store.database import StoreUnavailable

_logger = logging.getLogger("leaver.console")
THREADS: Final = 12
QUERY_CHARACTERS: Final = 8192
SESSION_ONLY: Final = frozenset({Right.UNMASK, Right.MANAGE_ACCOUNTS})
"""What no token may."""
_API: Final = "/api/"
_WRONG_TOKEN: Final = "unauthorised"
BY_ITSELF: Final = "x-by-itself"
"""What pages send along with what they ask for without anybody having done something."""
Result = TypeVar("Result")


class Threads:
    """Made on first use: a limiter belongs to the event loop it is made in."""

    def __init__(self) -> None:
        self._limiter: anyio.CapacityLimiter | None = None

    async def run(self, work: Callable[[], Result]) -> Result:
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(THREADS)
        return await anyio.to_thread.run_sync(work, limiter=self._limiter)


def page_route(page: Page, console: Console, threads: Threads) -> Route:
    async def respond(request: Request) -> Response:
        body = RequestBody(request, console.service.bodies)
        with body.released():
            try:
                response = await _answer(page, console, threads, request, body)
            except ApiError as error:
                if error.status not in (408, 413):
                    await body.discard(2 * page.form_limit, 5.0)
                response = refused(console, request, error)
        if not body.complete:
            closing(response)
        console.service.count(f"{page.route} {response.status_code}")
        return secured(response)

    return Route(page.path, respond, methods=[page.method])


def stream_route(stream: Stream, console: Console, threads: Threads) -> Route:
    async def respond(request: Request) -> Response:
        def holds() -> bool:
            try:
                viewer = _viewer(console, request)
                _check(stream.needs, viewer, request)
            except (ApiError, StoreUnavailable):
                return False
            return True

        try:
            viewer = await threads.run(lambda: _checked(console, stream.needs, request))
            ask = _ask(console, request, viewer)
            events = await threads.run(lambda: stream.handler(console, ask, holds))
            response: Response = StreamingResponse(events, media_type="text/event-stream")
        except ApiError as error:
            response = refused(console, request, error)
        console.service.count(f"{stream.route} {response.status_code}")
        return secured(response)

    return Route(stream.path, respond, methods=["GET"])


async def _answer(
    page: Page, console: Console, threads: Threads, request: Request, body: RequestBody
) -> Response:
    if len(request.scope["query_string"]) > QUERY_CHARACTERS:
        raise ApiError(414, "query_too_long", f"a query has at most {QUERY_CHARACTERS} characters")
    # Before the body is read: nobody without a session may hold memory that agents need.
    try:
        viewer = await threads.run(lambda: _checked(console, page.needs, request))
    except ApiError as error:
        if error.reason == _WRONG_TOKEN:
            _count_failure(console, request)
        raise
    ask = _ask(console, request, viewer)
    brings = page.method in ("POST", "PUT", "PATCH", "DELETE")
    if brings:
        ask.body = await body.read(page.form_limit, console.config.limits.request_seconds)

    def work() -> Response:
        if brings and not page.path.startswith(_API):
            ask.form, ask.files = read_form(ask.body, ask.headers, uploads=page.uploads)
        try:
            return page.handler(console, ask)
        except StoreUnavailable as error:
            raise _unavailable(error) from None

    return await threads.run(work)


def _count_failure(console: Console, request: Request) -> None:
    """An address that fails too often waits until it shows a token that holds. Raises ApiError(429)."""
    address = request.client.host if request.client else ""
    failures = console.service.token_failures
    if wait := failures.wait_seconds(address):
        raise ApiError(429, "too_many_failures", "too many failures from this address", retry_after=wait)
    failures.failed(address)


def _checked(console: Console, needs: Right | Open, request: Request) -> Viewer | None:
    """Raises ApiError."""
    try:
        viewer = _viewer(console, request)
    except StoreUnavailable as error:
        raise _unavailable(error) from None
    # Before the check: who may not see a page is told so in their own language.
    request.state.look = _look(viewer, request)
    _check(needs, viewer, request)
    return viewer


def _check(needs: Right | Open, viewer: Viewer | None, request: Request) -> None:
    if (viewer is None or viewer.token is None) and not is_same_origin(request.method, request.headers):
        raise ApiError(403, "cross_site", "this came from another site")
    if needs is Open.PUBLIC:
        return
    if viewer is None:
        raise ApiError(401, "signed_out", "sign in first")
    if isinstance(needs, Right):
        if viewer.token is not None and needs in SESSION_ONLY:
            raise ApiError(403, "not_allowed", "no token may do this: sign in")
        if not may(viewer.role, needs):
            raise ApiError(403, "not_allowed", "your role may not see this")


def _viewer(console: Console, request: Request) -> Viewer | None:
    scheme, _, presented = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and request.url.path.startswith(_API):
        return _program(console, request, presented.strip())
    value = session_cookie(request)
    if not value:
        return None
    now = console.clock()
    with console.database.read() as connection:
        session = find_session(connection, value, now)
    if session is None:
        return None
    if session.is_use_worth_noting(now) and not _is_by_itself(request):
        stamp = partial(note_use, session=session, now=now)
        console.made(UsesNoted).note(f"session:{session.session_id}", stamp)
    return Viewer(session.user, session.role, session)


def _is_by_itself(request: Request) -> bool:
    """Whether a page asks that nobody may be looking at: else a session would last while it is open."""
    is_stream = request.headers.get("accept", "").startswith("text/event-stream")
    return is_stream or BY_ITSELF in request.headers


def _program(console: Console, request: Request, presented: str) -> Viewer:
    """Raises ApiError."""
    now = console.clock()
    with console.database.read() as connection:
        token = find_token(connection, presented)
    if token is None or token.expires_at <= now:
        raise ApiError(401, _WRONG_TOKEN, "the token is missing, wrong or has ended")
    if token.role.console is None:
        raise ApiError(403, "not_allowed", f"a token of the role {token.role} is for other calls")
    if request.method not in ("GET", "HEAD") and token.scope is not Scope.WRITE:
        raise ApiError(403, "not_allowed", "this token may only read")
    if token.is_use_worth_noting(now):
        console.made(UsesNoted).note(f"token:{token.id}", partial(note_token_use, token=token, now=now))
    return Viewer(token.name, token.role.console, token=token.name)


def session_cookie(request: Request) -> str | None:
    try:
        found = SimpleCookie(request.headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return None
    return None if found is None else found.value


def _ask(console: Console, request: Request, viewer: Viewer | None) -> Ask:
    """What no database can keep is nowhere: a page takes such a filter as not given, a program is told.
    Raises ApiError."""
    path = dict(request.path_params)
    if any(isinstance(value, int) and value > WHOLE_MAX for value in path.values()):
        raise ApiError(404, "not_found", "there is no such page")
    if not all(is_storable(value) for value in path.values() if isinstance(value, str)):
        raise ApiError(404, "not_found", "there is no such page")
    query = request.query_params.multi_items()
    kept = [(name, value) for name, value in query if is_storable(value)]
    if len(kept) < len(query) and request.url.path.startswith(_API):
        raise ApiError(400, "bad_query", "query: no text may hold a NUL")
    return Ask(
        console,
        viewer=viewer,
        look=request.state.look,
        method=request.method,
        url_path=request.url.path,
        query=ImmutableMultiDict(kept),
        path=path,
        headers=request.headers,
        address=request.client.host if request.client else "",
        now=console.clock(),
    )


def _look(viewer: Viewer | None, request: Request) -> Look:
    if viewer is not None and viewer.session is not None:
        own = viewer.session
        return Look(own.language, own.theme, ZoneInfo(own.time_zone), own.single_keys)
    return Look(language=_language(request))


def _language(request: Request) -> Language:
    asked = request.query_params.get("lang") or request.headers.get("accept-language", "")
    return "zh" if asked.lower().startswith("zh") else "en"


def refused(console: Console, request: Request, error: ApiError) -> Response:
    """In the viewer's language; as a page for people, as JSON for programs. Without a session a page leads to
    the sign-in."""
    look: Look = getattr(request.state, "look", Look(language=_language(request)))
    words = said_in(look.language, error.message)
    error = ApiError(error.status, error.reason, words, retry_after=error.retry_after)
    wants_page = "text/html" in request.headers.get("accept", "") and not request.url.path.startswith(_API)
    is_part = request.headers.get("hx-request") == "true"
    if error.status == 401 and wants_page and not is_part and request.method == "GET":
        back = _address(request)
        return Response(None, 303, headers={"location": f"/sign-in?next={quote(back, safe='')}"})
    if not wants_page or is_part:
        return refusal_response(error)
    values: dict[str, object] = {
        "error": error,
        "viewer": None,
        "here": "",
        "now": console.clock(),
        "query": {},
    }
    body = console.templates.render("refused.html", look, values)
    return with_retry_after(Response(body, error.status, media_type="text/html"), error)


def _address(request: Request) -> str:
    """As it was asked for, quoted as it came: a slash within an id is none between two."""
    path = request.scope.get("raw_path") or quote(request.url.path).encode("ascii")
    query = request.scope["query_string"]
    return (path + (b"?" + query if query else b"")).decode("latin-1")


def _unavailable(error: StoreUnavailable) -> ApiError:
    _logger.error("database_unavailable", extra={"detail": str(error)})
    return ApiError(503, "database_unavailable", "the database cannot be used now", retry_after=RETRY_SECONDS)
