"""T7: a hook that is slow, or waits for itself."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

import httpx
import pytest
import requests
from keyfob import (
    AuthenticationError,
    ExternallyManagedJWTSession,
    GenericExternallyManagedJWTHandler,
    _event_loop,
)
from tokens import Hook, ahead, together, wait_until

NOWHERE = "http://127.0.0.1:9/"


class Impatient(GenericExternallyManagedJWTHandler):
    fetch_timeout = 0.1


def test_t7_a_hook_that_times_out_is_an_error_for_all_callers_that_wait() -> None:
    hook = Hook()
    hook.hold()
    handler = Impatient(None, None, hook)
    errors = together([handler.get_valid_token] * 10)
    for error in errors:
        assert isinstance(error, AuthenticationError)
        assert "gave no token within 100 ms" in str(error)
    assert hook.calls == 1
    hook.release()


def test_t7_a_call_that_hangs_costs_one_thread_and_not_the_handler(
    caplog: pytest.LogCaptureFixture,
) -> None:
    never = threading.Event()
    hook = Hook()

    def hangs_once() -> tuple[str, datetime]:
        if hook.calls == 0:
            hook.calls = 1
            never.wait()
        return hook()

    handler = Impatient(None, None, hangs_once)
    with pytest.raises(AuthenticationError, match="gave no token within 100 ms"):
        handler.authenticate()
    # The cool-down counts, and then the next call is made.
    with pytest.raises(AuthenticationError, match="gave no token within 100 ms"):
        handler.authenticate()
    wait_until(lambda: recovered(handler))
    assert handler.jwt == "token-2"
    assert "earlier calls have not returned" in caplog.text
    never.set()


def recovered(handler: GenericExternallyManagedJWTHandler) -> bool:
    try:
        handler.authenticate()
    except AuthenticationError:
        return False
    return True


def test_t7_calls_that_hang_are_bounded() -> None:
    hook = Hook()
    hook.hold()
    handler = Impatient(None, None, hook)
    for _ in range(16):
        with pytest.raises(AuthenticationError, match="gave no token within 100 ms"):
            handler.authenticate(force=True)
    for _ in range(3):
        with pytest.raises(AuthenticationError, match="16 calls of the token hook"):
            handler.authenticate(force=True)
    assert hook.calls == 16
    hook.release()
    wait_until(lambda: recovered(handler))


def test_t7_a_coroutine_that_hangs_is_cancelled() -> None:
    cancelled = threading.Event()

    async def hook() -> tuple[str, datetime]:
        try:
            await asyncio.sleep(600)
        finally:
            cancelled.set()
        raise AssertionError

    handler = Impatient(None, None, hook)  # type: ignore[arg-type]
    with pytest.raises(AuthenticationError, match="gave no token within 100 ms"):
        handler.authenticate()
    assert cancelled.wait(15)


def test_t7_a_coroutine_that_blocks_its_loop_stops_no_other_handler(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_event_loop, "_PATIENCE", 0.2)
    blocks, never = threading.Event(), threading.Event()

    async def blocking() -> tuple[str, datetime]:
        blocks.set()
        never.wait()
        return "late", ahead(60)

    async def works() -> tuple[str, datetime]:
        await asyncio.sleep(0)
        return "t0ken", ahead(60)

    blocked = GenericExternallyManagedJWTHandler(None, None, blocking)  # type: ignore[arg-type]
    other = GenericExternallyManagedJWTHandler(None, None, works)  # type: ignore[arg-type]
    thread = threading.Thread(target=recovered, args=[blocked])
    thread.start()
    assert blocks.wait(15)
    assert other.get_valid_token() == "t0ken"
    never.set()
    thread.join()


def test_t3_t7_a_valid_token_is_used_while_a_hook_hangs() -> None:
    hook = Hook()
    hook.hold()
    handler = Impatient("mine", ahead(10), hook)
    # In the leeway, the first caller waits until the hook times out. Later callers do not wait.
    assert handler.get_valid_token() == "mine"
    began = time.monotonic()
    assert {handler.get_valid_token() for _ in range(300)} == {"mine"}
    # With a wait each, these would take 30 seconds.
    assert time.monotonic() - began < 15
    hook.release()


def test_a_subclass_can_limit_the_time_of_its_hook() -> None:
    class Patient(Impatient):
        fetch_timeout = 20

    hook = Hook()

    def slow() -> tuple[str, datetime]:
        time.sleep(0.2)
        return hook()

    assert Patient(None, None, slow).get_valid_token() == "token-1"


ITSELF = "would wait for itself"


def fails_at_once(handler: GenericExternallyManagedJWTHandler) -> AuthenticationError:
    began = time.monotonic()
    with pytest.raises(AuthenticationError) as raised:
        handler.get_valid_token()
    assert time.monotonic() - began < 15
    inner = raised.value.__cause__
    assert isinstance(inner, AuthenticationError)
    return inner


def test_t7_a_hook_that_uses_its_own_handler_fails_at_once() -> None:
    uses: list[Any] = [
        lambda: handler.get_valid_token(),
        lambda: handler.get_valid_token(force=True),
        lambda: handler.get_valid_token_with_expiry(),
        lambda: handler.authenticate(),
        lambda: handler.authenticate(force=True),
        lambda: session.request_headers,
        lambda: session.get(NOWHERE),
        lambda: requests.get(NOWHERE, auth=handler.auth(), timeout=1),
        lambda: httpx.get(NOWHERE, auth=handler.httpx_auth()),
    ]
    for use in uses:
        handler = GenericExternallyManagedJWTHandler(None, None, use)
        session = ExternallyManagedJWTSession(handler)
        assert ITSELF in str(fails_at_once(handler))


def test_t7_a_coroutine_that_uses_its_own_handler_fails_at_once() -> None:
    async def by_httpx() -> tuple[str, datetime]:
        async with httpx.AsyncClient(auth=handler.httpx_auth()) as client:
            await client.get(NOWHERE)
        raise AssertionError

    async def by_itself() -> tuple[str, datetime]:
        return handler.get_valid_token(), ahead(60)

    for hook in [by_httpx, by_itself]:
        handler = GenericExternallyManagedJWTHandler(None, None, hook)  # type: ignore[arg-type]
        assert ITSELF in str(fails_at_once(handler))


@pytest.mark.parametrize("hooks", [2, 3])
@pytest.mark.parametrize("forced", [False, True])
def test_t7_hooks_that_wait_for_each_other_fail_at_once(hooks: int, forced: bool) -> None:
    def in_a_circle() -> list[GenericExternallyManagedJWTHandler]:
        def hook(number: int) -> tuple[str, datetime]:
            other = handlers[(number + 1) % hooks]
            return other.get_valid_token(force=forced), ahead(60)

        handlers = [
            GenericExternallyManagedJWTHandler(None, None, partial(hook, number))
            for number in range(hooks)
        ]
        return handlers

    error: BaseException | None = fails_at_once(in_a_circle()[0])
    texts = []
    while error is not None:
        texts.append(str(error))
        error = error.__cause__
    assert ITSELF in texts[-1]
    # The same with simultaneous callers of each handler.
    began = time.monotonic()
    for outcome in together([handler.authenticate for handler in in_a_circle()]):
        assert isinstance(outcome, AuthenticationError)
    assert time.monotonic() - began < 15


def test_t7_coroutines_that_wait_for_each_other_fail_at_once() -> None:
    async def hook_of(other: int) -> tuple[str, datetime]:
        async with httpx.AsyncClient(auth=handlers[other].httpx_auth()) as client:
            await client.get(NOWHERE)
        raise AssertionError

    async def program() -> None:
        async with httpx.AsyncClient(auth=handlers[0].httpx_auth()) as client:
            await client.get(NOWHERE)

    handlers = [
        GenericExternallyManagedJWTHandler(None, None, partial(hook_of, other)) for other in (1, 0)
    ]
    began = time.monotonic()
    with pytest.raises(AuthenticationError):
        asyncio.run(program())
    assert time.monotonic() - began < 15


def test_hooks_may_use_each_others_valid_tokens() -> None:
    first = GenericExternallyManagedJWTHandler(
        None, None, lambda: (f"of-{second.get_valid_token()}", ahead(60))
    )
    second = GenericExternallyManagedJWTHandler(
        "there", ahead(3600), lambda: (first.get_valid_token(), ahead(60))
    )
    assert first.get_valid_token() == "of-there"
    assert second.get_valid_token(force=True) == "of-there"


def test_waits_between_hooks_are_forgotten_when_they_end() -> None:
    first = GenericExternallyManagedJWTHandler(
        None, None, lambda: (f"of-{second.get_valid_token()}", ahead(3600))
    )
    results: list[Callable[[], str]] = [
        lambda: "there",
        lambda: f"of-{first.get_valid_token(force=True)}",
    ]
    second = GenericExternallyManagedJWTHandler(None, None, lambda: (results.pop(0)(), ahead(3600)))
    assert first.get_valid_token() == "of-there"
    # Now the second hook waits for the first.
    assert second.get_valid_token(force=True) == "of-of-there"


def test_a_hook_may_use_another_handler() -> None:
    inner = GenericExternallyManagedJWTHandler(None, None, Hook())
    outer = GenericExternallyManagedJWTHandler(
        None, None, lambda: (f"outer-of-{inner.get_valid_token()}", ahead(60))
    )
    assert outer.get_valid_token() == "outer-of-token-1"


def test_a_hook_may_read_the_state_of_its_own_handler() -> None:
    seen = []

    def hook() -> tuple[str, datetime]:
        seen.append((handler.authenticated, handler.jwt, handler.status()["renewing"]))
        return "mine", ahead(60)

    handler = GenericExternallyManagedJWTHandler(None, None, hook)
    assert handler.get_valid_token() == "mine"
    assert seen == [(False, None, True)]
