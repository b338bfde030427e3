"""A 401 renews the token, and the request is sent once more if that can help."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import requests
from keyfob import AuthenticationError, ExternallyManagedJWTSession, RetryPolicy
from outside import Outside, checksum
from signed_in import Hook, fixed, in_an_hour, over, renewing, with_token

BODY = b"all of it, twice" * 1000


@pytest.fixture
def hook(outside: Outside) -> Hook:
    return Hook(outside)


@pytest.fixture
def revoked(outside: Outside, hook: Hook) -> ExternallyManagedJWTSession:
    """A session whose token was revoked without its knowing."""
    session = renewing(hook)
    session.authenticate()
    assert outside.revoke() is not None
    return session


def test_r3_a_401_is_healed_once_by_another_token(
    outside: Outside, hook: Hook, revoked: ExternallyManagedJWTSession
) -> None:
    answer = revoked.get(outside.api_url)
    assert answer.status_code == 200
    assert answer.history == []
    assert hook.calls == 2
    tokens = [received.authorization for received in outside.received()]
    assert tokens == ["Bearer token-1", "Bearer token-2"]


def test_r3_a_second_401_is_the_callers(outside: Outside, hook: Hook) -> None:
    outside.next(401, times=2, body={"text": "no"})
    answer = renewing(hook).get(outside.api_url)
    assert (answer.status_code, answer.text) == (401, "no")
    assert outside.counts().requests == 2
    assert hook.calls == 2


def test_r3_a_post_is_replayed_too_for_it_was_refused(
    outside: Outside, revoked: ExternallyManagedJWTSession
) -> None:
    answer = revoked.post(outside.api_url, data=BODY).json()
    assert (answer["body_length"], answer["checksum"]) == (len(BODY), checksum(BODY))
    assert outside.counts().requests == 2


@pytest.mark.parametrize("kind", ["bytes", "text", "file", "memory", "form", "json", "multipart"])
def test_r3_the_body_is_replayed_in_full(
    outside: Outside, revoked: ExternallyManagedJWTSession, kind: str, tmp_path: Path
) -> None:
    path = tmp_path / "body"
    path.write_bytes(BODY)
    with path.open("rb") as file:
        bodies: dict[str, dict[str, Any]] = {
            "bytes": {"data": BODY},
            "text": {"data": BODY.decode()},
            "file": {"data": file},
            "memory": {"data": io.BytesIO(BODY)},
            "form": {"data": {"field": BODY.decode()}},
            "json": {"json": {"field": BODY.decode()}},
            "multipart": {"files": {"file": file}, "data": {"a": "b"}},
        }
        assert revoked.put(outside.api_url, **bodies[kind]).status_code == 200
    first, second = outside.received()
    assert first.body_length >= len(BODY)
    assert (first.body_length, first.checksum) == (second.body_length, second.checksum)
    assert first.headers["content-length"] == second.headers["content-length"]


def test_r3_a_body_that_cannot_be_replayed_is_sent_once_and_the_401_comes_back(
    outside: Outside, hook: Hook, revoked: ExternallyManagedJWTSession
) -> None:
    def body() -> Iterator[bytes]:
        yield BODY

    answer = revoked.post(outside.api_url, data=body())
    assert answer.status_code == 401
    (received,) = outside.received()
    assert received.body_length == len(BODY)
    # The token was reported as rejected, so that the next request has a good one.
    assert revoked.get(outside.api_url).status_code == 200
    assert hook.calls == 2


def test_r3_insufficient_scope_does_not_renew(outside: Outside, hook: Hook) -> None:
    challenge = 'Bearer realm="reports", error="insufficient_scope", scope="reports:write"'
    outside.next(401, headers={"www-authenticate": challenge})
    answer = renewing(hook).get(outside.api_url)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == challenge
    assert outside.counts().requests == 1
    assert hook.calls == 1


def test_r3_a_403_does_not_renew(outside: Outside, hook: Hook) -> None:
    outside.next(403)
    assert renewing(hook).get(outside.api_url).status_code == 403
    assert hook.calls == 1


def test_r3_the_same_token_is_not_sent_again(outside: Outside) -> None:
    calls = []

    def stubborn() -> tuple[str, Any]:
        calls.append(1)
        return "stubborn", in_an_hour()

    assert renewing(stubborn).get(outside.api_url).status_code == 401
    assert outside.counts().requests == 1
    assert len(calls) == 2


def test_r3_a_token_that_is_never_renewed_gets_its_401_each_time(outside: Outside) -> None:
    session = with_token("unknown")
    for sent in range(1, 4):
        assert session.get(outside.api_url).status_code == 401
        assert outside.counts().requests == sent
    session.token = outside.token()
    assert session.get(outside.api_url).status_code == 200


def test_t8_a_401_of_one_endpoint_takes_a_token_from_nobody(outside: Outside) -> None:
    session = fixed(outside)
    outside.next(401)
    assert session.get(outside.api_url).status_code == 401
    assert session.get(outside.api_url).status_code == 200


def test_t8_the_late_401s_of_fifty_threads_cause_one_renewal(
    outside: Outside, hook: Hook, revoked: ExternallyManagedJWTSession
) -> None:
    threads = 50
    other = over(revoked.authentication_handler)

    def ask(n: int) -> int:
        return (revoked if n % 2 else other).get(outside.api_url).status_code

    with ThreadPoolExecutor(threads) as pool:
        statuses = set(pool.map(ask, range(threads)))
    assert statuses == {200}
    assert hook.calls == 2


def test_t8_a_401_for_a_token_that_was_already_replaced_causes_no_renewal(
    outside: Outside, hook: Hook
) -> None:
    session = renewing(hook)
    session.authenticate()
    outside.next(401, held=True)
    with ThreadPoolExecutor() as threads:
        late = threads.submit(session.get, outside.api_url)
        while outside.counts().requests == 0:
            pass
        session.authenticate(force=True)
        outside.release()
        assert late.result().status_code == 200
    assert hook.calls == 2


def test_r3_a_renewal_that_fails_leaves_the_401_as_it_was(
    outside: Outside, caplog: pytest.LogCaptureFixture
) -> None:
    answers = iter([outside.token()])

    def ends() -> tuple[str, Any]:
        token = next(answers, None)
        if token is None:
            raise AuthenticationError("the vault is sealed")
        return token, in_an_hour()

    outside.next(401, headers={"www-authenticate": "Bearer", "x-seen": "yes"}, body={"text": "no"})
    session = renewing(ends)
    answer = session.get(outside.api_url)
    assert (answer.status_code, answer.text, answer.headers["X-Seen"]) == (401, "no", "yes")
    # It has not expired, and other endpoints may take it.
    assert session.get(outside.api_url).status_code == 200
    assert "token was rejected and could not be replaced" in caplog.text


def test_r3_healing_a_401_is_no_retry(outside: Outside, revoked: Any) -> None:
    revoked.retry = RetryPolicy(attempts=1)
    assert revoked.get(outside.api_url).status_code == 200


def test_r3_retries_go_on_after_a_401_and_a_401_is_healed_after_retries(
    outside: Outside, revoked: ExternallyManagedJWTSession
) -> None:
    outside.next(503)
    outside.next(401)
    outside.next(503)
    assert revoked.get(outside.api_url).status_code == 200
    assert list(outside.counts().statuses.items()) == [(200, 1), (401, 1), (503, 2)]


def test_r3_a_401_in_a_stream_is_healed_as_well(outside: Outside, hook: Hook) -> None:
    outside.next(401)
    answer = renewing(hook).get(outside.api_url, stream=True)
    assert answer.json()["headers"]["authorization"] == ["Bearer token-2"]


def test_r2_without_a_token_nothing_is_sent(outside: Outside) -> None:
    def broken() -> Any:
        raise OSError("no vault")

    session = renewing(broken)
    with pytest.raises(AuthenticationError) as failed:
        session.get(outside.api_url)
    assert isinstance(failed.value.__cause__, OSError)
    assert outside.counts().requests == 0


def test_r2_an_expired_token_is_not_sent(outside: Outside) -> None:
    session = renewing(lambda: ("old", datetime(2020, 1, 1, tzinfo=timezone.utc)))
    session.retry = RetryPolicy(total=0.2)
    with pytest.raises(AuthenticationError):
        session.get(outside.api_url)
    assert outside.counts().requests == 0


def test_the_hooks_own_connection_error_is_not_retried_as_the_apis(outside: Outside) -> None:
    calls = []

    def offline() -> Any:
        calls.append(1)
        raise requests.ConnectionError("no route to the vault")

    with pytest.raises(AuthenticationError) as failed:
        renewing(offline).get(outside.api_url)
    assert isinstance(failed.value.__cause__, requests.ConnectionError)
    assert len(calls) == 1


def test_r7_each_attempt_has_the_token_of_its_moment(outside: Outside) -> None:
    hook = Hook(outside)
    session = renewing(hook)
    outside.next(503, held=True)
    with ThreadPoolExecutor() as threads:
        answer = threads.submit(session.get, outside.api_url)
        while outside.counts().requests == 0:
            pass
        session.authenticate(force=True)
        outside.release()
        assert answer.result().status_code == 200
    tokens = [received.authorization for received in outside.received()]
    assert tokens == ["Bearer token-1", "Bearer token-2"]


def test_r7_a_retry_without_a_token_gives_the_answer_in_hand(
    outside: Outside, caplog: pytest.LogCaptureFixture
) -> None:
    class Ends:
        authenticated = True
        left = 1

        def authenticate(self) -> None: ...

        @property
        def request_headers(self) -> dict[str, str]:
            if not self.left:
                raise AuthenticationError("it ended")
            self.left -= 1
            return {"Authorization": "Bearer t0ken"}

    outside.next(503, body={"text": "busy"})
    handler: Any = Ends()
    with caplog.at_level(logging.DEBUG, "keyfob"):
        answer = over(handler).get(outside.api_url)
    assert (answer.status_code, answer.text) == (503, "busy")
    assert "request is not sent again, because there is no token" in caplog.text
