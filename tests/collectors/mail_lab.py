"""Mails to send through a Postfix of the tests, and what is seen of them."""

from __future__ import annotations

import hashlib
from email.message import EmailMessage
from typing import Final

from collectors.labels import LabelSettings
from collectors.mail import MailCollector
from collectors.mail_config import MailConfig
from event_schema.ocsf_objects import Host, HostType
from event_schema.ocsf_transfer_events import EmailActivity
from tests.collectors.observing import Observing
from tests.postfix_server.server import OWN, MailServer

HOST: Final = Host(hostname="mx", type_id=HostType.SERVER)
SECRET: Final = "the words of nobody else"


def collector_of(
    server: MailServer, *, label_settings: LabelSettings | None = None, **settings: object
) -> MailCollector:
    settings = {"archive": str(server.archive), "log": str(server.log), "own_domains": (OWN,), **settings}
    config = MailConfig(enabled=True, **settings)  # type: ignore[arg-type]
    return MailCollector(config, HOST, "0.1.0", label_settings=label_settings)


def mail(to: str, *files: tuple[str, bytes]) -> EmailMessage:
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = f"Lin <lin@{OWN}>", to, SECRET
    made.set_content(SECRET)
    for name, content in files:
        made.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
    return made


def mails(observing: Observing) -> list[EmailActivity]:
    return [event for event in observing.events if isinstance(event, EmailActivity)]


def files_of(event: EmailActivity) -> list[tuple[str, int | None, str]]:
    return [
        (file.name, file.size, file.hashes[0].value if file.hashes else "")
        for file in event.email.files or ()
    ]


def as_seen(name: str, content: bytes) -> tuple[str, int, str]:
    return name, len(content), hashlib.sha256(content).hexdigest()
