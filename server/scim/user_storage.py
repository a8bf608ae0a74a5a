"""The storage behind scim2-server's handler: this installation's users."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scim2_models import (
    ForbiddenException,
    InvalidValueException,
    NotFoundException,
    PreconditionFailedException,
    Resource,
    ResourceType,
    ResponseParameters,
    SearchRequest,
    UniquenessException,
)
from scim2_server.storage import ScimStorage, SearchPage
from sqlalchemy import Connection

from server.scim.filters import condition_of
from server.scim.provisioning import NameTaken, WasErased, deprovision, provision
from server.scim.resources import RESULTS_MAX, resource_of, words_of
from server.scim.user_store import StoredUser, find_user, list_users
from server.scim.user_words import UnusableWord
from server.store.column_types import WHOLE_MAX, is_storable
from server.store.database import Database


class UserStorage(ScimStorage):
    """Of one request: `actor` is who makes it. `time_zone`: for new people without one."""

    def __init__(self, database: Database, *, actor: str, time_zone: str, clock: Callable[[], int]) -> None:
        self._database = database
        self._actor = actor
        self._time_zone = time_zone
        self._clock = clock

    def get(
        self,
        resource_type: ResourceType,
        resource_id: str,
        *,
        response_parameters: ResponseParameters[Any] | None = None,
    ) -> Resource[Any]:
        with self._database.read() as connection:
            return resource_of(_found(connection, resource_id))

    def search(
        self,
        resource_types: list[ResourceType],
        search_request: SearchRequest[Any],
        *,
        position: Any = None,
    ) -> SearchPage:
        wanted = search_request.filter
        condition = None if wanted is None else condition_of(wanted.ast)
        count = RESULTS_MAX if search_request.count is None else search_request.count
        first = min(search_request.start_index_0 or 0, WHOLE_MAX)
        with self._database.read() as connection:
            total, found = list_users(connection, condition, first=first, count=count)
        return SearchPage(total, [resource_of(user) for user in found])

    def create(self, resource_type: ResourceType, resource: Resource[Any]) -> Resource[Any]:
        with self._database.begin() as connection:
            return resource_of(self._provision(connection, None, resource))

    def update(
        self, resource_type: ResourceType, resource: Resource[Any], *, expected_version: str | None = None
    ) -> Resource[Any]:
        with self._database.begin() as connection:
            before = _found(connection, resource.id or "", expected_version)
            if words_of(resource) == before.words:
                return resource_of(before)
            return resource_of(self._provision(connection, before, resource))

    def delete(
        self, resource_type: ResourceType, resource_id: str, *, expected_version: str | None = None
    ) -> None:
        with self._database.begin() as connection:
            user = _found(connection, resource_id, expected_version)
            deprovision(connection, user, at=self._clock(), actor=self._actor)

    def _provision(
        self, connection: Connection, before: StoredUser | None, resource: Resource[Any]
    ) -> StoredUser:
        words = words_of(resource)
        try:
            return provision(
                connection, before, words, at=self._clock(), actor=self._actor, time_zone=self._time_zone
            )
        except UnusableWord as error:
            raise InvalidValueException(detail=str(error)) from None
        except NameTaken as error:
            raise UniquenessException(detail=str(error)) from None
        except WasErased as error:
            raise ForbiddenException(detail=str(error)) from None


def _found(connection: Connection, user_id: str, version: str | None = None) -> StoredUser:
    user = find_user(connection, user_id) if is_storable(user_id) else None
    if user is None:
        raise NotFoundException(detail="there is no such user")
    if version is not None and version != f'W/"{user.version}"':
        raise PreconditionFailedException
    return user
