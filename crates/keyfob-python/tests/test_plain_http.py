"""R1: a credential that goes in plain text to this machine stays on this machine."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import requests
from keyfob import BearerAuthSession, GenericExternallyManagedJWTHandler, OriginError
from servers import Servers
from sessions import Hook, fixed, in_an_hour, renewing

NAMES = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"]


@pytest.fixture
def proxy() -> Iterator[Servers]:
    """A server that records what a proxy would see."""
    with Servers.start() as proxy:
        yield proxy


def handler(servers: Servers) -> GenericExternallyManagedJWTHandler:
    return GenericExternallyManagedJWTHandler(servers.token(), in_an_hour(), Hook(servers))


@pytest.mark.parametrize("name", NAMES)
def test_r1_a_session_uses_no_proxy_of_the_environment(
    name: str, servers: Servers, proxy: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, proxy.api_url)
    for session in [fixed(servers), renewing(Hook(servers))]:
        assert session.get(servers.api_url).status_code == 200
        prepared = session.prepare_request(requests.Request("GET", servers.api_url))
        assert session.send(prepared).status_code == 200
        # The way that the documentation of `requests` shows
        settings: Any = session.merge_environment_settings(prepared.url, {}, None, None, None)
        assert session.send(prepared, **settings).status_code == 200
        servers.next(302, headers={"location": "/there"})
        assert session.get(servers.api_url).status_code == 200
    assert proxy.counts().requests == 0


def test_r1_a_renewed_token_uses_no_proxy_either(
    servers: Servers, proxy: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = renewing(Hook(servers))
    session.authenticate()
    servers.revoke()
    monkeypatch.setenv("HTTP_PROXY", proxy.api_url)
    assert session.get(servers.api_url).status_code == 200
    assert proxy.counts().requests == 0


def test_a_proxy_of_the_session_itself_is_used(servers: Servers, proxy: Servers) -> None:
    session = fixed(servers)
    session.proxies["http"] = proxy.api_url
    session.get(servers.api_url)
    fixed(servers).get(servers.api_url, proxies={"http": proxy.api_url})
    assert proxy.counts().requests == 2


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_r1_auth_objects_refuse_a_proxy_of_the_environment_and_say_what_to_do(
    name: str, host: str, servers: Servers, proxy: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, proxy.api_url)
    of_handler = handler(servers)
    url = servers.api_url.replace("127.0.0.1", host)
    with pytest.raises(OriginError, match="NO_PROXY"):
        requests.get(url, auth=of_handler.auth(), timeout=10)
    with pytest.raises(OriginError, match="NO_PROXY"):
        httpx.get(url, auth=of_handler.httpx_auth())
    assert proxy.counts().requests == servers.counts().requests == 0
    monkeypatch.setenv("NO_PROXY", "127.0.0.1, localhost")
    assert requests.get(url, auth=of_handler.auth(), timeout=10).status_code == 200
    assert httpx.get(url, auth=of_handler.httpx_auth()).status_code == 200
    assert proxy.counts().requests == 0


@pytest.mark.parametrize("host", ["api.localhost", "localhost.localhost", "API.LocalHost"])
def test_r1_plain_http_to_a_name_below_localhost_is_refused_unless_allowed(host: str) -> None:
    url = f"http://{host}:9/"
    session = BearerAuthSession("t0ken")
    of_handler = GenericExternallyManagedJWTHandler("t0ken", in_an_hour(), list)  # type: ignore[arg-type]
    for send in [
        lambda: session.get(url),
        lambda: requests.get(url, auth=of_handler.auth(), timeout=1),
        lambda: httpx.get(url, auth=of_handler.httpx_auth()),
    ]:
        with pytest.raises(OriginError, match="allow_plain_http"):
            send()
    session.allow_plain_http(url)
    session.retry = session.retry.__class__(attempts=1)
    with pytest.raises(requests.ConnectionError):
        session.get(url)


def test_r1_localhost_that_resolves_elsewhere_is_refused(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = servers.api_url.replace("127.0.0.1", "localhost")
    elsewhere = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 0))]
    of_handler, session = handler(servers), fixed(servers)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: elsewhere)
    for send in [
        lambda: session.get(url),
        lambda: requests.get(url, auth=of_handler.auth(), timeout=1),
        lambda: httpx.get(url, auth=of_handler.httpx_auth()),
    ]:
        with pytest.raises(OriginError, match="resolves localhost to another machine"):
            send()


ODD = [
    "http://127.0.0.1\\x.evil.example:{port}/",
    "http://A\\@127.0.0.1:{port}/",
    "http://127.0.0.1\t:{port}/",
    "http://127.0.0.1\n.evil.example:{port}/",
    "http://127.1:{port}/",
    "http://2130706433:{port}/",
    "http://0x7f.0.0.1:{port}/",
    "http://127.0.0.1:{port}:{port}/",
    "http://%31%32%37.0.0.1:{port}/",
    "http://[::1%25lo]:{port}/",
    "http:/127.0.0.1:{port}/",
    "http:\\\\127.0.0.1:{port}/",
    "http:////127.0.0.1:{port}/",
    "http://u@v@127.0.0.1:{port}/",
    " http://127.0.0.1:{port}/",
    "http://\uff11\uff12\uff17.0.0.1:{port}/",
]


@pytest.mark.parametrize("odd", ODD)
def test_r1_a_url_that_clients_read_in_different_ways_is_refused(
    odd: str, servers: Servers
) -> None:
    url = odd.format(port=servers.api_url.rsplit(":", 1)[1])
    session = fixed(servers)
    prepared = session.prepare_request(requests.Request("GET", servers.api_url))
    prepared.url = url
    with pytest.raises(OriginError):
        session.send(prepared)
    auth = handler(servers).auth()
    with pytest.raises(OriginError):
        auth(prepared)
    assert servers.counts().requests == 0


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1\\x.evil.example:8088/",
        "http://127.0.0.1%5Cx.evil.example:8088/",
        "http://127.1/",
        "http://2130706433/",
    ],
)
def test_r1_httpx_is_judged_by_the_host_that_it_connects_to(url: str) -> None:
    of_handler = GenericExternallyManagedJWTHandler("t0ken", in_an_hour(), list)  # type: ignore[arg-type]
    received = []
    transport = httpx.MockTransport(
        lambda request: (received.append(request), httpx.Response(200))[1]
    )
    auth = of_handler.httpx_auth("http://127.0.0.1", "http://127.0.0.1:8088")
    with (
        httpx.Client(transport=transport, auth=auth) as client,
        pytest.raises((OriginError, httpx.InvalidURL)),
    ):
        client.get(url)
    assert not received


@pytest.mark.parametrize(
    "url",
    [
        "http://user:pass@127.0.0.1:{port}/",
        "HTTP://127.0.0.1:{port}/?x=a@b\\c",
        "http://localhost:{port}/x//y#z",
    ],
)
def test_r1_a_usual_url_is_served(url: str, servers: Servers) -> None:
    url = url.format(port=servers.api_url.rsplit(":", 1)[1])
    assert fixed(servers).get(url).status_code == 200
    assert requests.get(url, auth=handler(servers).auth(), timeout=10).status_code == 200
    assert httpx.get(url, auth=handler(servers).httpx_auth(), trust_env=False).status_code == 200
