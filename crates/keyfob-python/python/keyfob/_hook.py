"""Calls the user's ``get_token`` on a thread of its own, or as a greenlet of its own."""

from __future__ import annotations

import inspect
import sys
from asyncio import CancelledError
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError as FutureCancelledError
from contextvars import ContextVar, copy_context
from functools import partial
from importlib import import_module
from typing import Any

from keyfob import _core
from keyfob._event_loop import patched_by_gevent, run, start_thread
from keyfob._hook_result import HookResult, report
from keyfob.errors import AuthenticationError

GetToken = Callable[[], HookResult] | Callable[[], Awaitable[HookResult]] | _core.Source
"""A source of tokens: a callable, a coroutine function, or one of :mod:`keyfob.sources`."""

running_for: ContextVar[tuple[int, ...]] = ContextVar("keyfob.running_for", default=())
"""The numbers of the caches whose hooks this context runs; the hook must not wait for those caches."""


class Caller:
    """The caller that causes a call of the hook: its context variables, and its hub if it is a greenlet (gevent)."""

    def __init__(self) -> None:
        self._context = copy_context()
        self._hub: Any = import_module("gevent").get_hub() if patched_by_gevent() else None
        if self._hub is not None and not self._hub.main_hub:
            # On another thread the hub may stop when the caller has its token, so a hook has a thread of its own there.
            self._hub = None

    def start(self, work: Callable[[], object]) -> None:
        """Starts this work in a copy of the caller's context: on a new thread, or as a greenlet of the caller's hub.

        A greenlet can use the sockets and locks of its hub; a thread could not.
        """
        # Another call may run in the caller's own copy at the same time.
        work = partial(self._context.copy().run, work)
        if self._hub is None:
            start_thread(work, "keyfob-hook")
            return
        self._hub.loop.run_callback_threadsafe(import_module("gevent").spawn, work)


def start(get_token: Callable[[], Any], call: _core.HookCall, caller: Caller | None) -> None:
    """Calls the hook for a caller, and reports the result to ``call``."""
    try:
        (caller or Caller()).start(partial(_run, get_token, call))
    except Exception as refused:  # The system refuses another thread.
        call.fail(refused)


def _run(get_token: Callable[[], Any], call: _core.HookCall) -> None:
    running_for.set((call.cache,))
    sniffio = sys.modules.get("sniffio")
    if sniffio is not None:
        # The caller's context says that trio runs, if it does. It does not run on this thread.
        sniffio.current_async_library_cvar.set(None)
    try:
        result = get_token()
        if inspect.isawaitable(result):
            result = run(result, call.timeout)
    except (CancelledError, FutureCancelledError) as cancelled:
        call.interrupt(cancelled, False)
        return
    except Exception as raised:
        call.fail(raised)
        return
    except BaseException as raised:  # The caller that waits gets a `SystemExit` too.
        call.interrupt(raised, True)
        return
    try:
        report(result, call)
    except AuthenticationError as refusal:
        call.fail(refusal)
    except (TypeError, ValueError) as unusable:
        call.reject(str(unusable))
