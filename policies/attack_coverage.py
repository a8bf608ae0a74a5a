"""The table of shipped rules and ATT&CK techniques: docs/attack_coverage.md.

Made from the rules' own tags; `python -m policies.attack_coverage > docs/attack_coverage.md` renews it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from policies.positioned_yaml import read_yaml
from policies.rule_file import SHIPPED_RULES, read_folder

TECHNIQUES: Final = {
    "T1005": "Data from Local System",
    "T1030": "Data Transfer Size Limits",
    "T1036.008": "Masquerade File Type",
    "T1039": "Data from Network Shared Drive",
    "T1048": "Exfiltration Over Alternative Protocol",
    "T1048.003": "Exfiltration Over Unencrypted Non-C2 Protocol",
    "T1052": "Exfiltration Over Physical Medium",
    "T1052.001": "Exfiltration over USB",
    "T1070.004": "File Deletion",
    "T1074.001": "Local Data Staging",
    "T1078": "Valid Accounts",
    "T1078.004": "Cloud Accounts",
    "T1113": "Screen Capture",
    "T1119": "Automated Collection",
    "T1133": "External Remote Services",
    "T1199": "Trusted Relationship",
    "T1213": "Data from Information Repositories",
    "T1213.006": "Databases",
    "T1550": "Use Alternate Authentication Material",
    "T1552.004": "Private Keys",
    "T1560.001": "Archive via Utility",
    "T1567": "Exfiltration Over Web Service",
    "T1567.001": "Exfiltration to Code Repository",
    "T1567.002": "Exfiltration to Cloud Storage",
}
"""Names by id, of those that rules may have as tags."""
_TAG: Final = re.compile(r"attack\.(t\d{4}(?:\.\d{3})?)")
_INTRODUCTION: Final = """\
# Shipped rules and ATT&CK techniques

Made from the rules' own tags. Each rule names in its references the entry of the Insider Threat TTP Knowledge
Base (2.0) of the Center for Threat-Informed Defense, which goes by ATT&CK's ids; where that has no
sub-technique, the technique. What is only counted by correlations and raises no alert is left out.
"""


class _Row(msgspec.Struct, frozen=True):
    file: str
    title: str
    level: str
    techniques: frozenset[str]


def attack_page() -> str:
    """Markdown: a rule a row, a technique a column; then what the ids mean."""
    rows = sorted(_rows(), key=lambda row: row.file)
    used = sorted(set().union(*(row.techniques for row in rows)))
    lines = [
        _INTRODUCTION,
        f"| rule | level | {' | '.join(used)} |",
        "|---|---|" + ":-:|" * len(used),
        *(_line(row, used) for row in rows),
        "",
        "| technique | | rules |",
        "|---|---|---|",
        *(
            f"| {each} | {TECHNIQUES[each]} | {sum(each in row.techniques for row in rows)} |"
            for each in used
        ),
        "",
    ]
    return "\n".join(lines)


def techniques_of(rule: dict[str, Any]) -> frozenset[str]:
    """Ids in a rule's tags."""
    found = (_TAG.fullmatch(str(tag)) for tag in rule.get("tags") or ())
    return frozenset(match[1].upper() for match in found if match)


def _line(row: _Row, used: list[str]) -> str:
    marks = " | ".join("x" if each in row.techniques else "" for each in used)
    name = row.file.removesuffix(".yml")
    return f'| [{row.title}](../policies/rules/{row.file} "{name}") | {row.level} | {marks} |'


def _rows() -> Iterator[_Row]:
    texts, _ = read_folder(SHIPPED_RULES)
    for text in texts:
        rule = read_yaml(text.text).value
        if not (rule.get("leaver") or {}).get("building_block"):
            yield _Row(text.file, rule["title"], rule["level"], techniques_of(rule))


if __name__ == "__main__":
    sys.stdout.write(attack_page())
