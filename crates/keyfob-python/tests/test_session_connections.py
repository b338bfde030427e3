"""Timeouts, connection pools and proxies work as in a plain session."""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import keyfob
import pytest
import requests
from keyfob import BearerAuthSession
from requests.adapters import HTTPAdapter
from servers import Servers
from sessions import AT_ONCE, Hook, fixed, renewing, with_token


class Recording(HTTPAdapter):
    """Records the arguments of each send."""

    def __init__(self) -> None:
        super().__init__()
        self.kwargs: list[dict[str, Any]] = []

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:  # type: ignore[override]
        self.kwargs.append(kwargs)
        return super().send(request, **kwargs)


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ({}, 20.0),
        ({"timeout": None}, 20.0),
        ({"timeout": 3}, 3),
        ({"timeout": (1, 2), "idempotent": True}, (1, 2)),
        ({"timeout": (None, None)}, (None, None)),
    ],
)
def test_r8_each_attempt_has_a_timeout(servers: Servers, given: dict[str, Any], used: Any) -> None:
    session, recording = fixed(servers), Recording()
    session.mount("http://", recording)
    servers.next(503)
    session.get(servers.api_url, **given)
    assert [kwargs["timeout"] for kwargs in recording.kwargs] == [used, used]


def test_r8_a_session_may_have_its_own_timeout(servers: Servers) -> None:
    session, recording = fixed(servers), Recording()
    session.mount("http://", recording)
    session.timeout = (4, 5)
    session.get(servers.api_url)
    session.send(session.prepare_request(requests.Request("GET", servers.api_url)))
    assert [kwargs["timeout"] for kwargs in recording.kwargs] == [(4, 5), (4, 5)]


@pytest.mark.parametrize("timeout", [0, -1, (1, -2)])
def test_r8_an_invalid_timeout_is_rejected(servers: Servers, timeout: Any) -> None:
    session = fixed(servers)
    with pytest.raises(ValueError, match="above 0"):
        session.get(servers.api_url, timeout=timeout)
    with pytest.raises(ValueError, match="above 0"):
        session.timeout = timeout
    assert servers.counts().requests == 0


@pytest.mark.parametrize("status", [302, 401, 503])
def test_a_streamed_response_that_is_not_the_last_returns_its_connection(
    servers: Servers, status: int
) -> None:
    session = renewing(Hook(servers))
    session.mount("http://", HTTPAdapter(pool_maxsize=1, pool_block=True))
    servers.next(status, headers={"location": "/new"}, body={"zeros": 1_000_000})
    response = session.get(servers.api_url, stream=True, timeout=20)
    assert response.status_code == 200
    response.close()


@pytest.mark.parametrize("prepared", [False, True])
def test_a_proxy_is_used_also_after_a_redirect(prepared: bool) -> None:
    responses = [
        b"HTTP/1.1 302 Found\r\nlocation: http://203.0.113.1/there\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
    ]
    with proxy(responses) as (url, heads):
        session = with_token("t0ken")
        session.proxies = {"http": url}
        session.allow_plain_http("http://api.example.com")
        if prepared:
            request = requests.Request("GET", "http://api.example.com/here")
            response = session.send(session.prepare_request(request), timeout=20)
        else:
            response = session.get("http://api.example.com/here", timeout=20)
    assert response.status_code == 200
    assert [head.split(b"\r\n")[0] for head in heads] == [
        b"GET http://api.example.com/here HTTP/1.1",
        b"GET http://203.0.113.1/there HTTP/1.1",
    ]
    assert b"t0ken" in heads[0]
    assert b"t0ken" not in heads[1]


