"""What the company named as its own, and that nothing is said where nothing was named."""

from __future__ import annotations

import pytest

from server.people.company_places import CompanyPlaces, NamedPlaces

NAMED = CompanyPlaces(
    NamedPlaces(
        networks=("10.0.0.0/8", "203.0.113.0/28", "2001:db8::/32"),
        destinations=("corp.example", "Files.Partner.Example."),
        devices=("0951:1666:*", "SN-77"),
    )
)


@pytest.mark.parametrize(
    ("address", "is_ours"),
    [
        ("10.9.8.7", True),
        ("203.0.113.15", True),
        ("203.0.113.16", False),
        ("2001:db8::7", True),
        ("::ffff:10.1.1.1", True),
        ("2001:db9::7", False),
        ("not an address", None),
    ],
)
def test_an_address_is_the_companys_by_its_networks(address: str, is_ours: bool | None) -> None:
    assert NAMED.is_corporate(address) is is_ours
    assert CompanyPlaces(NamedPlaces(networks=())).is_corporate(address) is None


def test_private_networks_are_the_companys_where_nobody_says_more() -> None:
    ours = CompanyPlaces()
    assert [ours.is_corporate(ip) for ip in ("192.168.1.2", "172.20.0.1", "fd00::1", "8.8.8.8")] == [
        True,
        True,
        True,
        False,
    ]


def test_a_destination_is_the_companys_with_all_below_it() -> None:
    assert NAMED.owns("corp.example", None) is True
    assert NAMED.owns("Share.CORP.example", "8.8.8.8") is True
    assert NAMED.owns("files.partner.example", None) is True
    assert NAMED.owns("partner.example", None) is False
    assert NAMED.owns("notcorp.example", None) is False
    assert NAMED.owns(None, "10.1.1.1") is True
    assert NAMED.owns(None, None) is None
    assert CompanyPlaces().owns("corp.example", None) is None


def test_a_device_is_known_by_its_uid_or_its_serial_number() -> None:
    assert NAMED.trusts(("0951:1666:AA",)) is True
    assert NAMED.trusts(("1:2:sn-77", "sn-77")) is True
    assert NAMED.trusts(("1:2:3",)) is False
    assert CompanyPlaces().trusts(("0951:1666:AA",)) is None
