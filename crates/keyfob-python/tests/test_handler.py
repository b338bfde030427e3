"""The handler: its arguments, its state, and how it replaces a token."""

from __future__ import annotations

import gc
import threading
import weakref
from datetime import datetime
from typing import Any

import pytest
from keyfob import AuthenticationError, GenericExternallyManagedJWTHandler
from tokens import Hook, ahead, together, wait_until


def test_t8_a_forced_renewal_returns_another_token() -> None:
    hook = Hook()
    handler = GenericExternallyManagedJWTHandler("mine", ahead(3600), hook)
    handler.authenticate()
    assert hook.calls == 0
    handler.authenticate(force=True)
    assert handler.jwt == "token-1"
    assert handler.get_valid_token(force=True) == "token-2"
    assert handler.get_valid_token() == "token-2"
    assert handler.status()["generation"] == 3


def test_t8_a_forced_renewal_that_fails_leaves_the_token_in_place() -> None:
    hook = Hook()
    hook.failure = RuntimeError()
    handler = GenericExternallyManagedJWTHandler("mine", ahead(3600), hook)
    with pytest.raises(AuthenticationError) as raised:
        handler.get_valid_token(force=True)
    assert raised.value.__cause__ is hook.failure
    assert handler.jwt == handler.get_valid_token() == "mine"
    assert handler.authenticated


def test_t1_simultaneous_forced_renewals_are_one() -> None:
    hook = Hook()
    handler = GenericExternallyManagedJWTHandler("mine", ahead(3600), hook)
    hook.hold()
    threads = [threading.Thread(target=handler.authenticate, args=(True,)) for _ in range(10)]
    for thread in threads:
        thread.start()
    wait_until(lambda: hook.calls == 1)
    hook.release()
    for thread in threads:
        thread.join()
    assert hook.most_at_once == 1
    assert hook.calls <= 10


def test_reads_of_the_state_never_call_the_hook() -> None:
    hook = Hook()
    for expires in [ahead(-1), ahead(10), ahead(40)]:
        handler = GenericExternallyManagedJWTHandler("mine", expires, hook)
        _ = (handler.authenticated, handler.jwt, handler.status())
        try:
            _ = handler.request_headers
        except AuthenticationError:
            assert handler.jwt is None
    assert hook.calls == 0


def test_headers_are_a_new_dict_each_time() -> None:
    handler = GenericExternallyManagedJWTHandler("mine", ahead(3600), Hook())
    headers = handler.request_headers
    headers["x-mine"] = "1"
    headers["authorization"] = "other"
    assert handler.request_headers == {"authorization": "Bearer mine"}


def test_the_status_has_the_documented_keys_and_no_secret() -> None:
    hook = Hook(lifetime=3600)
    handler = GenericExternallyManagedJWTHandler(None, None, hook)
    assert handler.status() == {
        "authenticated": False,
        "age": None,
        "expires_in": None,
        "next_renewal_in": None,
        "renewing": False,
        "generation": 0,
        "renewals": 0,
        "failures": 0,
        "delayed": 0,
        "last_error": None,
    }
    handler.authenticate()
    status = handler.status()
    assert status["age"] == pytest.approx(0, abs=2)
    assert status["expires_in"] == pytest.approx(3600, abs=2)
    counted = ("authenticated", "renewing", "generation", "renewals", "failures", "delayed")
    assert [status[name] for name in counted] == [True, False, 1, 1, 0, 0]


def test_the_same_token_again_is_no_new_generation() -> None:
    handler = GenericExternallyManagedJWTHandler(None, None, lambda: ("same", ahead(3600)))
    first = handler.get_valid_token()
    again = handler.get_valid_token(force=True)
    assert first == again == "same"
    assert handler.status()["generation"] == 1
    assert handler.status()["renewals"] == 2


def test_the_same_token_with_a_later_expiry_has_the_later_expiry() -> None:
    expiries = iter([ahead(100), ahead(3600)])
    handler = GenericExternallyManagedJWTHandler(None, None, lambda: ("same", next(expiries)))
    handler.authenticate()
    handler.authenticate(force=True)
    given = handler.get_valid_token_with_expiry()[1]
    assert given is not None
    assert given > ahead(3000)


@pytest.mark.parametrize("wrong", [42, b"bytes", ["t"], object()])
def test_a_first_token_that_is_not_a_str_is_a_type_error(wrong: Any) -> None:
    with pytest.raises(TypeError, match="jwt must be a str or None, not"):
        GenericExternallyManagedJWTHandler(wrong, ahead(60), Hook())


