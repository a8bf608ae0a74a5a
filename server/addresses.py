"""The address that agents are told to connect to."""

from __future__ import annotations

from server.config import ServerConfig, split_address
from server.installation import Installation
from server.pki.files import server_names
from server.process_state import read_process_state


def public_address(config: ServerConfig, port: int) -> str:
    """The https:// address that agents are told."""
    host = server_names(config.listen)[0]
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


def current_address(installation: Installation) -> str:
    """The running server's address, else the configured one."""
    state = read_process_state(installation.directory)
    if state is not None:
        return state.address
    return public_address(installation.config, split_address(installation.config.listen.address)[1])
