"""The draft of an impact assessment (PIPL articles 55 and 56, GDPR article 35), from the same source as the
statement for the watched. What only the company can know is an open point for people to fill in.
"""

from __future__ import annotations

from typing import Final

import msgspec

from server.transparency.statement import Statement
from server.transparency.words import Several, Words, words


class Open(msgspec.Struct, frozen=True, tag=True):
    """A question that people have to answer."""

    question: Words


class Said(msgspec.Struct, frozen=True, tag=True):
    """A paragraph."""

    text: Words


class Listed(msgspec.Struct, frozen=True, tag=True):
    items: tuple[Words, ...]


class Tabled(msgspec.Struct, frozen=True, tag=True):
    head: tuple[Words, ...]
    rows: tuple[tuple[Words, ...], ...]


Block = Open | Said | Listed | Tabled


class Section(msgspec.Struct, frozen=True):
    title: Words
    blocks: tuple[Block, ...]


PURPOSES: Final = (
    "To notice when company data leaves with people who are about to leave or have left, by any of the ways"
    " below.",
    "To notice when accounts, devices or passwords of people who left are used on.",
    "To keep evidence of such acts that can be checked, for people to judge.",
    "To have accounts closed, devices returned and passwords changed when somebody leaves.",
)
NOT_FOR: Final = (
    "measuring performance, hours or attendance",
    "predicting who will resign",
    "decisions about people without a person judging the evidence",
)
_RISKS: Final[tuple[tuple[str, str], ...]] = (
    (
        "People are watched more closely than the purpose needs.",
        "Acts and amounts instead of content; collectors can be switched off one by one; sums instead of"
        " single events where these do; no keystrokes, no screens.",
    ),
    (
        "Analysts learn about people who did nothing.",
        "Pseudonyms in every list, alert and export. A name takes a reason, holds for one person and an hour,"
        " and is on the record.",
    ),
    (
        "HR treats somebody differently because of an alert.",
        "HR sees no alert, no score and no act: its pages read from tables that hold none of it.",
    ),
    (
        "Somebody is accused wrongly.",
        "Every alert shows what it is made of, what is usual for the person and for peers, how sure the"
        " evidence is and what could not be seen. A person decides, with a reason.",
    ),
    (
        "People who manage the system watch somebody for their own ends.",
        "Administrators see no alerts; each sight of an alert or a name and each change of a rule is in"
        " a chained record that auditors read.",
    ),
    (
        "Collected data is stolen.",
        "Agents sign and encrypt what they send; the server keeps names apart from acts; what is over its"
        " time goes every hour.",
    ),
    (
        "Data is kept for longer than needed.",
        "Each kind of data has its own time; housekeeping drops what is over it, and an unfinished erasure"
        " shows as a finding.",
    ),
    (
        "Behaviour changes because people feel watched.",
        "The statement of what is collected is public for everybody who is watched, and made from what runs.",
    ),
)


def assessment(stated: Statement, *, made_on: str) -> tuple[Section, ...]:
    """`made_on`: the day, as the reader writes it."""
    return (
        _about(stated, made_on),
        _purposes(),
        _processing(stated),
        _necessity(stated),
        _access(stated),
        _keeping(stated),
        _risks(),
        _rights(stated),
        _law(),
        _decision(),
    )


def open_points(sections: tuple[Section, ...]) -> int:
    """How many questions people have to answer."""
    return sum(isinstance(block, Open) for section in sections for block in section.blocks)


def _about(stated: Statement, made_on: str) -> Section:
    contact = (
        Said(words("Contact for questions of privacy: {contact}", contact=stated.contact))
        if stated.contact
        else Open(words("Contact for questions of privacy ([company] privacy_contact is not set)"))
    )
    return Section(
        words("1. About this draft"),
        (
            Said(
                words(
                    "Made on {day} from the running configuration of Leaver. It describes what the system"
                    " does; whether that is lawful and proportionate here is for people to decide. Open"
                    " points are marked.",
                    day=made_on,
                )
            ),
            Open(words("Controller (personal information handler): name, address, representative")),
            contact,
            Open(words("Data protection officer or person in charge of personal information protection")),
            Open(words("Who made this assessment, who was heard, when")),
        ),
    )


def _purposes() -> Section:
    return Section(
        words("2. Purposes"),
        (
            Listed(tuple(map(words, PURPOSES))),
            Said(words("It is not for:")),
            Listed(tuple(map(words, NOT_FOR))),
            Open(words("Incidents or risks in this company that make these purposes necessary")),
        ),
    )


