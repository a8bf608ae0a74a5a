"""Mails that people sent through a real Postfix, and what was told of them: a table, and what it costs.

python -m benchmarks.mail_completeness [--mails N] [--json FILE]

Four of five mails leave the company, each to a domain of its own beside others; one in ten has a blind copy,
most have attachments: random bytes under Chinese and English names, or a list of people to be labelled. Two
people log in; of a third of the mails the server knows the sender only. Postfix rotates its log meanwhile.

Watched at once in three ways: log and archive, archive alone, log alone. Then the first way once more, from
the cursor of its first event and by itself: it must tell the rest again, and its CPU time is the cost.
Needs root, and Postfix (deploy/prepare.sh tests).
"""

from __future__ import annotations

import hashlib
import json
import random
import resource
import threading
import time
from contextlib import ExitStack
from email.message import EmailMessage
from pathlib import Path
from statistics import mean
from typing import Final

import click
import msgspec

from collectors.labels import LabelSettings
from collectors.mail import MailCollector
from collectors.mail_config import MailConfig
from event_schema.ocsf_objects import Host, HostType
from event_schema.ocsf_transfer_events import EmailActivity
from tests.collectors.drives import open_folder
from tests.collectors.observing import Observing
from tests.postfix_server.server import OWN, MailServer

_HOST: Final = Host(hostname="mx", type_id=HostType.SERVER)
_NAMES: Final = ("客户名单 2026.zip", "price list.pdf", "a.tar.gz", "crm.sql", "données.csv")
_LEAVES: Final = 4
_OF: Final = 5
_WAYS: Final[dict[str, dict[str, str]]] = {
    "log and archive": {},
    "archive alone": {"log": ""},
    "log alone": {"archive": ""},
}


class Sent(msgspec.Struct, frozen=True):
    """A mail that left. files: (name, size, SHA-256, resident ids in it)."""

    sender: str
    domains: frozenset[str]
    files: tuple[tuple[str, int, str, int], ...]


class Outcome(msgspec.Struct):
    """How many are right, of one way; names to labels of a mail without attachments: that none is told.
    others: events of mails that did not leave, or told twice."""

    way: str
    sent: int
    found: int = 0
    sender: int = 0
    domains: int = 0
    names: int = 0
    sizes: int = 0
    hashes: int = 0
    labels: int = 0
    everything: int = 0
    others: int = 0


def _people(chance: random.Random, count: int) -> bytes:
    weights, digits = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2), "10X98765432"
    rows = ["姓名,身份证号"]
    for number in range(count):
        born = f"{chance.randint(1950, 2000)}{chance.randint(1, 12):02}{chance.randint(1, 28):02}"
        begin = f"110105{born}{number:03}"
        check = digits[sum(int(digit) * w for digit, w in zip(begin, weights, strict=True)) % 11]
        rows.append(f"张{number},{begin}{check}")
    return "\n".join(rows).encode("gb18030")


def _send(server: MailServer, number: int, chance: random.Random) -> Sent | None:
    """None for a mail that stays in the house."""
    made, files = EmailMessage(), []
    made["From"], made["Subject"] = f"lin@{OWN}", "words of nobody else"
    made.set_content("words\n" * 20)
    for at in range(chance.choice((0, 1, 1, 2))):
        people = chance.choice((0, 0, 30, 200))
        content = (
            _people(chance, people) if people else chance.randbytes(chance.choice((1, 500, 40_000, 900_000)))
        )
        name = f"{number}-{at} {chance.choice(_NAMES)}"
        made.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
        files.append((name, len(content), hashlib.sha256(content).hexdigest(), people))
    leaves = number % _OF < _LEAVES
    outside = [f"x@n{number}.example", *chance.sample(["a@gmail.com", "b@163.com"], chance.randint(0, 2))]
    shown = outside if leaves else [f"boss@{OWN}"]
    blind = ["y@blind.example"] if leaves and number % 10 == 0 else []
    made["To"] = ", ".join(shown)
    user = chance.choice(("lin", "wang", None))
    server.send(made, *shown, *blind, sender=f"lin@{OWN}", user=user)
    if not leaves:
        return None
    domains = frozenset(f"*@{address.partition('@')[2]}" for address in (*outside, *blind))
    return Sent(f"{user or 'lin'}@{OWN}", domains, tuple(files))


def _number_of(event: EmailActivity) -> int | None:
    numbers = (to.removeprefix("*@n").removesuffix(".example") for to in event.email.to)
    return next((int(text) for text in numbers if text.isdigit()), None)


