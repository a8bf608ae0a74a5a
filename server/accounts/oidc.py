"""Single sign-on by OpenID Connect: the code flow with PKCE, state and nonce.

What the provider says of itself and its keys is kept for a while, so that sending somebody there needs no
call. Who somebody is: the issuer and its `sub`, never a mail address or a name, which go from one to another.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri  # type: ignore[import-untyped]
from authlib.oauth2.rfc7636 import create_s256_code_challenge  # type: ignore[import-untyped]
from authlib.oidc.core import CodeIDToken  # type: ignore[import-untyped]
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from server.accounts.provider_http import ProviderBusy, ProviderHttp, ProviderUnusable
from server.config import SignInConfig

KEPT_MS: Final = 3_600_000
USABLE_MS: Final = 86_400_000
"""So long what was kept is used where the provider does not answer."""
KEYS_AGAIN_MS: Final = 60_000
LEEWAY_SECONDS: Final = 60
_ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA")
_ENDPOINTS: Final = ("authorization_endpoint", "token_endpoint", "jwks_uri")
_TEXT_MAX: Final = 255


class IdentityRefused(Exception):
    """What came back proves nobody's identity; the message says why, without secrets."""


class Beginning(msgspec.Struct, frozen=True):
    """What the browser keeps until it comes back."""

    state: str
    nonce: str
    verifier: str
    place: str


class Identity(msgspec.Struct, frozen=True):
    """Whom the provider vouches for. `values`: of the claim that tells roles."""

    issuer: str
    subject: str
    name: str
    values: tuple[str, ...]


class _Kept(msgspec.Struct, frozen=True):
    metadata: dict[str, Any]
    keys: dict[str, Any]
    at: int


