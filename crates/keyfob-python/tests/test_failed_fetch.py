"""T2: all callers that wait get the same failure, and it is remembered for a while."""

from __future__ import annotations

import time
from typing import Any

import pytest
from keyfob import AuthenticationError, GenericExternallyManagedJWTHandler
from tokens import Hook, ahead, together, wait_until


def failing(failure: BaseException) -> tuple[GenericExternallyManagedJWTHandler, Hook]:
    hook = Hook()
    hook.failure = failure
    return GenericExternallyManagedJWTHandler(None, None, hook), hook


def test_t2_all_callers_that_wait_get_the_same_failure() -> None:
    cause = RuntimeError("the vault is sealed")
    handler, hook = failing(cause)
    hook.hold()

    def release() -> None:
        wait_until(lambda: hook.calls == 1)
        time.sleep(0.05)
        hook.release()

    *failures, _ = together([handler.get_valid_token] * 30 + [release])
    assert hook.calls == 1
    for failure in failures:
        assert isinstance(failure, AuthenticationError)
        assert failure.__cause__ is cause
    assert len({id(failure) for failure in failures}) == 30


def test_t2_later_callers_get_the_remembered_failure_without_a_call() -> None:
    cause: Any = RuntimeError("the vault is sealed")
    # Longer than the default cool-down, so that the test may take its time on a loaded machine.
    cause.retry_after = 60
    handler, hook = failing(cause)
    for _ in range(3):
        with pytest.raises(
            AuthenticationError, match="the token hook failed: RuntimeError"
        ) as raised:
            handler.get_valid_token()
        assert raised.value.__cause__ is cause
        assert (raised.value.kind, raised.value.permanent) == ("unavailable", False)
    assert hook.calls == 1
    assert handler.status()["last_error"] == "unavailable"
    assert handler.status()["failures"] == 1


def test_t2_the_hook_is_called_again_after_the_cool_down() -> None:
    # The first cool-down lasts from half a second to one second.
    handler, hook = failing(RuntimeError())
    began = time.monotonic()
    with pytest.raises(AuthenticationError):
        handler.get_valid_token()
    hook.failure = None

    def recovered() -> bool:
        try:
            return handler.get_valid_token() == "token-2"
        except AuthenticationError:
            return False

    wait_until(recovered)
    assert time.monotonic() - began > 0.49
    assert hook.calls == 2
    assert handler.status()["last_error"] is None


def test_t2_the_hook_can_set_its_own_cool_down() -> None:
    handler, hook = failing(AuthenticationError("maintenance until noon", retry_after=0.05))
    with pytest.raises(AuthenticationError, match="maintenance until noon") as raised:
        handler.get_valid_token()
    assert raised.value.retry_after == 0.05
    hook.failure = None
    time.sleep(0.1)
    assert handler.get_valid_token() == "token-2"


def test_t2_a_retry_after_of_an_hour_outlasts_the_usual_cool_down() -> None:
    handler, hook = failing(AuthenticationError("maintenance", retry_after=3600))
    for _ in range(2):
        with pytest.raises(AuthenticationError) as raised:
            handler.get_valid_token()
        assert raised.value.retry_after == 3600
        # Longer than any default cool-down after a first failure.
        time.sleep(1.05 if hook.calls == 1 and raised.value is not None else 0)
        hook.failure = None
    assert hook.calls == 1


@pytest.mark.parametrize("attribute", [False, True])
def test_t2_a_permanent_refusal_is_remembered(attribute: bool) -> None:
    class LockedError(Exception):
        permanent = True

    refusal = LockedError() if attribute else AuthenticationError("locked", permanent=True)
    handler, hook = failing(refusal)
    for _ in range(2):
        with pytest.raises(AuthenticationError, match="refused permanently") as raised:
            handler.get_valid_token()
        assert (raised.value.kind, raised.value.permanent) == ("refused", True)
        assert raised.value.__cause__ is refusal
        hook.failure = None
    assert hook.calls == 1
    assert handler.status()["last_error"] == "refused"
    handler.authenticate(force=True)
    assert handler.get_valid_token() == "token-2"
    assert handler.status()["last_error"] is None


def test_t2_force_calls_a_failed_hook_again() -> None:
    handler, hook = failing(RuntimeError())
    with pytest.raises(AuthenticationError):
        handler.authenticate()
    with pytest.raises(AuthenticationError):
        handler.authenticate(force=True)
    assert hook.calls == 2
    hook.failure = None
    assert handler.get_valid_token(force=True) == "token-3"


@pytest.mark.parametrize("invalid", ["soon", -1, float("nan"), float("inf"), None])
def test_t2_an_invalid_retry_after_of_a_hook_is_ignored(invalid: object) -> None:
    failure = AuthenticationError("down")
    failure.retry_after = invalid  # type: ignore[assignment]
    handler, _ = failing(failure)
    with pytest.raises(AuthenticationError, match="down") as raised:
        handler.get_valid_token()
    assert raised.value.retry_after is None


def test_s1_the_exception_of_a_hook_is_the_cause_and_its_text_is_not_repeated() -> None:
    handler, _ = failing(RuntimeError("refused: s3cret"))
    with pytest.raises(AuthenticationError) as raised:
        handler.get_valid_token()
    assert "s3cret" not in str(raised.value)
    assert "RuntimeError" in str(raised.value)


def test_a_failure_leaves_no_token_and_no_headers() -> None:
    handler, _ = failing(RuntimeError())
    with pytest.raises(AuthenticationError):
        handler.authenticate()
    assert handler.authenticated is False
    assert handler.jwt is None
    with pytest.raises(AuthenticationError, match="missing or has expired") as raised:
        _ = handler.request_headers
    assert raised.value.kind == "expired"


def test_t2_a_remembered_failure_does_not_hide_a_valid_token() -> None:
    hook = Hook()
    handler = GenericExternallyManagedJWTHandler("mine", ahead(3600), hook)
    hook.failure = RuntimeError()
    with pytest.raises(AuthenticationError):
        handler.authenticate(force=True)
    assert handler.get_valid_token() == "mine"
    assert handler.request_headers == {"authorization": "Bearer mine"}
