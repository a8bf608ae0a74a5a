"""Made-up rules and events that look like what Sigma's public rules and Windows' logs look like.

Rules are selective, as public ones are: an image's name and words on a command line, a registry key's end,
a file's name, a destination; with lists of values, `all`, filters and a few expressions. Events are flat,
about 700 bytes, and mostly about programs that many rules speak of.
"""

from __future__ import annotations

import random
import string
from typing import Any, Final

COMMON: Final = (
    "powershell",
    "cmd",
    "rundll32",
    "svchost",
    "explorer",
    "msiexec",
    "wscript",
    "reg",
    "net",
    "python",
)
_TOOLS: Final = 400
_FOLDERS: Final = (
    "windows\\system32",
    "program files\\vendor",
    "users\\public",
    "windows\\temp",
    "programdata\\app",
)


def _word(choice: random.Random, low: int = 5, high: int = 12) -> str:
    return "".join(choice.choices(string.ascii_lowercase, k=choice.randint(low, high)))


class _Vocabulary:
    def __init__(self, choice: random.Random) -> None:
        self.choice = choice
        self.tools = [_word(choice) for _ in range(_TOOLS)]
        self.switches = [f" {sign}{_word(choice, 2, 9)}" for sign in "-/" for _ in range(300)]
        self.words = [_word(choice, 6, 14) for _ in range(3_000)]

    def image(self) -> str:
        name = self.choice.choice(COMMON) if self.choice.random() < 0.4 else self.choice.choice(self.tools)
        return f"\\{name}.exe"


def sigma_rules(count: int, seed: int = 7) -> list[dict[str, Any]]:
    """Detections as dictionaries; the same for the same seed."""
    choice = random.Random(seed)
    known = _Vocabulary(choice)
    makers = (_process, _process, _process, _command_line, _command_line, _parent, _registry, _file, _network)
    rules = []
    for number in range(count):
        category, detection = choice.choice(makers)(known)
        rules.append(
            {
                "title": f"Rule {number}",
                "id": f"00000000-0000-4000-8000-{number:012d}",
                "logsource": {"category": category, "product": "windows"},
                "detection": detection,
            }
        )
    return rules


def _process(known: _Vocabulary) -> tuple[str, dict[str, Any]]:
    image = known.image()
    detection: dict[str, Any] = {
        "selection_img": [{"Image|endswith": image}, {"OriginalFileName": image[1:]}],
        "selection_cli": {"CommandLine|contains": known.choice.sample(known.words + known.switches, 4)},
        "condition": "all of selection_*",
    }
    if known.choice.random() < 0.3:
        detection["filter_main"] = {
            "ParentImage|startswith": "C:\\Program Files\\",
            "User|contains": "SYSTEM",
        }
        detection["condition"] += " and not 1 of filter_*"
    return "process_creation", detection


def _command_line(known: _Vocabulary) -> tuple[str, dict[str, Any]]:
    pick = known.choice
    if pick.random() < 0.08:
        words = "|".join(pick.sample(known.words, 3))
        return "process_creation", {
            "selection": {"Image|endswith": known.image(), "CommandLine|re": rf"\b({words})\s+[0-9]+"},
            "condition": "selection",
        }
    return "process_creation", {
        "selection": {
            "CommandLine|contains|all": [*pick.sample(known.words, 2), pick.choice(known.switches)]
        },
        "condition": "selection",
    }


def _parent(known: _Vocabulary) -> tuple[str, dict[str, Any]]:
    return "process_creation", {
        "selection": {
            "ParentImage|endswith": known.image(),
            "Image|endswith": [known.image() for _ in range(6)],
        },
        "filter": {"CommandLine|contains": known.choice.sample(known.words, 3)},
        "condition": "selection and not filter",
    }


def _registry(known: _Vocabulary) -> tuple[str, dict[str, Any]]:
    words = known.choice.sample(known.words, 3)
    return "registry_set", {
        "selection": {"TargetObject|contains": f"\\{words[0]}\\{words[1]}", "Details|startswith": words[2]},
        "condition": "selection",
    }


def _file(known: _Vocabulary) -> tuple[str, dict[str, Any]]:
    return "file_event", {
        "selection": {"TargetFilename|endswith": [f"\\{w}.dll" for w in known.choice.sample(known.words, 4)]},
        "filter": {"Image|startswith": "C:\\Windows\\System32\\"},
        "condition": "selection and not filter",
    }


def _network(known: _Vocabulary) -> tuple[str, dict[str, Any]]:
    hosts = [f"{word}.example" for word in known.choice.sample(known.words, 3)]
    return "network_connection", {
        "selection": {
            "DestinationHostname|endswith": hosts,
            "DestinationPort": [443, 8443],
            "Initiated": "true",
        },
        "condition": "selection",
    }


def flat_events(count: int, seed: int = 11, rules_seed: int = 7) -> list[dict[str, Any]]:
    """About 700 bytes each as JSON. One in a hundred has words that rules look for."""
    known = _Vocabulary(random.Random(rules_seed))
    choice = known.choice = random.Random(seed)
    return [_flat_event(known, choice, at) for at in range(count)]


def _flat_event(known: _Vocabulary, choice: random.Random, at: int) -> dict[str, Any]:
    image, parent = (f"C:\\{choice.choice(_FOLDERS).title()}{known.image()}" for _ in range(2))
    words = " ".join(_word(choice) for _ in range(3))
    if at % 100 == 0:
        words += " " + " ".join(choice.sample(known.words, 6)) + choice.choice(known.switches)
    return {
        "EventID": 1,
        "Channel": "Microsoft-Windows-Sysmon/Operational",
        "Computer": f"ws{choice.randrange(200):04}.corp.example",
        "UtcTime": f"2026-11-22 10:{at // 60 % 60:02}:{at % 60:02}.{choice.randrange(1000):03}",
        "ProcessGuid": f"{{{choice.getrandbits(128):032x}}}",
        "ProcessId": choice.randrange(65_000),
        "Image": image,
        "OriginalFileName": image.rpartition("\\")[2],
        "Company": "Vendor Corporation",
        "CommandLine": f'"{image}" -{_word(choice)} C:\\Users\\{_word(choice)}\\{words}',
        "CurrentDirectory": "C:\\Windows\\System32\\",
        "User": f"CORP\\{_word(choice)}",
        "IntegrityLevel": "Medium",
        "Hashes": f"SHA256={choice.getrandbits(256):064x}",
        "ParentImage": parent,
        "ParentCommandLine": f'"{parent}" -k {_word(choice)}',
    }
