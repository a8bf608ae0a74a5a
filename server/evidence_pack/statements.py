"""What a pack says of itself in words: what is in it, and what it does and does not prove."""

from __future__ import annotations

_READ_ME = """\
This is an evidence pack of Leaver.

report.pdf        for people: what was found, why, what could not be seen, what was judged, who did what
case.json         the case: title, notes, outcome (missing in a pack of one alert)
alerts.jsonl      an alert a line: score, reasons, sentence, counts, proof, verdict
evidence.jsonl    an event a line, of all alerts, by endpoint and number
{records}policies/         the rules that gave to the scores, in the versions concerned
models.json       the models that scored, with their SHA-256
custody.jsonl     what the audit trail says of the case, its alerts and its packs
*.jsonl.lines     the first 8 bytes of the SHA-256 of each line: tells which line was changed
verify.py         checks this pack: python3 verify.py PACK --key FINGERPRINT
manifest.json     size and SHA-256 of every file, when and by whom it was made
manifest.sig      Ed25519 signature of the manifest by the installation that made it

Times are milliseconds since 1970-01-01T00:00:00Z unless they are written as dates.
{statements}
"""
_RECORDS = """\
blocks/           the records as the agents signed them, and the agents' public keys
"""
_ALWAYS = (
    "The signature proves that the installation with this key made the pack, not when: compare the key's"
    " fingerprint with what the installation shows.",
    "An event is what an agent on the endpoint saw. How sure it was stands with each event; what could not be"
    " seen stands in the report.",
    "Rows in custody.jsonl are marked `masked` where something of them is hidden. Each row's fingerprint is"
    " that of the row as it was written: the installation tells it with `leaver audit verify --row NUMBER`.",
)
_MASKED = (
    "People, accounts, hosts and devices stand under pseudonyms of the installation. Names of files are shown"
    " as they are: they are what this is about. What people typed is shown with [name] in place of names.",
    "The records that agents signed hold names and are not in this pack. The installation checked their"
    " signatures when it was made; alerts.jsonl says with what result (`proof`).",
)
_UNMASKED = ("Names were unmasked for this pack, with a reason on the record of the installation.",)
_WITHOUT_RECORDS = (
    "The records that agents signed tell of other people too and are not in this pack. The installation"
    " checked their signatures when it was made; alerts.jsonl says with what result (`proof`).",
)
_WITH_RECORDS = (
    "A record is signed as a whole: beside events of the case it holds what else happened at its endpoint"
    " within the same seconds, perhaps by other people. That is not evidence of the case.",
)


def statements(*, names: bool, records: bool) -> list[str]:
    """`records`: what agents signed is in it; only with names."""
    if not names:
        return [*_ALWAYS, *_MASKED]
    return [*_ALWAYS, *_UNMASKED, *(_WITH_RECORDS if records else _WITHOUT_RECORDS)]


def read_me(*, names: bool, records: bool) -> str:
    told = "".join(f"\n{each}\n" for each in statements(names=names, records=records))
    return _READ_ME.format(records=_RECORDS if records else "", statements=told)
