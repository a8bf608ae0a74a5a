"""Names for addresses: what is believed, and what never makes a place the company's own."""

from __future__ import annotations

import threading
import time

import pytest

from collectors.destinations import AGAIN_S, Destinations, Place
from event_schema.catalogue import load_catalogue

CATALOGUE = load_catalogue(trusted=["files.corp.example", "10.0.0.0/8"])


class Names:
    """A name service that counts what it is asked."""

    def __init__(self, forward: dict[str, list[str]], reverse: dict[str, str] | None = None) -> None:
        self.known, self.owners = forward, reverse or {}
        self.asked: list[str] = []

    def forward(self, host: str) -> list[str]:
        self.asked.append(host)
        return self.known.get(host, [])

    def reverse(self, address: str) -> str | None:
        self.asked.append(address)
        return self.owners.get(address)


def until_answered(places: Destinations) -> None:
    limit = time.monotonic() + 10
    while places.is_asking:
        assert time.monotonic() < limit
        time.sleep(0.01)


def place(names: Names, address: str, *hosts: str) -> Place:
    places = Destinations(
        CATALOGUE, trusted_domains=["files.corp.example"], forward=names.forward, reverse=names.reverse
    )
    try:
        places.prepare(address, hosts)
        until_answered(places)
        return places.place(address, hosts)
    finally:
        places.close()


def test_a_catalogued_host_of_the_command_line_is_sure_where_it_resolves_to_the_address() -> None:
    names = Names({"api.github.com": ["192.0.2.1"]})
    found = place(names, "192.0.2.1", "api.github.com")
    assert found.host is not None
    assert (found.host.name, found.is_sure, found.is_trusted) == ("GitHub", True, False)
    found = place(names, "192.0.2.9", "api.github.com")
    assert found.host is not None
    assert not found.is_sure


def test_a_browsers_address_is_named_by_the_catalogues_domains_or_by_its_owner() -> None:
    found = place(Names({"drive.google.com": ["192.0.2.2"]}), "192.0.2.2")
    assert found.host is not None
    assert (found.host.name, found.host.category) == ("Google Drive", "cloud_drive")
    found = place(Names({}, {"192.0.2.3": "lb-3.GitHub.com"}), "192.0.2.3")
    assert found.host is not None
    assert found.host.name == "GitHub"
    assert place(Names({}), "192.0.2.4").host is None


@pytest.mark.parametrize(
    ("names", "address", "hosts", "trusted"),
    [
        (Names({"files.corp.example": ["192.0.2.5"]}), "192.0.2.5", (), True),
        (Names({}), "10.1.2.3", (), True),
        # Anybody can write a name into a command line, or give one to an address of his own.
        (Names({"files.corp.example": ["192.0.2.5"]}), "192.0.2.6", ("files.corp.example",), False),
        (Names({}, {"192.0.2.7": "files.corp.example"}), "192.0.2.7", (), False),
    ],
)
def test_only_an_address_makes_a_place_the_companys_own(
    names: Names, address: str, hosts: tuple[str, ...], trusted: bool
) -> None:
    assert place(names, address, *hosts).is_trusted is trusted


def test_the_name_service_is_asked_once_and_never_waited_for() -> None:
    release = threading.Event()
    names = Names({})

    def slow(host: str) -> list[str]:
        release.wait(20)
        return names.forward(host)

    now = 0.0
    places = Destinations(CATALOGUE, forward=slow, reverse=names.reverse, monotonic=lambda: now)
    began = time.monotonic()
    for _ in range(1000):
        places.prepare("192.0.2.8", ["github.com"])
        places.place("192.0.2.8", ["github.com"])
    assert time.monotonic() - began < 5
    assert places.is_asking
    release.set()
    until_answered(places)
    assert names.asked == ["github.com"]
    now = AGAIN_S
    places.prepare("192.0.2.8", ["github.com"])
    until_answered(places)
    assert names.asked == ["github.com", "github.com"]
    places.close()


def test_words_of_a_command_line_that_only_look_like_a_host_are_not_asked_for() -> None:
    names = Names({"files.corp.example": ["192.0.2.5"]})
    words = ("customers.zip", "salaries.mov", "elsewhere.example", "files.corp.example", "api.github.com")
    assert place(names, "192.0.2.5", *words).is_trusted
    assert sorted(names.asked) == ["api.github.com", "files.corp.example"]


def test_nothing_is_asked_where_that_is_switched_off() -> None:
    names = Names({"github.com": ["192.0.2.1"]})
    places = Destinations(CATALOGUE, look_up=False, forward=names.forward, reverse=names.reverse)
    places.prepare("192.0.2.1", ["github.com"])
    found = places.place("192.0.2.1", ["github.com"])
    assert found.host is not None
    assert (names.asked, found.is_sure) == ([], False)
    places.close()
