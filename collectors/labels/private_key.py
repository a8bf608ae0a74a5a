"""Private keys in PEM form."""

from __future__ import annotations

import re
from typing import Final

_BEGIN: Final = re.compile(
    r"-----BEGIN (?:RSA |DSA |EC |OPENSSH |ENCRYPTED )?PRIVATE KEY(?: BLOCK)?-----\s+"
    r"(?:[A-Za-z-]+: [^\n]{1,200}\n\s*)*[A-Za-z0-9+/=]{40}|-----BEGIN PGP PRIVATE KEY BLOCK-----\s"
)


class PrivateKeys:
    """Counts keys."""

    def __init__(self) -> None:
        self._count = 0

    def feed(self, text: str) -> None:
        if "PRIVATE KEY" in text:
            self._count += len(_BEGIN.findall(text))

    def counts(self) -> dict[str, int]:
        return {"private_key": self._count}
