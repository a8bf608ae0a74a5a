"""Reads a folder of Sigma rules; reports every bad rule with its place."""

from __future__ import annotations

from pathlib import Path

from policies.engine import PolicySet

SHIPPED_RULES = Path(__file__).parent / "rules"


class PolicyError(ValueError):
    """One fault in one rule file."""

    def __init__(self, file: str, line: int, message: str) -> None:
        super().__init__(f"{file}:{line}: {message}")
        self.file = file
        self.line = line
        self.message = message


class PolicyErrors(ValueError):
    """All faults of a folder."""

    def __init__(self, errors: tuple[PolicyError, ...]) -> None:
        super().__init__("\n".join(map(str, errors)))
        self.errors = errors


def load_policies(folder: Path = SHIPPED_RULES) -> PolicySet:
    """All rules (*.yml) of a folder, compiled. Raises PolicyErrors that lists every fault of every file."""
    raise NotImplementedError
