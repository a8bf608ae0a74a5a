"""What the running agent says about itself on this machine: `status.json` in the state folder.

Replaced whole every few seconds; not synced, because a lost one is written again. `leaver-agent status`
reads it, and tells by the spool's lock whether the agent that wrote it still runs.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from agent.shipping import ShippingState
from agent.spool_files import is_locked
from event_schema.control_records import Heartbeat

STATUS_BYTES_MAX = 256 * 1024


class AgentStatus(msgspec.Struct, frozen=True):
    """Times are ms UTC by the agent's clock."""

    agent: str
    pid: int
    started_at: int
    written_at: int
    epoch: str
    certificate_until: int
    heartbeat: Heartbeat
    shipping: ShippingState


class StatusUnreadable(Exception):
    """There is no status, or it cannot be read. The message says why."""


class NoStatus(StatusUnreadable):
    """No agent has said anything here yet."""


_decoder = msgspec.json.Decoder(AgentStatus)


def write_status(state_dir: Path, status: AgentStatus) -> None:
    """Raises OSError."""
    new = state_dir / "status.json.new"
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(msgspec.json.encode(status))
    new.rename(state_dir / "status.json")


def read_status(state_dir: Path) -> AgentStatus:
    """Raises StatusUnreadable."""
    path = state_dir / "status.json"
    try:
        with path.open("rb") as file:
            return _decoder.decode(file.read(STATUS_BYTES_MAX))
    except FileNotFoundError:
        raise NoStatus(f"{path} does not exist") from None
    except OSError as error:
        raise StatusUnreadable(f"{path}: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StatusUnreadable(f"{path}: {error}") from error


def is_running(state_dir: Path) -> bool:
    """Whether an agent holds this state folder's spool."""
    return is_locked(state_dir / "spool")
