"""Where everybody begins: the first page that the role may see; and how one's own console looks."""

from __future__ import annotations

from typing import cast, get_args

from starlette.responses import Response

from server.accounts.users import set_look
from server.api.errors import ApiError
from server.console.navigation import home
from server.console.page import Ask, Console, Open, Page
from server.console.phrases import LANGUAGES
from server.console.places import local_place
from server.console.rendering import Theme


def begin(_console: Console, ask: Ask) -> Response:
    """GET /"""
    return ask.redirect(home(ask.viewer.role))


def look(console: Console, ask: Ask) -> Response:
    """POST /look: language and theme, from the rail's buttons."""
    language, theme = ask.form.get("language"), ask.form.get("theme")
    if language not in (None, *LANGUAGES) or theme not in (None, *get_args(Theme)):
        raise ApiError(400, "bad_form", "there is no such language or theme")
    now = ask.look
    with console.database.begin() as connection:
        set_look(
            connection,
            ask.viewer.user,
            language=language or now.language,
            theme=cast(Theme, theme) if theme else now.theme,
            time_zone=now.zone.key,
            single_keys=now.single_keys,
        )
    return ask.redirect(local_place(ask.form.get("back", "/")))


PAGES = [Page("GET", "/", Open.SIGNED_IN, begin), Page("POST", "/look", Open.SIGNED_IN, look)]
