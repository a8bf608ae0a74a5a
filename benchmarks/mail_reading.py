"""Mail: CPU seconds for 1,000 mails with attachments, log and archive joined, against hashing the same bytes.

python -m benchmarks.mail_reading [--mails N] [--kilobytes N]

The archive and the log are written here as Postfix writes them; the tests run the real one.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
import time
from email.message import EmailMessage
from pathlib import Path

import click

from collectors.mail import MailCollector
from collectors.mail_config import MailConfig
from event_schema.ocsf_objects import Host, HostType

_HOST = Host(hostname="mx", type_id=HostType.SERVER)


@click.command()
@click.option("--mails", default=1000, show_default=True, help="How many, each with one attachment.")
@click.option("--kilobytes", default=100, show_default=True, help="Size of an attachment.")
def main(mails: int, kilobytes: int) -> None:
    """Prints CPU seconds and their ratio to hashing alone."""
    content = os.urandom(kilobytes * 1000)
    with tempfile.TemporaryDirectory(prefix="leaver-mail-") as name:
        folder = Path(name)
        for part in ("archive/new", "archive/cur"):
            (folder / part).mkdir(parents=True)
        log = folder / "mail.log"
        log.touch()
        config = MailConfig(
            enabled=True, own_domains=("firm.example",), archive=str(folder / "archive"), log=str(log)
        )
        collector, stop = MailCollector(config, _HOST, "0"), threading.Event()
        turns = collector.observe(None, stop)
        next(turns)
        _write(folder, mails, content)
        began, found = time.thread_time(), 0
        for turn in turns:
            found += turn is not None
            if found == mails:
                break
        took = time.thread_time() - began
        stop.set()
        list(turns)
    began = time.thread_time()
    for _ in range(mails):
        hashlib.sha256(content)
    hashed = time.thread_time() - began
    click.echo(f"mails found            {found:>10,} of {mails:,}")
    click.echo(f"CPU s for 1,000 mails  {took / mails * 1000:>10.2f}")
    click.echo(f"hashing alone          {hashed / mails * 1000:>10.2f}")
    click.echo(f"ratio to hashing       {took / hashed:>10.1f}")


def _write(folder: Path, mails: int, content: bytes) -> None:
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = "lin@firm.example", "x@gmail.com", "words"
    made.set_content("words\n" * 100)
    made.add_attachment(content, maintype="application", subtype="zip", filename="customers.zip")
    text = made.as_bytes()
    lines = []
    for number in range(mails):
        queue_id, message_id = f"{number:010X}", f"<{number}@mx>"
        head = (
            "Return-Path: <lin@firm.example>\n"
            f"Received: from pc (pc [192.0.2.7])\n\tby mx (Postfix) with ESMTPSA id {queue_id};\n\tnow\n"
            f"Message-ID: {message_id}\n"
        )
        (folder / "archive/new" / f"{number:06d}.mx").write_bytes(head.encode() + text)
        sent = "relay=mx.gmail.com[192.0.2.1]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 OK)"
        lines += [
            f"smtpd[7]: {queue_id}: client=pc[192.0.2.7], sasl_method=PLAIN, sasl_username=lin@firm.example",
            f"cleanup[7]: {queue_id}: message-id={message_id}",
            f"qmgr[7]: {queue_id}: from=<lin@firm.example>, size={len(text)}, nrcpt=2 (queue active)",
            f"smtp[7]: {queue_id}: to=<x@gmail.com>, {sent}",
            f"qmgr[7]: {queue_id}: removed",
        ]
    when = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
    with (folder / "mail.log").open("a", encoding="ascii") as log:
        log.writelines(f"{when} mx postfix/{line}\n" for line in lines)


if __name__ == "__main__":
    main()
