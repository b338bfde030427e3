"""The middleware for ``aiohttp``, against real servers on loopback."""

from __future__ import annotations

import asyncio
import gc
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import keyfob
import keyfob.aiohttp
import pytest
from dpop_servers import dpop_servers, profile
from keyfob import AuthenticationError, GenericExternallyManagedJWTHandler, OriginError
from keyfob.aiohttp import Middleware
from servers import Servers, checksum
from sessions import Hook
from tokens import ahead


def run(
    middleware: Middleware, work: Callable[[aiohttp.ClientSession], Awaitable[Any]], **settings: Any
) -> Any:
    async def main() -> Any:
        async with aiohttp.ClientSession(middlewares=[middleware], **settings) as client:
            return await work(client)

    return asyncio.run(main())


def status(middleware: Middleware, method: str, url: str, **settings: Any) -> int:
    async def work(client: aiohttp.ClientSession) -> int:
        async with client.request(method, url, **settings) as response:
            await response.read()
            return response.status

    result: int = run(middleware, work)
    return result


def test_each_request_carries_the_token(servers: Servers) -> None:
    hook = Hook(servers)
    middleware = Middleware(hook, servers.api_url)

    async def work(client: aiohttp.ClientSession) -> list[int]:
        responses = await asyncio.gather(*(client.get(servers.api_url) for _ in range(8)))
        return [response.status for response in responses]

    assert run(middleware, work) == [200] * 8
    assert {each.authorization for each in servers.received()} == {"Bearer token-1"}
    assert hook.calls == 1


def test_r9_the_token_wins_over_the_callers_own_credential(servers: Servers) -> None:
    middleware = Middleware(Hook(servers), servers.api_url)
    own = {"Authorization": "Basic b3du", "X-Own": "kept"}
    assert status(middleware, "GET", servers.api_url, headers=own) == 200
    with_userinfo = servers.api_url.replace("://", "://a:b@")
    assert status(middleware, "GET", with_userinfo) == 200
    assert [each.authorization for each in servers.received()] == ["Bearer token-1"] * 2
    assert servers.received()[0].headers["x-own"] == ["kept"]
    assert own == {"Authorization": "Basic b3du", "X-Own": "kept"}


def test_r1_the_token_goes_to_the_named_origins_alone(servers: Servers) -> None:
    middleware = Middleware(Hook(servers), servers.api_url)
    with Servers.start() as other:
        for url in [other.api_url, "https://example.com/", "http://127.0.0.1\\x.example/"]:
            with pytest.raises((OriginError, aiohttp.InvalidURL)):
                status(middleware, "GET", url)
        assert other.received() == []
    with pytest.raises(TypeError, match="name the origins"):
        Middleware(Hook(servers))
    with pytest.raises(OriginError, match="plain http"):
        Middleware(Hook(servers), "http://api.example.com")


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("header", [None, "X-Api-Key"])
def test_r1_a_redirect_to_another_origin_and_back_loses_the_token(
    code: int, header: str | None, servers: Servers
) -> None:
    name = (header or "authorization").lower()
    middleware = Middleware(Hook(servers), servers.api_url, header=header)
    with Servers.start() as other:
        servers.next(code, headers={"location": f"{other.api_url}/there"})
        other.next(code, headers={"location": f"{servers.api_url}/back"})
        assert status(middleware, "GET", servers.api_url) == 401
        assert [name in each.headers for each in servers.received()] == [True, False]
        assert [name in each.headers for each in other.received()] == [False]


def test_r1_a_redirect_between_two_named_origins_loses_the_token_too(servers: Servers) -> None:
    with Servers.start() as other:
        middleware = Middleware(Hook(servers), servers.api_url, other.api_url)
        servers.next(302, headers={"location": other.api_url})
        assert status(middleware, "GET", servers.api_url) == 401
        assert [each.authorization for each in other.received()] == [None]


