"""Signing in and out, and one-time links that set a password.

What was wrong is never said. What a script asks for is answered without a page: 204 where it worked, so that
a dialog can sign in again in place.
"""

from __future__ import annotations

from starlette.responses import Response

from server.accounts.console_door import ConsoleDoor
from server.accounts.invitations import InvitationEnded, accept_invitation
from server.accounts.passwords import Busy, PasswordRefused
from server.accounts.session_types import COOKIE
from server.accounts.sessions import end_session
from server.accounts.signing_in import SignedIn, SignInRefused
from server.accounts.users import AccountRefused
from server.api.errors import ApiError, with_retry_after
from server.console.page import Ask, Console, Open, Page
from server.console.places import local_place

_FORM_BYTES = 16 << 10


def ask_to_sign_in(console: Console, ask: Ask) -> Response:
    """GET /sign-in"""
    place = local_place(ask.query.get("next", "/"))
    if ask.signed_in is not None:
        return ask.redirect(place)
    return sign_in_form(console, ask, place)


def sign_in(console: Console, ask: Ask) -> Response:
    """POST /sign-in"""
    if not console.config.sign_in.local_accounts:
        raise ApiError(404, "not_found", "there is no such page")
    place = local_place(ask.form.get("next", "/"))
    name = ask.form.get("name", "")
    door = console.made(ConsoleDoor)
    try:
        done = door.sign_in(
            console.database, name, ask.form.get("password", ""), address=ask.address, now=ask.now
        )
    except (SignInRefused, Busy) as error:
        refusal = refusal_of(ask, error)
        if ask.fragment:
            raise refusal from None
        return with_retry_after(sign_in_form(console, ask, place, name=name, refusal=refusal), refusal)
    end_former(console, ask)
    return signed_in(ask, done, place)


def sign_out(console: Console, ask: Ask) -> Response:
    """POST /sign-out: also of a session that has ended."""
    end_former(console, ask)
    response = ask.redirect("/sign-in")
    response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="lax")
    return response


def ask_for_first(_console: Console, ask: Ask) -> Response:
    """GET /first: the token stands behind the address' #, which browsers keep for themselves."""
    return ask.page("accounts/invitation.html", first=True, name="", problem="")


def ask_invited(_console: Console, ask: Ask) -> Response:
    """GET /invited"""
    return ask.page("accounts/invitation.html", first=False, name="", problem="")


def make_first(console: Console, ask: Ask) -> Response:
    """POST /first"""
    return _accept(console, ask, first=True)


def take_invitation(console: Console, ask: Ask) -> Response:
    """POST /invited"""
    return _accept(console, ask, first=False)


def _accept(console: Console, ask: Ask, *, first: bool) -> Response:
    if not console.config.sign_in.local_accounts:
        raise ApiError(404, "not_found", "there is no such page")
    door = console.made(ConsoleDoor)
    name, password = ask.form.get("name", "").strip(), ask.form.get("password", "")

    def again(problem: str, status: int) -> Response:
        return ask.page("accounts/invitation.html", status=status, first=first, name=name, problem=problem)

    if wait := door.waits.of_address(ask.address):
        return again(ask.text("Too many wrong tries. Wait {n} s.", n=wait), 429)
    token = ask.form.get("token", "").strip()
    try:
        if password != ask.form.get("again", ""):
            raise PasswordRefused("The two passwords differ.")
        user = accept_invitation(
            console.database, door.passwords, token, name=name, password=password, now=ask.now
        )
    except (AccountRefused, PasswordRefused, Busy) as error:
        if isinstance(error, InvitationEnded):
            door.waits.failed(ask.address)
        problem, status = problem_of(ask, error)
        return again(problem, status)
    # Whoever has the link is no guesser.
    door.waits.succeeded(user)
    try:
        done = door.sign_in(console.database, user, password, address=ask.address, now=ask.now)
    except (SignInRefused, Busy):
        return ask.redirect("/sign-in")
    end_former(console, ask)
    return signed_in(ask, done, "/")


def signed_in(ask: Ask, done: SignedIn, place: str) -> Response:
    """With the session's cookie."""
    response = ask.nothing() if ask.fragment else ask.redirect(place)
    response.set_cookie(
        COOKIE, done.cookie, max_age=done.seconds, path="/", secure=True, httponly=True, samesite="lax"
    )
    return response


def end_former(console: Console, ask: Ask) -> None:
    """Ends the session that this browser had, if it still holds."""
    viewer = ask.signed_in
    if viewer is not None and viewer.session is not None:
        own = viewer.session
        with console.database.begin() as connection:
            end_session(connection, own.session_id, own.user_id, now=ask.now, actor=viewer.actor)


def refusal_of(ask: Ask, error: SignInRefused | Busy) -> ApiError:
    if isinstance(error, Busy):
        return ApiError(503, "busy", ask.text("The server is busy. Try again in a moment."), retry_after=2)
    if error.wait_seconds:
        words = ask.text("Too many wrong tries. Wait {n} s.", n=error.wait_seconds)
        return ApiError(429, "too_many_failures", words, retry_after=error.wait_seconds)
    return ApiError(403, "wrong_password", ask.text("Name or password are wrong."))


def problem_of(ask: Ask, error: AccountRefused | PasswordRefused | Busy) -> tuple[str, int]:
    """In the viewer's language, with the answer's status."""
    match error:
        case AccountRefused():
            return ask.text(error.phrase, **error.values), 400
        case PasswordRefused():
            return ask.text(str(error)), 400
        case Busy():
            return ask.text("The server is busy. Try again in a moment."), 503


def sign_in_form(
    console: Console, ask: Ask, place: str, *, name: str = "", refusal: ApiError | None = None
) -> Response:
    settings = console.config.sign_in
    return ask.page(
        "accounts/sign_in.html",
        status=refusal.status if refusal else 200,
        place=place,
        name=name[:64],
        problem=refusal.message if refusal else "",
        local=settings.local_accounts,
        provider=bool(settings.oidc_issuer),
    )


PAGES = [
    Page("GET", "/sign-in", Open.PUBLIC, ask_to_sign_in),
    Page("POST", "/sign-in", Open.PUBLIC, sign_in, form_limit=_FORM_BYTES),
    Page("POST", "/sign-out", Open.PUBLIC, sign_out, form_limit=_FORM_BYTES),
    Page("GET", "/first", Open.PUBLIC, ask_for_first),
    Page("POST", "/first", Open.PUBLIC, make_first, form_limit=_FORM_BYTES),
    Page("GET", "/invited", Open.PUBLIC, ask_invited),
    Page("POST", "/invited", Open.PUBLIC, take_invitation, form_limit=_FORM_BYTES),
]
