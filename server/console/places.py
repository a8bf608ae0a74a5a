"""Where a form may lead back to: pages of this console alone, however the address was written."""

from __future__ import annotations

from urllib.parse import urlsplit


def local_place(wanted: str) -> str:
    """The address, or / where it is none of ours."""
    parts = urlsplit(wanted[:2048]) if wanted.isprintable() else urlsplit("")
    is_ours = wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and "\\" not in wanted
    return wanted[:2048] if is_ours and not parts.netloc and not parts.scheme else "/"