@pytest.mark.parametrize("disturbance", ["task", "call", "retry"])
@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("timeout", [None, 30])
def test_r1_a_redirect_loses_the_token_whatever_other_middlewares_do(
    disturbance: str, named: bool, timeout: float | None, servers: Servers
) -> None:
    with Servers.start() as other:
        origins = [servers.api_url, other.api_url] if named else [servers.api_url]
        middleware = Middleware(Hook(servers), *origins)

        async def disturb(
            request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
        ) -> aiohttp.ClientResponse:
            if disturbance == "task":
                return await asyncio.create_task(_awaited(handler(request)))
            response = await handler(request)
            if disturbance == "retry" and response.status == 503:
                response.close()
                del response
                return await handler(request)
            if disturbance == "call":
                url = f"{servers.api_url}/status"
                async with client.get(url, middlewares=[middleware]) as another:
                    await another.read()
            return response

        async def main() -> int:
            nonlocal client
            limit = aiohttp.ClientTimeout(timeout)
            async with (
                aiohttp.ClientSession(middlewares=[disturb, middleware], timeout=limit) as client,
                client.get(servers.api_url) as response,
            ):
                return response.status

        client: aiohttp.ClientSession
        servers.next(302, headers={"location": other.api_url})
        if disturbance == "retry":
            other.next(503)
        assert asyncio.run(main()) == 401
        assert {each.authorization for each in other.received()} == {None}


async def _awaited(response: Awaitable[aiohttp.ClientResponse]) -> aiohttp.ClientResponse:
    return await response


def test_no_call_is_remembered_after_its_end(servers: Servers) -> None:
    middleware = Middleware(Hook(servers), servers.api_url)
    servers.next(302, headers={"location": "/there"})
    assert status(middleware, "GET", servers.api_url) == 200
    gc.collect()
    assert len(middleware._flows) == 0


def test_a_redirect_within_the_origin_keeps_the_token(servers: Servers) -> None:
    middleware = Middleware(Hook(servers), servers.api_url)
    servers.next(307, headers={"location": "/there"})
    assert status(middleware, "POST", servers.api_url, data=b"whole") == 200
    assert [(each.path, each.body) for each in servers.received()] == [
        ("/", "whole"),
        ("/there", "whole"),
    ]
    assert servers.received()[1].authorization == "Bearer token-1"


def test_r1_a_redirect_that_the_caller_follows_is_a_request_of_its_own(servers: Servers) -> None:
    middleware = Middleware(Hook(servers), servers.api_url)
    with Servers.start() as other:
        servers.next(302, headers={"location": other.api_url})

        async def work(client: aiohttp.ClientSession) -> None:
            async with client.get(servers.api_url, allow_redirects=False) as response:
                target = response.headers["location"]
            with pytest.raises(OriginError):
                await client.get(target)
            async with client.get(servers.api_url) as response:
                assert response.status == 200

        run(middleware, work)
        assert other.received() == []


@pytest.mark.parametrize("kind", ["bytes", "text", "json", "form", "file"])
def test_r3_a_401_renews_the_token_and_sends_the_whole_body_again(
    kind: str, servers: Servers, tmp_path: Path
) -> None:
    path = tmp_path / "body"
    path.write_bytes(b"0123456789" * 1000)
    with path.open("rb") as file:
        file.seek(10)
        bodies: dict[str, Any] = {
            "bytes": {"data": b"whole"},
            "text": {"data": "whole"},
            "json": {"json": {"a": 1}},
            "form": {"data": {"a": "b"}},
            "file": {"data": file},
        }
        middleware = Middleware(Hook(servers), servers.api_url)
        assert status(middleware, "GET", servers.api_url) == 200
        servers.revoke()
        assert status(middleware, "POST", servers.api_url, **bodies[kind]) == 200
    _, first, second = servers.received()
    assert [first.authorization, second.authorization] == ["Bearer token-1", "Bearer token-2"]
    assert first.checksum == second.checksum
    if kind == "file":
        assert second.checksum == checksum((b"0123456789" * 1000)[10:])


