"""Signing in by the company's provider: sent there, and back with what proves who it is."""

from __future__ import annotations

import logging
from http.cookies import CookieError, SimpleCookie
from typing import Final

import msgspec
from starlette.responses import Response

from server.accounts.console_door import ConsoleDoor
from server.accounts.oidc import Beginning, IdentityRefused, Provider
from server.accounts.provider_http import ProviderBusy, ProviderUnusable
from server.accounts.provider_users import NotLetIn, sign_in_by_provider
from server.api.errors import ApiError
from server.console.page import Ask, Console, Open, Page
from server.console.pages.sign_in import end_former, sign_in_form, signed_in
from server.console.places import local_place

COOKIE: Final = "__Host-leaver-provider"
KEPT_SECONDS: Final = 600
_PATH: Final = "/sign-in/return"
_CHARACTERS_MAX: Final = 3500
_logger = logging.getLogger("leaver.accounts")


class ConsoleProvider(Provider):
    """As `Console.made` makes it."""

    def __init__(self, console: Console) -> None:
        super().__init__(console.config.sign_in, clock=console.clock)


def begin(console: Console, ask: Ask) -> Response:
    """GET /sign-in/provider"""
    provider = _provider(console)
    place = local_place(ask.query.get("next", "/"))[:1024]
    try:
        address, began = provider.begin(_redirect(ask), place)
    except (ProviderBusy, ProviderUnusable) as error:
        return _refused(console, ask, error)
    response = Response(None, 303, headers={"location": address})
    # The browser alone keeps it: it is of no use to anybody else, and nobody can fill memory here with it.
    response.set_cookie(
        COOKIE,
        msgspec.json.encode(began).hex(),
        max_age=KEPT_SECONDS,
        path="/",
        secure=True,
        httponly=True,
        samesite="lax",
    )
    return response


def come_back(console: Console, ask: Ask) -> Response:
    """GET /sign-in/return"""
    provider, door = _provider(console), console.made(ConsoleDoor)
    began = _began(ask)
    if began is None:
        return _refused(console, ask, IdentityRefused("the browser kept nothing, or for too long"))
    if wait := door.waits.of_address(ask.address):
        words = ask.text("Too many wrong tries. Wait {n} s.", n=wait)
        return sign_in_form(console, ask, "/", refusal=ApiError(429, "too_many_failures", words))
    given = {key: ask.query.get(key, "") for key in ("state", "code", "iss", "error") if key in ask.query}
    try:
        identity = provider.finish(given, began, _redirect(ask))
        done = sign_in_by_provider(console.database, door, identity, address=ask.address, now=ask.now)
    except (IdentityRefused, ProviderBusy, ProviderUnusable, NotLetIn) as error:
        if isinstance(error, IdentityRefused):
            door.waits.failed(ask.address)
        return _without_beginning(_refused(console, ask, error))
    end_former(console, ask)
    return _without_beginning(signed_in(ask, done, local_place(began.place)))


def _provider(console: Console) -> ConsoleProvider:
    if not console.config.sign_in.oidc_issuer:
        raise ApiError(404, "not_found", "there is no such page")
    return console.made(ConsoleProvider)


def _redirect(ask: Ask) -> str:
    # The provider sends to addresses only that it was told beforehand, whatever a request says it was for.
    return f"https://{ask.headers.get('host', '')}{_PATH}"


def _began(ask: Ask) -> Beginning | None:
    try:
        kept = SimpleCookie(ask.headers.get("cookie", "")).get(COOKIE)
        if kept is None or len(kept.value) > _CHARACTERS_MAX:
            return None
        return msgspec.json.decode(bytes.fromhex(kept.value), type=Beginning)
    except (CookieError, ValueError, msgspec.DecodeError):
        return None


def _without_beginning(response: Response) -> Response:
    response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="lax")
    return response


def _refused(console: Console, ask: Ask, error: Exception) -> Response:
    match error:
        case NotLetIn():
            words = ask.text("Your company's account has no role here. Ask an administrator.")
            refusal = ApiError(403, "no_role", words)
        case ProviderBusy():
            words = ask.text("The server is busy. Try again in a moment.")
            refusal = ApiError(503, "busy", words, retry_after=2)
        case _:
            _logger.warning("provider_sign_in_failed", extra={"detail": str(error)[:500]})
            words = ask.text("Signing in with your company's account did not work. Try again.")
            refusal = ApiError(502, "provider", words)
    return sign_in_form(console, ask, "/", refusal=refusal)


PAGES = [
    Page("GET", "/sign-in/provider", Open.PUBLIC, begin),
    Page("GET", _PATH, Open.PUBLIC, come_back),
]
