"""``keyfob.Client`` and ``keyfob.AsyncClient``: clients of httpx over any source of tokens in one line."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import keyfob
import pytest
from keyfob import AuthenticationError, GenericExternallyManagedJWTHandler, OriginError
from servers import Servers
from sessions import AT_ONCE, Hook
from test_front_session import ELSEWHERE

Send = Callable[..., httpx.Response]
"""Makes a client with these settings, sends a request with it, and returns the response."""


@pytest.fixture(params=["sync", "async"])
def send(request: pytest.FixtureRequest) -> Send:
    def sync(tokens: Any, method: str, url: Any, content: Any = None, **settings: Any) -> Any:
        with keyfob.Client(tokens, **settings) as client:
            return client.request(method, url, content=content)

    def on_loop(tokens: Any, method: str, url: Any, content: Any = None, **settings: Any) -> Any:
        async def main() -> httpx.Response:
            async with keyfob.AsyncClient(tokens, **settings) as client:
                return await client.request(method, url, content=content)

        return asyncio.run(main())

    return sync if request.param == "sync" else on_loop


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("reports", "/v1/reports"),
        (httpx.URL("reports"), "/v1/reports"),
        ("../reports", "/reports"),
        ("/reports", "/reports"),
        ("", "/v1/"),
    ],
)
def test_a_relative_url_is_resolved_against_the_base_url(
    send: Send, url: Any, path: str, servers: Servers
) -> None:
    assert send(Hook(servers), "GET", url, base_url=f"{servers.api_url}/v1").status_code == 200
    (received,) = servers.received()
    assert (received.path, received.authorization) == (path, "Bearer token-1")


@pytest.mark.parametrize("url", ELSEWHERE)
def test_r1_no_relative_url_leaves_the_origin_of_the_base_url(
    send: Send, url: str, servers: Servers
) -> None:
    try:
        response = send(Hook(servers), "GET", url, base_url=f"{servers.api_url}/v1", retries=0)
    except (OriginError, httpx.InvalidURL, httpx.UnsupportedProtocol):
        assert servers.counts().requests == 0
        return
    assert str(response.url).startswith(f"{servers.api_url}/")


def test_r4_what_is_safe_to_retry_is_retried(send: Send, servers: Servers) -> None:
    settings: dict[str, Any] = {"base_url": servers.api_url, "retry": AT_ONCE.with_own_budget()}
    servers.next(503)
    servers.next(fault="reset")
    assert send(Hook(servers), "GET", "a", **settings).status_code == 200
    assert servers.counts().requests == 3
    servers.next(503)
    assert send(Hook(servers), "POST", "a", b"once", **settings).status_code == 503
    servers.next(503, headers={"retry-after": "0"})
    assert send(Hook(servers), "POST", "a", b"whole", **settings).status_code == 200
    assert [each.body for each in servers.received()[-2:]] == ["whole", "whole"]
    servers.next(503, times=9)
    assert send(Hook(servers), "GET", "a", base_url=servers.api_url, retries=0).status_code == 503


def test_r4_a_refused_connection_is_tried_again_and_then_raised(send: Send) -> None:
    with pytest.raises(httpx.ConnectError):
        send(lambda: "t0ken", "POST", "http://127.0.0.1:9/", retry=AT_ONCE.with_own_budget())


def test_r3_a_401_renews_the_token_once(send: Send, servers: Servers) -> None:
    hook = Hook(servers)
    handler = GenericExternallyManagedJWTHandler(get_token=hook)
    assert send(handler, "GET", "a", base_url=servers.api_url).status_code == 200
    servers.revoke()
    assert send(handler, "POST", "a", b"whole", base_url=servers.api_url).status_code == 200
    assert (hook.calls, servers.received()[-1].body) == (2, "whole")
    servers.next(401, times=9)
    assert send(handler, "GET", "a", base_url=servers.api_url).status_code == 401
    assert servers.counts().requests == 5


@pytest.mark.parametrize(
    ("status", "headers"),
    [(503, {}), (500, {"www-authenticate": 'Bearer error="invalid_token"'})],
)
def test_r3_a_status_that_means_a_rejection_renews_once_and_is_never_retried(
    send: Send, status: int, headers: dict[str, str], servers: Servers
) -> None:
    hook = Hook(servers)
    settings: dict[str, Any] = {"base_url": servers.api_url, "retry": AT_ONCE.with_own_budget()}
    servers.next(status, headers=headers, times=9)
    response = send(hook, "GET", "a", rejected_statuses=[503], **settings)
    assert (response.status_code, hook.calls, servers.counts().requests) == (status, 2, 2)


def test_r4_a_rejection_of_no_token_of_ours_is_retried(send: Send, servers: Servers) -> None:
    with Servers.start() as other:
        servers.next(302, headers={"location": other.api_url})
        other.next(503)
        settings: dict[str, Any] = {"redirects": 5, "retry": AT_ONCE.with_own_budget()}
        send(Hook(servers), "GET", servers.api_url, rejected_statuses=[503], **settings)
        assert other.counts().statuses == {503: 1, 401: 1}


def test_r1_a_retry_at_the_other_origin_does_not_put_the_token_back(
    send: Send, servers: Servers
) -> None:
    with Servers.start() as other:
        servers.next(302, headers={"location": f"{other.api_url}/there"})
        other.next(503)
        settings: dict[str, Any] = {"redirects": 5, "retry": AT_ONCE.with_own_budget()}
        response = send(Hook(servers), "GET", "a", base_url=servers.api_url, **settings)
        assert response.status_code == 401
        assert [each.authorization for each in other.received()] == [None, None]
    assert len(servers.received()) == 1


def test_r4_a_post_that_became_a_get_is_retried_as_a_get(send: Send, servers: Servers) -> None:
    servers.next(303, headers={"location": "/there"})
    servers.next(503)
    settings: dict[str, Any] = {"redirects": 5, "retry": AT_ONCE.with_own_budget()}
    response = send(Hook(servers), "POST", "a", b"x", base_url=servers.api_url, **settings)
    assert response.status_code == 200
    sent = [(each.method, each.path) for each in servers.received()]
    assert sent == [("POST", "/a"), ("GET", "/there"), ("GET", "/there")]


@pytest.mark.parametrize("code", [302, 307])
def test_r3_a_401_to_the_retry_of_a_redirect_renews_the_token(
    send: Send, code: int, servers: Servers
) -> None:
    servers.next(code, headers={"location": "/there"})
    servers.next(503, headers={"retry-after": "0"})
    servers.next(401)
    settings: dict[str, Any] = {"redirects": 5, "retry": AT_ONCE.with_own_budget()}
    response = send(Hook(servers), "POST", "a", b"whole", base_url=servers.api_url, **settings)
    assert response.status_code == 200
    body = "whole" if code == 307 else ""
    assert [each.body for each in servers.received()] == ["whole", *[body] * 3]


def test_r2_without_a_token_nothing_is_sent(send: Send, servers: Servers) -> None:
    def broken() -> str:
        raise OSError("down")

    with pytest.raises(AuthenticationError):
        send(broken, "GET", "a", base_url=servers.api_url)
    assert servers.counts().requests == 0


def hook_of(send: Send, seen: list[int]) -> dict[str, Any]:
    """Event hooks of a client as in the documentation of httpx; what they see is appended."""

    def see(response: httpx.Response) -> None:
        seen.append(response.status_code)
        if response.is_error:
            response.raise_for_status()

    async def see_on_loop(response: httpx.Response) -> None:
        see(response)

    return {"response": [see_on_loop if send.__name__ == "on_loop" else see]}


def test_a_hook_of_httpx_sees_no_response_that_is_retried(send: Send, servers: Servers) -> None:
    seen: list[int] = []
    settings: dict[str, Any] = {"base_url": servers.api_url, "retry": AT_ONCE.with_own_budget()}
    servers.next(302, headers={"location": "/there"})
    servers.next(503)
    response = send(
        Hook(servers), "GET", "a", redirects=3, event_hooks=hook_of(send, seen), **settings
    )
    assert (response.status_code, seen) == (200, [302, 200])
    seen.clear()
    servers.next(401)
    servers.next(503)
    response = send(Hook(servers), "GET", "a", event_hooks=hook_of(send, seen), **settings)
    assert (response.status_code, seen) == (200, [200])


def test_a_hook_of_httpx_sees_the_last_response_and_raises(send: Send, servers: Servers) -> None:
    seen: list[int] = []
    settings: dict[str, Any] = {"base_url": servers.api_url, "retry": AT_ONCE.with_own_budget()}
    servers.next(503, times=9)
    with pytest.raises(httpx.HTTPStatusError) as raised:
        send(Hook(servers), "GET", "a", event_hooks=hook_of(send, seen), **settings)
    assert (raised.value.response.is_closed, seen) == (True, [503])


def test_hooks_of_httpx_can_be_changed_and_see_requests_with_another_auth(
    servers: Servers,
) -> None:
    seen: list[int] = []
    with keyfob.Client(Hook(servers), base_url=servers.api_url) as client:
        client.event_hooks["response"].append(lambda response: seen.append(response.status_code))
        client.get("a", auth=("user", "password"))
        client.event_hooks = {"response": [lambda _: seen.append(0)]}
        client.get("a")
    assert seen == [401, 0]


def test_redirects_are_returned_unless_a_number_is_set(send: Send, servers: Servers) -> None:
    servers.next(302, headers={"location": "/there"})
    assert send(Hook(servers), "GET", "a", base_url=servers.api_url).status_code == 302


@pytest.mark.parametrize("kind", [keyfob.Client, keyfob.AsyncClient])
def test_a_wrong_setting_is_an_error_at_once(kind: Any) -> None:
    for wrong, error in [
        ({"retries": -1}, ValueError),
        ({"verify": False}, ValueError),
        ({"verify": "/nowhere.pem"}, ValueError),
        ({"base_url": "http://api.example.com"}, OriginError),
        ({"timeuot": 1}, TypeError),
        ({"header": "X-Key"}, TypeError),
    ]:
        with pytest.raises(error):
            kind(lambda: "t0ken", **wrong)


@pytest.mark.parametrize("kind", [keyfob.Client, keyfob.AsyncClient])
def test_a_client_is_one_of_httpx_with_a_repr_that_helps(kind: Any) -> None:
    client = kind(lambda: "s3cret", base_url="https://api.example.com", timeout=5)
    assert isinstance(client, (httpx.Client, httpx.AsyncClient))
    assert repr(client) == f"<{kind.__name__} for https://api.example.com: not authenticated>"
    assert client.timeout == httpx.Timeout(5)


def test_an_unknown_name_of_the_package_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Clients'"):
        keyfob.Clients  # type: ignore[attr-defined]  # noqa: B018
