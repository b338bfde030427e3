"""The kinds of hooks, and what their results and failures lead to."""

from __future__ import annotations

import asyncio
import base64
import concurrent.futures
import contextvars
import json
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any

import pytest
import requests
from keyfob import JWT, AuthenticationError, GenericExternallyManagedJWTHandler
from tokens import Hook, ahead, together, wait_until


def get_token() -> tuple[str, datetime]:
    return "t0ken", ahead(3600)


async def get_token_later() -> tuple[str, datetime]:
    await asyncio.sleep(0)
    return "t0ken", ahead(3600)


class Owner:
    def method(self) -> tuple[str, datetime]:
        return get_token()

    @classmethod
    def of_the_class(cls) -> tuple[str, datetime]:
        return get_token()

    async def later(self) -> tuple[str, datetime]:
        return await get_token_later()

    def __call__(self) -> tuple[str, datetime]:
        return get_token()


class Later:
    async def __call__(self) -> tuple[str, datetime]:
        return await get_token_later()


class Awaitable:
    def __await__(self) -> Any:
        return get_token_later().__await__()


def with_argument(name: str) -> tuple[str, datetime]:
    assert name
    return get_token()


KINDS: dict[str, Callable[[], Any]] = {
    "function": get_token,
    "lambda": lambda: get_token(),
    "method": Owner().method,
    "class method": Owner.of_the_class,
    "object": Owner(),
    "partial": partial(with_argument, "n"),
    "coroutine function": get_token_later,
    "async method": Owner().later,
    "async object": Later(),
    "partial of a coroutine function": partial(get_token_later),
    "lambda that returns a coroutine": lambda: get_token_later(),
    "awaitable that is not a coroutine": Awaitable,
    "jwt": lambda: JWT("t0ken", ahead(3600)),
    "jwt by name": lambda: JWT(expires=ahead(3600), jwt="t0ken"),
    "list": lambda: ["t0ken", ahead(3600)],
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_hook_returns_its_token(kind: str) -> None:
    handler = GenericExternallyManagedJWTHandler(None, None, KINDS[kind])
    token, expires = handler.get_valid_token_with_expiry()
    assert token == "t0ken"
    assert expires is not None
    assert abs(expires - ahead(3600)) < timedelta(seconds=5)


def test_a_hook_runs_on_a_daemon_thread_of_its_own() -> None:
    threads = []

    def hook() -> tuple[str, datetime]:
        threads.append(threading.current_thread())
        return get_token()

    GenericExternallyManagedJWTHandler(None, None, hook).authenticate()
    assert threads[0] is not threading.current_thread()
    assert threads[0].daemon
    assert threads[0].name == "keyfob-hook"


def test_a_coroutine_may_use_the_loop_that_it_runs_on() -> None:
    async def hook() -> tuple[str, datetime]:
        pieces = await asyncio.gather(asyncio.sleep(0, "t0"), asyncio.sleep(0.01, "ken"))
        return "".join(pieces), ahead(3600)

    handler = GenericExternallyManagedJWTHandler(None, None, hook)  # type: ignore[arg-type]
    assert handler.get_valid_token() == "t0ken"


def test_t5_the_exp_of_a_jwt_is_used_if_there_is_no_other_expiry() -> None:
    token = with_exp(int(ahead(600).timestamp()))
    handler = GenericExternallyManagedJWTHandler(None, None, lambda: (token, None))  # type: ignore[arg-type,return-value]
    expires = handler.get_valid_token_with_expiry()[1]
    assert expires is not None
    assert abs(expires - ahead(600)) < timedelta(seconds=5)


@pytest.mark.parametrize("exp", [1, 0, -5, 10**18, [1], "soon", None, 1.5])
def test_t5_an_exp_that_has_passed_or_is_odd_is_no_error(exp: Any) -> None:
    calls = []

    def hook() -> tuple[str, None]:
        calls.append(1)
        return with_exp(exp), None

    handler = GenericExternallyManagedJWTHandler(None, None, hook)  # type: ignore[arg-type]
    assert handler.get_valid_token() == with_exp(exp)
    assert handler.get_valid_token_with_expiry()[0] == with_exp(exp)
    assert len(calls) <= 3


@pytest.mark.parametrize(
    "never", [datetime(4000, 1, 1, tzinfo=timezone.utc), datetime.max.replace(tzinfo=timezone.utc)]
)
def test_t5_an_expiry_far_ahead_means_never(never: datetime) -> None:
    hooked = GenericExternallyManagedJWTHandler(None, None, lambda: ("t0ken", never))
    given = GenericExternallyManagedJWTHandler("t0ken", never, list)  # type: ignore[arg-type]
    for handler in (hooked, given):
        token, expires = handler.get_valid_token_with_expiry()
        assert token == "t0ken"
        assert expires is None or expires > ahead(100 * 365 * 24 * 3600)
        assert handler.authenticated


def with_exp(exp: Any) -> str:
    """A JWT with this claim."""
    claims = base64.urlsafe_b64encode(json.dumps({"exp": exp}).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJub25lIn0.{claims}.c2ln"


WRONG: list[tuple[Any, str]] = [
    (None, r"get_token must return .*, a JWT, or the dict of a token endpoint; not NoneType"),
    (("t0ken",), "must return .* not tuple"),
    (("t0ken", ahead(60), 1), "must return .* not tuple"),
    ({"t0ken": 1, "expires": 2}, "unknown format with the fields `expires`"),
    ((42, ahead(60)), "must return the token as a str, not int"),
    ((b"t0ken", ahead(60)), "must return the token as a str, not bytes"),
    ((None, ahead(60)), "must return the token as a str, not NoneType"),
    (JWT(None, ahead(60)), "must return the token as a str, not NoneType"),  # type: ignore[arg-type]
    (("t0ken", datetime(2030, 1, 1)), r"no time zone.*datetime\.now\(timezone\.utc\)"),
    (("t0ken", datetime.min), "no time zone"),
    (("t0ken", "2030-01-01"), "expires must be a datetime with a time zone, .* not str"),
    (("s3cret\n", ahead(60)), "line end .* give the token alone"),
    (("s3cret\r\nX: 1", ahead(60)), "line end"),
    (("Bearer s3cret", ahead(60)), "white space .* without .* a scheme"),
    (("s3crét", ahead(60)), "outside ASCII"),
    (("s3cret\ud800", ahead(60)), "cannot be used"),
    (("", ahead(60)), "the token is empty"),
]


@pytest.mark.parametrize(
    ("wrong", "message"), WRONG, ids=[f"{message:.40}" for _, message in WRONG]
)
def test_s1_the_error_for_an_invalid_result_says_what_to_do_and_quotes_nothing(
    wrong: Any, message: str
) -> None:
    handler = GenericExternallyManagedJWTHandler(None, None, lambda: wrong)
    with pytest.raises(AuthenticationError, match=message) as raised:
        handler.get_valid_token()
    assert "s3cr" not in str(raised.value)
    assert handler.authenticated is False


def test_a_valid_result_is_used_after_an_invalid_one() -> None:
    results: list[Any] = [("t0ken", datetime(2030, 1, 1)), ("t0ken", ahead(60))]
    handler = GenericExternallyManagedJWTHandler(None, None, lambda: results.pop(0))
    with pytest.raises(AuthenticationError):
        handler.authenticate()
    assert handler.get_valid_token(force=True) == "t0ken"


def test_a_hook_that_loses_its_own_connection_is_called_once() -> None:
    hook = Hook()
    hook.failure = requests.ConnectionError("no route")
    handler = GenericExternallyManagedJWTHandler(None, None, hook)
    with pytest.raises(AuthenticationError, match="ConnectionError") as raised:
        handler.get_valid_token()
    assert raised.value.__cause__ is hook.failure
    assert hook.calls == 1


def test_t7_a_coroutine_that_raises_is_an_error_with_its_cause() -> None:
    failure = LookupError("gone")

    async def hook() -> tuple[str, datetime]:
        await asyncio.sleep(0)
        raise failure

    handler = GenericExternallyManagedJWTHandler(None, None, hook)  # type: ignore[arg-type]
    with pytest.raises(AuthenticationError, match="LookupError") as raised:
        handler.get_valid_token()
    assert raised.value.__cause__ is failure


def test_t7_no_renewal_starts_before_its_caller_waits_for_it() -> None:
    # The caller would miss a request to exit that ends it at once, and call the hook again.
    hook = Hook()
    handler = GenericExternallyManagedJWTHandler(None, None, hook)
    hook.hold()
    assert handler._tokens.ready_token() is None
    assert handler._tokens.ready() is None
    renewing = handler.status()["renewing"]
    hook.release()
    assert not renewing


@pytest.mark.parametrize("exit_request", [KeyboardInterrupt, SystemExit])
def test_t7_a_request_to_exit_reaches_the_caller_that_waits(
    exit_request: type[BaseException],
) -> None:
    hook = Hook()
    hook.failure = exit_request("stop")
    handler = GenericExternallyManagedJWTHandler(None, None, hook)
    with pytest.raises(exit_request) as raised:
        handler.get_valid_token()
    assert raised.value is hook.failure
    # T2: it was no failure of the source, so the next call asks at once.
    hook.failure = None
    assert handler.get_valid_token() == "token-2"


@pytest.mark.parametrize("exit_request", [KeyboardInterrupt, SystemExit])
def test_t7_a_request_to_exit_of_a_coroutine_does_not_end_its_event_loop(
    exit_request: type[BaseException],
) -> None:
    loops, failures = [], [exit_request("stop")]

    async def hook() -> tuple[str, datetime]:
        loops.append(asyncio.get_running_loop())
        await asyncio.sleep(0)
        if failures:
            raise failures.pop()
        return get_token()

    handler = GenericExternallyManagedJWTHandler(None, None, hook)  # type: ignore[arg-type]
    with pytest.raises(exit_request, match="stop"):
        handler.get_valid_token()
    assert handler.get_valid_token() == "t0ken"
    assert loops[0] is loops[1]


def test_t7_a_request_to_exit_reaches_one_of_many_callers_and_the_others_ask_again() -> None:
    calls = []

    def hook() -> tuple[str, datetime]:
        calls.append(1)
        if len(calls) == 1:
            time.sleep(0.3)
            raise SystemExit(3)
        return get_token()

    handler = GenericExternallyManagedJWTHandler(None, None, hook)
    outcomes = together([handler.get_valid_token] * 10)
    assert sum(isinstance(outcome, SystemExit) for outcome in outcomes) == 1
    assert outcomes.count("t0ken") == 9
    assert len(calls) == 2


@pytest.mark.parametrize("kind", [asyncio.CancelledError, concurrent.futures.CancelledError])
def test_t7_a_cancelled_call_of_the_hook_is_no_failure_of_the_source(
    kind: type[BaseException],
) -> None:
    outcomes: list[Any] = [kind, kind, ("t0ken", ahead(60))]

    def hook() -> Any:
        outcome = outcomes.pop(0)
        if outcome is kind:
            raise kind
        return outcome

    assert GenericExternallyManagedJWTHandler(None, None, hook).get_valid_token() == "t0ken"


def test_t7_a_hook_that_is_always_cancelled_is_an_error() -> None:
    hook = Hook()
    hook.failure = asyncio.CancelledError()
    handler = GenericExternallyManagedJWTHandler(None, None, hook)
    with pytest.raises(AuthenticationError, match="interrupted: CancelledError"):
        handler.get_valid_token()
    assert hook.calls == 3


def test_t7_a_coroutine_that_cancels_itself_is_asked_again() -> None:
    calls = []

    async def hook() -> tuple[str, datetime]:
        calls.append(1)
        if len(calls) == 1:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
        await asyncio.sleep(0)
        return get_token()

    handler = GenericExternallyManagedJWTHandler(None, None, hook)  # type: ignore[arg-type]
    assert handler.get_valid_token() == "t0ken"


def test_an_exception_whose_str_fails_is_an_error_like_others() -> None:
    class OddError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

        @property
        def permanent(self) -> bool:
            raise RuntimeError

        @property
        def retry_after(self) -> float:
            raise RuntimeError

    hook = Hook()
    hook.failure = OddError()
    handler = GenericExternallyManagedJWTHandler(None, None, hook)
    with pytest.raises(AuthenticationError, match="OddError"):
        handler.get_valid_token()


REQUEST: contextvars.ContextVar[str] = contextvars.ContextVar("request", default="none")


def test_a_hook_runs_in_a_copy_of_the_context_of_the_caller_that_caused_it() -> None:
    seen = []

    def hook() -> tuple[str, datetime]:
        seen.append(REQUEST.get())
        REQUEST.set("of the hook")
        return get_token()

    async def hook_later() -> tuple[str, datetime]:
        await asyncio.sleep(0)
        return hook()

    for get in (hook, hook_later):
        handler = GenericExternallyManagedJWTHandler(None, None, get)  # type: ignore[arg-type]
        for name in ("first", "second"):
            context = contextvars.copy_context()
            context.run(REQUEST.set, name)
            context.run(handler.authenticate, force=True)
        REQUEST.set("mine")
        handler.authenticate(force=True)
        assert REQUEST.get() == "mine"
    assert seen == ["first", "second", "mine"] * 2


def test_a_renewal_in_the_background_has_the_context_of_the_caller_that_found_it_due() -> None:
    seen = []

    def hook() -> tuple[str, datetime]:
        seen.append(REQUEST.get())
        return "t0ken", ahead(3600)

    handler = GenericExternallyManagedJWTHandler("mine", ahead(40), hook)
    REQUEST.set("found it due")
    assert handler.get_valid_token() == "mine"
    wait_until(lambda: seen == ["found it due"])


def test_a_thread_that_cannot_be_started_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hook = Hook()
    handler = GenericExternallyManagedJWTHandler(None, None, hook)

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        for _ in range(20):
            with pytest.raises(AuthenticationError, match="RuntimeError"):
                handler.authenticate(force=True)
    assert handler.get_valid_token(force=True) == "token-1"
