"""Settings of the mail collector: `[collectors.mail]`."""

from __future__ import annotations

from pathlib import PurePath
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from collectors.contract import narrowed_by
from collectors.logins_config import check_time_zone
from collectors.mail_domains import domain_of_setting


class MailConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Off until it is told what the company's own domains are and where the archive or the log is."""

    to_enable: ClassVar[str] = (
        "off: on a mail server say which domains are your own, and where archive or log are (docs/mail.md)"
    )

    enabled: bool = False
    archive: str = ""
    """Maildir (a folder) or mbox (a file) that Postfix fills by always_bcc or sender_bcc_maps."""
    log: str = ""
    """Postfix's log: who was logged in, and to which domains a mail really went."""
    own_domains: Annotated[tuple[str, ...], Meta(max_length=1_000), narrowed_by("union")] = ()
    """Mail within these domains and their subdomains is no event."""
    free_mail_domains: Annotated[tuple[str, ...], Meta(max_length=10_000)] = ()
    """Domains of free mail services beside those that are known."""
    time_zone: str = ""
    """Of a log whose times name none; empty: this machine's."""
    delete_after_reading: Annotated[bool, narrowed_by("and")] = False
    """Whether messages of a Maildir are deleted once they were read, and all that they led to is on disk."""
    labels: Annotated[bool, narrowed_by("and")] = True
    """Whether attachments are labelled, as the table [labels] says."""
    label_wait_s: Annotated[float, Meta(ge=0, le=600)] = 30.0
    """No mail waits longer than this for the labels of its attachments."""
    message_max_bytes: Annotated[int, Meta(ge=0), narrowed_by("smaller")] = 256 << 20
    """So much of a message is read; attachments behind it go unseen. 0 reads headers only."""
    join_wait_s: Annotated[float, Meta(ge=0, le=600)] = 10.0
    """So long a mail waits for its other half: the log's for the archive's, and the other way round."""

    @staticmethod
    def lines_to_enable() -> str:
        return (
            '[collectors.mail]\nenabled = true\nown_domains = ["example.com"]\n'
            'archive = "/var/mail/archive"      # a Maildir that Postfix fills: always_bcc in main.cf\n'
            'log = "/var/log/mail.log"'
        )

    def __post_init__(self) -> None:
        for name in ("archive", "log"):
            path = getattr(self, name)
            if path and (not PurePath(path).is_absolute() or "\0" in path):
                raise ValueError(f"{name}: {path!r} is not an absolute path")
        for name in ("own_domains", "free_mail_domains"):
            for domain in getattr(self, name):
                if domain_of_setting(domain) is None:
                    raise ValueError(f"{name}: {domain!r} is no domain, as example.com would be")
        if self.time_zone:
            check_time_zone(self.time_zone)
