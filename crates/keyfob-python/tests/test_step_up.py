"""Responses that ask for more than a valid token, through each kind of client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import aiohttp
import httpx
import keyfob
import keyfob.aiohttp
import pytest
import requests
from tokens import Hook

FIELDS = [
    'Basic realm="files, old", Bearer realm="a", error="insufficient_scope", scope="read admin"',
    'DPoP error="insufficient_user_authentication", acr_values="gold silver", max_age="300"',
]


class Refusing:
    """A server on this machine that refuses every request with the same fields."""

    def __init__(self, status: int) -> None:
        refusing = self
        self.requests = 0

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                refusing.requests += 1
                self.send_response(status)
                for field in FIELDS:
                    self.send_header("WWW-Authenticate", field)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(params=[401, 403])
def refusing(request: pytest.FixtureRequest) -> Iterator[Refusing]:
    server = Refusing(request.param)
    yield server
    server.stop()


def by_session(tokens: Hook, url: str) -> Any:
    handler = keyfob.GenericExternallyManagedJWTHandler(None, None, tokens)
    with keyfob.ExternallyManagedJWTSession(handler) as session:
        return session.get(url, timeout=20)


def by_requests_auth(tokens: Hook, url: str) -> Any:
    handler = keyfob.GenericExternallyManagedJWTHandler(None, None, tokens)
    return requests.get(url, auth=handler.auth(), timeout=20)


def by_httpx(tokens: Hook, url: str) -> Any:
    with keyfob.Client(tokens) as client:
        return client.get(url)


def by_httpx_async(tokens: Hook, url: str) -> Any:
    async def get() -> Any:
        async with keyfob.AsyncClient(tokens) as client:
            return await client.get(url)

    return asyncio.run(get())


def by_aiohttp(tokens: Hook, url: str) -> Any:
    async def get() -> Any:
        middleware = keyfob.aiohttp.Middleware(tokens, url)
        async with (
            aiohttp.ClientSession(middlewares=[middleware]) as client,
            client.get(url) as response,
        ):
            return response

    return asyncio.run(get())


CLIENTS = [by_session, by_requests_auth, by_httpx, by_httpx_async, by_aiohttp]


@pytest.mark.parametrize("get", CLIENTS)
def test_r3_every_client_returns_what_the_server_asks_for(
    get: Callable[[Hook, str], Any], refusing: Refusing
) -> None:
    tokens = Hook()
    asked = keyfob.step_up(get(tokens, refusing.url))
    assert asked is not None
    assert asked.reason == "insufficient_user_authentication"
    assert asked.scopes == ("read", "admin")
    assert asked.acr_values == ("gold", "silver")
    assert asked.max_age == 300
    assert asked.realm == "a"
    assert "gold or silver in the last 300 s with the scopes read admin" in str(asked)
    assert (tokens.calls, refusing.requests) == (1, 1)


@pytest.mark.parametrize("get", CLIENTS)
def test_the_error_of_raise_for_status_is_read_too(
    get: Callable[[Hook, str], Any], refusing: Refusing
) -> None:
    response = get(Hook(), refusing.url)
    errors = (requests.HTTPError, httpx.HTTPStatusError, aiohttp.ClientResponseError)
    with pytest.raises(errors) as raised:
        response.raise_for_status()
    assert keyfob.step_up(raised.value) == keyfob.step_up(response)


def test_other_responses_and_errors_ask_for_nothing() -> None:
    challenge = {"www-authenticate": 'Bearer error="insufficient_scope"'}
    assert keyfob.step_up(httpx.Response(200, headers=challenge)) is None
    assert keyfob.step_up(httpx.Response(401)) is None
    assert keyfob.step_up(requests.Response()) is None
    assert keyfob.step_up(requests.ConnectionError()) is None
    assert keyfob.step_up(httpx.Response(403, headers=challenge)) is not None
