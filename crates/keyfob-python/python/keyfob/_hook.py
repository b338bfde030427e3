"""Calls the user's ``get_token`` on a thread of its own."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from datetime import datetime
from typing import Any

from keyfob import _core
from keyfob._event_loop import run_here
from keyfob._values import JWT, to_timestamp

HookResult = tuple[str, datetime | None] | JWT
GetToken = Callable[[], HookResult] | Callable[[], Awaitable[HookResult]] | _core.Source
"""A source of tokens: a callable, a coroutine function, or one of :mod:`keyfob.sources`."""

running_for: ContextVar[tuple[int, ...]] = ContextVar("keyfob.running_for", default=())
"""The numbers of the caches whose hooks this context runs; the hook must not wait for those caches."""


class Hook:
    """``get_token``, and the event loop for the coroutine that it may return."""

    def __init__(self, get_token: Callable[[], Any]) -> None:
        self._get_token = get_token
        self.run: Callable[[Awaitable[Any]], Any] | None = None
        """Runs an awaitable on the event loop that waits for the token, from another thread."""

    def __call__(self) -> Any:
        result = self._get_token()
        if not inspect.isawaitable(result):
            return result
        return (self.run or run_here)(result)


def start(get_token: Callable[[], Any], call: _core.HookCall) -> None:
    """Calls the hook on a new thread, which reports the result to ``call``."""
    # A daemon thread, so that a hook that hangs does not keep the program alive.
    threading.Thread(target=_run, args=(get_token, call), name="keyfob-hook", daemon=True).start()


def _run(get_token: Callable[[], Any], call: _core.HookCall) -> None:
    running_for.set((*running_for.get(), call.cache))
    try:
        result = get_token()
    except BaseException as raised:  # Callers that wait get a `SystemExit` too.
        call.fail(raised)
        return
    try:
        call.succeed(*_token_and_expiry(result))
    except (TypeError, ValueError) as unusable:
        call.reject(str(unusable))


def _token_and_expiry(result: Any) -> tuple[str, float | None]:
    if isinstance(result, JWT):
        jwt, expires = result.jwt, result.expires
    elif isinstance(result, (tuple, list)) and len(result) == 2:
        jwt, expires = result
    else:
        kind = type(result).__name__
        raise TypeError(f"get_token must return (jwt, expires) or a JWT, not {kind}")
    if not isinstance(jwt, str):
        raise TypeError(f"get_token must return the token as a str, not {type(jwt).__name__}")
    return jwt, None if expires is None else to_timestamp(expires)
