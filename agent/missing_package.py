"""What to say where a Python package is missing: the server's wheel has `leaver-agent` without its packages,
and what reads databases' logs is an extra of the agent's own.

Never our own name for pip to look up: what is on PyPI under it need not be ours.
"""

from __future__ import annotations

from collectors.contract import Unsupported
from collectors.install_command import pip_command

_OF_DATABASES = frozenset({"psycopg", "pymysql", "sqlglot"})


def missing_package(error: ImportError) -> str:
    """In words."""
    if error.name in _OF_DATABASES:
        return f"the Python package {error.name} is missing: databases' logs are not read (docs/databases.md)"
    return (
        f"the Python package {error.name or 'it needs'} is missing: this environment has no agent packages;"
        " install leaver_agent-….whl (docs/install.md)"
    )


def without_package(error: ImportError) -> Unsupported:
    """With what brings it, where that is one command."""
    remedy = pip_command("databases") if error.name in _OF_DATABASES else ""
    return Unsupported(missing_package(error), remedy)
