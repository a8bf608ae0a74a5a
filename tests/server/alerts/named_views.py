"""All alerts with all names, as an evidence pack with names tells them."""

from __future__ import annotations

from server.alerts.queries import list_alerts
from server.alerts.sight import Sight
from server.alerts.view_types import AlertView, Unmasking
from server.people.directory import load_directory
from server.store.database import Database


def named_views(database: Database, unmasking: Unmasking) -> list[AlertView]:
    with database.read() as connection:
        found, directory = list_alerts(connection), load_directory(connection)
    sight = Sight(database, directory, found, (), unmasking)
    return [sight.alert(alert) for alert in found]
