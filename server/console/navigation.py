"""The rail at the left: what a role may not see is not in it."""

from __future__ import annotations

import msgspec

from server.people.roles import Right, Role, may


class Place(msgspec.Struct, frozen=True):
    """`key`: pressed after g."""

    name: str
    address: str
    needs: Right
    key: str
    icon: str


PLACES = (
    Place("Alerts", "/alerts", Right.SEE_ALERTS, "a", "M12 3 2 20h20L12 3Zm0 6v5m0 3v.5"),
    Place("Cases", "/cases", Right.SEE_ALERTS, "c", "M4 7h16v12H4V7Zm5 0V4h6v3"),
    Place(
        "People",
        "/people",
        Right.SEE_ALERTS,
        "p",
        "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8Zm-7 8c0-4 3-6 7-6s7 2 7 6",
    ),
    Place("Leavers", "/leavers", Right.SEE_LEAVERS, "l", "M14 4h5v16h-5M4 12h10m-4-4 4 4-4 4"),
    Place("Policies", "/policies", Right.SEE_POLICIES, "o", "M6 3h9l4 4v14H6V3Zm3 8h7m-7 4h7"),
    Place("Fleet", "/fleet", Right.SEE_FLEET, "f", "M3 5h18v11H3V5Zm5 15h8m-4-4v4"),
    Place("Status", "/status", Right.SEE_FLEET, "s", "M3 12h4l3-7 4 14 3-7h4"),
    Place("Audit", "/audit", Right.SEE_AUDIT, "u", "M5 4h14v16H5V4Zm3 5h8m-8 4h8m-8 4h5"),
    Place(
        "Users",
        "/users",
        Right.MANAGE_ACCOUNTS,
        "e",
        "M8 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6Zm-5 8c0-3 2-5 5-5s5 2 5 5m1-8a3 3 0 1 0-1-5m4 8c2 .5 3 2 3 5",
    ),
    Place("Tokens", "/tokens", Right.MANAGE_ACCOUNTS, "t", "M14 10a4 4 0 1 0-4 4l1-1h3v3h3v3h4v-4l-7-5Z"),
)


def navigation(role: Role) -> list[Place]:
    return [place for place in PLACES if may(role, place.needs)]


def home(role: Role) -> str:
    """Where somebody of this role begins."""
    return navigation(role)[0].address
