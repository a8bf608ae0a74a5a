"""Who was ever given which machine, device or address, as declared. What is asked for is worked out once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from server.people.account_names import host_trait
from server.people.holders import Binding, Changing, handed_on, holders

_DEVICE: Final = "device:"
_KEPT: Final = 65_536

Held = tuple[tuple[Binding, ...], str | Changing[str] | None]
"""All who ever held a thing, and who (an id) when."""
_NOBODYS: Final[Held] = ((), None)


class HeldTraits:
    """By trait ('host:laptop-7'). A device that an application names is the machine of that name, where only
    the machine is declared: certificates of machines have their names."""

    def __init__(self, traits: Mapping[str, tuple[Binding, ...]]) -> None:
        self._traits = traits
        self._found: dict[str, Held] = {}
        self._handed: dict[str, frozenset[str]] | None = None

    def with_changes(self, changed: Mapping[str, tuple[Binding, ...]]) -> HeldTraits:
        """Over what these are held by now; empty: by nobody any more."""
        news = {trait: held for trait, held in changed.items() if self._traits.get(trait, ()) != held}
        return HeldTraits({**self._traits, **news}) if news else self

    def of(self, trait: str) -> Held:
        try:
            return self._found[trait]
        except KeyError:
            if len(self._found) >= _KEPT:
                self._found.clear()
            bindings = self._traits.get(trait, ())
            if not bindings and trait.startswith(_DEVICE):
                bindings = self._traits.get(host_trait(trait.removeprefix(_DEVICE)), ())
            found = self._found[trait] = (bindings, holders(bindings)) if bindings else _NOBODYS
            return found

    def handed_to(self, person_id: str) -> frozenset[str]:
        """Who was given something after this person had had it."""
        if self._handed is None:
            self._handed = handed_on(self._traits.values())
        return self._handed.get(person_id, frozenset())
