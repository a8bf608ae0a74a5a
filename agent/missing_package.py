"""What to say where a Python package is not installed: `pip install leaver` alone brings no agent."""

from __future__ import annotations


def missing_package(error: ImportError) -> str:
    return f"the Python package {error.name or 'it needs'} is missing: pip install 'leaver[agent]'"
