"""The command that installs what is missing, on this host."""

from __future__ import annotations

import contextlib
import shlex
import shutil
import sys
from importlib.metadata import PackageNotFoundError, requires

_MANAGERS = (("apt-get", "apt-get install -y"), ("dnf", "dnf install -y"), ("zypper", "zypper install -y"))
_OWN = ("leaver-agent", "leaver")


def install_command(debian: str, fedora: str) -> str:
    """A package of the operating system, by the names that it has there; openSUSE's are mostly Fedora's."""
    found = next((pair for pair in _MANAGERS if shutil.which(pair[0])), _MANAGERS[0])
    return f"{found[1]} {debian if found[0] == 'apt-get' else fedora}"


def pip_command(extra: str) -> str:
    """The Python packages that this program names for an extra, into the environment that runs it. Empty
    where it was not installed as a package. Never our own names: PyPI may have something else under them."""
    for own in _OWN:
        with contextlib.suppress(PackageNotFoundError):
            wanted = {f"extra == {quote}{extra}{quote}" for quote in "'\""}
            lines = [line.partition(";") for line in requires(own) or ()]
            needed = [name.strip() for name, _, marker in lines if marker.strip() in wanted]
            return f"{sys.executable} -m pip install {' '.join(map(shlex.quote, needed))}" if needed else ""
    return ""
