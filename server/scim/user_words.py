"""What an identity provider says of a user, as far as anything here uses it. Plain values.

`scim_users.said` keeps a UserWords as JSON: an object with exactly the fields below that differ from their
defaults. A field that a later version adds needs a default. Telephone numbers, addresses, photographs, roles
and passwords, which providers send too, are dropped on arrival.
"""

from __future__ import annotations

import unicodedata
from typing import Final

import msgspec

from server.people.account_names import account_key
from server.people.person_rows import ACCOUNT_CHARACTERS, ACCOUNTS_MAX, ID_CHARACTERS, zone_name

TEXT_CHARACTERS: Final = 256
_PRIVATE: Final = frozenset({"home", "other"})


class UnusableWord(Exception):
    """A value that cannot be kept; the message names the attribute."""


class MailAddress(msgspec.Struct, frozen=True, omit_defaults=True):
    value: str | None = None
    type: str | None = None
    primary: bool | None = None


class UserWords(msgspec.Struct, frozen=True, omit_defaults=True):
    """Named as SCIM names them, but `login`: of Leaver's own extension. `manager`: as it was sent, an id of a
    user here, else an account or the company's id."""

    user_name: str
    external_id: str | None = None
    active: bool = True
    formatted: str | None = None
    given_name: str | None = None
    family_name: str | None = None
    display_name: str | None = None
    job_title: str | None = None
    time_zone: str | None = None
    emails: tuple[MailAddress, ...] = ()
    employee_number: str | None = None
    department: str | None = None
    manager: str | None = None
    login: str | None = None

    @property
    def full_name(self) -> str | None:
        parts = " ".join(part for part in (self.given_name, self.family_name) if part)
        return self.display_name or self.formatted or parts or None

    @property
    def zone(self) -> str | None:
        return None if self.time_zone is None else zone_name(self.time_zone)

    def account_names(self) -> frozenset[str]:
        """Accounts that these words make the person's, as account_key. Private addresses are none."""
        mails = [mail.value for mail in self.emails if (mail.type or "").casefold() not in _PRIVATE]
        named = (self.user_name, self.login, *mails)
        return frozenset(key for name in named if name and (key := account_key(name)))


def check_words(words: UserWords) -> None:
    """Raises UnusableWord."""
    for field in msgspec.structs.fields(UserWords):
        value = getattr(words, field.name)
        if isinstance(value, str):
            _check_text(field.name, value, TEXT_CHARACTERS)
    for mail in words.emails:
        _check_text("emails", mail.value or "", ACCOUNT_CHARACTERS)
        _check_text("emails", mail.type or "", TEXT_CHARACTERS)
    if len(words.emails) > ACCOUNTS_MAX:
        raise UnusableWord(f"emails: more than {ACCOUNTS_MAX}")
    if not account_key(words.user_name):
        raise UnusableWord("userName: is empty")
    if len(account_key(words.user_name)) > ACCOUNT_CHARACTERS:
        raise UnusableWord(f"userName: more than {ACCOUNT_CHARACTERS} characters")
    if words.employee_number is not None and not words.employee_number.strip():
        raise UnusableWord("employeeNumber: is empty")
    if words.employee_number is not None and len(words.employee_number) > ID_CHARACTERS:
        raise UnusableWord(f"employeeNumber: more than {ID_CHARACTERS} characters")


def _check_text(name: str, value: str, longest: int) -> None:
    if len(value) > longest:
        raise UnusableWord(f"{name}: more than {longest} characters")
    if not value.isprintable() and any(unicodedata.category(c) in {"Cc", "Cs"} for c in value):
        raise UnusableWord(f"{name}: holds a control character")
