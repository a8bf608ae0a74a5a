"""The installation's settings on this endpoint: fetched, proven, kept in `settings-bundle.json`.

The file is the signed bundle as it came, and is proven again whenever it is read. An older version than
that is never taken, so that nobody can bring back settings that were taken back.
"""

from __future__ import annotations

from pathlib import Path

from agent.identity import Identity
from agent.server_client import ServerClient, ServerUnreachable, Timeouts, verified_context
from agent.spool_files import replace_file
from event_schema.config_bundle import (
    BUNDLE_BYTES_MAX,
    KNOWN_PARAMETER,
    BundleRefused,
    ConfigBundle,
    verified_bundle,
)
from event_schema.request_signing import sign_request

FILE = "settings-bundle.json"
CONFIG_PATH = "/v1/config"


class BundleUnavailable(Exception):
    """The server gave no answer that can be used. The message says why."""


def kept_bundle(state_dir: Path, ca_pem: str) -> ConfigBundle | None:
    """None where there never was one. Raises BundleRefused, OSError."""
    try:
        with (state_dir / FILE).open("rb") as file:
            return verified_bundle(file.read(BUNDLE_BYTES_MAX + 1), ca_pem)
    except FileNotFoundError:
        return None


def keep_bundle(state_dir: Path, data: bytes) -> None:
    """Whole or not at all, whatever happens. Raises OSError."""
    replace_file(state_dir / FILE, data)


def fetch_bundle(
    identity: Identity, known: int, timeouts: Timeouts | None = None
) -> tuple[bytes, ConfigBundle] | None:
    """The bundle as it came and what it says; None where `known` is the current version.

    Raises BundleUnavailable, BundleRefused."""
    path = f"{CONFIG_PATH}?{KNOWN_PARAMETER}={known}"
    headers = sign_request(identity.key, agent=identity.facts.agent, method="GET", path=path, body=b"")
    try:
        client = ServerClient(identity.facts.server, verified_context(identity.ca_pem), timeouts)
        try:
            answer = client.request("GET", path, headers=headers, answer_bytes_max=BUNDLE_BYTES_MAX)
        finally:
            client.close()
    except ServerUnreachable as error:
        raise BundleUnavailable(str(error)) from error
    if answer.status == 204:
        return None
    if answer.status != 200:
        raise BundleUnavailable(f"the server answered {answer.status}")
    bundle = verified_bundle(answer.body, identity.ca_pem)
    if bundle.version <= known:
        raise BundleRefused(f"version {bundle.version} is not newer than {known}")
    return answer.body, bundle
