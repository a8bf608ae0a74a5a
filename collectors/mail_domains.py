"""Whose a mail domain is: the company's own, a free mail service's, or anybody's. Pure.

The catalogues of destinations know where web mail is read (mail.163.com); here stands what comes behind the
"@". Sources: the services' own sign-up pages.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from event_schema.catalogue import load_catalogue
from event_schema.ocsf_unmapped import DestinationCategory
from event_schema.printable import printable_name

_KNOWN: Final = """
qq.com vip.qq.com foxmail.com 163.com vip.163.com 126.com vip.126.com yeah.net 188.com sina.com
sina.cn sina.com.cn vip.sina.com sohu.com vip.sohu.com tom.com 21cn.com aliyun.com 139.com 189.cn
wo.cn 263.net 2980.com gmail.com googlemail.com outlook.com outlook.de hotmail.com hotmail.de
hotmail.fr live.com live.cn msn.com yahoo.com yahoo.co.jp yahoo.co.uk yahoo.de yahoo.fr ymail.com
rocketmail.com aol.com icloud.com me.com mac.com gmx.de gmx.net gmx.com gmx.at gmx.ch web.de
freenet.de t-online.de posteo.de mailbox.org proton.me protonmail.com protonmail.ch pm.me
tutanota.com tutanota.de tuta.io tuta.com tutamail.com keemail.me mail.com fastmail.com fastmail.fm
hushmail.com zohomail.com mail.ru bk.ru inbox.ru list.ru yandex.ru yandex.com rambler.ru naver.com
daum.net hanmail.net kakao.com rediffmail.com laposte.net orange.fr libero.it seznam.cz
mailinator.com guerrillamail.com 10minutemail.com yopmail.com
"""
FREE_MAIL: Final = frozenset(_KNOWN.split())
_DOMAIN: Final = re.compile(r"(?=.{1,253}\Z)[^\s@*.\x00-\x1f]{1,63}(?:\.[^\s@*.\x00-\x1f]{1,63})*")


def domain_of_setting(text: str) -> str | None:
    """A domain as an administrator writes it, in the form that mails' domains are compared in."""
    domain = text.lower().removeprefix("@").rstrip(".")
    return domain if _DOMAIN.fullmatch(domain) else None


def domain_of_address(address: str) -> str | None:
    """What stands behind the last "@"; None where that is no domain."""
    local, at, domain = address.rpartition("@")
    domain = printable_name(domain.strip()[:300]).lower().rstrip(".")
    return domain if at and local and _DOMAIN.fullmatch(domain) else None


class MailDomains:
    """The company's own domains, and free mail services beside the known ones."""

    def __init__(self, own: Iterable[str], free: Iterable[str] = ()) -> None:
        self._own = frozenset(filter(None, map(domain_of_setting, own)))
        self._catalogue = load_catalogue()
        self._free = FREE_MAIL | frozenset(filter(None, map(domain_of_setting, free)))

    def is_own(self, domain: str | None) -> bool:
        """Subdomains too."""
        while domain:
            if domain in self._own:
                return True
            domain = domain.partition(".")[2]
        return False

    def category(self, domains: Iterable[str]) -> DestinationCategory:
        """Web mail where one of them is a free mail service's, or a catalogue calls it so."""
        return "webmail" if any(map(self._is_webmail, domains)) else "other"

    def _is_webmail(self, domain: str) -> bool:
        if domain in self._free:
            return True
        host = self._catalogue.of_host(domain)
        return host is not None and host.category == "webmail"
