"""The address that agents are told to connect to."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from server.config import ServerConfig, split_address
from server.installation import Installation
from server.pki.files import server_names
from server.process_state import read_process_state


def public_address(config: ServerConfig, port: int) -> str:
    """The https:// address that agents are told."""
    host = server_names(config.listen)[0]
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


def address_doubt(config: ServerConfig, address: str) -> str | None:
    """Why endpoints may not reach `address`, and what to set; None where nothing speaks against it."""
    remedy = "set [listen] address and names in server.toml"
    host = urlsplit(address).hostname or ""
    if any(_is_loopback(name) for name in (host, split_address(config.listen.address)[0])):
        return f"only this machine can reach this: {remedy}"
    if not config.listen.names and "." not in host and ":" not in host:
        return f"{host} is this machine's bare name, which endpoints may not find: {remedy}"
    return None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def current_address(installation: Installation) -> str:
    """The running server's address, else the configured one."""
    state = read_process_state(installation.directory)
    if state is not None:
        return state.address
    return public_address(installation.config, split_address(installation.config.listen.address)[1])