def _people_in(event: EmailActivity) -> list[int]:
    return [
        sum(
            detail.count
            for each in file.data_classifications or ()
            for detail in each.discovery_details
            if detail.type == "resident_id"
        )
        for file in event.email.files or ()
    ]


def _compare(way: str, sent: dict[int, Sent], observing: Observing) -> Outcome:
    outcome, seen = Outcome(way, len(sent)), set[int]()
    for event in observing.events:
        assert isinstance(event, EmailActivity)
        number = _number_of(event)
        if number is None or number in seen or number not in sent:
            outcome.others += 1
            continue
        seen.add(number)
        mail, files = sent[number], event.email.files or ()
        right = (
            event.actor.user is not None and event.actor.user.name == mail.sender,
            set(event.email.to) == mail.domains,
            [file.name for file in files] == [each[0] for each in mail.files],
            [file.size for file in files] == [each[1] for each in mail.files],
            [file.hashes[0].value for file in files if file.hashes] == [each[2] for each in mail.files],
            _people_in(event) == [each[3] for each in mail.files],
        )
        outcome.found += 1
        outcome.sender += right[0]
        outcome.domains += right[1]
        outcome.names += right[2]
        outcome.sizes += right[3]
        outcome.hashes += right[4]
        outcome.labels += right[5]
        outcome.everything += all(right)
    return outcome


def _collector(server: MailServer, **settings: str) -> MailCollector:
    places = {"archive": str(server.archive), "log": str(server.log), **settings}
    config = MailConfig(enabled=True, own_domains=(OWN,), **places)  # type: ignore[arg-type]
    return MailCollector(config, _HOST, "0", label_settings=LabelSettings())


def _cpu_of_the_rest(server: MailServer, cursor: str | None, count: int) -> tuple[int, float, float]:
    """(events, CPU s of the collector, CPU s of the process that labels)."""
    collector, stop, found = _collector(server), threading.Event(), 0
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    began, limit = time.process_time(), time.monotonic() + 300
    for turn in collector.observe(cursor, stop):
        found += turn is not None
        if found >= count or time.monotonic() > limit:
            stop.set()
    own = time.process_time() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return found, own, after.ru_utime + after.ru_stime - children.ru_utime - children.ru_stime


@click.command(help=__doc__)
@click.option("--mails", default=200, show_default=True, help="How many; four of five leave.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the table here too.")
def main(mails: int, json_file: Path | None) -> None:
    chance, sent = random.Random(2026), dict[int, Sent]()
    with ExitStack() as opened:
        server = MailServer(opened.enter_context(open_folder()) / "postfix")
        opened.callback(server.stop)
        ways = {
            way: opened.enter_context(Observing(_collector(server, **settings)))
            for way, settings in _WAYS.items()
        }
        for number in range(mails):
            mail = _send(server, number, chance)
            if mail is not None:
                sent[number] = mail
            if number in {mails // 3, 2 * mails // 3}:
                server.rotate()
        server.wait_until_idle(120)
        for observing in ways.values():
            observing.settle(12, 300)
            observing.stop()
        outcomes = [_compare(way, sent, observing) for way, observing in ways.items()]
        joined = ways["log and archive"]
        found, own, labelling = _cpu_of_the_rest(
            server, joined.observations[0].cursor, len(joined.events) - 1
        )
    click.echo(
        f"{'':<16}" + "".join(f"{name:>11}" for name in msgspec.structs.asdict(outcomes[0]) if name != "way")
    )
    for outcome in outcomes:
        row = msgspec.structs.asdict(outcome)
        click.echo(f"{row.pop('way'):<16}" + "".join(f"{value:>11,}" for value in row.values()))
    first = outcomes[0]
    click.echo(f"found              {first.found:,} of {first.sent:,}")
    click.echo(f"all of it right    {first.everything:,} of {first.sent:,}")
    click.echo(f"told again from the first cursor: {found:,} of {len(joined.events) - 1:,}")
    per = 1_000 / max(1, found)
    megabytes = mean(sum(each[1] for each in mail.files) for mail in sent.values()) / 1e6
    click.echo(f"CPU s for 1,000    {own * per:.2f}, and {labelling * per:.2f} in the process that labels")
    click.echo(f"attached to a mail {megabytes:.2f} MB on average")
    if json_file is not None:
        json_file.write_text(json.dumps([msgspec.structs.asdict(each) for each in outcomes], indent=1) + "\n")
    if first.everything < first.sent or first.others or found < len(joined.events) - 1:
        raise click.ClickException("not every mail was told of, once, as it was")


if __name__ == "__main__":
    main()
