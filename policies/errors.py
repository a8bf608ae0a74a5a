"""Errors of policies. Each names the place."""

from __future__ import annotations


class NotSupported(ValueError):
    """Valid Sigma that this engine does not run."""


class PolicyError(ValueError):
    """One fault in one rule file."""

    def __init__(self, file: str, line: int, message: str) -> None:
        super().__init__(f"{file}:{line}: {message}")
        self.file = file
        self.line = line
        self.message = message


class PolicyErrors(ValueError):
    """All faults of a folder, by file and line."""

    def __init__(self, errors: tuple[PolicyError, ...]) -> None:
        super().__init__("\n".join(map(str, errors)))
        self.errors = errors
