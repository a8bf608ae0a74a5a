"""Settings of destinations: table [destinations], shared by all collectors that tell where data went."""

from __future__ import annotations

import ipaddress
from typing import Annotated

import msgspec
from msgspec import Meta

from collectors.contract import narrowed_by
from event_schema.catalogue import MOST_EXTRA, MOST_TRUSTED, Catalogue, Destination, load_catalogue

_Place = Annotated[str, Meta(min_length=1, max_length=253)]


class DestinationSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the shipped catalogue cannot know."""

    extra: Annotated[tuple[Destination, ...], Meta(max_length=MOST_EXTRA)] = ()
    """More destinations by name. Their domains are taken from whoever has them in the catalogue."""
    trusted: Annotated[tuple[_Place, ...], Meta(max_length=MOST_TRUSTED), narrowed_by("union")] = ()
    """The company's own places: domains with all below them, addresses, networks. What is sent there is not
    collected."""

    def __post_init__(self) -> None:
        for each in self.extra:
            if not each.domains:
                raise ValueError(f"extra: {each.name}: domains is empty, so nothing would be recognised")
        for place in self.trusted:
            if _is_everything(place):
                raise ValueError(f"trusted: {place} is every address; switch the collectors off instead")
        self.catalogue()

    def catalogue(self) -> Catalogue:
        """The shipped catalogue with these on top. Raises CatalogueError."""
        return load_catalogue(self.extra, self.trusted)


def _is_everything(place: str) -> bool:
    try:
        return ipaddress.ip_network(place).prefixlen == 0
    except ValueError:
        return False
