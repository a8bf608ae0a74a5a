"""Starts the provider (provider.mjs) on loopback, and lets tests choose who signs in there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

_TOOLS = Path(__file__).parents[2] / ".tools/oidc"
_SCRIPT = Path(__file__).parent / "provider.mjs"
CLIENT, SECRET = "leaver", "a secret between them, 32 bytes and more"


class OidcProvider:
    """`in_id_token`: whether claims stand in the ID token, or are asked for (userinfo)."""

    def __init__(self, *, in_id_token: bool = False) -> None:
        node = shutil.which("node")
        if node is None or not (_TOOLS / "node_modules/oidc-provider").is_dir():
            if os.environ.get("CI"):
                pytest.fail("there is no oidc-provider: deploy/prepare.sh tests installs it")
            pytest.skip("needs oidc-provider: deploy/prepare.sh tests installs it")
        settings = {"client": CLIENT, "secret": SECRET, "inIdToken": in_id_token}
        self._process = subprocess.Popen(
            [node, str(_SCRIPT), str(_TOOLS), json.dumps(settings)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self._process.stdout is not None
        self.issuer: str = json.loads(self._process.stdout.readline())["issuer"]

    def expect(self, redirect: str) -> None:
        """The address that it may send back to. Nothing works before that."""
        answer = httpx.post(f"{self.issuer}/redirect", json={"redirect": redirect}, trust_env=False)
        answer.raise_for_status()

    def next(self, account: str, *, refuses: bool = False, **claims: Any) -> None:
        """Who signs in from now on."""
        body = {"account": account, "claims": claims, "refuses": refuses}
        httpx.post(f"{self.issuer}/next", json=body, trust_env=False).raise_for_status()

    def walk(self, address: str) -> str:
        """What a browser does that is sent to the provider: where it is sent back to in the end."""
        with httpx.Client(trust_env=False) as browser:
            for _ in range(12):
                answer = browser.get(address)
                if answer.status_code not in (302, 303):
                    raise AssertionError(f"{answer.status_code} {answer.text[:500]}")
                address = str(answer.next_request.url) if answer.next_request is not None else ""
                if not address.startswith(self.issuer):
                    return address
        raise AssertionError("sent around in circles")

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(10)
        assert self._process.stdout is not None
        self._process.stdout.close()
