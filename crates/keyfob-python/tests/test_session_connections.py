"""Limits, pools and proxies are those of a plain session."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from keyfob import BearerAuthSession
from outside import Outside
from requests.adapters import HTTPAdapter
from signed_in import Hook, fixed, renewing, with_token


class Noted(HTTPAdapter):
    """Keeps what it is asked to send with."""

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
def test_r8_every_attempt_has_a_limit(outside: Outside, given: dict[str, Any], used: Any) -> None:
    session, noted = fixed(outside), Noted()
    session.mount("http://", noted)
    outside.next(503)
    session.get(outside.api_url, **given)
    assert [kwargs["timeout"] for kwargs in noted.kwargs] == [used, used]


def test_r8_a_session_may_have_a_limit_of_its_own(outside: Outside) -> None:
    session, noted = fixed(outside), Noted()
    session.mount("http://", noted)
    session.timeout = (4, 5)
    session.get(outside.api_url)
    session.send(session.prepare_request(requests.Request("GET", outside.api_url)))
    assert [kwargs["timeout"] for kwargs in noted.kwargs] == [(4, 5), (4, 5)]


@pytest.mark.parametrize("timeout", [0, -1, (1, -2)])
def test_r8_a_limit_that_cannot_be_meant_is_refused(outside: Outside, timeout: Any) -> None:
    session = fixed(outside)
    with pytest.raises(ValueError, match="above 0"):
        session.get(outside.api_url, timeout=timeout)
    with pytest.raises(ValueError, match="above 0"):
        session.timeout = timeout
    assert outside.counts().requests == 0


@pytest.mark.parametrize("status", [302, 401, 503])
def test_a_streamed_answer_that_is_not_the_last_gives_its_connection_back(
    outside: Outside, status: int
) -> None:
    session = renewing(Hook(outside))
    session.mount("http://", HTTPAdapter(pool_maxsize=1, pool_block=True))
    outside.next(status, headers={"location": "/new"}, body={"zeros": 1_000_000})
    answer = session.get(outside.api_url, stream=True, timeout=5)
    assert answer.status_code == 200
    answer.close()


@pytest.mark.parametrize("prepared", [False, True])
def test_a_proxy_is_used_also_after_a_redirect(prepared: bool) -> None:
    answers = [
        b"HTTP/1.1 302 Found\r\nlocation: http://203.0.113.1/there\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
    ]
    with proxy(answers) as (url, heads):
        session = with_token("t0ken")
        session.proxies = {"http": url}
        session.allow_plain_http("http://api.example.com")
        if prepared:
            request = requests.Request("GET", "http://api.example.com/here")
            answer = session.send(session.prepare_request(request), timeout=5)
        else:
            answer = session.get("http://api.example.com/here", timeout=5)
    assert answer.status_code == 200
    assert [head.split(b"\r\n")[0] for head in heads] == [
        b"GET http://api.example.com/here HTTP/1.1",
        b"GET http://203.0.113.1/there HTTP/1.1",
    ]
    assert b"t0ken" in heads[0]
    assert b"t0ken" not in heads[1]


def test_a_redirect_from_a_host_without_proxy_finds_the_proxy(
    outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    with proxy([b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"]) as (url, heads):
        monkeypatch.setenv("http_proxy", url)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        session = fixed(outside)
        outside.next(302, headers={"location": "http://api.example.com/there"})
        assert session.get(outside.api_url, timeout=5).status_code == 200
    assert heads[0].startswith(b"GET http://api.example.com/there HTTP/1.1\r\n")
    assert session.token.encode() not in heads[0]


def test_r4_a_post_that_a_proxy_took_is_not_sent_again() -> None:
    with proxy([b""]) as (url, heads):
        session = with_token("t0ken")
        session.proxies = {"http": url}
        session.allow_plain_http("http://api.example.com")
        with pytest.raises(requests.exceptions.ProxyError):
            session.post("http://api.example.com/orders", data=b"once")
    assert len(heads) == 1


def test_r4_a_proxy_that_is_not_there_is_tried_again_whatever_the_method() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        url = f"http://127.0.0.1:{gone.getsockname()[1]}"
    tried: list[str] = []

    class Tried(HTTPAdapter):
        def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:  # type: ignore[override]
            tried.append(str(request.url))
            return super().send(request, **kwargs)

    session: BearerAuthSession = with_token("t0ken")
    session.proxies = {"http": url}
    session.mount("http://", Tried())
    session.allow_plain_http("http://api.example.com")
    with pytest.raises(requests.exceptions.ProxyError):
        session.post("http://api.example.com/orders", data=b"again")
    assert len(tried) == 4


@contextmanager
def proxy(answers: list[bytes]) -> Iterator[tuple[str, list[bytes]]]:
    """A proxy that answers one request of each connection so, and hangs up; nothing is an answer too."""
    heads: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)

        def serve() -> None:
            for answer in answers:
                connection, _ = listener.accept()
                with connection:
                    head = b""
                    while b"\r\n\r\n" not in head:
                        head += connection.recv(65536)
                    heads.append(head)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", heads
        thread.join(10)
