"""Portions shrink until the far side takes them, and grow again; only an event alone can be hopeless."""

from __future__ import annotations

from agent.portion import Portion


def test_what_is_too_large_is_halved_down_to_one_and_grows_again_after_success() -> None:
    portion = Portion(1000)
    sizes = []
    while portion.cut(portion.items):
        sizes.append(portion.items)
    assert sizes == [500, 250, 125, 62, 31, 15, 7, 3, 1]
    grown = []
    for _ in range(11):
        portion.went()
        grown.append(portion.items)
    assert grown == [2, 4, 8, 16, 32, 64, 128, 256, 512, 1000, 1000]


def test_one_item_is_hopeless_only_after_several_refusals_alone_and_success_forgets_them() -> None:
    portion = Portion(8, tries_alone=3)
    found = []
    for _ in range(6):
        portion.cut(1)
        found.append(portion.is_hopeless())
    assert found == [False, False, True] * 2
    portion.cut(1)
    portion.went()
    portion.cut(1)
    assert not portion.is_hopeless()
