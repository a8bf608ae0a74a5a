"""Requests in the shapes in which Entra ID and Okta send them, as manuals and reports of users show them."""

from __future__ import annotations

from typing import Any

CORE = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
LEAVER = "urn:ietf:params:scim:schemas:extension:leaver:2.0:User"
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"


def entra_user(name: str, number: str | None = None, **enterprise: Any) -> dict[str, Any]:
    """POST of a user with Entra's default mapping, and the employee number."""
    extension = dict(enterprise)
    if number is not None:
        extension["employeeNumber"] = number
    return {
        "schemas": [CORE, ENTERPRISE],
        "externalId": name.partition("@")[0],
        "userName": name,
        "active": True,
        "displayName": "王小明",
        "title": "Sales Lead",
        "emails": [{"primary": True, "type": "work", "value": name}],
        "meta": {"resourceType": "User"},
        "name": {"formatted": "小明 王", "familyName": "王", "givenName": "小明"},
        "phoneNumbers": [{"type": "mobile", "value": "13800000000"}],
        "addresses": [{"type": "work", "locality": "Shanghai", "country": "CN"}],
        "roles": [],
        ENTERPRISE: extension,
    }


def okta_user(name: str, number: str | None = None, **more: Any) -> dict[str, Any]:
    """POST and PUT of a user by Okta: with a password, an empty list of groups, a second address."""
    user: dict[str, Any] = {
        "schemas": [CORE, ENTERPRISE],
        "userName": name,
        "name": {"givenName": "May", "familyName": "Lee"},
        "emails": [
            {"primary": True, "value": name, "type": "work"},
            {"primary": False, "value": "may.lee@private.example", "type": "home"},
        ],
        "displayName": "May Lee",
        "locale": "en-US",
        "externalId": "00ujl29u0le5T6Aj10h7",
        "groups": [],
        "password": "1mz050nq",
        "active": True,
    }
    if number is not None:
        user[ENTERPRISE] = {"employeeNumber": number, "department": "Legal"}
    return user | more


def operation(op: str, path: str | None, value: Any = None) -> dict[str, Any]:
    found: dict[str, Any] = {"op": op}
    if path is not None:
        found["path"] = path
    if value is not None:
        found["value"] = value
    return found


def patch(*operations: dict[str, Any]) -> dict[str, Any]:
    return {"schemas": [PATCH_OP], "Operations": list(operations)}


ENTRA_SHUT = patch(operation("Replace", "active", "False"))
"""Without the flag aadOptscim062020: words with capitals, and text for a truth value."""
ENTRA_OPEN = patch(operation("Replace", "active", "True"))
OKTA_SHUT = patch(operation("replace", None, {"active": False}))
OKTA_OPEN = patch(operation("replace", None, {"active": True}))
