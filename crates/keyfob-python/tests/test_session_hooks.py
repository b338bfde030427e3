"""Response hooks see the responses that the caller sees, and their exceptions are raised unchanged."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from keyfob import AuthenticationError
from servers import Servers
from sessions import fixed, over


def test_a_hook_sees_no_response_that_is_retried(servers: Servers) -> None:
    seen: list[int] = []
    session = fixed(servers)
    session.hooks["response"].append(lambda response, **_: seen.append(response.status_code))
    servers.next(503, times=2)
    session.get(servers.api_url)
    assert seen == [200]


def test_a_hook_sees_the_last_response_of_retries(servers: Servers) -> None:
    seen: list[int] = []
    servers.next(503, times=4)
    fixed(servers).get(
        servers.api_url, hooks={"response": lambda r, **_: seen.append(r.status_code)}
    )
    assert seen == [503]


def test_a_hook_sees_a_response_whose_retry_turns_out_impossible(servers: Servers) -> None:
    class Moody:
        authenticated = True
        calls = 0

        def authenticate(self) -> None:
            """Does nothing."""

        @property
        def request_headers(self) -> dict[str, str]:
            self.calls += 1
            if self.calls > 1:
                raise AuthenticationError
            return {"authorization": "Bearer t0ken"}

    seen: list[int] = []
    servers.next(503)
    response = over(Moody()).get(
        servers.api_url, hooks={"response": lambda r, **_: seen.append(r.status_code)}
    )
    assert (response.status_code, seen) == (503, [503])


@pytest.mark.parametrize("failure", [requests.ConnectionError, requests.Timeout, KeyError])
def test_an_exception_of_a_response_hook_is_not_retried(
    servers: Servers, failure: type[Exception]
) -> None:
    def hook(*_: Any, **__: Any) -> None:
        raise failure

    with pytest.raises(failure):
        fixed(servers).get(servers.api_url, hooks={"response": hook})
    assert servers.counts().requests == 1


def test_a_hook_sees_each_hop_of_a_redirect_once(servers: Servers) -> None:
    seen: list[int] = []
    session = fixed(servers)
    session.hooks["response"].append(lambda response, **_: seen.append(response.status_code))
    servers.next(302, headers={"location": "/there"})
    response = session.get(servers.api_url)
    assert seen == [302, 200]
    assert response.request.hooks["response"] == session.hooks["response"]


def test_a_hook_may_replace_the_response(servers: Servers) -> None:
    other = requests.Response()
    other.status_code = 299
    other.raw = None
    response = fixed(servers).get(servers.api_url, hooks={"response": lambda *_, **__: other})
    assert response is other
