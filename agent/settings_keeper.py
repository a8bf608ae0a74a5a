"""Which settings hold: the endpoint's own file, and the installation's, which it asks for every few minutes.

A bundle that this agent cannot use (a key that it does not know, a value out of bounds) changes nothing:
the settings before it go on, and the heartbeat says why. One that cannot be written to disk holds, and is
written when there is room.
"""

from __future__ import annotations

import logging
import random
import threading
import time
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
AWAY_SECONDS = 3600.0
"""A server that gives no settings for so long is told of: events may go elsewhere meanwhile."""
PROBLEM_CHARACTERS = 1000

_ASKING, _USING, _KEEPING = "asking", "using", "keeping"

_log = logging.getLogger(__name__)


class SettingsState(msgspec.Struct, frozen=True):
    """`version`: of the installation's settings in use; None: none are. `problem`: why not newer ones."""

    version: int | None = None
    problem: str | None = None


class SettingsKeeper:
    """`config` is what holds. `run` is a thread's; the rest may be asked by any. `steady` gives seconds."""

    def __init__(
        self,
        own: AgentConfig,
        state_dir: Path,
        identity: Callable[[], Identity],
        kinds: Sequence[CollectorKind],
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._own, self._state_dir, self._identity, self._kinds = own, state_dir, identity, kinds
        self._steady = steady
        self._seen = 0
        self._unsaved: bytes | None = None
        self._answered_at = steady()
        self._problems: dict[str, str] = {}
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
                self._tell(_ASKING, f"asking for settings failed: {type(error).__name__}")
                _log.error("asking for settings failed", exc_info=True)

    def ask(self) -> bool:
        """Whether other settings hold now."""
        self._save()
        try:
            found = fetch_bundle(self._identity(), self._seen, self._own.shipper)
        except BundleUnavailable as error:
            if self._steady() - self._answered_at >= AWAY_SECONDS:
                hours = AWAY_SECONDS / 3600
                self._tell(_ASKING, f"the server gave no settings for over {hours:g} h: {error}")
            return False
        except BundleRefused as error:
            self._tell(_ASKING, f"the installation's settings were refused: {error}")
            return False
        self._answered_at = self._steady()
        self._tell(_ASKING, None)
        if found is None:
            return False
        data, bundle = found
        if not self._use(bundle):
            self._seen = bundle.version
            return False
        self._unsaved = data
        self._save()
        return True

    def _save(self) -> None:
        """What holds, where a full disk kept it from being written."""
        if self._unsaved is None:
            return
        try:
            keep_bundle(self._state_dir, self._unsaved)
        except OSError as error:
            self._tell(_KEEPING, f"version {self.state.version} holds until the next start: {error.strerror}")
        else:
            self._unsaved = None
            self._tell(_KEEPING, None)

    def _use_kept(self) -> None:
        try:
            bundle = kept_bundle(self._state_dir, self._identity().ca_pem)
        except (BundleRefused, OSError) as error:
            # Until the server answers: what it says then is all there is.
            self._tell(_ASKING, f"the kept settings of the installation cannot be used: {error}")
            return
        if bundle is not None:
            self._use(bundle)

    def _use(self, bundle: ConfigBundle) -> bool:
        place = f"the installation's settings, version {bundle.version}"
        try:
            merged = with_installation(self._own, tomllib.loads(bundle.settings), place, self._kinds)
        except ConfigError as error:
            self._tell(_USING, str(error))
            return False
        except (ValueError, RecursionError) as error:
            # What TOML's reader stumbles over: nests without end, numbers of a thousand digits.
            self._tell(_USING, f"{place}: {error}")
            return False
        self._seen = bundle.version
        self.config = merged
        self._tell(_USING, None)
        self.state = msgspec.structs.replace(self.state, version=bundle.version)
        return True

    def _tell(self, about: str, problem: str | None) -> None:
        """Each matter has one problem at most; None: it has none any more."""
        if self._problems.get(about) == problem:
            return
        others = {known: text for known, text in self._problems.items() if known != about}
        if problem is not None:
            others[about] = problem
            _log.warning("settings", extra={"facts": {"problem": problem}})
        self._problems = others
        text = "; ".join(others.values())[:PROBLEM_CHARACTERS]
        self.state = msgspec.structs.replace(self.state, problem=text or None)


def settings_in_force(own: AgentConfig, kinds: Sequence[CollectorKind]) -> tuple[AgentConfig, SettingsState]:
    """What a running agent goes by, for commands that look at this endpoint. Not enrolled: its file."""
    try:
        identity = load_identity(own.state_dir)
    except (NotEnrolled, IdentityError):
        return own, SettingsState()
    keeper = SettingsKeeper(own, own.state_dir, lambda: identity, kinds)
    return keeper.config, keeper.state
