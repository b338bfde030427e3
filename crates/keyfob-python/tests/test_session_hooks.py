"""Response hooks see what the caller sees, and nothing else is done to what they raise."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from keyfob import AuthenticationError
from outside import Outside
from signed_in import fixed, over


def test_a_hook_sees_no_answer_that_is_retried(outside: Outside) -> None:
    seen: list[int] = []
    session = fixed(outside)
    session.hooks["response"].append(lambda response, **_: seen.append(response.status_code))
    outside.next(503, times=2)
    session.get(outside.api_url)
    assert seen == [200]


def test_a_hook_sees_the_last_answer_of_retries(outside: Outside) -> None:
    seen: list[int] = []
    outside.next(503, times=4)
    fixed(outside).get(
        outside.api_url, hooks={"response": lambda r, **_: seen.append(r.status_code)}
    )
    assert seen == [503]


def test_a_hook_sees_an_answer_that_could_not_be_retried_after_all(outside: Outside) -> None:
    class Moody:
        authenticated = True
        calls = 0

        def authenticate(self) -> None:
            """There is no need."""

        @property
        def request_headers(self) -> dict[str, str]:
            self.calls += 1
            if self.calls > 1:
                raise AuthenticationError
            return {"authorization": "Bearer t0ken"}

    seen: list[int] = []
    outside.next(503)
    answer = over(Moody()).get(
        outside.api_url, hooks={"response": lambda r, **_: seen.append(r.status_code)}
    )
    assert (answer.status_code, seen) == (503, [503])


@pytest.mark.parametrize("failure", [requests.ConnectionError, requests.Timeout, KeyError])
def test_what_a_hook_raises_is_not_retried(outside: Outside, failure: type[Exception]) -> None:
    def hook(*_: Any, **__: Any) -> None:
        raise failure

    with pytest.raises(failure):
        fixed(outside).get(outside.api_url, hooks={"response": hook})
    assert outside.counts().requests == 1


def test_a_hook_sees_each_hop_of_a_redirect_once(outside: Outside) -> None:
    seen: list[int] = []
    session = fixed(outside)
    session.hooks["response"].append(lambda response, **_: seen.append(response.status_code))
    outside.next(302, headers={"location": "/there"})
    answer = session.get(outside.api_url)
    assert seen == [302, 200]
    assert answer.request.hooks["response"] == session.hooks["response"]


def test_a_hook_may_replace_the_answer(outside: Outside) -> None:
    other = requests.Response()
    other.status_code = 299
    other.raw = None
    answer = fixed(outside).get(outside.api_url, hooks={"response": lambda *_, **__: other})
    assert answer is other
