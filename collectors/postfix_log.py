"""What Postfix's log says of each mail: who handed it in, from where, and to which domains it really went.

    … postfix/smtpd[7]: 7A37: client=pc[192.0.2.7], sasl_method=PLAIN, sasl_username=lin@firm.example
    … postfix/pickup[7]: 7A37: uid=1000 from=<lin>
    … postfix/cleanup[7]: 7A37: message-id=<…>
    … postfix/qmgr[7]: 7A37: from=<lin@firm.example>, size=2232, nrcpt=4 (queue active)
    … postfix/smtp[7]: 7A37: to=<x@mail.example>, relay=…, …, status=sent (250 2.0.0 Ok: queued as …)
    … postfix/qmgr[7]: 7A37: removed

All mails that are under way are held in memory, within bounds; a recipient only as a domain. Subjects, which
header_checks may write there, are never read.
"""

from __future__ import annotations

import re
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping
from datetime import tzinfo
from typing import Final

import msgspec

from collectors.mail_domains import domain_of_address
from collectors.syslog_lines import parse_syslog
from event_schema.printable import printable_name

LINE_BYTES_MAX: Final = 16 << 10
"""Postfix cuts what it logs at 2,000 characters, but for addresses."""
OPEN_MAX: Final = 10_000
SENT_MAX: Final = 1_000
"""Deliveries of one mail that are told apart; Postfix itself takes 1,000 recipients a transaction."""
_PROGRAM: Final = re.compile(
    r"(?:\S*/)?(smtpd|pickup|cleanup|qmgr|smtp|lmtp|relay|local|virtual|pipe|error|bounce)"
)
_ID: Final = re.compile(r"([0-9A-Za-z]{6,32}): (.*)", re.DOTALL)
_CLIENT: Final = re.compile(r"client=\S*\[([0-9a-fA-F.:]{2,45}|unknown)\]")
_SASL: Final = re.compile(r", sasl_username=([^\s,]{1,256})")
_PICKUP: Final = re.compile(r"uid=(\d{1,10}) from=<(.*)>")
_MESSAGE_ID: Final = re.compile(r"message-id=(\S.*)")
_ADDRESS: Final = r'(?:"(?:[^"\\]|\\.)*")?[^<>"]*'
"""What a sender writes in quotes may look like the rest of the line: it ends where the quotes do."""
_FROM: Final = (
    re.compile(rf"from=<({_ADDRESS})>, size=(\d{{1,18}}), nrcpt="),
    re.compile(r"from=<(.*?)>, size=(\d{1,18}), nrcpt="),
)
_TO: Final = (
    re.compile(rf"to=<({_ADDRESS})>, (?:orig_to=<{_ADDRESS}>, )?relay=([^,\s]{{1,300}}), "),
    re.compile(r"to=<(.*?)>, (?:orig_to=<.*?>, )?relay=([^,\s]{1,300}), "),
)
"""As Postfix 3.5 and later write addresses; else as older ones do, which quote none."""
_STATUS_SENT: Final = " status=sent ("
_QUEUED_AS: Final = re.compile(r"\bqueued as ([0-9A-Za-z]{6,32})")
_IN_HOUSE: Final = frozenset({"local", "virtual", "none"})
_LOOPBACK: Final = ("127.", "::1")

TOO_MANY_OPEN: Final = "mails under way that were forgotten because there are too many"
TOO_MANY_SENT: Final = "deliveries of mails to very many recipients"
NOT_SYSLOG: Final = "lines of the mail log that are no syslog"


class LoggedMail(msgspec.Struct):
    """A mail under way. first_line, before: the number of its first line, and the log's cursor before it."""

    queue_id: str
    first_line: int
    before: str | None
    seen_ms: int
    """When we read its first line, by the steady clock."""
    login: str | None = None
    uid: int | None = None
    client: str | None = None
    message_id: str | None = None
    sender: str | None = None
    size: int | None = None
    sent: list[str] = msgspec.field(default_factory=list)
    """Domains outside, in the order of the deliveries."""
    sent_at: int = 0
    """When it was first sent outside, ms since 1970 UTC."""
    sent_seen_ms: int = 0
    told: int = 0
    """How many of `sent` were told of already."""
    is_whole: bool = False
    """Whether its beginning was read."""


