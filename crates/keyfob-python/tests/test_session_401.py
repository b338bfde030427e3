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
from keyfob import (
    AuthenticationError,
    ExternallyManagedJWTSession,
    GenericExternallyManagedJWTHandler,
    RetryPolicy,
    Session,
)
from servers import Servers, checksum
from sessions import Hook, fixed, in_an_hour, over, renewing, with_token
from tokens import wait_until

BODY = b"all of it, twice" * 1000


@pytest.fixture
def hook(servers: Servers) -> Hook:
    return Hook(servers)


@pytest.fixture
def revoked(servers: Servers, hook: Hook) -> ExternallyManagedJWTSession:
    """A session that has a revoked token."""
    session = renewing(hook)
    session.authenticate()
    assert servers.revoke() is not None
    return session


def test_r3_a_401_is_replayed_once_with_another_token(
    servers: Servers, hook: Hook, revoked: ExternallyManagedJWTSession
) -> None:
    response = revoked.get(servers.api_url)
    assert response.status_code == 200
    assert response.history == []
    assert hook.calls == 2
    tokens = [received.authorization for received in servers.received()]
    assert tokens == ["Bearer token-1", "Bearer token-2"]


def test_r3_a_second_401_is_returned(servers: Servers, hook: Hook) -> None:
    servers.next(401, times=2, body={"text": "no"})
    response = renewing(hook).get(servers.api_url)
    assert (response.status_code, response.text) == (401, "no")
    assert servers.counts().requests == 2
    assert hook.calls == 2


def test_r3_a_post_is_replayed_too_because_it_was_refused(
    servers: Servers, revoked: ExternallyManagedJWTSession
) -> None:
    response = revoked.post(servers.api_url, data=BODY).json()
    assert (response["body_length"], response["checksum"]) == (len(BODY), checksum(BODY))
    assert servers.counts().requests == 2


