"""Which addresses, destinations and devices are the company's own. Pure."""

from __future__ import annotations

import fnmatch
import ipaddress
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

import msgspec

PRIVATE_NETWORKS: Final = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
"""What a company's servers see of its own people, where nobody says more."""

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class NamedPlaces(msgspec.Struct, frozen=True):
    """As an administrator names them. `networks`: as CIDR. `destinations`: domains, with all below them.
    `devices`: uids or serial numbers of storage devices, `*` for any characters."""

    networks: tuple[str, ...] = PRIVATE_NETWORKS
    destinations: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()


NOTHING_NAMED: Final = NamedPlaces()


class CompanyPlaces:
    """Raises ValueError for what is no network."""

    def __init__(self, named: NamedPlaces = NOTHING_NAMED) -> None:
        self._networks: tuple[_Network, ...] = tuple(ipaddress.ip_network(text) for text in named.networks)
        self._destinations = tuple(text.casefold().strip(".") for text in named.destinations)
        self._devices = tuple(text.casefold() for text in named.devices)
        self.is_corporate = lru_cache(maxsize=65_536)(self._is_corporate)
        """Of an address as an event has it; None where it is none, or no networks are named."""

    def _is_corporate(self, text: str) -> bool | None:
        if not self._networks:
            return None
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return None
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)

    def owns(self, host: str | None, address: str | None) -> bool | None:
        """Whether a destination is the company's; None where nobody named any, or it is not known."""
        if host is not None and self._destinations:
            name = host.casefold().strip(".")
            if any(name == own or name.endswith(f".{own}") for own in self._destinations):
                return True
        if host is None and address is not None:
            return self.is_corporate(address)
        return False if self._destinations and host is not None else None

    def trusts(self, names: Iterable[str]) -> bool | None:
        """Whether a storage device of these names is the company's; None where nobody named any."""
        if not self._devices:
            return None
        folded = [name.casefold() for name in names]
        return any(fnmatch.fnmatchcase(name, own) for own in self._devices for name in folded)
