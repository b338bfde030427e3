"""T3 and T4: how long a token is used, and which callers wait for the next one.

A first token is due 60 s before its expiry, and in its leeway 20 s before. So tests reach each state without waiting.
"""

from __future__ import annotations

import logging
import time
from datetime import datetime, timedelta, timezone

import pytest
from keyfob import AuthenticationError, GenericExternallyManagedJWTHandler
from tokens import Hook, ahead, together, wait_until

DUE = 40
LEEWAY = 10


def test_t3_a_due_token_is_used_while_its_renewal_runs_in_the_background() -> None:
    hook = Hook()
    hook.hold()
    handler = GenericExternallyManagedJWTHandler("mine", ahead(DUE), hook)
    for _ in range(100):
        assert handler.get_valid_token() == "mine"
        assert handler.authenticated
    wait_until(lambda: hook.calls == 1)
    assert handler.status()["renewing"]
    assert handler.request_headers == {"authorization": "Bearer mine"}
    hook.release()
    wait_until(lambda: handler.jwt == "token-1")
    assert hook.calls == 1
    assert handler.status()["delayed"] == 0


def test_t3_a_failed_renewal_of_a_due_token_fails_no_caller() -> None:
    hook = Hook()
    hook.failure = RuntimeError()
    handler = GenericExternallyManagedJWTHandler("mine", ahead(DUE), hook)
    assert handler.get_valid_token() == "mine"
    wait_until(lambda: handler.status()["failures"] == 1)
    for _ in range(100):
        assert handler.get_valid_token() == "mine"
        handler.authenticate()
    assert hook.calls == 1
    assert handler.authenticated


def test_t3_in_the_leeway_a_caller_waits_for_the_next_token() -> None:
    hook = Hook()
    handler = GenericExternallyManagedJWTHandler("mine", ahead(LEEWAY), hook)
    assert handler.authenticated is False
    assert handler.get_valid_token() == "token-1"


def test_t3_in_the_leeway_a_token_whose_renewal_fails_is_used() -> None:
    hook = Hook()
    hook.failure = RuntimeError()
    handler = GenericExternallyManagedJWTHandler("mine", ahead(LEEWAY), hook)
    assert set(together([handler.get_valid_token] * 20)) == {"mine"}
    handler.authenticate()
    assert handler.get_valid_token_with_expiry()[0] == "mine"
    assert handler.request_headers == {"authorization": "Bearer mine"}
    assert hook.calls == 1


def test_t3_in_the_leeway_a_hook_may_use_the_token_it_replaces() -> None:
    # Some APIs exchange a valid token for the next one.
    used = []

    def exchange() -> tuple[str, datetime]:
        used.append(handler.get_valid_token())
        used.append(handler.get_valid_token_with_expiry()[0])
        used.append(handler.request_headers["authorization"])
        return "next", ahead(3600)

    handler = GenericExternallyManagedJWTHandler("mine", ahead(LEEWAY), exchange)
    assert handler.get_valid_token() == "next"
    assert used == ["mine", "mine", "Bearer mine"]


def test_an_expired_token_is_not_used_and_callers_wait_for_its_renewal() -> None:
    hook = Hook()
    handler = GenericExternallyManagedJWTHandler("mine", ahead(-1), hook)
    assert handler.authenticated is False
    assert handler.jwt is None
    with pytest.raises(AuthenticationError):
        _ = handler.request_headers
    assert hook.calls == 0
    assert handler.get_valid_token() == "token-1"


def test_t3_a_token_that_expires_during_a_failed_renewal_is_an_error() -> None:
    hook = Hook(lifetime=1.5)
    handler = GenericExternallyManagedJWTHandler(None, None, hook)
    assert handler.get_valid_token() == "token-1"
    hook.failure = RuntimeError()
    wait_until(lambda: handler.jwt is None)
    with pytest.raises(AuthenticationError, match="the token hook failed"):
        handler.get_valid_token()
    assert handler.status()["expires_in"] is None


@pytest.mark.parametrize("lifetime", [60, 300, 3600])
def test_t4_a_token_is_used_for_most_of_its_lifetime(lifetime: float) -> None:
    handler = GenericExternallyManagedJWTHandler(None, None, Hook(lifetime))
    handler.authenticate()
    assert handler.authenticated
    status = handler.status()
    assert status["expires_in"] == pytest.approx(lifetime, abs=2)
    assert status["next_renewal_in"] is not None
    assert lifetime * 0.65 < status["next_renewal_in"] < lifetime * 0.76


