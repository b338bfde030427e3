"""R5: limits of retries: attempts, time, the budget, and `Retry-After`."""

from __future__ import annotations

import time
from email.utils import formatdate
from typing import Any

import pytest
import requests
import tokens
from keyfob import AuthenticationError, RetryPolicy
from servers import Servers
from sessions import fixed, renewing


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses of the session, which are recorded and skipped."""
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    return pauses


@pytest.mark.parametrize("attempts", [1, 2, 6])
def test_r5_the_policy_limits_the_attempts(servers: Servers, attempts: int) -> None:
    session = fixed(servers)
    session.retry = RetryPolicy(attempts=attempts, pauses=(0, 0))
    servers.next(503, times=10)
    assert session.get(servers.api_url).status_code == 503
    assert servers.counts().requests == attempts


def test_r5_a_request_is_sent_four_times_unless_set(servers: Servers) -> None:
    servers.next(503, times=10)
    assert fixed(servers).get(servers.api_url).status_code == 503
    assert servers.counts().requests == 4


def test_r6_the_last_response_is_returned_unchanged(servers: Servers) -> None:
    for n in range(1, 5):
        servers.next(503, headers={"x-n": str(n)}, body={"text": f"busy {n}"})
    response = fixed(servers).get(servers.api_url)
    assert (response.status_code, response.headers["X-N"], response.text) == (503, "4", "busy 4")
    assert response.history == []
    with pytest.raises(requests.HTTPError):
        response.raise_for_status()


def test_r6_the_last_response_can_still_be_streamed(servers: Servers) -> None:
    servers.next(503, times=4, body={"text": "busy"})
    with fixed(servers).get(servers.api_url, stream=True) as response:
        assert b"".join(response.iter_content(2)) == b"busy"


def test_r6_the_last_failure_is_raised_unchanged(servers: Servers) -> None:
    servers.next(503)
    servers.next(fault="reset", times=10)
    with pytest.raises(requests.ConnectionError) as failed:
        fixed(servers).get(servers.api_url)
    assert type(failed.value) is requests.ConnectionError
    assert failed.value.request is not None
    assert failed.value.request.url == f"{servers.api_url}/"
    assert servers.counts().requests == 4


def test_r6_a_response_after_a_failure_is_returned(servers: Servers) -> None:
    servers.next(fault="reset", times=3)
    servers.next(500, body={"text": "no"})
    response = fixed(servers).get(servers.api_url)
    assert (response.status_code, response.text) == (500, "no")


def test_r5_pauses_are_random_below_a_bound_that_doubles(
    servers: Servers, pauses: list[float]
) -> None:
    session = fixed(servers)
    for _ in range(8):
        session.retry = RetryPolicy(attempts=5, pauses=(0.2, 0.5))
        servers.next(500, times=5)
        session.get(servers.api_url)
    bounds = [0.2, 0.4, 0.5, 0.5]
    assert len(pauses) == 8 * len(bounds)
    for n, pause in enumerate(pauses):
        assert 0 <= pause <= bounds[n % 4]
    # Eight clients that fail at the same time do not all return at the same time.
    assert len({round(pause, 6) for pause in pauses}) > 16
    assert max(pauses) > 0.2


def test_r5_retry_after_in_seconds_is_waited_for(servers: Servers, pauses: list[float]) -> None:
    servers.next(503, headers={"retry-after": "3"})
    assert fixed(servers).get(servers.api_url).status_code == 200
    assert pauses == [pytest.approx(3, abs=0.01)]


def test_r5_retry_after_as_a_date_is_waited_for(servers: Servers, pauses: list[float]) -> None:
    servers.next(429, headers={"retry-after": formatdate(time.time() + 20, usegmt=True)})
    assert fixed(servers).post(servers.api_url).status_code == 200
    (pause,) = pauses
    assert 10 < pause <= 21


@pytest.mark.parametrize("retry_after", ["91", "86400", "9" * 30, "Fri, 31 Dec 2100 23:59:59 GMT"])
def test_r5_a_retry_after_that_is_too_long_returns_the_response_now(
    servers: Servers, pauses: list[float], retry_after: str
) -> None:
    servers.next(503, headers={"retry-after": retry_after}, body={"text": "later"})
    response = fixed(servers).get(servers.api_url)
    assert (response.status_code, response.text) == (503, "later")
    assert servers.counts().requests == 1
    assert pauses == []


@pytest.mark.parametrize("invalid", ["soon", ""])
def test_r5_an_invalid_retry_after_is_ignored(
    servers: Servers, pauses: list[float], invalid: str
) -> None:
    session = fixed(servers)
    servers.next(503, headers={"retry-after": invalid})
    assert session.get(servers.api_url).status_code == 200
    servers.next(503, headers={"retry-after": invalid})
    assert session.post(servers.api_url).status_code == 503
    assert max(pauses) == 0


def test_r5_a_fraction_in_retry_after_is_rounded_up(servers: Servers, pauses: list[float]) -> None:
    servers.next(503, headers={"retry-after": "1.5"})
    assert fixed(servers).post(servers.api_url).status_code == 200
    assert pauses == [2]


def test_r5_no_attempt_begins_after_the_total(servers: Servers, pauses: list[float]) -> None:
    session = fixed(servers)
    session.retry = RetryPolicy(total=2, pauses=(0, 0))
    servers.next(503, headers={"retry-after": "2"})
    assert session.get(servers.api_url).status_code == 503
    servers.next(503, headers={"retry-after": "1"})
    assert session.get(servers.api_url).status_code == 200
    assert pauses == [1]


def test_r5_the_total_includes_the_wait_for_a_token() -> None:
    hook = tokens.Hook()
    hook.hold()
    session = renewing(hook)
    session.retry = RetryPolicy(total=0.2)
    began = time.monotonic()
    with pytest.raises(AuthenticationError) as raised:
        session.get("https://api.example.com/")
    assert time.monotonic() - began < 20
    assert raised.value.kind == "deadline"
    hook.release()


def test_r4_a_body_that_cannot_be_replayed_causes_no_pause(
    servers: Servers, pauses: list[float]
) -> None:
    servers.next(503, headers={"retry-after": "7"})
    assert fixed(servers).put(servers.api_url, data=iter([b"once"])).status_code == 503
    assert pauses == []


def test_r5_the_total_includes_the_time_of_attempts(servers: Servers) -> None:
    session = fixed(servers)
    session.retry = RetryPolicy(total=0.1, pauses=(0, 0))
    servers.next(fault="hang")
    with pytest.raises(requests.ReadTimeout):
        session.get(servers.api_url, timeout=(20, 0.15))
    assert servers.counts().requests == 1


def test_r5_an_outage_is_not_multiplied(servers: Servers) -> None:
    session = fixed(servers)
    servers.next(500, times=1000)
    for _ in range(40):
        session.get(servers.api_url)
    # The budget allows 35 retries. After that, each request is sent once.
    assert servers.counts().requests == 75


def test_r5_a_call_with_its_own_codes_uses_the_same_budget(servers: Servers) -> None:
    session = fixed(servers)
    servers.next(500, times=1000)
    for _ in range(40):
        session.get(servers.api_url, do_not_retry_codes={404})
    assert servers.counts().requests == 75


def test_r5_sessions_that_share_a_policy_share_its_budget(servers: Servers) -> None:
    one, other = fixed(servers), fixed(servers)
    other.retry = one.retry
    servers.next(500, times=1000)
    for _ in range(20):
        one.get(servers.api_url)
        other.get(servers.api_url)
    assert servers.counts().requests == 75


def test_r5_a_session_has_a_budget_of_its_own(servers: Servers) -> None:
    one, other = fixed(servers), fixed(servers)
    servers.next(500, times=1000)
    for _ in range(40):
        one.get(servers.api_url)
    before = servers.counts().requests
    other.get(servers.api_url)
    assert servers.counts().requests == before + 4


@pytest.mark.parametrize(
    "wrong",
    [
        {"attempts": 0},
        {"attempts": -1},
        {"total": -1},
        {"total": float("nan")},
        {"pauses": (-1, 0)},
        {"pauses": (0, float("inf"))},
        {"retry": [99]},
        {"do_not_retry": [1000]},
    ],
)
def test_a_policy_with_invalid_numbers_is_rejected(wrong: dict[str, Any]) -> None:
    with pytest.raises((ValueError, OverflowError)):
        RetryPolicy(**wrong)


def test_a_policy_takes_keyword_arguments_only() -> None:
    policy: Any = RetryPolicy
    with pytest.raises(TypeError):
        policy(3)


@pytest.mark.parametrize("codes", [[404], (404,), {404}, frozenset({404})])
def test_a_policy_takes_any_collection_of_statuses(servers: Servers, codes: Any) -> None:
    session = fixed(servers)
    session.retry = RetryPolicy(pauses=(0, 0), retry=codes)
    servers.next(404)
    assert session.get(servers.api_url).status_code == 200
    session.retry = RetryPolicy(pauses=(0, 0), retry=codes, do_not_retry=codes)
    servers.next(404)
    assert session.get(servers.api_url).status_code == 404
