"""Users as SCIM has them, and what this service provider can do.

The schemas name what is kept and nothing else; what a provider sends besides is dropped on arrival. Entra
ID's deviations from the standard are read as they are meant (ScimPolicy): a manager that is a bare id,
"False" for false, a path whose filter matches nothing yet, attributes that nobody declared.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import field_validator
from scim2_models import (
    URN,
    AnyExtension,
    AuthenticationScheme,
    Bulk,
    CaseExact,
    ChangePassword,
    ComplexAttribute,
    ETag,
    Extension,
    Filter,
    Meta,
    Patch,
    Required,
    Resource,
    ResourceType,
    ScimPolicy,
    ScimProvider,
    ServiceProviderConfig,
    Sort,
    Uniqueness,
)

from server.scim.user_store import StoredUser
from server.scim.user_words import MailAddress, UserWords

RESULTS_MAX = 200


class Name(ComplexAttribute):
    formatted: str | None = None
    """The whole name."""

    family_name: str | None = None
    """The family name."""

    given_name: str | None = None
    """The given name."""


class Email(ComplexAttribute):
    value: str | None = None
    """A mail address; an account of the person, unless its type is home or other."""

    type: str | None = None
    """work, home or other."""

    primary: bool | None = None
    """Whether it is the preferred one."""


class User(Resource[AnyExtension]):
    __schema__ = URN("urn:ietf:params:scim:schemas:core:2.0:User")

    user_name: Annotated[str | None, Uniqueness.server, Required.true] = None
    """The account's name; compares without regard to case."""

    name: Name | None = None
    """The person's name; shown only after unmasking."""

    display_name: str | None = None
    """The person's name; shown only after unmasking."""

    title: str | None = None
    """The job title."""

    timezone: str | None = None
    """Where the person works, as IANA names it."""

    active: bool | None = None
    """Whether the account is open. Says nothing of whether the person is leaving: that is HR's word."""

    emails: list[Email] | None = None
    """Mail addresses."""


class Manager(ComplexAttribute):
    value: Annotated[str | None, CaseExact.true] = None
    """The manager's id here; else the company's id, or an account."""


class EnterpriseUser(Extension):
    __schema__ = URN("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User")

    employee_number: Annotated[str | None, CaseExact.true] = None
    """The company's own id of the person, as in HR's file."""

    department: str | None = None
    """The department's name."""

    manager: Manager | None = None
    """The person's manager."""

    @field_validator("manager", mode="before")
    @classmethod
    def _bare_manager(cls, value: Any) -> Any:
        """Entra ID sends the id alone, or a list of one."""
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        return {"value": value} if isinstance(value, str) else value


class LeaverUser(Extension):
    __schema__ = URN("urn:ietf:params:scim:schemas:extension:leaver:2.0:User")

    login: str | None = None
    """The short name by which the person logs in to machines (sAMAccountName, uid)."""


AnyUser = User[EnterpriseUser | LeaverUser]
_POLICY = ScimPolicy(
    unknown=ScimPolicy.Unknown.ignore,
    remove_value_as_filter=ScimPolicy.RemoveValue.apply,
    unmatched_path_filter=ScimPolicy.UnmatchedPathFilter.create,
)
_CONFIG = ServiceProviderConfig(
    patch=Patch(supported=True),
    bulk=Bulk(supported=False, max_operations=0, max_payload_size=0),
    filter=Filter(supported=True, max_results=RESULTS_MAX),
    change_password=ChangePassword(supported=False),
    sort=Sort(supported=False),
    etag=ETag(supported=True),
    authentication_schemes=[
        AuthenticationScheme(
            type=AuthenticationScheme.Type.oauthbearertoken,
            name="Bearer token",
            description="A token of the role scim: leaver token create NAME --role scim",
            primary=True,
        )
    ],
)
PROVIDER = ScimProvider(
    models=[User, EnterpriseUser, LeaverUser],
    resource_types=[ResourceType.from_resource(AnyUser)],
    config=_CONFIG,
    policy=_POLICY,
)


def words_of(resource: Resource[Any]) -> UserWords:
    """What is kept of a resource. An empty text is none."""
    user: Any = resource
    enterprise = user[EnterpriseUser] or EnterpriseUser()
    leaver = user[LeaverUser] or LeaverUser()
    name = user.name or Name()
    mails = [MailAddress(mail.value or None, mail.type or None, mail.primary) for mail in user.emails or ()]
    return UserWords(
        user_name=user.user_name or "",
        external_id=user.external_id or None,
        active=user.active is not False,
        formatted=name.formatted or None,
        given_name=name.given_name or None,
        family_name=name.family_name or None,
        display_name=user.display_name or None,
        job_title=user.title or None,
        time_zone=user.timezone or None,
        emails=tuple(mail for mail in mails if mail.value),
        employee_number=_trimmed(enterprise.employee_number),
        department=enterprise.department or None,
        manager=_trimmed(enterprise.manager.value) if enterprise.manager is not None else None,
        login=_trimmed(leaver.login),
    )


def _trimmed(value: str | None) -> str | None:
    """As HR's files are read; of blanks alone an empty text is left, which is refused where it matters."""
    return value.strip() if value else None


def resource_of(stored: StoredUser) -> Resource[Any]:
    words = stored.words
    user = AnyUser(
        id=stored.id,
        external_id=words.external_id,
        user_name=words.user_name,
        display_name=words.display_name,
        title=words.job_title,
        timezone=words.time_zone,
        active=words.active,
        meta=Meta(
            resource_type="User",
            created=_time(stored.created_at),
            last_modified=_time(stored.changed_at),
            version=f'W/"{stored.version}"',
        ),
    )
    if words.formatted or words.given_name or words.family_name:
        user.name = Name(
            formatted=words.formatted, given_name=words.given_name, family_name=words.family_name
        )
    if words.emails:
        user.emails = [Email(value=m.value, type=m.type, primary=m.primary) for m in words.emails]
    if words.employee_number or words.department or words.manager:
        user[EnterpriseUser] = EnterpriseUser(
            employee_number=words.employee_number,
            department=words.department,
            manager=Manager(value=words.manager) if words.manager else None,
        )
    if words.login:
        user[LeaverUser] = LeaverUser(login=words.login)
    return user


def _time(at: int) -> datetime:
    return datetime.fromtimestamp(at / 1000, UTC)
