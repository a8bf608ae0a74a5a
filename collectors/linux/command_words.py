"""What the words of a command line tell: the hosts that it names, and what a Git process does. Pure.

The words are read on the endpoint and thrown away; who calls keeps of the hosts what it recognises.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Literal

MOST_WORDS: Final = 256
_SCHEMES: Final = {
    "s3": "s3.amazonaws.com",
    "gs": "storage.googleapis.com",
    "oss": "oss.aliyuncs.com",
    "cos": "cos.myqcloud.com",
    "obs": "obs.myhuaweicloud.com",
}
"""Schemes that name a bucket, and the service whose bucket it is."""
_URL: Final = re.compile(
    r"([A-Za-z][A-Za-z0-9+.-]{0,20})://(?:[^/@\s]*@)?(\[[0-9A-Fa-f:.]+\]|[^/:?#\s\[\]]+)"
)
_HOST: Final = re.compile(r"(?:[^/@\s:]+@)?([A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?=[:/]|\Z)")

Action = Literal["push", "fetch"]


def hosts_in(words: Sequence[str]) -> tuple[str, ...]:
    """The hosts that a command line names: in URLs, as user@host:path, or as words that look like a
    domain."""
    hosts: dict[str, None] = {}
    for word in words[:MOST_WORDS]:
        for scheme, host in _URL.findall(word[:2048]):
            hosts[_SCHEMES.get(scheme.lower(), host.strip("[]").lower())] = None
        if "://" not in word and not word.startswith("-"):
            found = _HOST.match(word[:512])
            if found is not None and "." in found[1]:
                hosts[found[1].lower()] = None
    return tuple(hosts)


def git_action(words: Sequence[str]) -> Action | None:
    """Whether a Git process sends or fetches, by its own words; None where it does neither."""
    for word in words[1:8]:
        if word in ("push", "send-pack", "git-receive-pack"):
            return "push"
        if word in ("fetch", "pull", "clone", "fetch-pack", "ls-remote", "submodule"):
            return "fetch"
        if not word.startswith("-") and "=" not in word:
            return None
    return None