@pytest.mark.parametrize("wrong", ["2030-01-01", 1893456000, 1.5])
def test_an_expiry_that_is_not_a_datetime_is_a_type_error(wrong: Any) -> None:
    with pytest.raises(TypeError, match="expires must be a datetime with a time zone, not"):
        GenericExternallyManagedJWTHandler("mine", wrong, Hook())


def test_an_expiry_without_a_time_zone_is_a_value_error_that_shows_the_fix() -> None:
    with pytest.raises(ValueError, match=r"no time zone.*datetime\.now\(timezone\.utc\)"):
        GenericExternallyManagedJWTHandler("mine", datetime(2030, 1, 1), Hook())


@pytest.mark.parametrize(
    "wrong", ["", "a b", "a\nb", "a\r\nX-Evil: 1", "grün", "Bearer abc", "a\0"]
)
def test_s1_the_error_for_an_unsendable_first_token_does_not_quote_it(
    wrong: str,
) -> None:
    with pytest.raises(ValueError, match="the token ") as raised:
        GenericExternallyManagedJWTHandler(wrong, ahead(60), Hook())
    assert not wrong or wrong not in str(raised.value)
    assert "Evil" not in str(raised.value)


@pytest.mark.parametrize("wrong", ["token", 42, ("a", 1)])
def test_a_hook_that_is_not_callable_is_a_type_error(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"get_token must be callable, or one of keyfob\.sources"):
        GenericExternallyManagedJWTHandler(None, None, wrong)


def test_an_unknown_argument_is_a_type_error() -> None:
    with pytest.raises(TypeError):
        GenericExternallyManagedJWTHandler(None, None, Hook(), username="u")


def test_other_arguments_go_to_the_next_class() -> None:
    class Account:
        def __init__(self, *, username: str, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.username = username

    class Handler(GenericExternallyManagedJWTHandler, Account):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(jwt=None, expires=None, get_token=Hook(), **kwargs)

    handler = Handler(username="u")
    assert handler.username == "u"
    assert handler.get_valid_token() == "token-1"


def test_a_subclass_may_add_headers_of_its_own() -> None:
    class Handler(GenericExternallyManagedJWTHandler):
        @property
        def request_headers(self) -> dict[str, str]:
            return {**super().request_headers, "x-api-key": "k"}

    handler = Handler("mine", ahead(3600), Hook())
    assert handler.request_headers == {"authorization": "Bearer mine", "x-api-key": "k"}


@pytest.mark.parametrize("wrong", [-1, float("nan")])
def test_an_invalid_fetch_timeout_is_a_value_error(wrong: float) -> None:
    class Handler(GenericExternallyManagedJWTHandler):
        fetch_timeout = wrong

    with pytest.raises(ValueError, match="fetch_timeout must be a number of seconds, 0 or more"):
        Handler(None, None, Hook())


def test_a_handler_whose_hook_refers_to_it_is_collected() -> None:
    class Owner:
        def __init__(self) -> None:
            self.handler = GenericExternallyManagedJWTHandler(None, None, self.hook)

        def hook(self) -> tuple[str, datetime]:
            return "mine", ahead(3600)

    owner = Owner()
    owner.handler.authenticate()
    auth = owner.handler.auth()
    httpx_auth = owner.handler.httpx_auth()
    references = [weakref.ref(one) for one in (owner, owner.handler, auth, httpx_auth)]
    del owner, auth, httpx_auth

    def gone() -> bool:
        # The thread of the hook may still have a reference for a moment.
        gc.collect()
        return all(reference() is None for reference in references)

    wait_until(gone)


def test_a_handler_is_collected_while_its_hook_runs() -> None:
    hook = Hook()
    hook.hold()
    handler = GenericExternallyManagedJWTHandler("mine", ahead(40), hook)
    assert handler.get_valid_token() == "mine"
    wait_until(lambda: hook.calls == 1)
    references = weakref.ref(handler)
    del handler
    gc.collect()
    assert references() is None
    hook.release()


def test_handlers_can_be_dropped_while_their_hooks_run() -> None:
    def use() -> None:
        for _ in range(20):
            handler = GenericExternallyManagedJWTHandler("mine", ahead(40), Hook())
            assert handler.get_valid_token() in {"mine", "token-1"}

    assert together([use] * 8) == [None] * 8
