"""Chains that end with their test, passed or failed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.faults.chain import Chain

MakeChain = Callable[..., Chain]


@pytest.fixture
def make_chain() -> Iterator[MakeChain]:
    """With Chain's arguments."""
    made: list[Chain] = []

    def make(*given: object, **named: object) -> Chain:
        made.append(Chain(*given, **named))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for chain in made:
        chain.close()
