"""Which settings hold: the endpoint's own file, and the installation's, which it asks for every few minutes.

A bundle that this agent cannot use (a key that it does not know, a value out of bounds) changes nothing:
the settings before it go on, and the heartbeat says why.
"""

from __future__ import annotations

import logging
import random
import threading
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from agent.collector_registry import CollectorKind
from agent.config import AgentConfig, ConfigError, with_installation
from agent.config_bundle import BundleUnavailable, fetch_bundle, keep_bundle, kept_bundle
from agent.identity import Identity, IdentityError, NotEnrolled, load_identity
from event_schema.config_bundle import BundleRefused, ConfigBundle

ASK_SECONDS = 300.0
FIRST_SECONDS = 2.0

_log = logging.getLogger(__name__)


class SettingsState(msgspec.Struct, frozen=True):
    """`version`: of the installation's settings in use; None: none are. `problem`: why not newer ones."""

    version: int | None = None
    problem: str | None = None


class SettingsKeeper:
    """`config` is what holds. `run` is a thread's; the rest may be asked by any."""

    def __init__(
        self,
        own: AgentConfig,
        state_dir: Path,
        identity: Callable[[], Identity],
        kinds: Sequence[CollectorKind],
    ) -> None:
        self._own, self._state_dir, self._identity, self._kinds = own, state_dir, identity, kinds
        self._seen = 0
        self.config = own
        self.state = SettingsState()
        self._use_kept()

    def run(self, changed: Callable[[], None], stop: threading.Event) -> None:
        """Until `stop`. Calls `changed` when other settings hold."""
        wait = FIRST_SECONDS
        while not stop.wait(wait * random.uniform(0.8, 1.2)):
            wait = ASK_SECONDS
            try:
                if self.ask():
                    changed()
            except Exception as error:  # noqa: BLE001 - the settings that hold go on
                self._tell(f"asking for settings failed: {type(error).__name__}")
                _log.error("asking for settings failed", exc_info=True)

    def ask(self) -> bool:
        """Whether other settings hold now."""
        try:
            found = fetch_bundle(self._identity(), self._seen, self._own.shipper)
        except BundleUnavailable:
            # Shipping says that the server is away; a broker may take events meanwhile.
            return False
        except BundleRefused as error:
            self._tell(f"the installation's settings were refused: {error}")
            return False
        if found is None:
            return False
        data, bundle = found
        if not self._use(bundle):
            self._seen = bundle.version
            return False
        try:
            keep_bundle(self._state_dir, data)
        except OSError as error:
            self._tell(f"version {bundle.version} holds until the next start only: {error.strerror}")
        return True

    def _use_kept(self) -> None:
        try:
            bundle = kept_bundle(self._state_dir, self._identity().ca_pem)
        except (BundleRefused, OSError) as error:
            self._tell(f"the kept settings of the installation cannot be used: {error}")
            return
        if bundle is not None:
            self._use(bundle)

    def _use(self, bundle: ConfigBundle) -> bool:
        place = f"the installation's settings, version {bundle.version}"
        try:
            merged = with_installation(self._own, tomllib.loads(bundle.settings), place, self._kinds)
        except (ConfigError, tomllib.TOMLDecodeError) as error:
            self._tell(str(error))
            return False
        self._seen = bundle.version
        self.config, self.state = merged, SettingsState(bundle.version)
        return True

    def _tell(self, problem: str) -> None:
        if problem != self.state.problem:
            _log.warning("settings", extra={"facts": {"problem": problem}})
        self.state = msgspec.structs.replace(self.state, problem=problem[:4000])


def settings_in_force(own: AgentConfig, kinds: Sequence[CollectorKind]) -> tuple[AgentConfig, SettingsState]:
    """What a running agent goes by, for commands that look at this endpoint. Not enrolled: its file."""
    try:
        identity = load_identity(own.state_dir)
    except (NotEnrolled, IdentityError):
        return own, SettingsState()
    keeper = SettingsKeeper(own, own.state_dir, lambda: identity, kinds)
    return keeper.config, keeper.state
