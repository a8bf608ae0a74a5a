"""What to say where a Python package is missing: the server's wheel has `leaver-agent` without its packages.

Never a name for pip to look up: what is on PyPI under it need not be ours.
"""

from __future__ import annotations


def missing_package(error: ImportError) -> str:
    return (
        f"the Python package {error.name or 'it needs'} is missing: this environment has no agent packages;"
        " install leaver_agent-….whl (docs/install.md)"
    )
