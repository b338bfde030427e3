"""A handler as the auth of httpx and httpx2 clients."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta, timezone
from typing import Any

import httpx
import httpx2
import pytest
import trio
from keyfob import GenericExternallyManagedJWTHandler, OriginError
from servers import Servers


@pytest.fixture
def handler(servers: Servers) -> GenericExternallyManagedJWTHandler:
    return GenericExternallyManagedJWTHandler(None, None, lambda: (servers.token(), later()))


@pytest.mark.parametrize("library", [httpx, httpx2])
def test_r3_a_401_is_replayed_once(
    library: Any, servers: Servers, handler: GenericExternallyManagedJWTHandler
) -> None:
    handler.authenticate()
    servers.revoke()
    with library.Client(auth=handler.httpx_auth(), trust_env=False) as client:
        assert client.post(servers.api_url, content=b"whole").status_code == 200
    assert servers.counts().tokens == 2
    assert [request.body for request in servers.received()] == ["whole", "whole"]


def test_r3_an_iterator_as_body_is_not_sent_again(
    servers: Servers, handler: GenericExternallyManagedJWTHandler
) -> None:
    handler.authenticate()
    servers.revoke()
    with httpx.Client(auth=handler.httpx_auth(), trust_env=False) as client:
        response = client.post(servers.api_url, content=iter([b"once"]))
    assert response.status_code == 401
    assert servers.counts().requests == 1
    # The renewal has ended, so that an upload that the caller makes again gets the new token.
    assert handler.jwt == "token-2"


def test_r3_an_async_iterator_as_body_is_not_sent_again(
    servers: Servers, handler: GenericExternallyManagedJWTHandler
) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"once"

    async def program() -> int:
        auth = handler.httpx_auth()
        async with httpx.AsyncClient(auth=auth, trust_env=False) as client:
            return (await client.post(servers.api_url, content=body())).status_code

    handler.authenticate()
    servers.revoke()
    assert asyncio.run(program()) == 401
    assert servers.counts().requests == 1
    assert handler.jwt == "token-2"


@pytest.mark.parametrize("status", [301, 302, 303])
def test_r3_the_response_of_a_later_hop_never_sends_an_async_post_again(
    status: int, servers: Servers, handler: GenericExternallyManagedJWTHandler
) -> None:
    async def program() -> int:
        auth = handler.httpx_auth()
        async with httpx.AsyncClient(auth=auth, trust_env=False, follow_redirects=True) as client:
            return (await client.post(servers.api_url, content=b"once")).status_code

    servers.next(status, headers={"location": "/made"})
    servers.next(401)
    assert asyncio.run(program()) == 200
    sent = [(each.method, each.path, each.body) for each in servers.received()]
    assert sent == [("POST", "/", "once"), ("GET", "/made", ""), ("GET", "/made", "")]


@pytest.mark.parametrize("library", [httpx, httpx2])
def test_r3_a_401_after_a_redirect_is_replayed_at_the_target(
    library: Any, servers: Servers, handler: GenericExternallyManagedJWTHandler
) -> None:
    servers.next(303, headers={"location": "/made"})
    servers.next(401)
    with library.Client(auth=handler.httpx_auth(), trust_env=False) as client:
        response = client.post(servers.api_url, content=b"once", follow_redirects=True)
    assert response.status_code == 200
    sent = [(each.method, each.path, each.body) for each in servers.received()]
    assert sent == [("POST", "/", "once"), ("GET", "/made", ""), ("GET", "/made", "")]
    assert servers.received()[2].authorization == "Bearer token-2"


def test_r1_plain_http_and_other_origins_are_refused(
    handler: GenericExternallyManagedJWTHandler,
) -> None:
    with httpx.Client(auth=handler.httpx_auth("https://api.example.com")) as client:
        for url in ["http://api.example.com", "https://example.org"]:
            with pytest.raises(OriginError):
                client.get(url)


def test_r1_a_redirect_to_another_origin_does_not_carry_the_token(
    servers: Servers, handler: GenericExternallyManagedJWTHandler
) -> None:
    with Servers.start() as other:
        servers.next(302, headers={"location": other.api_url})
        with httpx.Client(auth=handler.httpx_auth(), trust_env=False) as client:
            response = client.get(servers.api_url, follow_redirects=True)
        assert response.status_code == 401
        assert other.received()[0].authorization is None
    assert servers.counts().tokens == 1


def test_r1_httpx_auth_refuses_a_custom_header_which_would_follow_redirects() -> None:
    class Keyed(GenericExternallyManagedJWTHandler):
        @property
        def request_headers(self) -> dict[str, str]:
            return {**super().request_headers, "x-api-key": "k3y"}

    handler = Keyed("t0ken", later(), lambda: ("t0ken", later()))
    with (
        httpx.Client(auth=handler.httpx_auth()) as client,
        pytest.raises(OriginError, match="x-api-key"),
    ):
        client.get("https://api.example.com")


@pytest.mark.parametrize("library", [httpx, httpx2])
def test_t1_500_tasks_cause_one_call_of_a_coroutine_on_a_loop_of_its_own(library: Any) -> None:
    loops = []

    async def get_token() -> tuple[str, datetime]:
        loops.append(asyncio.get_running_loop())
        await asyncio.sleep(0.05)
        return "t0ken", later()

    async def program() -> asyncio.AbstractEventLoop:
        handler = GenericExternallyManagedJWTHandler(None, None, get_token)
        transport = library.MockTransport(lambda _: library.Response(200))
        async with library.AsyncClient(transport=transport, auth=handler.httpx_auth()) as client:
            url = "https://api.example.com"
            responses = await asyncio.gather(*(client.get(url) for _ in range(500)))
        assert {response.request.headers["authorization"] for response in responses} == {
            "Bearer t0ken"
        }
        return asyncio.get_running_loop()

    assert asyncio.run(program()) not in loops
    assert len(loops) == 1


def test_t7_a_cancelled_task_does_not_cancel_the_fetch() -> None:
    async def get_token() -> tuple[str, datetime]:
        await asyncio.sleep(0.1)
        return "t0ken", later()

    async def program() -> None:
        handler = GenericExternallyManagedJWTHandler(None, None, get_token)
        transport = httpx.MockTransport(lambda _: httpx.Response(200))
        async with httpx.AsyncClient(transport=transport, auth=handler.httpx_auth()) as client:
            impatient = asyncio.create_task(client.get("https://api.example.com"))
            await asyncio.sleep(0.02)
            impatient.cancel()
            response = await client.get("https://api.example.com")
        assert response.status_code == 200
        assert handler.status()["renewals"] == 1

    asyncio.run(program())


def test_trio_waits_and_replays_too() -> None:
    tokens = iter(["first", "second"])

    async def get_token() -> tuple[str, datetime]:
        await asyncio.sleep(0.02)
        return next(tokens), later()

    def api(request: httpx.Request) -> httpx.Response:
        return httpx.Response(401 if request.headers["authorization"] == "Bearer first" else 200)

    async def program() -> int:
        handler = GenericExternallyManagedJWTHandler(None, None, get_token)
        transport = httpx.MockTransport(api)
        async with httpx.AsyncClient(transport=transport, auth=handler.httpx_auth()) as client:
            return (await client.get("https://api.example.com")).status_code

    assert trio.run(program) == 200


def later() -> datetime:
    return datetime.now(timezone.utc) + timedelta(minutes=5)
