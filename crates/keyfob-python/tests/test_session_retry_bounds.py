"""Retries end: by number, by time, by a budget, and by what the server asks for."""

from __future__ import annotations

import time
from email.utils import formatdate
from typing import Any

import pytest
import requests
import tokens
from keyfob import AuthenticationError, RetryPolicy
from outside import Outside
from signed_in import fixed, renewing


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were asked for, none of which is made."""
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    return pauses


@pytest.mark.parametrize("attempts", [1, 2, 6])
def test_r5_a_request_is_sent_as_often_as_the_policy_says(outside: Outside, attempts: int) -> None:
    session = fixed(outside)
    session.retry = RetryPolicy(attempts=attempts, pauses=(0, 0))
    outside.next(503, times=10)
    assert session.get(outside.api_url).status_code == 503
    assert outside.counts().requests == attempts


def test_r5_a_request_is_sent_four_times_unless_set(outside: Outside) -> None:
    outside.next(503, times=10)
    assert fixed(outside).get(outside.api_url).status_code == 503
    assert outside.counts().requests == 4


def test_r6_the_last_answer_is_given_as_it_was(outside: Outside) -> None:
    for n in range(1, 5):
        outside.next(503, headers={"x-n": str(n)}, body={"text": f"busy {n}"})
    answer = fixed(outside).get(outside.api_url)
    assert (answer.status_code, answer.headers["X-N"], answer.text) == (503, "4", "busy 4")
    assert answer.history == []
    with pytest.raises(requests.HTTPError):
        answer.raise_for_status()


def test_r6_the_last_answer_can_still_be_streamed(outside: Outside) -> None:
    outside.next(503, times=4, body={"text": "busy"})
    with fixed(outside).get(outside.api_url, stream=True) as answer:
        assert b"".join(answer.iter_content(2)) == b"busy"


def test_r6_the_last_failure_is_raised_as_it_was(outside: Outside) -> None:
    outside.next(503)
    outside.next(fault="reset", times=10)
    with pytest.raises(requests.ConnectionError) as failed:
        fixed(outside).get(outside.api_url)
    assert type(failed.value) is requests.ConnectionError
    assert failed.value.request is not None
    assert failed.value.request.url == f"{outside.api_url}/"
    assert outside.counts().requests == 4


def test_r6_an_answer_after_a_failure_is_the_last_one(outside: Outside) -> None:
    outside.next(fault="reset", times=3)
    outside.next(500, body={"text": "no"})
    answer = fixed(outside).get(outside.api_url)
    assert (answer.status_code, answer.text) == (500, "no")


def test_r5_pauses_are_drawn_below_a_bound_that_doubles(
    outside: Outside, pauses: list[float]
) -> None:
    session = fixed(outside)
    for _ in range(8):
        session.retry = RetryPolicy(attempts=5, pauses=(0.2, 0.5))
        outside.next(500, times=5)
        session.get(outside.api_url)
    bounds = [0.2, 0.4, 0.5, 0.5]
    assert len(pauses) == 8 * len(bounds)
    for n, pause in enumerate(pauses):
        assert 0 <= pause <= bounds[n % 4]
    # Eight clients that fail together do not come back together.
    assert len({round(pause, 6) for pause in pauses}) > 16
    assert max(pauses) > 0.2


def test_r5_retry_after_in_seconds_is_waited_for(outside: Outside, pauses: list[float]) -> None:
    outside.next(503, headers={"retry-after": "3"})
    assert fixed(outside).get(outside.api_url).status_code == 200
    assert pauses == [pytest.approx(3, abs=0.01)]


def test_r5_retry_after_as_a_date_is_waited_for(outside: Outside, pauses: list[float]) -> None:
    outside.next(429, headers={"retry-after": formatdate(time.time() + 20, usegmt=True)})
    assert fixed(outside).post(outside.api_url).status_code == 200
    (pause,) = pauses
    assert 10 < pause <= 21


@pytest.mark.parametrize("asked", ["91", "86400", "9" * 30, "Fri, 31 Dec 2100 23:59:59 GMT"])
def test_r5_retry_after_that_is_too_long_gives_the_answer_now(
    outside: Outside, pauses: list[float], asked: str
) -> None:
    outside.next(503, headers={"retry-after": asked}, body={"text": "later"})
    answer = fixed(outside).get(outside.api_url)
    assert (answer.status_code, answer.text) == (503, "later")
    assert outside.counts().requests == 1
    assert pauses == []


@pytest.mark.parametrize("nonsense", ["soon", "-1", "1.5", ""])
def test_r5_retry_after_that_is_nonsense_counts_as_none(
    outside: Outside, pauses: list[float], nonsense: str
) -> None:
    session = fixed(outside)
    outside.next(503, headers={"retry-after": nonsense})
    assert session.get(outside.api_url).status_code == 200
    outside.next(503, headers={"retry-after": nonsense})
    assert session.post(outside.api_url).status_code == 503
    assert max(pauses) == 0


def test_r5_no_attempt_begins_after_the_total(outside: Outside, pauses: list[float]) -> None:
    session = fixed(outside)
    session.retry = RetryPolicy(total=2, pauses=(0, 0))
    outside.next(503, headers={"retry-after": "2"})
    assert session.get(outside.api_url).status_code == 503
    outside.next(503, headers={"retry-after": "1"})
    assert session.get(outside.api_url).status_code == 200
    assert pauses == [1]


def test_r5_the_total_counts_for_the_token_as_well() -> None:
    hook = tokens.Hook()
    hook.hold()
    session = renewing(hook)
    session.retry = RetryPolicy(total=0.2)
    began = time.monotonic()
    with pytest.raises(AuthenticationError) as raised:
        session.get("https://api.example.com/")
    assert time.monotonic() - began < 5
    assert raised.value.kind == "deadline"
    hook.release()


def test_r4_a_body_that_cannot_be_replayed_is_not_paused_for(
    outside: Outside, pauses: list[float]
) -> None:
    outside.next(503, headers={"retry-after": "7"})
    assert fixed(outside).put(outside.api_url, data=iter([b"once"])).status_code == 503
    assert pauses == []


def test_r5_time_that_attempts_take_counts_for_the_total(outside: Outside) -> None:
    session = fixed(outside)
    session.retry = RetryPolicy(total=0.1, pauses=(0, 0))
    outside.next(fault="hang")
    with pytest.raises(requests.ReadTimeout):
        session.get(outside.api_url, timeout=(5, 0.15))
    assert outside.counts().requests == 1


def test_r5_an_outage_is_not_multiplied(outside: Outside) -> None:
    session = fixed(outside)
    outside.next(500, times=1000)
    for _ in range(40):
        session.get(outside.api_url)
    # 35 retries in all, as the budget says, and then each request once.
    assert outside.counts().requests == 75


def test_r5_a_call_with_codes_of_its_own_draws_on_the_same_budget(outside: Outside) -> None:
    session = fixed(outside)
    outside.next(500, times=1000)
    for _ in range(40):
        session.get(outside.api_url, do_not_retry_codes={404})
    assert outside.counts().requests == 75


def test_r5_sessions_that_share_a_policy_share_its_budget(outside: Outside) -> None:
    one, other = fixed(outside), fixed(outside)
    other.retry = one.retry
    outside.next(500, times=1000)
    for _ in range(20):
        one.get(outside.api_url)
        other.get(outside.api_url)
    assert outside.counts().requests == 75


def test_r5_a_session_has_a_budget_of_its_own(outside: Outside) -> None:
    one, other = fixed(outside), fixed(outside)
    outside.next(500, times=1000)
    for _ in range(40):
        one.get(outside.api_url)
    before = outside.counts().requests
    other.get(outside.api_url)
    assert outside.counts().requests == before + 4


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
def test_a_policy_that_cannot_be_meant_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises((ValueError, OverflowError)):
        RetryPolicy(**wrong)


def test_a_policy_takes_its_numbers_by_name() -> None:
    policy: Any = RetryPolicy
    with pytest.raises(TypeError):
        policy(3)


@pytest.mark.parametrize("codes", [[404], (404,), {404}, frozenset({404})])
def test_a_policy_takes_any_collection_of_statuses(outside: Outside, codes: Any) -> None:
    session = fixed(outside)
    session.retry = RetryPolicy(pauses=(0, 0), retry=codes)
    outside.next(404)
    assert session.get(outside.api_url).status_code == 200
    session.retry = RetryPolicy(pauses=(0, 0), retry=codes, do_not_retry=codes)
    outside.next(404)
    assert session.get(outside.api_url).status_code == 404
