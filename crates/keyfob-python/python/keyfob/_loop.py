"""Waiting for a token on an event loop, asyncio's or trio's, without a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Protocol

from keyfob._core import Lease, Waiting


class Loop(Protocol):
    """The event loop that runs."""

    def ring(self) -> None:
        """Wakes the one who waits, from any thread."""

    async def wait(self, seconds: float) -> bool:
        """Waits until it rings; false if it does not in time."""
        ...

    def run(self, awaitable: Awaitable[Any]) -> Any:
        """Runs an awaitable on the loop to its end, called from another thread."""


def run_here(awaitable: Awaitable[Any]) -> Any:
    """Runs an awaitable to its end on a loop of this thread's own."""
    return asyncio.run(_awaited(awaitable))


def current() -> Loop:
    """The loop on which this is called."""
    try:
        return _Asyncio()
    except RuntimeError:
        return _Trio()


async def finish(
    loop: Loop, begin: Callable[[Callable[[], None]], Waiting], max_wait: float
) -> tuple[Lease | None] | None:
    """What the wait brings, or ``None`` if that takes longer than the max_wait."""
    waiting = begin(loop.ring)
    while (outcome := waiting.poll()) is None:
        if not await loop.wait(max_wait):
            return None
    return outcome


class _Asyncio:
    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._rung = asyncio.Event()

    def ring(self) -> None:
        with suppress(RuntimeError):  # The loop has been closed, and nobody waits any more.
            self._loop.call_soon_threadsafe(self._rung.set)

    async def wait(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._rung.wait(), seconds)
        except asyncio.TimeoutError:
            return False
        self._rung.clear()
        return True

    def run(self, awaitable: Awaitable[Any]) -> Any:
        if not self._loop.is_running():
            return run_here(awaitable)
        return asyncio.run_coroutine_threadsafe(_awaited(awaitable), self._loop).result()


class _Trio:
    def __init__(self) -> None:
        import trio

        self._token = trio.lowlevel.current_trio_token()
        self._rung = trio.Event()

    def ring(self) -> None:
        import trio

        with suppress(trio.RunFinishedError):  # Nobody waits any more.
            self._token.run_sync_soon(self._rung.set)

    async def wait(self, seconds: float) -> bool:
        import trio

        with trio.move_on_after(seconds):
            await self._rung.wait()
            self._rung = trio.Event()
            return True
        return False

    def run(self, awaitable: Awaitable[Any]) -> Any:
        import trio

        return trio.from_thread.run(_awaited, awaitable, trio_token=self._token)


async def _awaited(awaitable: Awaitable[Any]) -> Any:
    return await awaitable
