"""Redirects are followed as `requests` does it, and the credential stays with its origin."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

import pytest
import requests
import responses
from keyfob import GenericExternallyManagedJWTHandler, OriginError
from outside import Outside
from signed_in import Hook, fixed, in_an_hour, over, renewing, with_token

CODES = [301, 302, 303, 307, 308]


@pytest.fixture
def elsewhere() -> Iterator[Outside]:
    """Another API, on another port of this machine, and so another origin."""
    with Outside.start() as elsewhere:
        yield elsewhere


def redirect(outside: Outside, target: str, code: int = 302, **more: Any) -> None:
    outside.next(code, headers={"location": target}, **more)


@pytest.mark.parametrize("code", CODES)
def test_r1_a_redirect_within_the_origin_carries_the_credential(
    outside: Outside, code: int
) -> None:
    redirect(outside, "/new", code)
    answer = fixed(outside).get(f"{outside.api_url}/old")
    assert (answer.status_code, answer.json()["path"]) == (200, "/new")
    assert [received.authorization for received in outside.received()] == ["Bearer token-1"] * 2


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_r1_a_redirect_to_another_origin_leaves_the_credential_behind(
    outside: Outside, elsewhere: Outside, code: int, method: str
) -> None:
    redirect(outside, f"{elsewhere.api_url}/taken", code)
    answer = fixed(outside).request(
        method, outside.api_url, headers={"Authorization": "Basic eA=="}
    )
    assert answer.status_code == 401
    assert len(outside.received()) == 1
    (taken,) = elsewhere.received()
    assert "authorization" not in taken.headers


def test_r1_the_credential_is_not_put_back_after_a_second_hop_home(
    outside: Outside, elsewhere: Outside
) -> None:
    redirect(outside, elsewhere.api_url)
    redirect(elsewhere, f"{outside.api_url}/home")
    answer = fixed(outside).get(outside.api_url)
    assert answer.status_code == 401
    assert "authorization" not in elsewhere.received()[0].headers
    assert "authorization" not in outside.received()[1].headers


def test_r1_being_bound_to_both_origins_does_not_make_a_redirect_the_callers_choice(
    outside: Outside, elsewhere: Outside
) -> None:
    session = fixed(outside)
    session.bind(outside.api_url, elsewhere.api_url)
    redirect(outside, elsewhere.api_url)
    session.get(outside.api_url)
    assert "authorization" not in elsewhere.received()[0].headers


def test_r1_every_field_of_the_credential_is_left_behind(
    outside: Outside, elsewhere: Outside
) -> None:
    class Keyed(GenericExternallyManagedJWTHandler):
        @property
        def request_headers(self) -> dict[str, str]:
            return {**super().request_headers, "X-Api-Key": "k3y"}

    redirect(outside, elsewhere.api_url)
    session = over(Keyed(None, None, Hook(outside)))
    session.get(outside.api_url, headers={"x-api-key": "of the caller", "X-Trace": "7"})
    assert outside.received()[0].headers["x-api-key"] == ["k3y"]
    (taken,) = elsewhere.received()
    assert not {"authorization", "x-api-key"} & taken.headers.keys()
    assert taken.headers["x-trace"] == ["7"]


def test_r1_a_field_of_someone_elses_handler_is_left_behind(
    outside: Outside, elsewhere: Outside
) -> None:
    class Keys:
        authenticated = True
        request_headers = {"X-Api-Key": "k3y"}  # noqa: RUF012

        def authenticate(self) -> None: ...

    redirect(outside, elsewhere.api_url)
    over(Keys()).get(outside.api_url)
    assert outside.received()[0].headers["x-api-key"] == ["k3y"]
    assert "x-api-key" not in elsewhere.received()[0].headers


def test_r1_a_401_from_another_origin_does_not_renew_the_token(
    outside: Outside, elsewhere: Outside
) -> None:
    hook = Hook(outside)
    redirect(outside, elsewhere.api_url)
    assert renewing(hook).get(outside.api_url).status_code == 401
    assert hook.calls == 1
    assert elsewhere.counts().requests == 1


def test_r1_a_retry_at_the_other_origin_does_not_put_the_credential_back(
    outside: Outside, elsewhere: Outside
) -> None:
    redirect(outside, elsewhere.api_url)
    elsewhere.next(503)
    fixed(outside).get(outside.api_url)
    assert ["authorization" in received.headers for received in elsewhere.received()] == [False] * 2


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


def test_a_redirect_of_another_scheme_fails_as_with_requests(outside: Outside) -> None:
    redirect(outside, "file:///etc/passwd")
    with pytest.raises(requests.exceptions.InvalidSchema):
        fixed(outside).get(outside.api_url)


def test_the_history_and_the_url_tell_the_way(outside: Outside) -> None:
    redirect(outside, "/second")
    redirect(outside, "/third")
    answer = fixed(outside).get(f"{outside.api_url}/first")
    assert answer.url == f"{outside.api_url}/third"
    assert [hop.url for hop in answer.history] == [
        f"{outside.api_url}/first",
        f"{outside.api_url}/second",
    ]
    assert [hop.status_code for hop in answer.history] == [302, 302]
    assert answer.next is None
    assert answer.elapsed.total_seconds() > 0


def test_a_redirect_that_is_not_followed_can_be_sent_by_hand(outside: Outside) -> None:
    session = fixed(outside)
    redirect(outside, "/new")
    answer = session.get(outside.api_url, allow_redirects=False)
    assert (answer.status_code, answer.history) == (302, [])
    assert answer.next is not None
    assert session.send(answer.next).json()["path"] == "/new"


def test_r1_a_redirect_sent_by_hand_leaves_the_credential_behind(
    outside: Outside, elsewhere: Outside
) -> None:
    session = fixed(outside)
    redirect(outside, elsewhere.api_url)
    redirect(elsewhere, "/further")
    redirect(elsewhere, f"{outside.api_url}/home")
    answer = session.get(outside.api_url, allow_redirects=False)
    while answer.next is not None:
        answer = session.send(answer.next, allow_redirects=False)
    assert answer.status_code == 401
    for received in [*elsewhere.received(), *outside.received()[1:]]:
        assert "authorization" not in received.headers


def test_r1_a_copy_of_a_redirect_leaves_the_credential_behind(
    outside: Outside, elsewhere: Outside
) -> None:
    session = fixed(outside)
    redirect(outside, elsewhere.api_url)
    answer = session.get(outside.api_url, allow_redirects=False)
    assert answer.next is not None
    session.send(answer.next.copy())
    assert "authorization" not in elsewhere.received()[0].headers


@responses.activate
def test_r1_a_redirect_by_hand_to_plain_http_goes_without_credential() -> None:
    target = "http://example.com/"
    responses.get("https://api.example.com/", status=302, headers={"Location": target})
    taken = responses.get(target)
    session = with_token("t0ken")
    answer = session.get("https://api.example.com/", allow_redirects=False)
    assert answer.next is not None
    session.send(answer.next)
    assert "Authorization" not in taken.calls[0].request.headers
    with pytest.raises(OriginError):
        session.get(target)


def test_head_does_not_follow_redirects(outside: Outside) -> None:
    redirect(outside, "/new")
    assert fixed(outside).head(outside.api_url).status_code == 302
    assert outside.counts().requests == 1


@pytest.mark.parametrize("limit", [1, 3])
def test_redirects_end_after_as_many_as_the_session_says(outside: Outside, limit: int) -> None:
    session = fixed(outside)
    session.max_redirects = limit
    redirect(outside, "/again", times=10)
    with pytest.raises(requests.TooManyRedirects, match=f"Exceeded {limit} redirects") as ended:
        session.get(outside.api_url)
    assert outside.counts().requests == limit + 1
    assert ended.value.response is not None
    assert ended.value.response.status_code == 302


def test_as_many_redirects_as_allowed_are_followed(outside: Outside) -> None:
    session = fixed(outside)
    session.max_redirects = 2
    redirect(outside, "/again", times=2)
    assert session.get(outside.api_url).status_code == 200


def test_a_post_becomes_a_get_as_requests_does_it(outside: Outside) -> None:
    redirect(outside, "/made", 303)
    answer = fixed(outside).post(outside.api_url, json={"n": 1}).json()
    assert (answer["method"], answer["body_length"]) == ("GET", 0)


def test_r4_a_post_that_became_a_get_is_retried(outside: Outside) -> None:
    redirect(outside, "/made", 303)
    outside.next(500)
    assert fixed(outside).post(outside.api_url, json={"n": 1}).status_code == 200
    assert [received.method for received in outside.received()] == ["POST", "GET", "GET"]


def test_r4_a_post_that_stayed_one_is_not_retried(outside: Outside) -> None:
    redirect(outside, "/made", 307)
    outside.next(500)
    assert fixed(outside).post(outside.api_url, json={"n": 1}).status_code == 500
    assert outside.counts().requests == 2


def test_r4_a_patch_that_lost_its_body_is_not_retried(outside: Outside) -> None:
    redirect(outside, "/made", 301)
    outside.next(500)
    assert fixed(outside).patch(outside.api_url, json={"n": 1}).status_code == 500
    assert [(each.method, each.body_length) for each in outside.received()] == [
        ("PATCH", 8),
        ("PATCH", 0),
    ]


def test_r3_a_401_after_a_redirect_is_healed_where_it_came_from(outside: Outside) -> None:
    hook = Hook(outside)
    session = renewing(hook)
    session.authenticate()
    redirect(outside, "/new", after=0)
    outside.revoke()
    answer = session.get(f"{outside.api_url}/old")
    assert answer.status_code == 200
    assert [received.path for received in outside.received()] == ["/old", "/new", "/new"]
    assert hook.calls == 2


def test_attempts_are_counted_over_all_hops(outside: Outside) -> None:
    outside.next(503, times=2)
    redirect(outside, "/new")
    outside.next(503, times=2)
    assert fixed(outside).get(outside.api_url).status_code == 503
    assert outside.counts().requests == 5


def test_a_token_without_a_session_of_its_own_is_not_in_the_history(outside: Outside) -> None:
    redirect(outside, "/new")
    session = over(GenericExternallyManagedJWTHandler(outside.token(), in_an_hour(), Hook(outside)))
    answer = session.get(outside.api_url)
    assert "token-1" not in repr([hop.request.headers for hop in [answer, *answer.history]])


def test_redirects_follow_netrc_only_as_far_as_the_origin(
    outside: Outside, elsewhere: Outside, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login l password p\n")
    monkeypatch.setenv("NETRC", str(netrc))
    redirect(outside, "/new")
    redirect(outside, elsewhere.api_url)
    redirect(elsewhere, "/further")
    fixed(outside).get(outside.api_url)
    assert [received.authorization for received in outside.received()] == ["Bearer token-1"] * 2
    assert "token-1" not in str([received.headers for received in elsewhere.received()])