def test_r4_a_stream_is_not_sent_again_and_the_token_is_renewed(servers: Servers) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b"half"
        yield b"half"

    middleware = Middleware(Hook(servers), servers.api_url)
    assert status(middleware, "GET", servers.api_url) == 200
    servers.revoke()
    assert status(middleware, "POST", servers.api_url, data=parts()) == 401
    assert servers.counts().requests == 2
    assert status(middleware, "POST", servers.api_url, data=io.BytesIO(b"again")) == 200


def test_r3_a_second_401_is_returned(servers: Servers) -> None:
    hook = Hook(servers)
    middleware = Middleware(hook, servers.api_url)
    servers.next(401, times=3)
    assert status(middleware, "GET", servers.api_url) == 401
    assert (servers.counts().requests, hook.calls) == (2, 2)


def test_r3_a_challenge_for_more_scope_renews_nothing(servers: Servers) -> None:
    hook = Hook(servers)
    middleware = Middleware(hook, servers.api_url)
    challenge = 'Bearer error="insufficient_scope", scope="more"'
    servers.next(401, headers={"www-authenticate": challenge})
    assert status(middleware, "GET", servers.api_url) == 401
    assert hook.calls == 1


def test_r2_without_a_token_nothing_is_sent(servers: Servers) -> None:
    def broken() -> str:
        raise OSError("the vault is sealed")

    with pytest.raises(AuthenticationError, match="hook failed") as raised:
        status(Middleware(broken, servers.api_url), "GET", servers.api_url)
    assert isinstance(raised.value.__cause__, OSError)
    assert servers.counts().requests == 0


def test_r1_plain_http_to_this_machine_does_not_go_through_a_proxy(servers: Servers) -> None:
    middleware = Middleware(Hook(servers), servers.api_url)
    with Servers.start() as proxy:
        with pytest.raises(OriginError, match="a proxy would get"):
            status(middleware, "GET", servers.api_url, proxy=proxy.api_url)
        assert proxy.received() == []


def test_t7_a_cancelled_request_leaves_the_fetch_for_others(servers: Servers) -> None:
    started, calls = asyncio.Event(), []

    async def slow() -> tuple[str, Any]:
        calls.append(1)
        await asyncio.sleep(0.3)
        return servers.token(), ahead(3600)

    middleware = Middleware(slow, servers.api_url)

    async def work(client: aiohttp.ClientSession) -> int:
        first = asyncio.create_task(client.request("GET", servers.api_url))
        await asyncio.sleep(0.1)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        started.set()
        async with client.get(servers.api_url) as response:
            return response.status

    assert run(middleware, work) == 200
    assert len(calls) == 1


def test_a_handler_is_shared_with_other_clients(servers: Servers) -> None:
    hook = Hook(servers)
    handler = GenericExternallyManagedJWTHandler(get_token=hook)
    middleware = Middleware(handler, servers.api_url)
    assert status(middleware, "GET", servers.api_url) == 200
    assert keyfob.Session(handler).get(servers.api_url).status_code == 200
    assert hook.calls == 1
    assert repr(middleware).startswith("<Middleware for http://127.0.0.1")


def test_a_dead_connection_that_aiohttp_replaces_keeps_the_token(servers: Servers) -> None:
    middleware = Middleware(Hook(servers), servers.api_url)

    async def work(client: aiohttp.ClientSession) -> list[int]:
        codes = []
        for _ in range(3):
            servers.next(fault="close") if codes else None
            async with client.get(servers.api_url) as response:
                await response.read()
                codes.append(response.status)
        return codes

    assert run(middleware, work) == [200, 200, 200]
    assert {each.authorization for each in servers.received()} == {"Bearer token-1"}


def test_a_profile_with_a_key_proves_possession(tmp_path: Path) -> None:
    with dpop_servers() as servers:
        source = keyfob.sources.profile("ehr", config=profile(servers, tmp_path))
        middleware = Middleware(source)
        servers.nonce = "first"
        assert status(middleware, "POST", servers.url + "redirect", data=b"whole") == 200
        assert servers.accepted == ["POST /redirect", "POST /there?a=b"]
        assert (servers.refused, servers.bodies) == (["nonce"], [b"whole"])
