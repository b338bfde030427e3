"""Event loops: keyfob's own, which runs coroutine hooks, and waits for a token on the loop of a caller."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from importlib import import_module
from typing import Any, Protocol

from keyfob._core import Lease, PendingLease

_logger = logging.getLogger("keyfob")


class EventLoop(Protocol):
    """The running event loop of a caller."""

    def wake(self) -> None:
        """Ends the current wait; may be called from any thread."""

    async def wait(self, seconds: float) -> bool:
        """Waits until ``wake`` is called; false if that takes longer than ``seconds``."""
        ...


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


class HubWait:
    """One wait of the calling greenlet, in the hub of its thread (gevent)."""

    def __init__(self) -> None:
        loop = import_module("gevent").get_hub().loop
        self._woken = import_module("gevent.event").Event()
        # An `Event` itself may be set only on the thread of its hub, and does not keep a hub alive that has nothing else to do.
        self._watcher = loop.async_()
        self._watcher.start(self._woken.set)

    def wake(self) -> None:
        """Ends the current wait; may be called from any thread."""
        with suppress(Exception):  # The wait is over, and the watcher is closed.
            self._watcher.send()

    def wait(self, seconds: float | None) -> bool:
        """Waits until ``wake`` is called; false if that takes longer than ``seconds``."""
        woken: bool = self._woken.wait(seconds)
        self._woken.clear()
        return woken

    def close(self) -> None:
        """Ends this wait for good."""
        self._watcher.stop()
        self._watcher.close()


def hub_wait() -> HubWait | None:
    """The wait of a greenlet; ``None`` in a process that gevent has not patched."""
    return HubWait() if patched_by_gevent() else None


def patched_by_gevent() -> bool:
    """Whether gevent has patched the blocking functions of the standard library."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("socket"))


def run(awaitable: Awaitable[Any], seconds: float) -> Any:
    """Runs an awaitable on keyfob's own event loop, in the context of the caller, and returns its result.

    It is the same loop for all hooks, however their callers wait, so that a hook may keep clients and locks of that loop. After
    ``seconds`` the awaitable is cancelled.
    """
    while True:
        loop = _loop()
        started = _Signal()
        task = asyncio.run_coroutine_threadsafe(_started(awaitable, started), loop)
        if started.wait(_PATIENCE) or not task.cancel():
            return _result(task, seconds)
        # A hook blocks the thread of the loop, so that no other hook can run there.
        _logger.warning("a coroutine hook blocks its event loop; another loop is started")
        _replace(loop)


async def _started(awaitable: Awaitable[Any], started: _Signal) -> Any:
    started.set()
    return await awaitable


def _result(task: Future[Any], seconds: float) -> Any:
    done = _Signal()
    task.add_done_callback(lambda _: done.set())
    # A second longer than the renewal waits, which reports the delay itself.
    if not done.wait(seconds + 1) and task.cancel():
        raise TimeoutError
    return task.result()


class _Signal:
    """A ``threading.Event`` for one wait that another thread may set also in a process that gevent has patched."""

    def __init__(self) -> None:
        self._is_set = False
        self._hub_wait = hub_wait()
        self._event = None if self._hub_wait else threading.Event()

    def set(self) -> None:
        self._is_set = True
        if self._event:
            self._event.set()
        elif self._hub_wait:
            self._hub_wait.wake()

    def wait(self, seconds: float) -> bool:
        if self._event:
            return self._event.wait(seconds)
        if self._hub_wait:
            if not self._is_set:
                self._hub_wait.wait(seconds)
            self._hub_wait.close()
        return self._is_set


def _loop() -> asyncio.AbstractEventLoop:
    """The loop of this process; it is started if there is none."""
    global _own
    with _starting:
        if _own is None or _own[0] != os.getpid():
            if _own is not None:
                _left_behind.append(_own[1])
            _own = (os.getpid(), _start())
        return _own[1]


def _replace(loop: asyncio.AbstractEventLoop) -> None:
    global _own
    with _starting:
        if _own is not None and _own[1] is loop:
            _left_behind.append(loop)
            _own = None


def _start() -> asyncio.AbstractEventLoop:
    loops: list[asyncio.AbstractEventLoop] = []
    made = _Signal()

    def work() -> None:
        # On the thread that runs it: under gevent, the watchers of a loop belong to the hub of the thread that makes it.
        try:
            loops.append(asyncio.new_event_loop())
        finally:
            made.set()
        _run_forever(loops[0])

    start_thread(work, "keyfob-loop")
    made.wait(_PATIENCE)
    if not loops:
        raise RuntimeError(
            "no event loop for coroutine hooks can be made; the thread that makes it failed"
        )
    return loops[0]


def _run_forever(loop: asyncio.AbstractEventLoop) -> None:
    if patched_by_gevent():
        # Keeps the hub of this thread alive while the loop has nothing to do.
        watcher = import_module("gevent").get_hub().loop.async_()
        watcher.start(int)
        # The threads of the default executor would be greenlets, for which the exit of the program would wait in vain.
        loop.run_in_executor = partial(_run_in_thread, loop)  # type: ignore[assignment]
    while _was_interrupted(loop):
        pass  # The other hooks go on.


def _was_interrupted(loop: asyncio.AbstractEventLoop) -> bool:
    """Runs the loop. It ends early if a hook asks to exit, which ``asyncio`` raises here too; the caller of the hook gets it."""
    try:
        loop.run_forever()
    except (KeyboardInterrupt, SystemExit):
        return True
    return False


def _run_in_thread(
    loop: asyncio.AbstractEventLoop, _: object, function: Callable[..., Any], *arguments: Any
) -> asyncio.Future[Any]:
    """Like ``run_in_executor`` of the loop, on a new thread of the system."""
    future = loop.create_future()

    def set_outcome(method: Callable[[Any], None], outcome: Any) -> None:
        if not future.done():
            method(outcome)

    def work() -> None:
        try:
            outcome = future.set_result, function(*arguments)
        except Exception as raised:
            outcome = future.set_exception, raised
        loop.call_soon_threadsafe(set_outcome, *outcome)

    start_thread(work, "keyfob-executor")
    return future


def start_thread(work: Callable[[], object], name: str) -> None:
    """Starts a daemon thread of the system, also in a process where gevent has patched threads to be greenlets."""
    if patched_by_gevent():
        import_module("gevent.monkey").get_original("_thread", "start_new_thread")(work, ())
        return
    # A daemon thread, so that a hook that hangs does not keep the program alive.
    threading.Thread(target=work, name=name, daemon=True).start()


def after_fork_in_child() -> None:
    """Forgets that a thread of the parent may be starting the loop."""
    global _starting
    _starting = threading.Lock()


_own: tuple[int, asyncio.AbstractEventLoop] | None = None
"""The process, and its loop for coroutine hooks."""

_left_behind: list[asyncio.AbstractEventLoop] = []
"""Loops that cannot be closed: those of the parent process, and those whose thread a hook blocks."""

_starting = threading.Lock()

_PATIENCE = 5.0
"""A loop that starts no task within this time is blocked, in seconds."""