@pytest.mark.parametrize("kind", ["bytes", "text", "file", "memory", "form", "json", "multipart"])
def test_r3_the_body_is_replayed_in_full(
    servers: Servers, revoked: ExternallyManagedJWTSession, kind: str, tmp_path: Path
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
        assert revoked.put(servers.api_url, **bodies[kind]).status_code == 200
    first, second = servers.received()
    assert first.body_length >= len(BODY)
    assert (first.body_length, first.checksum) == (second.body_length, second.checksum)
    assert first.headers["content-length"] == second.headers["content-length"]


def test_r3_the_401_to_a_body_that_cannot_be_replayed_is_returned(
    servers: Servers, hook: Hook, revoked: ExternallyManagedJWTSession
) -> None:
    def body() -> Iterator[bytes]:
        yield BODY

    response = revoked.post(servers.api_url, data=body())
    assert response.status_code == 401
    (received,) = servers.received()
    assert received.body_length == len(BODY)
    # The token was reported as rejected, so the next request carries another one.
    assert revoked.get(servers.api_url).status_code == 200
    assert hook.calls == 2


def test_r3_insufficient_scope_does_not_renew(servers: Servers, hook: Hook) -> None:
    challenge = 'Bearer realm="reports", error="insufficient_scope", scope="reports:write"'
    servers.next(401, headers={"www-authenticate": challenge})
    response = renewing(hook).get(servers.api_url)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == challenge
    assert servers.counts().requests == 1
    assert hook.calls == 1


def test_r3_a_403_does_not_renew(servers: Servers, hook: Hook) -> None:
    servers.next(403)
    assert renewing(hook).get(servers.api_url).status_code == 403
    assert hook.calls == 1


def test_r3_the_same_token_is_not_sent_again(servers: Servers) -> None:
    calls = []

    def stubborn() -> tuple[str, Any]:
        calls.append(1)
        return "stubborn", in_an_hour()

    assert renewing(stubborn).get(servers.api_url).status_code == 401
    assert servers.counts().requests == 1
    assert len(calls) == 2


def test_r3_a_fixed_token_is_not_replayed(servers: Servers) -> None:
    session = with_token("unknown")
    for sent in range(1, 4):
        assert session.get(servers.api_url).status_code == 401
        assert servers.counts().requests == sent
    session.token = servers.token()
    assert session.get(servers.api_url).status_code == 200


def test_t8_a_401_of_one_endpoint_takes_the_token_from_no_caller(servers: Servers) -> None:
    session = fixed(servers)
    servers.next(401)
    assert session.get(servers.api_url).status_code == 401
    assert session.get(servers.api_url).status_code == 200


def test_t8_the_late_401s_of_fifty_threads_cause_one_renewal(
    servers: Servers, hook: Hook, revoked: ExternallyManagedJWTSession
) -> None:
    threads = 50
    other = over(revoked.authentication_handler)

    def ask(n: int) -> int:
        return (revoked if n % 2 else other).get(servers.api_url).status_code

    with ThreadPoolExecutor(threads) as pool:
        statuses = set(pool.map(ask, range(threads)))
    assert statuses == {200}
    assert hook.calls == 2


def test_t8_a_401_for_a_token_that_was_already_replaced_causes_no_renewal(
    servers: Servers, hook: Hook
) -> None:
    session = renewing(hook)
    session.authenticate()
    servers.next(401, held=True)
    with ThreadPoolExecutor() as threads:
        late = threads.submit(session.get, servers.api_url)
        while servers.counts().requests == 0:
            pass
        session.authenticate(force=True)
        servers.release()
        assert late.result().status_code == 200
    assert hook.calls == 2


def test_r3_the_401_is_returned_if_the_renewal_fails(
    servers: Servers, caplog: pytest.LogCaptureFixture
) -> None:
    tokens = iter([servers.token()])

    def ends() -> tuple[str, Any]:
        token = next(tokens, None)
        if token is None:
            raise AuthenticationError("the vault is sealed")
        return token, in_an_hour()

    servers.next(401, headers={"www-authenticate": "Bearer", "x-seen": "yes"}, body={"text": "no"})
    session = renewing(ends)
    response = session.get(servers.api_url)
    assert (response.status_code, response.text, response.headers["X-Seen"]) == (401, "no", "yes")
    # The token has not expired, and other endpoints may accept it.
    assert session.get(servers.api_url).status_code == 200
    assert "token was rejected and could not be replaced" in caplog.text


def test_r3_a_replay_does_not_count_as_a_retry(servers: Servers, revoked: Any) -> None:
    revoked.retry = RetryPolicy(attempts=1)
    assert revoked.get(servers.api_url).status_code == 200


def test_r3_a_401_and_retries_work_in_any_order(
    servers: Servers, revoked: ExternallyManagedJWTSession
) -> None:
    servers.next(503)
    servers.next(401)
    servers.next(503)
    assert revoked.get(servers.api_url).status_code == 200
    assert list(servers.counts().statuses.items()) == [(200, 1), (401, 1), (503, 2)]


def test_r3_a_401_to_a_streamed_request_is_replayed(servers: Servers, hook: Hook) -> None:
    servers.next(401)
    response = renewing(hook).get(servers.api_url, stream=True)
    assert response.json()["headers"]["authorization"] == ["Bearer token-2"]


def test_r2_without_a_token_nothing_is_sent(servers: Servers) -> None:
    def broken() -> Any:
        raise OSError("no vault")

    session = renewing(broken)
    with pytest.raises(AuthenticationError) as failed:
        session.get(servers.api_url)
    assert isinstance(failed.value.__cause__, OSError)
    assert servers.counts().requests == 0


def test_r2_an_expired_token_is_not_sent(servers: Servers) -> None:
    session = renewing(lambda: ("old", datetime(2020, 1, 1, tzinfo=timezone.utc)))
    session.retry = RetryPolicy(total=0.2)
    with pytest.raises(AuthenticationError):
        session.get(servers.api_url)
    assert servers.counts().requests == 0


def test_a_connection_error_of_the_hook_is_not_retried_like_one_of_the_api(
    servers: Servers,
) -> None:
    calls = []

    def offline() -> Any:
        calls.append(1)
        raise requests.ConnectionError("no route to the vault")

    with pytest.raises(AuthenticationError) as failed:
        renewing(offline).get(servers.api_url)
    assert isinstance(failed.value.__cause__, requests.ConnectionError)
    assert len(calls) == 1


def test_r7_each_attempt_carries_the_token_of_that_moment(servers: Servers) -> None:
    hook = Hook(servers)
    session = renewing(hook)
    servers.next(503, held=True)
    with ThreadPoolExecutor() as threads:
        response = threads.submit(session.get, servers.api_url)
        while servers.counts().requests == 0:
            pass
        session.authenticate(force=True)
        servers.release()
        assert response.result().status_code == 200
    tokens = [received.authorization for received in servers.received()]
    assert tokens == ["Bearer token-1", "Bearer token-2"]


def test_r7_a_retry_without_a_token_returns_the_last_response(
    servers: Servers, caplog: pytest.LogCaptureFixture
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

    servers.next(503, body={"text": "busy"})
    handler: Any = Ends()
    with caplog.at_level(logging.DEBUG, "keyfob"):
        response = over(handler).get(servers.api_url)
    assert (response.status_code, response.text) == (503, "busy")
    assert "request is not sent again, because there is no token" in caplog.text


def test_r3_after_the_401_of_a_streamed_body_the_renewal_has_ended(
    servers: Servers, hook: Hook, revoked: ExternallyManagedJWTSession
) -> None:
    for status in (401, 200):
        response = revoked.post(servers.api_url, data=iter([b"built again"]))
        assert response.status_code == status
    assert hook.calls == 2


def test_r3_a_token_that_the_caller_set_is_never_replaced_by_an_older_one(servers: Servers) -> None:
    session = fixed(servers)
    session.token = "bob"
    assert session.get(servers.api_url).status_code == 401
    assert session.get(servers.api_url).status_code == 401
    assert {received.authorization for received in servers.received()} == {"Bearer bob"}
    session.token = servers.token()
    assert session.get(servers.api_url).status_code == 200


def test_t8_a_token_that_was_set_during_a_401_is_used_for_the_replay(servers: Servers) -> None:
    session = with_token("alice")
    servers.next(401, held=True)
    with ThreadPoolExecutor(1) as threads:
        response = threads.submit(session.get, servers.api_url)
        wait_until(lambda: servers.counts().requests == 1)
        session.token = servers.token()
        servers.release()
        assert response.result().status_code == 200
    sent = [received.authorization for received in servers.received()]
    assert sent == ["Bearer alice", "Bearer token-1"]


@pytest.mark.parametrize("status", [400, 403, 498, 503])
def test_r3_a_status_that_means_a_rejected_token_renews_once(
    servers: Servers, hook: Hook, status: int
) -> None:
    servers.next(status)
    session = Session(hook, origins=servers.api_url, rejected_statuses={status})
    assert session.post(servers.api_url, data=BODY).status_code == 200
    assert [each.authorization for each in servers.received()] == [
        "Bearer token-1",
        "Bearer token-2",
    ]
    servers.next(status, times=2, body={"text": "no"})
    assert session.get(servers.api_url).text == "no"
    assert servers.counts().requests == 4


def test_r3_auth_objects_know_the_rejected_statuses_of_their_handler(
    servers: Servers, hook: Hook
) -> None:
    handler = GenericExternallyManagedJWTHandler(None, None, hook, rejected_statuses=[403])
    servers.next(403)
    assert requests.get(servers.api_url, auth=handler.auth(), timeout=5).status_code == 200
    assert hook.calls == 2


@pytest.mark.parametrize("status", [200, 302, 600, 1000])
def test_a_status_that_is_no_error_cannot_mean_a_rejected_token(status: int) -> None:
    with pytest.raises(ValueError, match=str(status)):
        GenericExternallyManagedJWTHandler(get_token=str, rejected_statuses=[403, status])
