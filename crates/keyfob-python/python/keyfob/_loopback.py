"""Keeps a credential that goes in plain text to this machine on this machine (R1)."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from ipaddress import ip_address
from urllib.request import getproxies

from requests.utils import get_environ_proxies, select_proxy

from keyfob._core import Exchange
from keyfob.errors import OriginError


def check_name(exchange: Exchange) -> None:
    """Raises ``OriginError`` if the system resolves ``localhost`` to another machine."""
    name = exchange.local_name
    if name == "localhost" and not all(map(_is_loopback, _addresses(name))):
        raise OriginError(
            "the system resolves localhost to another machine; use http://127.0.0.1 or correct the system's hosts file"
        )


def check_environment(exchange: Exchange, url: str) -> None:
    """Raises ``OriginError`` if ``requests`` would use a proxy of the environment."""
    if exchange.stays_local and select_proxy(url, get_environ_proxies(url)):
        raise _through_a_proxy()


def check_proxy(exchange: Exchange, proxy: object | None) -> None:
    """Raises ``OriginError`` if the request goes through this proxy, and would show it the credential."""
    if exchange.stays_local and proxy is not None:
        raise _through_a_proxy()


def check_environment_of_httpx(exchange: Exchange, host: str) -> None:
    """Raises ``OriginError`` if ``httpx`` would use a proxy of the environment."""
    if not exchange.stays_local:
        return
    proxies = getproxies()
    # Stricter than `httpx`, whose versions differ in the patterns that they know.
    direct = [name.strip() for name in proxies.get("no", "").split(",")]
    if (proxies.get("http") or proxies.get("all")) and host not in direct and "*" not in direct:
        raise _through_a_proxy()


def without_environment(
    proxies: Mapping[str, str], configured: Mapping[str, str]
) -> dict[str, str]:
    """Those of the proxies that are not the environment's, or that the session itself is configured with."""
    of_environment = set(getproxies().values())
    return {
        scheme: proxy
        for scheme, proxy in proxies.items()
        if proxy not in of_environment or configured.get(scheme) == proxy
    }


def _through_a_proxy() -> OriginError:
    return OriginError(
        "a proxy would get the credential in plain text; add 127.0.0.1, localhost and ::1 to NO_PROXY, "
        "or use one of keyfob's sessions, which ask this machine directly"
    )


def _addresses(name: str) -> list[str]:
    try:
        return [str(found[4][0]) for found in socket.getaddrinfo(name, None)]
    except OSError:  # The request fails with the same error.
        return []


def _is_loopback(address: str) -> bool:
    parsed = ip_address(address.partition("%")[0])
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed).is_loopback
