"""What is done in the back office, and how its log is mapped."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from tests.back_office.office import BackOffice

SECRET = "token=s3cret"
ACT_RULES: list[dict[str, Any]] = [
    {
        "action": "manual_order_created",
        "activity": "create",
        "where": {"event": "order.create", "order.kind": "manual"},
        "object_field": "order.no",
        "object_type": "order",
        "outcome": "success",
    },
    {
        "action": "enquiry_opened",
        "activity": "read",
        "path": "/enquiries/(?P<object>[0-9]+)",
        "object_type": "enquiry",
    },
    {
        "action": "customers_exported",
        "activity": "read",
        "where": {"event": "customers.export"},
        "object_type": "customers",
        "count_field": "rows",
    },
]
ACT_FIELDS = {
    "address": "client.address",
    "forwarded": "forwarded_for",
    "device": "device",
    "path": "uri",
}


def acts_source(path: Path, **more: Any) -> dict[str, Any]:
    return {
        "name": "shop",
        "path": str(path),
        "format": "json",
        "fields": ACT_FIELDS,
        "trusted_proxies": ["127.0.0.0/8"],
        "rules": ACT_RULES,
        **more,
    }


def order(office: BackOffice, number: int, user: str, address: str, at: datetime, device: str = "") -> int:
    headers = {
        "x-user": user,
        "x-password": {"kefu": "shared"}.get(user, "?"),
        "x-forwarded-for": address,
        "x-test-time": str(int(at.timestamp() * 1000)),
        "x-device-id": device,
    }
    return office.ask("POST", f"/orders/manual?{SECRET}", headers, {"order": f"M-{number:04}"})
