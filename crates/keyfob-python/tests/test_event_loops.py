"""T7: coroutine hooks run on one event loop of keyfob's own, from whichever loop or thread a token is asked for."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Coroutine, Iterator
from datetime import datetime
from typing import Any

import anyio
import httpx
import pytest
import trio
import uvloop
from keyfob import ExternallyManagedJWTSession, GenericExternallyManagedJWTHandler, _event_loop
from program import run
from servers import Servers
from tokens import ahead, together, wait_until

Program = Callable[[], Coroutine[Any, Any, Any]]


def _on_trio(program: Program) -> Any:
    return anyio.run(program, backend="trio")


def _on_a_stopped_loop(program: Program) -> Any:
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(program())
    finally:
        loop.close()


def _on_a_thread(program: Program) -> Any:
    (outcome,) = together([lambda: asyncio.run(program())])
    return outcome


LOOPS: dict[str, Callable[[Program], Any]] = {
    "asyncio": lambda program: asyncio.run(program()),
    "asyncio on a thread": _on_a_thread,
    "a loop that is stopped": _on_a_stopped_loop,
    "uvloop": lambda program: uvloop.run(program()),
    "trio": trio.run,
    "trio by anyio": _on_trio,
    "asyncio by anyio": lambda program: anyio.run(program, backend="asyncio"),
}


class Hook:
    """Fetches tokens with a client that belongs to the loop of its first call."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._client: httpx.AsyncClient | None = None
        self._lock = asyncio.Lock()
        self.loops: list[asyncio.AbstractEventLoop] = []

    async def __call__(self) -> tuple[str, datetime]:
        self.loops.append(asyncio.get_running_loop())
        async with self._lock:
            if self._client is None:
                self._client = httpx.AsyncClient(trust_env=False)
            form = {"grant_type": "client_credentials"}
            response = await self._client.post(self._servers.token_url, data=form)
        return response.json()["access_token"], ahead(3600)

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()


@pytest.fixture
def hook(servers: Servers) -> Iterator[Hook]:
    hook = Hook(servers)
    yield hook
    _event_loop.run(hook.close(), 30)


def asks(servers: Servers, handler: GenericExternallyManagedJWTHandler) -> Program:
    async def program() -> int:
        auth = handler.httpx_auth()
        async with httpx.AsyncClient(auth=auth, trust_env=False) as client:
            return (await client.get(servers.api_url)).status_code

    return program


@pytest.mark.parametrize("kind", LOOPS)
def test_a_client_waits_for_its_first_token_and_after_a_401(
    kind: str, servers: Servers, hook: Hook
) -> None:
    handler = GenericExternallyManagedJWTHandler(None, None, hook)
    assert LOOPS[kind](asks(servers, handler)) == 200
    servers.revoke()
    assert LOOPS[kind](asks(servers, handler)) == 200
    assert servers.counts().tokens == 2
    assert len(set(hook.loops)) == 1


def test_t7_one_hook_serves_all_loops_and_threads_in_turn(servers: Servers, hook: Hook) -> None:
    handler = GenericExternallyManagedJWTHandler(None, None, hook)
    session = ExternallyManagedJWTSession(handler)
    for ask in LOOPS.values():
        assert ask(asks(servers, handler)) == 200
        servers.revoke()
        assert session.get(servers.api_url).status_code == 200
        servers.revoke()
    assert len(set(hook.loops)) == 1
    assert len(hook.loops) == 2 * len(LOOPS)


def test_t7_a_sync_call_inside_a_loop_that_it_blocks_gets_its_token(
    servers: Servers, hook: Hook
) -> None:
    handler = GenericExternallyManagedJWTHandler(None, None, hook)
    session = ExternallyManagedJWTSession(handler)

    async def program() -> list[int]:
        client = await asks(servers, handler)()
        servers.revoke()
        return [client, session.get(servers.api_url).status_code]

    assert asyncio.run(program()) == [200, 200]


def test_t1_tasks_of_several_loops_and_threads_cause_one_call(servers: Servers, hook: Hook) -> None:
    handler = GenericExternallyManagedJWTHandler(None, None, hook)
    session = ExternallyManagedJWTSession(handler)
    outcomes = together(
        [
            *[lambda kind=kind: kind(asks(servers, handler)) for kind in LOOPS.values()],
            *[lambda: session.get(servers.api_url).status_code] * 5,
        ]
    )
    assert set(outcomes) == {200}
    assert len(hook.loops) == 1


def test_t7_a_cancelled_caller_on_another_loop_cancels_no_call(servers: Servers) -> None:
    began, goes_on = threading.Event(), threading.Event()

    async def slow() -> tuple[str, datetime]:
        began.set()
        await asyncio.to_thread(goes_on.wait)
        return servers.token(), ahead(3600)

    handler = GenericExternallyManagedJWTHandler(None, None, slow)  # type: ignore[arg-type]

    async def impatient() -> None:
        task = asyncio.create_task(asks(servers, handler)())
        await asyncio.to_thread(began.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(impatient())
    goes_on.set()
    wait_until(lambda: handler.authenticated)
    assert handler.status()["failures"] == 0


TASK: contextvars.ContextVar[str] = contextvars.ContextVar("task", default="none")


@pytest.mark.parametrize("kind", LOOPS)
def test_a_hook_has_the_context_of_the_task_that_caused_its_call(
    kind: str, servers: Servers
) -> None:
    seen = []

    async def hook() -> tuple[str, datetime]:
        await asyncio.sleep(0)
        seen.append(TASK.get())
        return servers.token(), ahead(3600)

    handler = GenericExternallyManagedJWTHandler(None, None, hook)  # type: ignore[arg-type]

    async def program() -> int:
        TASK.set(kind)
        return await asks(servers, handler)()

    assert LOOPS[kind](program) == 200
    assert seen == [kind]


def test_a_hook_of_a_caller_on_trio_may_run_a_loop_itself(servers: Servers) -> None:
    async def fetch() -> tuple[str, datetime]:
        await anyio.sleep(0)
        return servers.token(), ahead(3600)

    handler = GenericExternallyManagedJWTHandler(None, None, lambda: anyio.run(fetch))
    assert _on_trio(asks(servers, handler)) == 200


def test_the_loop_keeps_no_program_from_its_end() -> None:
    run(
        """
import asyncio
async def hook():
    await asyncio.sleep(0.01)
    return "t0ken", ahead(3600)
assert GenericExternallyManagedJWTHandler(None, None, hook).get_valid_token() == "t0ken"
async def hangs():
    await asyncio.sleep(600)
GenericExternallyManagedJWTHandler("mine", ahead(40), hangs).get_valid_token()
"""
    )
