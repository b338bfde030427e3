"""R9: arguments of the caller are not changed, and the session's credential wins over any other."""

from __future__ import annotations

import copy
import logging
import pickle
from pathlib import Path
from types import MappingProxyType
from typing import Any

import keyfob
import pytest
import requests
from keyfob import BearerAuthSession
from requests.auth import HTTPDigestAuth
from servers import Servers
from sessions import Hook, fixed, renewing


def test_r9_the_headers_passed_in_are_not_changed(servers: Servers) -> None:
    given = {"X-A": "1", "User-Agent": "mine"}
    fixed(servers).get(servers.api_url, headers=given)
    assert given == {"X-A": "1", "User-Agent": "mine"}
    (received,) = servers.received()
    assert (received.headers["x-a"], received.headers["user-agent"]) == (["1"], ["mine"])


def test_r9_headers_may_be_read_only(servers: Servers) -> None:
    response = fixed(servers).get(servers.api_url, headers=MappingProxyType({"X-A": "1"}))
    assert response.status_code == 200


def test_r9_a_prepared_request_is_not_changed(servers: Servers) -> None:
    session = fixed(servers)
    prepared = session.prepare_request(requests.Request("GET", servers.api_url))
    before, hooks = dict(prepared.headers), prepared.hooks
    servers.next(503)
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
def test_r9_the_sessions_credential_wins(servers: Servers, other: dict[str, Any]) -> None:
    session = fixed(servers)
    session.get(servers.api_url, **other)
    (received,) = servers.received()
    assert received.authorization == f"Bearer {session.token}"


def test_r9_the_credential_wins_over_netrc_and_userinfo_with_a_log_record(
    servers: Servers,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login other password 0ther\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    session = fixed(servers)
    with_user = servers.api_url.replace("http://", "http://other:0ther@")
    for level in [logging.INFO, logging.DEBUG]:
        caplog.set_level(level, "keyfob")
        session.get(servers.api_url)
        session.get(with_user)
    assert {each.authorization for each in servers.received()} == {f"Bearer {session.token}"}
    messages = [record.getMessage() for record in caplog.records if record.name == "keyfob"]
    assert messages == ["the session's credential replaces the authorization of the request"] * 2


def test_r9_digest_authentication_does_not_handle_a_401(servers: Servers) -> None:
    challenge = {"www-authenticate": 'Digest realm="r", nonce="n", qop="auth"'}
    servers.next(401, headers=challenge, times=2)
    response = fixed(servers).get(servers.api_url, auth=HTTPDigestAuth("other", "0ther"))
    assert response.status_code == 401
    assert {each.authorization.split()[0] for each in servers.received() if each.authorization} == {
        "Bearer"
    }


def test_r9_no_auth_object_answers_a_401_with_another_credential(servers: Servers) -> None:
    others = (f"0ther-{n}" for n in range(9))
    other = keyfob.GenericExternallyManagedJWTHandler(get_token=lambda: next(others))
    seen: list[int] = []
    for where in ["call", "session"]:
        with renewing(Hook(servers)) as session:
            session.hooks["response"].append(lambda answer, **_: seen.append(answer.status_code))
            call: dict[str, Any] = {"auth": other.auth()} if where == "call" else {}
            session.auth = None if call else other.auth()
            servers.next(401, times=2)
            assert session.get(servers.api_url, **call).status_code == 401
    # The hooks of the caller stay.
    assert seen == [401, 401]
    assert [each.authorization for each in servers.received()] == [
        f"Bearer token-{n}" for n in range(1, 5)
    ]


def test_r9_a_cookie_header_of_the_caller_survives_a_retry(servers: Servers) -> None:
    servers.next(503, headers={"set-cookie": "route=7"})
    fixed(servers).get(servers.api_url, headers={"Cookie": "mine=1"})
    assert [each.headers["cookie"] for each in servers.received()] == [["mine=1"], ["mine=1"]]


def test_a_cookie_of_a_failed_attempt_goes_with_the_next_one(servers: Servers) -> None:
    servers.next(503, headers={"set-cookie": "route=7"})
    session = fixed(servers)
    session.get(servers.api_url, cookies={"mine": "1"})
    first, second = servers.received()
    assert first.headers["cookie"] == ["mine=1"]
    assert sorted(second.headers["cookie"][0].split("; ")) == ["mine=1", "route=7"]
    assert session.cookies["route"] == "7"


@pytest.mark.parametrize("convert", [copy.copy, copy.deepcopy, pickle.dumps])
def test_s2_a_session_is_neither_copied_nor_pickled(convert: Any) -> None:
    with pytest.raises(TypeError, match="cannot be pickled or copied; share its handler"):
        convert(BearerAuthSession("s3cret"))


def test_assigning_a_policy_of_the_wrong_type_fails() -> None:
    with pytest.raises(TypeError, match="retry must be a RetryPolicy, not int"):
        BearerAuthSession("t0ken").retry = 3  # type: ignore[assignment]