def _processing(stated: Statement) -> Section:
    on = [each for each in stated.collectors if each.is_on]
    off = [each for each in stated.collectors if not each.is_on]
    named = sum(field.names for field in stated.seen)
    blocks: list[Block] = [
        Said(
            words(
                "Concerned are employees and partners with an account or a machine of the company, from the"
                " first day until what is kept about them is over its time."
            )
        ),
        Said(
            words(
                "Agents on endpoints and servers collect {n} kinds of fields, {named} of which can give a"
                " person away and are shown as pseudonyms.",
                n=len(stated.seen),
                named=named,
            )
        ),
        Tabled(
            (words("Collector"), words("What it sees"), words("Why")),
            tuple((words(each.title), words(each.sees), words(each.why)) for each in on),
        ),
    ]
    if off:
        blocks += [Said(words("Switched off:")), Listed(tuple(words(each.title) for each in off))]
    blocks += [
        Said(words("From HR's files and identity providers:")),
        Tabled(
            (words("What"), words("Why")), tuple((words(what), words(why)) for what, why in stated.from_hr)
        ),
        Said(words("From these the server works out {n} further facts.", n=len(stated.derived))),
        Open(words("Recipients outside of the company, processors, and transfers to other countries")),
        Open(words("Number of people concerned; minors or other people in need of protection among them")),
    ]
    return Section(words("3. What is processed"), tuple(blocks))


def _necessity(stated: Statement) -> Section:
    return Section(
        words("4. Necessity and proportionality"),
        (
            Said(words("Never collected:")),
            Listed(tuple(map(words, stated.never))),
            Said(
                words(
                    "Comparison is with a person's own usual and with peers, so that what everybody does"
                    " raises nothing. Alerts have a budget a day; most people never have one."
                )
            ),
            Open(words("Less intrusive ways that were considered, and why they do not do")),
            Open(words("Collectors above that are not needed here: switch them off, and renew this draft")),
            Open(words("Private use of the company's devices: allowed, tolerated or forbidden")),
        ),
    )


def _access(stated: Statement) -> Section:
    return Section(
        words("5. Who sees it"),
        (
            Tabled(
                (words("Role"), words("May"), words("Not")),
                tuple(
                    (words(each.role.value), Several(parts=each.sees), Several(parts=each.not_this))
                    for each in stated.access
                ),
            ),
            Said(words("Each sight of a name or an alert, each export and each change is on the record.")),
            Open(words("Who holds these roles, and who checks the record how often")),
        ),
    )


def _keeping(stated: Statement) -> Section:
    rows = []
    for each in stated.kept:
        how_long = (
            words("{n} day|{n} days", n=each.days) if each.days is not None else words(each.until or "")
        )
        rows.append((words(each.what), how_long))
    return Section(
        words("6. How long it is kept"),
        (
            Tabled((words("What"), words("How long")), tuple(rows)),
            Open(words("Why these times are as short as the purposes allow")),
        ),
    )


def _risks() -> Section:
    return Section(
        words("7. Risks for people, and measures"),
        (
            Tabled(
                (words("Risk"), words("Measures in the product")),
                tuple((words(risk), words(measure)) for risk, measure in _RISKS),
            ),
            Open(words("Likelihood and severity of each risk in this company, and what remains of it")),
            Open(words("Measures of the company: training, contracts, works agreement, separation of roles")),
        ),
    )


def _rights(stated: Statement) -> Section:
    return Section(
        words("8. Rights of the people concerned"),
        (
            Said(
                words(
                    "Everybody can read what is collected, why, for how long and who sees it at"
                    " /transparency, without signing in, in English and Chinese."
                )
            ),
            Said(
                words(
                    "Erasure takes out everything about a person, events that arrive late included; what was"
                    " proven about others stays provable."
                )
            ),
            Open(words("How somebody asks for access, correction or erasure, and who answers by when")),
            Open(words("When evidence of a case may be kept against a request for erasure")),
        ),
    )


def _law() -> Section:
    return Section(
        words("9. Points of law"),
        (
            Said(words("PIPL, articles 55, 56: assess before processing, keep the report for three years.")),
            Open(words("PIPL, article 13: legal basis (labour rules made lawfully, contract, or consent)")),
            Open(words("PIPL, articles 28 to 32: whether anything is sensitive here; separate consent")),
            Open(words("PIPL, articles 38 to 40: transfers abroad")),
            Said(words("GDPR, article 22: the system decides nothing alone; a person judges each alert.")),
            Open(words("GDPR, article 6: legal basis; balancing of interests")),
            Open(words("GDPR, article 88 and national law: works council, agreement, information")),
            Open(words("GDPR, article 35 (2) and (9): advice of the officer, views of those concerned")),
            Open(words("GDPR, article 36: whether the authority has to be consulted")),
        ),
    )


def _decision() -> Section:
    return Section(
        words("10. Decision"),
        (
            Open(words("Result, conditions, date of the next review")),
            Open(words("Names and signatures")),
        ),
    )
