"""Calling the user's ``get_token``, on a thread of its own."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from datetime import datetime
from typing import Any

from keyfob import _core
from keyfob._expiry import to_timestamp
from keyfob._jwt import JWT
from keyfob._loop import run_here

Answer = tuple[str, datetime | None] | JWT
GetToken = Callable[[], Answer] | Callable[[], Awaitable[Answer]] | _core.Source
"""What gives tokens: a callable, a coroutine function, or one of :mod:`keyfob.sources`."""

asked_by: ContextVar[tuple[int, ...]] = ContextVar("keyfob.asked_by", default=())
"""The numbers of the caches on whose behalf this context runs a hook, which must not wait for itself."""


class Hook:
    """``get_token``, and where its coroutine runs if it returns one."""

    def __init__(self, get_token: Callable[[], Any]) -> None:
        self._get_token = get_token
        self.run: Callable[[Awaitable[Any]], Any] | None = None
        """Runs an awaitable on the event loop of whoever awaits tokens, from another thread."""

    def __call__(self) -> Any:
        answer = self._get_token()
        if not inspect.isawaitable(answer):
            return answer
        return (self.run or run_here)(answer)


def start(get_token: Callable[[], Any], call: _core.HookCall) -> None:
    """Has the hook called, and its answer handed in."""
    # A daemon: a hook that hangs does not keep the program from ending.
    threading.Thread(
        target=_answer, args=(get_token, call), name="keyfob-hook", daemon=True
    ).start()


def _answer(get_token: Callable[[], Any], call: _core.HookCall) -> None:
    asked_by.set((*asked_by.get(), call.cache))
    try:
        answer = get_token()
    except BaseException as raised:  # An exit, too, is for whoever waits.
        call.fail(raised)
        return
    try:
        call.succeed(*_parts(answer))
    except (TypeError, ValueError) as unusable:
        call.refuse(str(unusable))


def _parts(answer: Any) -> tuple[str, float | None]:
    if isinstance(answer, JWT):
        jwt, expires = answer.jwt, answer.expires
    elif isinstance(answer, (tuple, list)) and len(answer) == 2:
        jwt, expires = answer
    else:
        raise TypeError(
            f"get_token must return (jwt, expires) or a JWT, not {type(answer).__name__}"
        )
    if not isinstance(jwt, str):
        raise TypeError(f"get_token must return the token as a str, not {type(jwt).__name__}")
    return jwt, None if expires is None else to_timestamp(expires)
