"""Waits for a token on the event loop of asyncio or trio, without blocking a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Protocol

from keyfob._core import Lease, PendingLease


class EventLoop(Protocol):
    """The running event loop."""

    def wake(self) -> None:
        """Ends the current wait; may be called from any thread."""

    async def wait(self, seconds: float) -> bool:
        """Waits until ``wake`` is called; false if that takes longer than ``seconds``."""
        ...

    def run(self, awaitable: Awaitable[Any]) -> Any:
        """Runs an awaitable on the loop and returns its result; called from another thread."""


def run_here(awaitable: Awaitable[Any]) -> Any:
    """Runs an awaitable on a new loop of the calling thread."""
    return asyncio.run(_awaited(awaitable))


def current() -> EventLoop:
    """The event loop that runs the caller."""
    try:
        return _Asyncio()
    except RuntimeError:
        return _Trio()


async def wait_for_lease(
    loop: EventLoop, begin: Callable[[Callable[[], None]], PendingLease], max_wait: float
) -> tuple[Lease | None] | None:
    """Waits for a lease, in a tuple; ``None`` if one wait takes longer than ``max_wait`` seconds."""
    pending = begin(loop.wake)
    while (outcome := pending.poll()) is None:
        if not await loop.wait(max_wait):
            return None
    return outcome


class _Asyncio:
    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._woken = asyncio.Event()

    def wake(self) -> None:
        with suppress(RuntimeError):  # The loop is closed, so no task waits any more.
            self._loop.call_soon_threadsafe(self._woken.set)

    async def wait(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._woken.wait(), seconds)
        except asyncio.TimeoutError:
            return False
        self._woken.clear()
        return True

    def run(self, awaitable: Awaitable[Any]) -> Any:
        if not self._loop.is_running():
            return run_here(awaitable)
        return asyncio.run_coroutine_threadsafe(_awaited(awaitable), self._loop).result()


class _Trio:
    def __init__(self) -> None:
        import trio

        self._token = trio.lowlevel.current_trio_token()
        self._woken = trio.Event()

    def wake(self) -> None:
        import trio

        with suppress(trio.RunFinishedError):  # No task waits any more.
            self._token.run_sync_soon(self._wake)

    def _wake(self) -> None:
        self._woken.set()

    async def wait(self, seconds: float) -> bool:
        import trio

        with trio.move_on_after(seconds):
            await self._woken.wait()
            self._woken = trio.Event()
            return True
        return False

    def run(self, awaitable: Awaitable[Any]) -> Any:
        import trio

        return trio.from_thread.run(_awaited, awaitable, trio_token=self._token)


async def _awaited(awaitable: Awaitable[Any]) -> Any:
    return await awaitable
