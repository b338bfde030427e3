"""Response hooks see the responses that the caller sees, and their exceptions are raised unchanged."""

from __future__ import annotations

from typing import Any

import keyfob
import pytest
import requests
from keyfob import AuthenticationError, OriginError
from servers import Servers
from sessions import Hook, fixed, over


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


def raise_for_status(response: requests.Response, **_: Any) -> None:
    response.close()
    response.raise_for_status()


def test_r1_a_request_whose_hook_raised_goes_to_no_other_origin(servers: Servers) -> None:
    session = keyfob.Session(Hook(servers), base_url=servers.api_url)
    servers.next(404)
    with session, Servers.start() as other:
        with pytest.raises(requests.HTTPError) as raised:
            session.get("a", hooks={"response": raise_for_status})
        sent: Any = raised.value.request
        sent.url = other.api_url
        with pytest.raises(OriginError):
            session.send(sent)
        assert other.counts().requests == 0


def test_r7_a_request_whose_hook_raised_is_sent_again_with_the_current_token(
    servers: Servers,
) -> None:
    session = keyfob.Session(Hook(servers), base_url=servers.api_url)
    servers.next(404)
    with session:
        with pytest.raises(requests.HTTPError) as raised:
            session.get("a", hooks={"response": raise_for_status})
        servers.revoke()
        sent: Any = raised.value.request
        sent.hooks = {}
        assert session.send(sent).status_code == 200
    assert servers.received()[-1].authorization == "Bearer token-2"


@pytest.mark.parametrize("fails", [False, True])
def test_r1_a_request_that_a_hook_sends_leaves_the_credential_at_its_origin(
    fails: bool, servers: Servers
) -> None:
    session = keyfob.Session(Hook(servers), header="X-Api-Key")

    def again(response: requests.Response, **settings: Any) -> None:
        response.close()
        if response.status_code == 404 and not fails:
            session.send(response.request, **settings)
        response.raise_for_status()

    with session, Servers.start() as other:
        servers.next(404)
        servers.next(302, headers={"location": other.api_url})
        with pytest.raises(requests.HTTPError) as raised:
            session.get(servers.api_url, hooks={"response": again})
        if fails:
            sent: Any = raised.value.request
            sent.hooks = {}
            session.send(sent)
        assert "x-api-key" in servers.received()[1].headers
        (taken,) = other.received()
        assert "x-api-key" not in taken.headers
