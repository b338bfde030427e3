"""Profiles whose tokens are bound to a key (DPoP, RFC 9449), against servers that check each proof."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import keyfob
import pytest
import requests
from dpop_servers import DpopServers, dpop_servers, profile

Send = Callable[[str, str, bytes | None], int]


@pytest.fixture
def dpop() -> Iterator[DpopServers]:
    with dpop_servers() as servers:
        yield servers


@pytest.fixture
def handler(dpop: DpopServers, tmp_path: Path) -> keyfob.GenericExternallyManagedJWTHandler:
    source = keyfob.sources.profile("ehr", config=profile(dpop, tmp_path))
    return keyfob.GenericExternallyManagedJWTHandler(get_token=source)


@pytest.fixture(params=["session", "requests auth", "httpx auth"])
def send(
    request: pytest.FixtureRequest,
    dpop: DpopServers,
    handler: keyfob.GenericExternallyManagedJWTHandler,
) -> Iterator[Send]:
    """Sends a request to a path, through each kind of client, and returns the status."""
    if request.param == "session":
        session: requests.Session = keyfob.ExternallyManagedJWTSession(handler)
    elif request.param == "requests auth":
        session = requests.Session()
        session.auth = handler.auth()
    else:
        with httpx.Client(auth=handler.httpx_auth(), follow_redirects=True) as client:
            yield (
                lambda method, path, body: (
                    client.request(method, dpop.url + path, content=body).status_code
                )
            )
        return
    with session:
        yield (
            lambda method, path, body: (
                session.request(method, dpop.url + path, data=body, timeout=20).status_code
            )
        )


def test_r7_each_request_has_a_proof_of_its_own(send: Send, dpop: DpopServers) -> None:
    assert send("GET", "reports?year=2026", None) == 200
    assert send("POST", "reports", b"body") == 200
    assert dpop.accepted == ["GET /reports?year=2026", "POST /reports"]
    assert dpop.refused == []
    assert dpop.tokens == 1


def test_a_nonce_that_the_server_demands_is_in_the_next_proof(
    send: Send, dpop: DpopServers
) -> None:
    dpop.nonce = "first"
    assert send("POST", "reports", b"whole") == 200
    assert dpop.refused == ["nonce"]
    assert send("GET", "reports", None) == 200
    dpop.nonce = "second"
    assert send("GET", "reports", None) == 200
    assert dpop.refused == ["nonce", "nonce"]
    assert dpop.bodies[0] == b"whole"
    assert dpop.tokens == 1


def test_r3_a_rejected_token_is_renewed_and_the_replay_has_a_new_proof(
    send: Send, dpop: DpopServers
) -> None:
    assert send("GET", "reports", None) == 200
    dpop.revoked.add("token-1")
    assert send("POST", "reports", b"whole") == 200
    assert dpop.bodies[-1] == b"whole"
    assert (dpop.refused, dpop.tokens) == (["token"], 2)


def test_r7_a_redirect_within_the_origin_has_a_proof_for_its_target(
    send: Send, dpop: DpopServers
) -> None:
    assert send("POST", "redirect", b"whole") == 200
    assert dpop.accepted == ["POST /redirect", "POST /there?a=b"]
    assert dpop.bodies == [b"whole"]


def test_r1_a_redirect_to_another_origin_carries_neither_token_nor_proof(
    dpop: DpopServers, handler: keyfob.GenericExternallyManagedJWTHandler
) -> None:
    prepared = requests.Request("GET", dpop.url + "reports").prepare()
    session = keyfob.ExternallyManagedJWTSession(handler)
    response = session.send(prepared)
    assert "dpop" in response.request.headers
    assert "dpop" not in prepared.headers
    assert "ey" not in repr(response.request.headers)


def test_a_forked_or_copied_profile_keeps_its_key(dpop: DpopServers, tmp_path: Path) -> None:
    config = profile(dpop, tmp_path)
    for _ in range(2):
        assert keyfob.session("ehr", config=config).get("reports").status_code == 200
    assert (dpop.refused, dpop.tokens) == ([], 2)


def test_r2_a_bearer_token_is_not_sent_with_a_proof(dpop: DpopServers, tmp_path: Path) -> None:
    session = keyfob.session("ehr", config=profile(dpop, tmp_path))
    session.authentication_handler._tokens.set_token("bearer-token")
    with pytest.raises(keyfob.AuthenticationError, match="not bound to a key"):
        session.get("reports")
    assert dpop.accepted == dpop.refused == []


def test_a_key_that_cannot_be_read_is_an_error_of_the_profile(
    dpop: DpopServers, tmp_path: Path
) -> None:
    config = profile(dpop, tmp_path)
    (tmp_path / "key.pem").unlink()
    with pytest.raises(keyfob.ProfileError, match="does not exist"):
        keyfob.session("ehr", config=config)


EXCHANGE = 'grant = "token_exchange"\nsubject_token = "env:UNUSED"'


def test_t10_all_users_of_a_pool_prove_possession_of_one_key(
    dpop: DpopServers, tmp_path: Path
) -> None:
    def login(key: keyfob.PoolKey) -> Callable[[], str]:
        return lambda: f"login-of-{key.subject}"

    pool = keyfob.pool("ehr", login, config=profile(dpop, tmp_path, EXCHANGE))
    for user in ("alice", "bob", "alice"):
        assert requests.get(f"{dpop.url}{user}", auth=pool.auth(user), timeout=20).ok
    assert dpop.accepted == ["GET /alice", "GET /bob", "GET /alice"]
    assert (dpop.tokens, len(dpop.public_keys), dpop.refused) == (2, 1, [])


def test_a_pool_over_a_function_refuses_a_source_with_a_key(
    dpop: DpopServers, tmp_path: Path
) -> None:
    config = profile(dpop, tmp_path)
    pool = keyfob.TokenPool(lambda _: keyfob.sources.profile("ehr", config=config))
    with pytest.raises(keyfob.AuthenticationError, match=r"use `keyfob\.pool`"):
        pool.handler("alice")
    assert dpop.tokens == 0
