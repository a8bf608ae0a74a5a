"""From where accounts are used."""

from __future__ import annotations

import random

import msgspec

from event_schema.ocsf_objects import Host
from server.evaluation.departures.observed_acts import laptop, server


class Desk(msgspec.Struct, frozen=True):
    """From where somebody acts: `host` is their machine, or the server of a shared account."""

    account: str
    host: Host
    address: str
    is_server: bool = False


def person_desk(number: int) -> Desk:
    name = f"laptop-{number:05}"
    return Desk(f"user{number:05}", laptop(name), f"10.1.{number // 250 % 250}.{number % 250 + 2}")


def shared_desk(number: int) -> Desk:
    """All that shared accounts do, they do on the application's server."""
    return Desk(f"team{number:05}", server("orders"), f"10.2.0.{number % 250 + 2}", is_server=True)


def foreign(desk: Desk, dice: random.Random) -> Desk:
    """The same account from elsewhere."""
    address = f"183.{dice.randrange(1, 250)}.{dice.randrange(1, 250)}.{dice.randrange(2, 250)}"
    host = desk.host if desk.is_server else laptop(f"desktop-{dice.randrange(10**6):06}")
    return Desk(desk.account, host, address, desk.is_server)
