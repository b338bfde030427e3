"""R9: what the caller gave stays the caller's, and the session's credential wins over any other."""

from __future__ import annotations

import copy
import logging
import pickle
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import requests
from keyfob import BearerAuthSession
from outside import Outside
from requests.auth import HTTPDigestAuth
from signed_in import fixed


def test_r9_headers_that_were_given_are_not_changed(outside: Outside) -> None:
    given = {"X-A": "1", "User-Agent": "mine"}
    fixed(outside).get(outside.api_url, headers=given)
    assert given == {"X-A": "1", "User-Agent": "mine"}
    (received,) = outside.received()
    assert (received.headers["x-a"], received.headers["user-agent"]) == (["1"], ["mine"])


def test_r9_headers_may_be_read_only(outside: Outside) -> None:
    answer = fixed(outside).get(outside.api_url, headers=MappingProxyType({"X-A": "1"}))
    assert answer.status_code == 200


def test_r9_a_prepared_request_is_not_changed(outside: Outside) -> None:
    session = fixed(outside)
    prepared = session.prepare_request(requests.Request("GET", outside.api_url))
    before, hooks = dict(prepared.headers), prepared.hooks
    outside.next(503)
    assert session.send(prepared).status_code == 200
    assert dict(prepared.headers) == before
    assert prepared.hooks is hooks


@pytest.mark.parametrize(
    "other",
    [
        {"headers": {"Authorization": "Basic b3RoZXI="}},
        {"headers": {"AUTHORIZATION": "Bearer other"}},
        {"auth": ("other", "0ther")},
        {"auth": HTTPDigestAuth("other", "0ther")},
    ],
)
def test_r9_the_sessions_credential_wins(outside: Outside, other: dict[str, Any]) -> None:
    session = fixed(outside)
    session.get(outside.api_url, **other)
    (received,) = outside.received()
    assert received.authorization == f"Bearer {session.token}"


def test_r9_it_wins_over_netrc_and_userinfo_and_the_log_tells(
    outside: Outside,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login other password 0ther\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    session = fixed(outside)
    with_user = outside.api_url.replace("http://", "http://other:0ther@")
    for level in [logging.INFO, logging.DEBUG]:
        caplog.set_level(level, "keyfob")
        session.get(outside.api_url)
        session.get(with_user)
    assert {each.authorization for each in outside.received()} == {f"Bearer {session.token}"}
    told = [record.getMessage() for record in caplog.records if record.name == "keyfob"]
    assert told == ["the session's credential replaces the authorization that the request had"] * 2


def test_r9_digest_authentication_does_not_answer_a_401(outside: Outside) -> None:
    challenge = {"www-authenticate": 'Digest realm="r", nonce="n", qop="auth"'}
    outside.next(401, headers=challenge, times=2)
    answer = fixed(outside).get(outside.api_url, auth=HTTPDigestAuth("other", "0ther"))
    assert answer.status_code == 401
    assert {each.authorization.split()[0] for each in outside.received() if each.authorization} == {
        "Bearer"
    }


def test_r9_a_cookie_of_the_callers_own_stays_through_a_retry(outside: Outside) -> None:
    outside.next(503, headers={"set-cookie": "route=7"})
    fixed(outside).get(outside.api_url, headers={"Cookie": "mine=1"})
    assert [each.headers["cookie"] for each in outside.received()] == [["mine=1"], ["mine=1"]]


def test_a_cookie_of_a_failed_attempt_goes_with_the_next_one(outside: Outside) -> None:
    outside.next(503, headers={"set-cookie": "route=7"})
    session = fixed(outside)
    session.get(outside.api_url, cookies={"mine": "1"})
    first, second = outside.received()
    assert first.headers["cookie"] == ["mine=1"]
    assert sorted(second.headers["cookie"][0].split("; ")) == ["mine=1", "route=7"]
    assert session.cookies["route"] == "7"


@pytest.mark.parametrize("convert", [copy.copy, copy.deepcopy, pickle.dumps])
def test_s2_a_session_is_neither_copied_nor_pickled(convert: Any) -> None:
    with pytest.raises(TypeError, match="neither pickled nor copied; share its handler"):
        convert(BearerAuthSession("s3cret"))


def test_a_policy_of_the_wrong_type_is_refused_where_it_is_assigned() -> None:
    with pytest.raises(TypeError, match="retry must be a RetryPolicy, not int"):
        BearerAuthSession("t0ken").retry = 3  # type: ignore[assignment]
