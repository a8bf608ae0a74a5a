"""Every route of the console and the roles that may use it: route_roles/*.toml list them, a file a part."""

from __future__ import annotations

import tomllib
from pathlib import Path

from server.console.app import all_routes

FOLDER = Path(__file__).parent / "route_roles"
STATIC = "GET /static/{digest}/{name:path}"


def listed() -> dict[str, list[str]]:
    """By route, such as "GET /alerts", roles, or ["public"], or ["signed_in"]."""
    found: dict[str, list[str]] = {}
    for path in sorted(FOLDER.glob("*.toml")):
        for route, roles in tomllib.loads(path.read_text(encoding="utf-8")).items():
            assert route not in found, f"{path.name}: {route} is listed twice"
            found[route] = roles
    return found


def console_served() -> set[str]:
    return {page.route for page in all_routes()} | {STATIC}