def test_t4_a_token_of_a_second_is_used_more_than_once() -> None:
    def use() -> tuple[set[str], int]:
        hook = Hook(lifetime=1)
        handler = GenericExternallyManagedJWTHandler(None, None, hook)
        return {handler.get_valid_token() for _ in range(100)}, hook.calls

    # A loaded machine may need more than a second for one of them.
    assert ({"token-1"}, 1) in [use() for _ in range(3)]


def test_t4_a_hook_that_returns_expired_tokens_is_called_three_times() -> None:
    # The pauses are one and two seconds. All cases run at the same time.
    long_ago = [
        datetime.min.replace(tzinfo=timezone.utc),
        datetime.min.replace(tzinfo=timezone(timedelta(hours=14))),
        datetime.fromtimestamp(0, timezone.utc),
        ahead(-3600),
        datetime(2001, 2, 3, 4, 5, 6, tzinfo=timezone.utc),
    ]
    calls = dict.fromkeys(range(len(long_ago)), 0)

    def ask(index: int) -> object:
        def hook() -> tuple[str, datetime]:
            calls[index] += 1
            return "late", long_ago[index]

        return GenericExternallyManagedJWTHandler(None, None, hook).get_valid_token()

    began = time.monotonic()
    errors = together([lambda index=index: ask(index) for index in calls])
    assert time.monotonic() - began > 2.9
    assert set(calls.values()) == {3}
    for error in errors:
        assert isinstance(error, AuthenticationError)
        assert error.kind == "expired"
        assert "3 times" in str(error)
    assert "1970-01-01T00:00:00Z" in str(errors[2])
    assert "2001-02-03T04:05:06Z" in str(errors[4])


def test_t4_after_an_expired_token_the_hook_is_called_again() -> None:
    results = iter([("late", ahead(-5)), ("good", ahead(3600))])
    handler = GenericExternallyManagedJWTHandler(None, None, lambda: next(results))
    assert handler.get_valid_token() == "good"


def test_t5_a_token_without_expiry_is_used_until_it_is_rejected() -> None:
    hook = Hook()

    def eternal() -> tuple[str, None]:
        return hook()[0], None

    handler = GenericExternallyManagedJWTHandler(None, None, eternal)  # type: ignore[arg-type]
    assert handler.get_valid_token_with_expiry() == ("token-1", None)
    assert handler.authenticated
    assert handler.status()["expires_in"] is None
    assert handler.status()["next_renewal_in"] is None


@pytest.mark.parametrize(
    ("jwt", "expires", "warning"),
    [
        ("mine", None, "a jwt without an expiry is ignored; a new one is fetched instead"),
        (None, ahead(3600), "an expiry without a jwt is ignored"),
    ],
)
def test_half_of_a_first_token_is_ignored_with_a_warning(
    jwt: str | None, expires: datetime | None, warning: str, caplog: pytest.LogCaptureFixture
) -> None:
    hook = Hook()
    handler = GenericExternallyManagedJWTHandler(jwt, expires, hook)
    assert caplog.record_tuples == [("keyfob", logging.WARNING, warning)]
    assert handler.authenticated is False
    assert hook.calls == 0
    assert handler.get_valid_token() == "token-1"


@pytest.mark.parametrize(("jwt", "expires"), [("mine", ahead(3600)), (None, None)])
def test_a_complete_first_token_or_none_logs_no_warning(
    jwt: str | None, expires: datetime | None, caplog: pytest.LogCaptureFixture
) -> None:
    GenericExternallyManagedJWTHandler(jwt, expires, Hook())
    assert caplog.record_tuples == []


def test_a_fresh_first_token_saves_a_call_of_the_hook() -> None:
    # Some programs pass `lambda: None` with a token that outlives them.
    hook = Hook()
    handler = GenericExternallyManagedJWTHandler("mine", ahead(3600), lambda: None)  # type: ignore[arg-type,return-value]
    assert handler.get_valid_token() == "mine"
    assert handler.authenticated
    handler.authenticate()
    assert hook.calls == 0
    status = handler.status()
    assert (status["renewals"], status["failures"], status["generation"]) == (0, 0, 1)


def test_an_expiry_is_returned_as_it_was_set() -> None:
    expires = ahead(3600).astimezone(timezone(timedelta(hours=-7)))
    handler = GenericExternallyManagedJWTHandler("mine", expires, Hook())
    token, given = handler.get_valid_token_with_expiry()
    assert token == "mine"
    assert given is not None
    assert given.tzinfo is timezone.utc
    assert abs(given - expires) < timedelta(seconds=0.1)