class PostfixLog:
    """`is_own` tells the company's domains. Not for several threads."""

    def __init__(self, is_own: Callable[[str | None], bool], zone: tzinfo | None) -> None:
        self._is_own, self._zone = is_own, zone
        self._open: OrderedDict[str, LoggedMail] = OrderedDict()
        self._by_message: dict[str, str] = {}
        self._handed: OrderedDict[str, str] = OrderedDict()
        """Queue ids under which a content filter gave mails back, and those that they had before."""
        self._latest = 0
        self._dropped: Counter[str] = Counter()

    @property
    def under_way(self) -> Mapping[str, LoggedMail]:
        """By queue id, the oldest first."""
        return self._open

    def dropped(self) -> Mapping[str, int]:
        return self._dropped

    def take(
        self, content: bytes, number: int, before: str | None, now_ms: int, steady_ms: int
    ) -> LoggedMail | None:
        """A mail that this line ends. number: of the line; before: the log's cursor in front of it."""
        line = parse_syslog(content, now_ms, self._zone, self._latest)
        if line is None:
            self._dropped[NOT_SYSLOG] += 1
            return None
        self._latest = line.time
        program, found = _PROGRAM.fullmatch(line.program), _ID.match(line.message)
        if program is None or found is None:
            return None
        queue_id, text = found[1], found[2][:LINE_BYTES_MAX]
        if text == "removed" and program[1] == "qmgr":
            return self._end(queue_id)
        read = _READERS.get(program[1])
        if read is None:
            return None
        mail = self._open.get(queue_id) or LoggedMail(queue_id, number, before, steady_ms)
        if read(self, mail, text, line.time, steady_ms) and queue_id not in self._open:
            self._begin(mail)
        return None

    def forget_older(self, steady_ms: int) -> None:
        """Those that have been under way since before then; a later line begins them anew."""
        while self._open:
            queue_id, oldest = next(iter(self._open.items()))
            if oldest.seen_ms >= steady_ms:
                return
            self._end(queue_id)

    def _begin(self, mail: LoggedMail) -> None:
        self._open[mail.queue_id] = mail
        if len(self._open) > OPEN_MAX:
            self._end(next(iter(self._open)))
            self._dropped[TOO_MANY_OPEN] += 1

    def _end(self, queue_id: str) -> LoggedMail | None:
        mail = self._open.pop(queue_id, None)
        if (
            mail is not None
            and mail.message_id is not None
            and self._by_message.get(mail.message_id) == queue_id
        ):
            del self._by_message[mail.message_id]
        return mail

    def _smtpd(self, mail: LoggedMail, text: str, _time: int, _steady: int) -> bool:
        client = _CLIENT.match(text)
        if client is None:
            return False
        login = _SASL.search(text, client.end())
        mail.client = None if client[1] == "unknown" else client[1]
        mail.login = None if login is None else printable_name(login[1])
        mail.is_whole = True
        return True

    def _pickup(self, mail: LoggedMail, text: str, _time: int, _steady: int) -> bool:
        found = _PICKUP.match(text)
        if found is None:
            return False
        mail.uid, mail.is_whole = int(found[1]), True
        return True

    def _cleanup(self, mail: LoggedMail, text: str, _time: int, _steady: int) -> bool:
        found = _MESSAGE_ID.match(text)
        if found is None:
            return False
        mail.message_id = printable_name(found[1].strip())[:512]
        self._take_over(mail)
        self._by_message.setdefault(mail.message_id, mail.queue_id)
        return True

    def _take_over(self, mail: LoggedMail) -> None:
        """A content filter on this machine gives a mail back while the first one is still under way."""
        if mail.login is not None or mail.client is None or not mail.client.startswith(_LOOPBACK):
            return
        first = self._open.get(self._by_message.get(mail.message_id or "", ""))
        if first is None or first is mail:
            return
        mail.login, mail.uid, mail.client = first.login, first.uid, first.client
        self._handed[mail.queue_id] = first.queue_id
        if len(self._handed) > OPEN_MAX:
            self._handed.popitem(last=False)

    def _qmgr(self, mail: LoggedMail, text: str, _time: int, _steady: int) -> bool:
        found = _match(_FROM, text)
        if found is None:
            return False
        mail.sender, mail.size = found[1].lower()[:512], int(found[2])
        return True

    def _delivery(self, mail: LoggedMail, text: str, time: int, steady_ms: int) -> bool:
        found = _match(_TO, text)
        at = -1 if found is None else text.find(_STATUS_SENT, found.end())
        if found is None or at < 0:
            return False
        domain = domain_of_address(found[1])
        queued = _QUEUED_AS.search(text, at)
        in_house = found[2] in _IN_HOUSE or domain is None or self._is_own(domain)
        if in_house or (queued is not None and self._handed.get(queued[1]) == mail.queue_id):
            return True
        if len(mail.sent) >= SENT_MAX:
            self._dropped[TOO_MANY_SENT] += 1
            return True
        if not mail.sent:
            mail.sent_at, mail.sent_seen_ms = time, steady_ms
        mail.sent.append(domain or "")
        return True


def _match(patterns: Iterable[re.Pattern[str]], text: str) -> re.Match[str] | None:
    return next(filter(None, (pattern.match(text) for pattern in patterns)), None)


_Reader = Callable[[PostfixLog, LoggedMail, str, int, int], bool]
_READERS: Final[Mapping[str, _Reader]] = {
    "smtpd": PostfixLog._smtpd,
    "pickup": PostfixLog._pickup,
    "cleanup": PostfixLog._cleanup,
    "qmgr": PostfixLog._qmgr,
    **dict.fromkeys(("smtp", "lmtp", "relay", "local", "virtual", "pipe"), PostfixLog._delivery),
}