class Provider:
    """One for a listener; used by many threads. clock: ms UTC."""

    def __init__(self, settings: SignInConfig, *, clock: Callable[[], int], http: ProviderHttp | None = None):
        self._settings = settings
        self._clock = clock
        self._http = http or ProviderHttp()
        self._kept: _Kept | None = None
        self._lock = threading.Lock()

    def begin(self, redirect: str, place: str) -> tuple[str, Beginning]:
        """Where the browser is sent, and what it keeps. Raises ProviderUnusable, ProviderBusy."""
        metadata = self._known().metadata
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        began = Beginning(state, nonce, verifier, place)
        scopes = ["openid", "profile"]
        if "groups" in (metadata.get("scopes_supported") or ()):
            scopes.append("groups")
        address = prepare_grant_uri(
            metadata["authorization_endpoint"],
            self._settings.oidc_client_id,
            "code",
            redirect_uri=redirect,
            scope=" ".join(scopes),
            state=began.state,
            nonce=began.nonce,
            code_challenge=create_s256_code_challenge(began.verifier),
            code_challenge_method="S256",
        )
        return str(address), began

    def finish(self, given: Mapping[str, str], began: Beginning, redirect: str) -> Identity:
        """Whom the answer proves. `given`: the query that came back. Raises IdentityRefused,
        ProviderUnusable, ProviderBusy."""
        known = self._known()
        if not secrets.compare_digest(given.get("state", "").encode(), began.state.encode()):
            raise IdentityRefused("the state is another browser's")
        if given.get("iss", self._settings.oidc_issuer) != self._settings.oidc_issuer:
            raise IdentityRefused("the answer is another issuer's")
        if "code" not in given:
            raise IdentityRefused(f"the provider refused: {given.get('error', '')[:64]!r}")
        form = {
            "grant_type": "authorization_code",
            "code": given["code"],
            "redirect_uri": redirect,
            "code_verifier": began.verifier,
        }
        answer = self._token(known.metadata, form)
        claims = self._verified(known, str(answer.get("id_token", "")), began.nonce, answer)
        told = {**claims, **self._user_info(known.metadata, claims, answer)}
        name = told.get("preferred_username") or told.get("name") or ""
        values = _values(told, self._settings.oidc_claim)
        return Identity(self._settings.oidc_issuer, str(claims["sub"]), str(name)[:_TEXT_MAX], values)

    def _token(self, metadata: dict[str, Any], form: dict[str, str]) -> dict[str, Any]:
        secret = _secret(self._settings.oidc_client_secret_file)
        ways = metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        own = (self._settings.oidc_client_id, secret)
        if "client_secret_basic" in ways:
            return self._http.post(metadata["token_endpoint"], form, basic=own)
        return self._http.post(
            metadata["token_endpoint"], {**form, "client_id": own[0], "client_secret": own[1]}, basic=None
        )

    def _verified(self, known: _Kept, token: str, nonce: str, answer: dict[str, Any]) -> dict[str, Any]:
        if not token or len(token) > 64 << 10:
            raise IdentityRefused("there is no ID token")
        try:
            return self._claims(known, token, nonce, answer)
        except (JoseError, ValueError) as error:
            first = error
        # The provider may have changed its keys since they were kept.
        fresh = self._with_fresh_keys(known)
        if fresh is known:
            raise IdentityRefused(f"ID token: {type(first).__name__}") from None
        try:
            return self._claims(fresh, token, nonce, answer)
        except (JoseError, ValueError) as error:
            raise IdentityRefused(f"ID token: {type(error).__name__}") from None

    def _claims(self, known: _Kept, token: str, nonce: str, answer: dict[str, Any]) -> dict[str, Any]:
        keys = KeySet.import_key_set(known.keys)  # type: ignore[arg-type]
        offered = known.metadata.get("id_token_signing_alg_values_supported") or ["RS256"]
        algorithms = [each for each in _ALGORITHMS if each in offered]
        read = jwt.decode(token, keys, algorithms=algorithms)
        own = self._settings.oidc_client_id
        options = {
            "iss": {"essential": True, "value": self._settings.oidc_issuer},
            "aud": {"essential": True, "value": own},
            "nonce": {"essential": True, "value": nonce},
            "sub": {"essential": True},
        }
        params = {"nonce": nonce, "client_id": own, "access_token": answer.get("access_token")}
        claims = CodeIDToken(read.claims, read.header, options, params)
        claims.validate(now=self._clock() // 1000, leeway=LEEWAY_SECONDS)
        subject = claims.get("sub")
        if not isinstance(subject, str) or not 1 <= len(subject) <= _TEXT_MAX:
            raise ValueError("sub")
        return dict(claims)

    def _user_info(
        self, metadata: dict[str, Any], claims: dict[str, Any], answer: dict[str, Any]
    ) -> dict[str, Any]:
        """What the ID token leaves out, of the same person."""
        endpoint, access = metadata.get("userinfo_endpoint"), answer.get("access_token")
        if _values(claims, self._settings.oidc_claim) or not endpoint or not isinstance(access, str):
            return {}
        _require_secure(str(endpoint))
        found = self._http.get(str(endpoint), bearer=access)
        if found.get("sub") != claims["sub"]:
            raise IdentityRefused("userinfo is about somebody else")
        return {key: value for key, value in found.items() if key not in claims}

    def _known(self) -> _Kept:
        now, kept = self._clock(), self._kept
        if kept is not None and now - kept.at < KEPT_MS:
            return kept
        # One asks, the others do not wait: they would hold all threads while a dead provider is asked.
        if not self._lock.acquire(blocking=False):
            if kept is None:
                raise ProviderBusy
            return kept
        try:
            if self._kept is None or self._kept is kept:
                self._kept = self._read(now)
            return self._kept
        except ProviderUnusable:
            if kept is not None and now - kept.at < USABLE_MS:
                return kept
            raise
        finally:
            self._lock.release()

    def _read(self, now: int) -> _Kept:
        issuer = self._settings.oidc_issuer
        metadata = self._http.get(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        if metadata.get("issuer") != issuer:
            raise ProviderUnusable(f"it calls itself {str(metadata.get('issuer'))[:200]!r}, not {issuer!r}")
        for endpoint in _ENDPOINTS:
            _require_secure(str(metadata.get(endpoint, "")))
        return _Kept(metadata, self._http.get(metadata["jwks_uri"]), now)

    def _with_fresh_keys(self, known: _Kept) -> _Kept:
        now = self._clock()
        if now - known.at < KEYS_AGAIN_MS:
            return known
        fresh = _Kept(known.metadata, self._http.get(known.metadata["jwks_uri"]), now)
        with self._lock:
            self._kept = fresh
        return fresh


def _values(claims: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """Of a claim, by its name or a path with dots (realm_access.roles)."""
    found: Any = claims.get(name)
    if found is None and "." in name:
        found = claims
        for part in name.split("."):
            found = found.get(part) if isinstance(found, dict) else None
    if isinstance(found, str):
        return (found[:_TEXT_MAX],)
    if isinstance(found, list):
        return tuple(each[:_TEXT_MAX] for each in found[:1000] if isinstance(each, str))
    return ()


def _require_secure(address: str) -> None:
    parts = urlsplit(address)
    is_loopback = parts.hostname in ("127.0.0.1", "::1")
    if parts.hostname is None or not (parts.scheme == "https" or (parts.scheme == "http" and is_loopback)):
        raise ProviderUnusable(f"{address[:200]!r} is not an https:// address")


def _secret(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ProviderUnusable(f"the client's secret cannot be read: {type(error).__name__}") from None
