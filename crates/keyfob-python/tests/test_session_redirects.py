"""Redirects are followed as in `requests`, and the credential stays with its origin."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

import keyfob
import pytest
import requests
import responses
from keyfob import GenericExternallyManagedJWTHandler, OriginError
from servers import Servers
from sessions import Hook, fixed, in_an_hour, over, renewing, with_token

CODES = [301, 302, 303, 307, 308]


@pytest.fixture
def other() -> Iterator[Servers]:
    """Another API. It has another port, so it is another origin."""
    with Servers.start() as other:
        yield other


def redirect(servers: Servers, target: str, code: int = 302, **more: Any) -> None:
    servers.next(code, headers={"location": target}, **more)


@pytest.mark.parametrize("code", CODES)
def test_r1_a_redirect_within_the_origin_carries_the_credential(
    servers: Servers, code: int
) -> None:
    redirect(servers, "/new", code)
    response = fixed(servers).get(f"{servers.api_url}/old")
    assert (response.status_code, response.json()["path"]) == (200, "/new")
    assert [received.authorization for received in servers.received()] == ["Bearer token-1"] * 2


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_r1_a_redirect_to_another_origin_does_not_carry_the_credential(
    servers: Servers, other: Servers, code: int, method: str
) -> None:
    redirect(servers, f"{other.api_url}/taken", code)
    response = fixed(servers).request(
        method, servers.api_url, headers={"Authorization": "Basic eA=="}
    )
    assert response.status_code == 401
    assert len(servers.received()) == 1
    (taken,) = other.received()
    assert "authorization" not in taken.headers


def test_r1_a_second_redirect_back_does_not_restore_the_credential(
    servers: Servers, other: Servers
) -> None:
    redirect(servers, other.api_url)
    redirect(other, f"{servers.api_url}/home")
    response = fixed(servers).get(servers.api_url)
    assert response.status_code == 401
    assert "authorization" not in other.received()[0].headers
    assert "authorization" not in servers.received()[1].headers


def test_r1_a_redirect_does_not_carry_the_credential_even_between_bound_origins(
    servers: Servers, other: Servers
) -> None:
    session = fixed(servers)
    session.bind(servers.api_url, other.api_url)
    redirect(servers, other.api_url)
    session.get(servers.api_url)
    assert "authorization" not in other.received()[0].headers


def test_r1_no_header_of_the_credential_follows_to_another_origin(
    servers: Servers, other: Servers
) -> None:
    class Keyed(GenericExternallyManagedJWTHandler):
        @property
        def request_headers(self) -> dict[str, str]:
            return {**super().request_headers, "X-Api-Key": "k3y"}

    redirect(servers, other.api_url)
    session = over(Keyed(None, None, Hook(servers)))
    session.get(servers.api_url, headers={"x-api-key": "of the caller", "X-Trace": "7"})
    assert servers.received()[0].headers["x-api-key"] == ["k3y"]
    (taken,) = other.received()
    assert not {"authorization", "x-api-key"} & taken.headers.keys()
    assert taken.headers["x-trace"] == ["7"]


def test_r1_a_header_of_a_custom_handler_does_not_follow_either(
    servers: Servers, other: Servers
) -> None:
    class Keys:
        authenticated = True
        request_headers = {"X-Api-Key": "k3y"}  # noqa: RUF012

        def authenticate(self) -> None: ...

    redirect(servers, other.api_url)
    over(Keys()).get(servers.api_url)
    assert servers.received()[0].headers["x-api-key"] == ["k3y"]
    assert "x-api-key" not in other.received()[0].headers


def test_r1_a_401_from_another_origin_does_not_renew_the_token(
    servers: Servers, other: Servers
) -> None:
    hook = Hook(servers)
    redirect(servers, other.api_url)
    assert renewing(hook).get(servers.api_url).status_code == 401
    assert hook.calls == 1
    assert other.counts().requests == 1


def test_r1_a_retry_at_the_other_origin_does_not_put_the_credential_back(
    servers: Servers, other: Servers
) -> None:
    redirect(servers, other.api_url)
    other.next(503)
    fixed(servers).get(servers.api_url)
    assert ["authorization" in received.headers for received in other.received()] == [False] * 2


@responses.activate
@pytest.mark.parametrize(
    "target",
    ["http://api.example.com/", "https://api.example.com:444/", "https://example.com/"],
)
def test_r1_another_scheme_port_or_host_is_another_origin(target: str) -> None:
    responses.get("https://api.example.com/old", status=302, headers={"Location": target})
    taken = responses.get(target)
    with_token("t0ken").get("https://api.example.com/old")
    assert "Authorization" not in taken.calls[0].request.headers


@responses.activate
@pytest.mark.parametrize("target", ["https://API.example.com:443/new", "//api.example.com/new"])
def test_r1_an_origin_can_be_written_in_several_ways(target: str) -> None:
    responses.get("https://api.example.com/old", status=302, headers={"Location": target})
    new = responses.get(urljoin("https://api.example.com/", target))
    with_token("t0ken").get("https://api.example.com/old")
    assert new.calls[0].request.headers["Authorization"] == "Bearer t0ken"


@responses.activate
def test_r1_an_upgrade_to_https_is_another_origin() -> None:
    session = with_token("t0ken")
    session.allow_plain_http("http://api.example.com")
    target = "https://api.example.com/"
    responses.get("http://api.example.com/", status=302, headers={"Location": target})
    upgraded = responses.get(target)
    session.get("http://api.example.com/")
    assert "Authorization" not in upgraded.calls[0].request.headers


def test_a_redirect_to_another_scheme_fails_as_with_requests(servers: Servers) -> None:
    redirect(servers, "file:///etc/passwd")
    with pytest.raises(requests.exceptions.InvalidSchema):
        fixed(servers).get(servers.api_url)


def test_the_history_and_the_url_show_the_redirects(servers: Servers) -> None:
    redirect(servers, "/second")
    redirect(servers, "/third")
    response = fixed(servers).get(f"{servers.api_url}/first")
    assert response.url == f"{servers.api_url}/third"
    assert [each.url for each in response.history] == [
        f"{servers.api_url}/first",
        f"{servers.api_url}/second",
    ]
    assert [each.status_code for each in response.history] == [302, 302]
    assert response.next is None
    assert response.elapsed.total_seconds() > 0


def test_a_redirect_that_is_not_followed_can_be_sent_by_hand(servers: Servers) -> None:
    session = fixed(servers)
    redirect(servers, "/new")
    response = session.get(servers.api_url, allow_redirects=False)
    assert (response.status_code, response.history) == (302, [])
    assert response.next is not None
    assert session.send(response.next).json()["path"] == "/new"


def test_r1_a_redirect_sent_by_hand_does_not_carry_the_credential(
    servers: Servers, other: Servers
) -> None:
    session = fixed(servers)
    redirect(servers, other.api_url)
    redirect(other, "/further")
    redirect(other, f"{servers.api_url}/home")
    response = session.get(servers.api_url, allow_redirects=False)
    while response.next is not None:
        response = session.send(response.next, allow_redirects=False)
    assert response.status_code == 401
    for received in [*other.received(), *servers.received()[1:]]:
        assert "authorization" not in received.headers


def test_r1_a_copied_redirect_request_does_not_carry_the_credential(
    servers: Servers, other: Servers
) -> None:
    session = fixed(servers)
    redirect(servers, other.api_url)
    response = session.get(servers.api_url, allow_redirects=False)
    assert response.next is not None
    session.send(response.next.copy())
    assert "authorization" not in other.received()[0].headers


@responses.activate
def test_r1_a_redirect_sent_by_hand_to_plain_http_carries_no_credential() -> None:
    target = "http://example.com/"
    responses.get("https://api.example.com/", status=302, headers={"Location": target})
    taken = responses.get(target)
    session = with_token("t0ken")
    response = session.get("https://api.example.com/", allow_redirects=False)
    assert response.next is not None
    session.send(response.next)
    assert "Authorization" not in taken.calls[0].request.headers
    with pytest.raises(OriginError):
        session.get(target)


def test_head_does_not_follow_redirects(servers: Servers) -> None:
    redirect(servers, "/new")
    assert fixed(servers).head(servers.api_url).status_code == 302
    assert servers.counts().requests == 1


@pytest.mark.parametrize("limit", [1, 3])
def test_redirects_end_at_the_limit_of_the_session(servers: Servers, limit: int) -> None:
    session = fixed(servers)
    session.max_redirects = limit
    redirect(servers, "/again", times=10)
    with pytest.raises(requests.TooManyRedirects, match=f"Exceeded {limit} redirects") as ended:
        session.get(servers.api_url)
    assert servers.counts().requests == limit + 1
    assert ended.value.response is not None
    assert ended.value.response.status_code == 302


def test_as_many_redirects_as_allowed_are_followed(servers: Servers) -> None:
    session = fixed(servers)
    session.max_redirects = 2
    redirect(servers, "/again", times=2)
    assert session.get(servers.api_url).status_code == 200


def test_a_post_becomes_a_get_as_requests_does_it(servers: Servers) -> None:
    redirect(servers, "/made", 303)
    response = fixed(servers).post(servers.api_url, json={"n": 1}).json()
    assert (response["method"], response["body_length"]) == ("GET", 0)


def test_r4_a_post_that_became_a_get_is_retried(servers: Servers) -> None:
    redirect(servers, "/made", 303)
    servers.next(500)
    assert fixed(servers).post(servers.api_url, json={"n": 1}).status_code == 200
    assert [received.method for received in servers.received()] == ["POST", "GET", "GET"]


def test_r4_a_post_that_stayed_a_post_is_not_retried(servers: Servers) -> None:
    redirect(servers, "/made", 307)
    servers.next(500)
    assert fixed(servers).post(servers.api_url, json={"n": 1}).status_code == 500
    assert servers.counts().requests == 2


def test_r4_a_patch_that_lost_its_body_is_not_retried(servers: Servers) -> None:
    redirect(servers, "/made", 301)
    servers.next(500)
    assert fixed(servers).patch(servers.api_url, json={"n": 1}).status_code == 500
    assert [(each.method, each.body_length) for each in servers.received()] == [
        ("PATCH", 8),
        ("PATCH", 0),
    ]


def test_r3_a_401_after_a_redirect_is_replayed_at_the_target(servers: Servers) -> None:
    hook = Hook(servers)
    session = renewing(hook)
    session.authenticate()
    redirect(servers, "/new", after=0)
    servers.revoke()
    response = session.get(f"{servers.api_url}/old")
    assert response.status_code == 200
    assert [received.path for received in servers.received()] == ["/old", "/new", "/new"]
    assert hook.calls == 2


def test_attempts_are_counted_over_all_redirects(servers: Servers) -> None:
    servers.next(503, times=2)
    redirect(servers, "/new")
    servers.next(503, times=2)
    assert fixed(servers).get(servers.api_url).status_code == 503
    assert servers.counts().requests == 5


def test_the_token_is_not_shown_in_the_history(servers: Servers) -> None:
    redirect(servers, "/new")
    session = over(GenericExternallyManagedJWTHandler(servers.token(), in_an_hour(), Hook(servers)))
    response = session.get(servers.api_url)
    assert "token-1" not in repr([each.request.headers for each in [response, *response.history]])


def test_netrc_adds_no_credential_at_another_origin(
    servers: Servers, other: Servers, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login l password p\n")
    monkeypatch.setenv("NETRC", str(netrc))
    redirect(servers, "/new")
    redirect(servers, other.api_url)
    redirect(other, "/further")
    redirect(other, f"{servers.api_url}/home")
    fixed(servers).get(servers.api_url)
    sent = [received.authorization for received in servers.received()]
    assert sent == ["Bearer token-1", "Bearer token-1", None]
    assert "token-1" not in str([received.headers for received in other.received()])
    assert [received.authorization for received in other.received()] == [None, None]


@pytest.mark.parametrize("level", [logging.INFO, logging.DEBUG])
def test_r9_netrc_adds_no_second_credential(
    servers: Servers,
    tmp_path: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    level: int,
) -> None:
    caplog.set_level(level, "keyfob")
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login l password p\n")
    monkeypatch.setenv("NETRC", str(netrc))
    redirect(servers, "/new")
    keyfob.Session(Hook(servers), header="X-Api-Key").get(servers.api_url)
    for received in servers.received():
        assert "x-api-key" in received.headers
        assert "authorization" not in received.headers


def test_r9_the_callers_authorization_stays_within_the_origin(
    servers: Servers, other: Servers
) -> None:
    redirect(servers, "/new")
    redirect(servers, other.api_url)
    session = keyfob.Session(Hook(servers), header="X-Api-Key")
    session.get(servers.api_url, headers={"Authorization": "Bearer mine"})
    sent = [received.authorization for received in servers.received()]
    assert sent == ["Bearer mine"] * 2
    assert other.received()[0].authorization is None


@pytest.mark.parametrize("by_hand", [False, True])
def test_r1_a_redirect_of_a_streamed_body_that_is_sent_by_hand_carries_no_credential(
    servers: Servers, other: Servers, by_hand: bool
) -> None:
    session = fixed(servers)
    redirect(servers, other.api_url, 307)
    response = session.post(servers.api_url, data=iter([b"once"]), allow_redirects=not by_hand)
    assert (response.status_code, other.counts().requests) == (307, 0)
    assert response.next is not None
    response.next.body = None
    session.send(response.next)
    assert "authorization" not in other.received()[0].headers


def test_r1_a_sent_request_of_another_origin_sent_again_by_hand_carries_no_credential(
    servers: Servers, other: Servers
) -> None:
    session = fixed(servers)
    redirect(servers, other.api_url)
    response = session.get(servers.api_url)
    session.send(response.request)
    assert ["authorization" in received.headers for received in other.received()] == [False] * 2


def test_a_redirect_to_another_origin_does_not_keep_the_host_of_the_caller(
    servers: Servers, other: Servers
) -> None:
    redirect(servers, "/there")
    redirect(servers, other.api_url)
    fixed(servers).get(servers.api_url, headers={"Host": "virtual.example"})
    assert [each.headers["host"] for each in servers.received()] == [["virtual.example"]] * 2
    assert other.received()[0].headers["host"] == [other.api_url.removeprefix("http://")]
