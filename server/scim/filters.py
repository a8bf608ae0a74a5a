"""Filters of SCIM as conditions on rows: what identity providers ask for; nothing that reads every row."""

from __future__ import annotations

from typing import Any, Final

from scim2_models import InvalidFilterException
from scim2_models.path import CompareOperator, Comparison, LogicalExpr, LogicalOperator
from sqlalchemy import ColumnElement, and_, or_

from server.people.account_names import account_key
from server.store.column_types import is_storable
from server.store.tables import scim_users

_ASKED: Final = "userName, externalId, id, employeeNumber or active, with eq, joined by and or or"
_COLUMNS: Final = {
    "username": scim_users.c.user_key,
    "externalid": scim_users.c.external_id,
    "id": scim_users.c.id,
    "employeenumber": scim_users.c.employee_number,
}
TERMS_MAX: Final = 100


def condition_of(node: Any) -> ColumnElement[bool]:
    """Of a filter's syntax tree. Raises InvalidFilterException."""
    if isinstance(node, LogicalExpr):
        if len(node.terms) > TERMS_MAX:
            raise InvalidFilterException(detail=f"more than {TERMS_MAX} terms")
        terms = [condition_of(term) for term in node.terms]
        return and_(*terms) if node.op == LogicalOperator.and_ else or_(*terms)
    if not isinstance(node, Comparison) or node.op != CompareOperator.eq:
        raise _not_supported(node)
    path, value = node.attr_path, node.value
    name = path.attr.casefold()
    if path.sub_attr is None and name == "active" and isinstance(value, bool):
        return scim_users.c.active.is_(value)
    column = _COLUMNS.get(name)
    if path.sub_attr is not None or column is None or not isinstance(value, str) or not is_storable(value):
        raise _not_supported(node)
    return column == (account_key(value) if name == "username" else value)


def _not_supported(node: object) -> InvalidFilterException:
    return InvalidFilterException(detail=f"{str(node)[:200]}: users are found by {_ASKED}")
