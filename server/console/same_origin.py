"""Whether a request that changes something comes from our own page (against cross-site request forgery).

Browsers say so in Sec-Fetch-Site; older ones in Origin. One that says neither is refused: our pages are
never used by anything else, and programs show a token instead of a cookie.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers

_SAFE: Final = frozenset({"GET", "HEAD"})


def is_same_origin(method: str, headers: Headers) -> bool:
    if method in _SAFE:
        return True
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = headers.get("origin")
    if origin is None:
        return False
    parts = urlsplit(origin)
    return parts.scheme == "https" and parts.netloc == headers.get("host", "")
