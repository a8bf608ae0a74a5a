"""Every role and every right, and what must never meet."""

from __future__ import annotations

import pytest

from server.people.roles import NotAllowed, Right, Role, may, require
from server.people.sign_offs import SIGNED_BY, Item

TABLE = {
    #                       HR     security  IT     auditors
    Right.SEE_NAMES:        (True,  False, True,  False),
    Right.SEE_LEAVERS:      (True,  True,  True,  False),
    Right.SEE_LAST_USE:     (False, True,  True,  False),
    Right.SEE_ALERTS:       (False, True,  False, False),
    Right.TRIAGE:           (False, True,  False, False),
    Right.UNMASK:           (False, True,  False, False),
    Right.FLAG_LEAVERS:     (True,  False, True,  False),
    Right.CHANGE_HOLDINGS:  (False, False, True,  False),
    Right.SEE_POLICIES:     (False, True,  True,  False),
    Right.MAKE_EXCEPTIONS:  (False, True,  True,  False),
    Right.CHANGE_POLICIES:  (False, False, True,  False),
    Right.SEE_FLEET:        (False, False, True,  False),
    Right.MANAGE_ACCOUNTS:  (False, False, True,  False),
    Right.SEE_AUDIT:        (False, False, True,  True),
}  # fmt: skip


@pytest.mark.parametrize("right", Right)
def test_each_right_is_whose_it_should_be(right: Right) -> None:
    roles = (Role.HR, Role.ANALYST, Role.ADMINISTRATOR, Role.AUDITOR)
    assert tuple(may(role, right) for role in roles) == TABLE[right]
    for role, allowed in zip(roles, TABLE[right], strict=True):
        if allowed:
            require(role, right)
        else:
            with pytest.raises(NotAllowed, match=role.words):
                require(role, right)


@pytest.mark.parametrize("role", Role)
def test_nobody_sees_names_and_what_they_did_without_unmasking(role: Role) -> None:
    assert not (may(role, Right.SEE_NAMES) and may(role, Right.SEE_ALERTS))
    assert may(role, Right.UNMASK) <= may(role, Right.SEE_ALERTS)


def test_hr_sees_no_activity_at_all() -> None:
    assert not any(may(Role.HR, right) for right in (Right.SEE_LAST_USE, Right.SEE_ALERTS, Right.UNMASK))


def test_each_item_has_somebody_to_sign_it_and_only_who_sees_alerts_signs_for_activity() -> None:
    assert set(SIGNED_BY) == set(Item)
    assert all(SIGNED_BY.values())
    assert all(may(role, Right.SEE_ALERTS) for role in SIGNED_BY[Item.ACTIVITY])
