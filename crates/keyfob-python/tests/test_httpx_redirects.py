"""A request that a redirect names gets no token elsewhere, also if it is sent by hand or again (httpx)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import httpx2
import keyfob
import pytest
from keyfob import GenericExternallyManagedJWTHandler
from servers import Servers
from sessions import AT_ONCE, Hook

Make = Callable[..., Any]


@pytest.fixture
def other() -> Iterator[Servers]:
    """Another API. It has another port, so it is another origin."""
    with Servers.start() as other:
        yield other


@pytest.fixture(params=["keyfob", "httpx", "httpx2"])
def make(request: pytest.FixtureRequest) -> Make:
    """Makes a client over a hook."""
    if request.param == "keyfob":
        return lambda hook: keyfob.Client(hook, retry=AT_ONCE.with_own_budget(), redirects=5)
    library: Any = httpx if request.param == "httpx" else httpx2

    def client(hook: Any) -> Any:
        auth = GenericExternallyManagedJWTHandler(get_token=hook).httpx_auth()
        return library.Client(auth=auth, trust_env=False, follow_redirects=True)

    return client


def redirect(servers: Servers, target: str) -> None:
    servers.next(302, headers={"location": target})


def authorizations(servers: Servers) -> list[str | None]:
    return [each.authorization for each in servers.received()]


def test_r1_a_redirect_sent_by_hand_with_httpx_does_not_carry_the_token(
    make: Make, servers: Servers, other: Servers
) -> None:
    redirect(servers, other.api_url)
    redirect(other, f"{other.api_url}/further")
    redirect(other, f"{servers.api_url}/home")
    with make(Hook(servers)) as client:
        response = client.get(servers.api_url, follow_redirects=False)
        while response.next_request is not None:
            response = client.send(response.next_request, follow_redirects=False)
    assert authorizations(other) == [None, None]
    assert authorizations(servers) == ["Bearer token-1", None]


def test_r1_a_redirect_sent_by_hand_with_an_async_client_does_not_carry_the_token(
    servers: Servers, other: Servers
) -> None:
    async def main() -> None:
        async with keyfob.AsyncClient(Hook(servers)) as client:
            response = await client.get(servers.api_url)
            assert response.next_request is not None
            await client.send(response.next_request)

    redirect(servers, other.api_url)
    asyncio.run(main())
    assert authorizations(other) == [None]


@pytest.mark.parametrize("back", [False, True])
def test_r1_a_sent_request_of_another_origin_sent_again_with_httpx_carries_no_token(
    back: bool, make: Make, servers: Servers, other: Servers
) -> None:
    redirect(servers, other.api_url)
    if back:
        redirect(other, f"{servers.api_url}/home")
    with make(Hook(servers)) as client:
        response = client.get(servers.api_url)
        client.send(response.request)
    assert set(authorizations(other)) == {None}
    assert authorizations(servers) == ["Bearer token-1", *[None, None] * back]


def test_a_redirect_within_the_origin_sent_by_hand_with_httpx_carries_the_token(
    make: Make, servers: Servers
) -> None:
    redirect(servers, "/new")
    with make(Hook(servers)) as client:
        response = client.get(servers.api_url, follow_redirects=False)
        response = client.send(response.next_request)
        assert client.send(response.request).status_code == 200
    assert authorizations(servers) == ["Bearer token-1"] * 3


@pytest.mark.parametrize("is_async", [False, True])
def test_r1_a_retry_after_a_failure_behind_another_origin_does_not_put_the_token_back(
    is_async: bool, servers: Servers, other: Servers
) -> None:
    settings: Any = {"redirects": 5, "retry": AT_ONCE.with_own_budget()}

    async def on_loop() -> None:
        async with keyfob.AsyncClient(Hook(servers), **settings) as client:
            await client.get(f"{servers.api_url}/x")

    redirect(servers, other.api_url)
    redirect(other, f"{servers.api_url}/z")
    servers.next(fault="reset")
    if is_async:
        asyncio.run(on_loop())
    else:
        with keyfob.Client(Hook(servers), **settings) as client:
            client.get(f"{servers.api_url}/x")
    sent = [(each.path, each.authorization) for each in servers.received()]
    assert sent == [("/x", "Bearer token-1"), ("/z", None), ("/z", None)]


@pytest.mark.parametrize("by_hand", [False, True])
def test_r1_an_upgrade_to_https_is_another_origin_for_httpx(by_hand: bool) -> None:
    received: list[httpx.Request] = []

    def respond(request: httpx.Request) -> httpx.Response:
        received.append(request)
        location = {"location": "https://api.example.com/"}
        return httpx.Response(302, headers=location) if len(received) == 1 else httpx.Response(200)

    settings: Any = {
        "allow_plain_http": "http://api.example.com",
        "transport": httpx.MockTransport(respond),
        "redirects": 0 if by_hand else 5,
    }
    with keyfob.Client(lambda: "t0ken", **settings) as client:
        response = client.get("http://api.example.com/")
        if by_hand:
            assert response.next_request is not None
            client.send(response.next_request)
    assert ["authorization" in each.headers for each in received] == [True, False]
