"""E-mail addresses, without what only looks like one (pictures "a@2x.png", systemd units, examples)."""

from __future__ import annotations

import re
from typing import Final

from collectors.labels.distinct import Distinct

_ADDRESS: Final = re.compile(
    r"(?<![A-Za-z0-9._%+@/:=-])([A-Za-z0-9][A-Za-z0-9._%+-]{0,63})@"
    r"((?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,8}([A-Za-z]{2,18}))(?![A-Za-z0-9@:(]|[.-][A-Za-z0-9])"
)
_NO_DOMAIN: Final = frozenset(
    [
        "png",
        "jpg",
        "jpeg",
        "gif",
        "svg",
        "webp",
        "ico",
        "service",
        "socket",
        "target",
        "timer",
        "mount",
        "device",
        "path",
        "slice",
        "scope",
        "js",
        "ts",
        "css",
        "scss",
        "py",
        "c",
        "h",
        "cpp",
        "java",
        "go",
        "rs",
        "rb",
        "php",
        "sh",
        "md",
        "txt",
        "json",
        "yaml",
        "yml",
        "xml",
        "html",
        "local",
        "localhost",
        "example",
        "test",
        "invalid",
        "localdomain",
    ]
)
_EXAMPLES: Final = re.compile(
    r"(?i)(?:.*\.)?(?:example|test|domain|host|foo|bar|yourdomain)\.(?:com|org|net|edu|cn)"
)


class EmailAddresses:
    """Counts different addresses."""

    def __init__(self) -> None:
        self._found = Distinct()

    def feed(self, text: str) -> None:
        if "@" not in text:
            return
        for user, domain, last in _ADDRESS.findall(text):
            if last.lower() in _NO_DOMAIN or _EXAMPLES.fullmatch(domain) or user == "git":
                continue
            self._found.add(f"{user}@{domain}".lower())

    def counts(self) -> dict[str, int]:
        return {"email_address": len(self._found)}