def test_a_redirect_from_a_host_without_a_proxy_uses_the_proxy(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    with proxy([b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"]) as (url, heads):
        monkeypatch.setenv("http_proxy", url)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        session = fixed(servers)
        servers.next(302, headers={"location": "http://api.example.com/there"})
        assert session.get(servers.api_url, timeout=20).status_code == 200
    assert heads[0].startswith(b"GET http://api.example.com/there HTTP/1.1\r\n")
    assert session.token.encode() not in heads[0]


def test_r4_a_post_that_a_proxy_received_is_not_retried() -> None:
    with proxy([b""]) as (url, heads):
        session = with_token("t0ken")
        session.proxies = {"http": url}
        session.allow_plain_http("http://api.example.com")
        with pytest.raises(requests.exceptions.ProxyError):
            session.post("http://api.example.com/orders", data=b"once")
    assert len(heads) == 1


def test_r4_an_unreachable_proxy_is_retried_for_any_method() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        url = f"http://127.0.0.1:{gone.getsockname()[1]}"
    tried: list[str] = []

    class Counting(HTTPAdapter):
        def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:  # type: ignore[override]
            tried.append(str(request.url))
            return super().send(request, **kwargs)

    session: BearerAuthSession = with_token("t0ken")
    session.proxies = {"http": url}
    session.mount("http://", Counting())
    session.allow_plain_http("http://api.example.com")
    with pytest.raises(requests.exceptions.ProxyError):
        session.post("http://api.example.com/orders", data=b"again")
    assert len(tried) == 4


@pytest.mark.parametrize(("status", "attempts"), [(403, 1), (407, 1), (502, 4)])
def test_r4_a_refusal_of_a_proxy_is_retried_only_if_it_may_pass(
    status: int, attempts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = f"HTTP/1.1 {status} No\r\ncontent-length: 0\r\n\r\n".encode()
    for send in (post_with_requests, post_with_httpx):
        with proxy([answer] * attempts) as (url, heads):
            monkeypatch.setenv("https_proxy", url.replace("://", "://me:s3cret@"))
            failures = (requests.exceptions.ProxyError, httpx.ProxyError)
            with pytest.raises(failures, match=str(status)) as raised:
                send("t0ken")
            assert len(heads) == attempts, send
        assert all(head.startswith(b"CONNECT api.test:443 ") for head in heads)
        assert not any(b"t0ken" in head for head in heads)
        assert "s3cret" not in str(raised.value)
        if sys.version_info >= (3, 11):
            assert any(f"status {status}; " in note for note in raised.value.__notes__)


def post_with_requests(token: str) -> None:
    session = keyfob.Session(lambda: token, base_url="https://api.test", retry=AT_ONCE)
    session.post("data", timeout=20)


def post_with_httpx(token: str) -> None:
    with keyfob.Client(lambda: token, base_url="https://api.test", retry=AT_ONCE) as client:
        client.post("data", timeout=20)


@contextmanager
def proxy(responses: list[bytes]) -> Iterator[tuple[str, list[bytes]]]:
    """A proxy that sends each response on a connection of its own, and closes it; a response may be empty."""
    heads: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)

        def serve() -> None:
            for response in responses:
                connection, _ = listener.accept()
                with connection:
                    head = b""
                    while b"\r\n\r\n" not in head:
                        head += connection.recv(65536)
                    heads.append(head)
                    connection.sendall(response)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", heads
        thread.join(10)


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"https_proxy": "http://lower.test:1"},
        {"HTTPS_PROXY": "http://upper.test:1", "NO_PROXY": "api.example.com"},
        {"All_Proxy": "http://mixed.test:1", "no_proxy": "other.test"},
        {"no_proxy": "api.example.com"},
        {"REQUESTS_CA_BUNDLE": "authority.pem"},
        {"CURL_CA_BUNDLE": "authority.pem"},
    ],
)
def test_a_call_has_the_settings_that_a_plain_session_would_give_it(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [
        name for name in os.environ if name.lower().endswith(("_proxy", "_bundle", "_cert_file"))
    ]:
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    plain, ours = requests.Session(), BearerAuthSession("mF_9.B5f-4.1JqM")
    for trust_env in [True, False]:
        for session in [plain, ours]:
            session.trust_env = trust_env
            session.proxies = {"http": "http://configured.test:1"}
            session.stream = True
        for url in ["https://api.example.com/", "http://other.test/"]:
            for own in [{}, {"https": "http://of-the-call.test:1"}]:
                for call in [(None, None, None), (False, False, None), (True, True, "client.pem")]:
                    mine, theirs = (
                        session.merge_environment_settings(url, dict(own), *call)
                        for session in (ours, plain)
                    )
                    assert mine == theirs
