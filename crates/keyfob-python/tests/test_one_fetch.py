"""T1: all callers that need a token at the same time cause one call of the hook."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import httpx
import requests
from keyfob import ExternallyManagedJWTSession, GenericExternallyManagedJWTHandler
from servers import Servers
from tokens import Hook, ahead, together, wait_until


def test_t1_200_threads_cause_one_call() -> None:
    hook = Hook()
    handler = GenericExternallyManagedJWTHandler(None, None, hook)
    hook.hold()

    def get() -> str:
        if hook.calls == 1:
            hook.release()
        return handler.get_valid_token()

    def first() -> str:
        # Most threads wait by the time the hook returns; the others find the token.
        return handler.get_valid_token()

    def free() -> None:
        wait_until(lambda: hook.calls > 0)
        time.sleep(0.05)
        hook.release()

    outcomes = together([first] * 200 + [free])
    assert set(outcomes) == {"token-1", None}
    assert hook.calls == 1
    assert handler.status()["renewals"] == 1
    assert get() == "token-1"


def test_t1_each_way_to_get_a_token_waits_for_the_same_call() -> None:
    hook = Hook()
    handler = GenericExternallyManagedJWTHandler(None, None, hook)
    session = ExternallyManagedJWTSession(handler)
    together(
        [
            handler.authenticate,
            lambda: handler.authenticate(force=True),
            handler.get_valid_token,
            lambda: handler.get_valid_token(force=True),
            handler.get_valid_token_with_expiry,
            session.authenticate,
            lambda: session.request_headers,
            hook_released_late(hook),
        ]
    )
    assert hook.most_at_once == 1
    # A forced renewal that begins after the first call has ended is a call of its own.
    assert 1 <= hook.calls <= 3


def hook_released_late(hook: Hook) -> Callable[[], None]:
    hook.hold()

    def release() -> None:
        wait_until(lambda: hook.calls == 1)
        time.sleep(0.1)
        hook.release()

    return release


def test_t1_sessions_and_auth_objects_of_one_handler_cause_one_call(servers: Servers) -> None:
    servers.next_token(after=0.1)
    handler = GenericExternallyManagedJWTHandler(None, None, lambda: (servers.token(), ahead(3600)))
    sessions = [ExternallyManagedJWTSession(handler) for _ in range(2)]
    auth, httpx_auth = handler.auth(), handler.httpx_auth()

    def by_httpx() -> int:
        with httpx.Client(auth=httpx_auth) as client:
            return client.get(servers.api_url).status_code

    statuses = together(
        [
            *(
                lambda session=session: session.get(servers.api_url).status_code
                for session in sessions * 5
            ),
            *[lambda: requests.get(servers.api_url, auth=auth, timeout=10).status_code] * 5,
            *[by_httpx] * 5,
        ]
    )
    assert statuses == [200] * 20
    assert servers.counts().token_requests == 1


def test_t1_threads_and_tasks_cause_one_call() -> None:
    hook = Hook()
    hook.hold()
    handler = GenericExternallyManagedJWTHandler(None, None, hook)

    async def program() -> set[str]:
        transport = httpx.MockTransport(lambda _: httpx.Response(200))
        async with httpx.AsyncClient(transport=transport, auth=handler.httpx_auth()) as client:
            waiting = [client.get("https://api.example.com") for _ in range(50)]
            responses = await asyncio.gather(*waiting)
        return {response.request.headers["authorization"] for response in responses}

    def release() -> None:
        wait_until(lambda: hook.calls == 1)
        hook.release()

    works = [handler.get_valid_token] * 20 + [lambda: asyncio.run(program())] * 3 + [release]
    outcomes = together(works)
    assert outcomes == ["token-1"] * 20 + [{"Bearer token-1"}] * 3 + [None]
    assert hook.calls == 1


def test_t1_a_handler_calls_the_hook_only_when_a_token_is_needed() -> None:
    hook = Hook()
    handler = GenericExternallyManagedJWTHandler(None, None, hook)
    assert handler.authenticated is False
    assert handler.jwt is None
    handler.status()
    assert hook.calls == 0
    assert [handler.get_valid_token() for _ in range(5)] == ["token-1"] * 5
    assert hook.calls == 1
