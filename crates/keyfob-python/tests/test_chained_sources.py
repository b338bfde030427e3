"""Sources that get their token with the token of another source."""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from chain_server import PRIVATE_KEY, ChainServer, chain_server, decoded
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)
from keyfob import AuthenticationError, GenericExternallyManagedJWTHandler, OriginError, sources
from keyfob.testing import Clock
from program import run

URL = "https://login.example.com/token"


@pytest.fixture
def server() -> Iterator[ChainServer]:
    with chain_server() as server:
        yield server


def handler_of(source: sources.Source) -> GenericExternallyManagedJWTHandler:
    return GenericExternallyManagedJWTHandler(None, None, source)


def link(server: ChainServer, path: str, before: sources.Source | None = None) -> sources.Source:
    """A source that sends the token before it to this path."""
    return sources.http(
        f"{server.url}/{path}",
        headers={} if before is None else {"Authorization": ("Bearer ", before)},
        token="/data/token",
        expiry="/data/ttl",
        expiry_form="seconds",
    )


def chain(server: ChainServer) -> sources.Source:
    """A chain of three links: each is sent to get the next."""
    workload = link(server, "workload", link(server, "login"))
    client = sources.Client("reports", token_endpoint=f"{server.url}/oauth")
    return sources.token_exchange(client, workload, audience="billing")


def test_each_link_of_a_chain_is_fetched_with_the_one_before() -> None:
    with chain_server() as server:
        handler = handler_of(chain(server))
        assert [handler.get_valid_token() for _ in range(3)] == ["oauth-1"] * 3
        assert server.calls == {"login": 1, "workload": 1, "oauth": 1}
        assert server.received["workload"][0][0]["authorization"] == "Bearer login-1"
        form = server.received["oauth"][0][1]
        assert (form["subject_token"], form["audience"]) == ("workload-1", "billing")


@pytest.mark.parametrize(
    ("due", "renewed"),
    [
        ("oauth", {"login": 1, "workload": 1, "oauth": 2}),
        ("workload", {"login": 1, "workload": 2, "oauth": 2}),
        ("login", {"login": 2, "workload": 2, "oauth": 2}),
    ],
)
def test_t1_only_the_due_links_of_a_chain_are_renewed(
    server: ChainServer, due: str, renewed: dict[str, int]
) -> None:
    # A link lives as long as the ones after it at least.
    order = ["login", "workload", "oauth"]
    server.lifetimes = dict.fromkeys(order[order.index(due) :], 600)
    with Clock() as clock:
        handler = handler_of(chain(server))
        assert handler.get_valid_token() == "oauth-1"
        clock.advance(601)
        assert handler.get_valid_token() == "oauth-2"
        assert server.calls == renewed


def test_t8_a_refused_link_is_replaced_and_the_request_is_sent_once_more(
    server: ChainServer,
) -> None:
    handler = handler_of(link(server, "workload", link(server, "login")))
    assert handler.get_valid_token() == "workload-1"
    server.refuse = {"login-1"}
    assert handler.get_valid_token(force=True) == "workload-3"
    assert server.calls == {"login": 2, "workload": 3}


def test_a_chain_is_fetched_from_an_event_loop(server: ChainServer) -> None:
    handler = handler_of(chain(server))

    async def requests() -> list[str]:
        async with httpx.AsyncClient(auth=handler.httpx_auth()) as client:
            answers = [client.get(f"{server.url}/api") for _ in range(3)]
            return [str((await answer).request.headers["authorization"]) for answer in answers]

    assert asyncio.run(requests()) == ["Bearer oauth-1"] * 3
    assert server.calls == {"login": 1, "workload": 1, "oauth": 1, "api": 3}


def test_two_handlers_over_a_chain_share_its_links(server: ChainServer) -> None:
    source = chain(server)
    tokens = [handler_of(source).get_valid_token() for _ in range(2)]
    assert tokens == ["oauth-1", "oauth-2"]
    assert server.calls == {"login": 1, "workload": 1, "oauth": 2}


def test_a_client_assertion_is_read_from_its_file_for_each_request(
    server: ChainServer, tmp_path: Path
) -> None:
    file = tmp_path / "assertion"
    file.write_text("projected-1\n")
    client = sources.Client(
        token_endpoint=f"{server.url}/oauth", client_assertion=sources.file(file)
    )
    handler = handler_of(sources.client_credentials(client, scopes=["a", "b"]))
    assert handler.get_valid_token() == "oauth-1"
    file.write_text("projected-2\n")
    handler.authenticate(force=True)
    first, second = [body for _, body in server.received["oauth"]]
    assert (first["client_assertion"], first["scope"]) == ("projected-1", "a b")
    assert second["client_assertion"] == "projected-2"
    assert "client_id" not in first


def test_a_client_assertion_may_go_with_a_client_identifier(
    server: ChainServer, tmp_path: Path
) -> None:
    file = tmp_path / "assertion"
    file.write_text("projected")
    client = sources.Client(
        "reports", token_endpoint=f"{server.url}/oauth", client_assertion=sources.file(file)
    )
    handler_of(sources.client_credentials(client)).authenticate()
    assert server.received["oauth"][0][1]["client_id"] == "reports"


def test_a_client_authenticates_with_a_secret_or_a_key(server: ChainServer) -> None:
    at: dict[str, Any] = {"token_endpoint": f"{server.url}/oauth"}
    for client in [
        sources.Client("me", client_secret="s3cret", **at),
        sources.Client("me", client_secret="s3cret", secret_post=True, **at),
        sources.Client("me", private_key=PRIVATE_KEY, key_id="key-1", **at),
    ]:
        handler_of(sources.client_credentials(client)).authenticate()
    (basic, _), (_, post), (_, signed) = server.received["oauth"]
    assert basic["authorization"].startswith("Basic ")
    assert post["client_secret"] == "s3cret"
    assert decoded(signed["client_assertion"].split(".")[0])["kid"] == "key-1"


def test_a_signed_jwt_is_the_assertion_of_a_grant(server: ChainServer) -> None:
    app = sources.signed_jwt(
        PRIVATE_KEY.encode(),
        issuer="app",
        subject="me",
        audience="https://login.example.com",
        claims={"roles": ["a", "b"], "level": 3},
        lifetime=120,
        key_id="key-1",
        unique_id=True,
    )
    client = sources.Client(token_endpoint=f"{server.url}/oauth")
    handler_of(sources.jwt_bearer(client, app)).authenticate()
    header, claims, _ = server.received["oauth"][0][1]["assertion"].split(".")
    assert decoded(header) == {"alg": "EdDSA", "typ": "JWT", "kid": "key-1"}
    claims = decoded(claims)
    assert claims.pop("exp") - claims.pop("iat") == 120
    assert claims.pop("jti")
    assert claims == {
        "iss": "app",
        "sub": "me",
        "aud": "https://login.example.com",
        "roles": ["a", "b"],
        "level": 3,
    }


def test_an_encrypted_key_needs_its_passphrase(server: ChainServer) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    locked = BestAvailableEncryption(b"open sesame")
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked)
    jwt = sources.signed_jwt(pem, passphrase="open sesame")
    assert handler_of(jwt).get_valid_token().count(".") == 2
    at: dict[str, Any] = {"token_endpoint": f"{server.url}/oauth", "private_key": pem}
    client = sources.Client("me", passphrase="open sesame", **at)
    assert handler_of(sources.client_credentials(client)).get_valid_token() == "oauth-1"
    with pytest.raises(ValueError, match="`private_key`") as raised:
        sources.client_credentials(sources.Client("me", passphrase="s3cret", **at))
    assert "s3cret" not in str(raised.value)


def test_the_id_token_can_be_the_token(server: ChainServer) -> None:
    client = sources.Client("me", token_endpoint=f"{server.url}/oauth")
    source = sources.client_credentials(client, scopes=["openid"], use_id_token=True)
    token = handler_of(source).get_valid_token()
    assert decoded(token.split(".")[1]) == {"sub": "oauth-1"}


def test_the_body_of_a_request_holds_values_and_tokens(server: ChainServer) -> None:
    login = link(server, "login")
    body = {"user": "me", "deep": {"a/b~c": login, "n": [1, None], "none": {}}, "yes": True}
    bodies: list[dict[str, Any]] = [{"json": body}, {"form": {"key": ("v1:", login)}}]
    for what in bodies:
        source = sources.http(f"{server.url}/any", token="/data/token", **what)
        assert handler_of(source).get_valid_token().startswith("any-")
    as_json, as_form = [body for _, body in server.received["any"]]
    body["deep"] = {"a/b~c": "login-1", "n": [1, None], "none": {}}
    assert as_json == body
    assert as_form == {"key": "v1:login-2"}


def test_a_method_and_statuses_are_those_that_are_given(server: ChainServer) -> None:
    server.refuse = {"old"}
    refused = {"permanent": True, "kind": "refused"}
    for statuses, expected in [(None, refused), ([403], {"permanent": False})]:
        source = sources.http(
            f"{server.url}/any",
            method="GET",
            headers={"Authorization": "Bearer old"},
            refused=statuses,
        )
        with pytest.raises(AuthenticationError) as raised:
            handler_of(source).get_valid_token()
        assert {name: getattr(raised.value, name) for name in expected} == expected


# Without types, because wrong input has wrong ones.
untyped: Any = sources
CLIENT = sources.Client("me", token_endpoint=URL)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: untyped.http(URL, token="token"), ValueError, "`token`"),
        (lambda: untyped.http(URL, expiry="x"), ValueError, "`expiry`"),
        (lambda: untyped.http(URL, expiry_form="soon"), ValueError, "`expiry_form`"),
        (lambda: untyped.http(URL, method="not one"), ValueError, "`method`"),
        (lambda: untyped.http(URL, headers={"a": 1}), TypeError, r"`headers\['a'\]`"),
        (lambda: untyped.http(URL, headers={"a": ("x", "y")}), TypeError, r"`headers\['a'\]`"),
        (lambda: untyped.http(URL, headers=[("a", "b")]), TypeError, "`headers`"),
        (lambda: untyped.http(URL, headers={"a b": "s3cret"}), ValueError, "`headers`"),
        (lambda: untyped.http(URL, headers={"a": "s3cret\n"}), ValueError, r'`headers\["a"\]`'),
        (lambda: untyped.http(URL, headers={"a": None}), TypeError, r"`headers\['a'\]`"),
        (lambda: untyped.http(1), TypeError, "url"),
        (lambda: untyped.http(URL, allow_plain_http="x"), ValueError, "x"),
        (lambda: untyped.http(URL, json={"a": object()}), TypeError, "`json`"),
        (lambda: untyped.http(URL, json={"a": math.nan}), ValueError, "`json`"),
        (lambda: untyped.http(URL, json={"a": ("s3cret", "s3cret")}), TypeError, "`json`"),
        (lambda: untyped.http(URL, json={"a": "b"}, form={"a": "b"}), TypeError, "`form`"),
        (lambda: untyped.http(URL, timeout=-1), ValueError, "timeout"),
        (lambda: untyped.http(URL, default_lifetime=-1), ValueError, "default_lifetime"),
        (lambda: untyped.http(URL, refused=[7]), ValueError, "7 is not"),
        (lambda: untyped.http("http://example.com/token"), OriginError, "http"),
        (lambda: untyped.signed_jwt("s3cret"), ValueError, "`private_key`"),
        (lambda: untyped.signed_jwt(Path("key.pem")), TypeError, "`private_key`"),
        (lambda: untyped.signed_jwt(PRIVATE_KEY, algorithm="HS256"), ValueError, "`algorithm`"),
        (lambda: untyped.signed_jwt(PRIVATE_KEY, algorithm="RS256"), ValueError, "RS256"),
        (lambda: untyped.signed_jwt(PRIVATE_KEY, claims={"exp": 1}), ValueError, "`claims`"),
        (lambda: untyped.signed_jwt(PRIVATE_KEY, claims={"a": object()}), TypeError, "`claims`"),
        (lambda: untyped.signed_jwt(PRIVATE_KEY, lifetime=-1), ValueError, "lifetime"),
        (lambda: untyped.Client("me"), TypeError, "`issuer`"),
        (
            lambda: untyped.client_credentials(untyped.Client(issuer=URL, client_secret="s3cret")),
            ValueError,
            "identifier",
        ),
        (
            lambda: untyped.client_credentials(CLIENT, parameters={"a": 1}),
            TypeError,
            "parameters",
        ),
        (
            lambda: untyped.client_credentials(untyped.Client(issuer=URL, private_key="s3cret")),
            ValueError,
            "`private_key`",
        ),
        (
            lambda: untyped.Client("me", issuer=URL, client_secret="s3cret", private_key="s3cret"),
            TypeError,
            "`private_key`",
        ),
        (
            lambda: untyped.Client(issuer=URL, client_assertion=lambda: "s3cret"),
            TypeError,
            "`client_assertion`",
        ),
        (lambda: untyped.client_credentials(URL), TypeError, "`client`"),
        (lambda: untyped.client_credentials(CLIENT, scopes="a b"), TypeError, "`scopes`"),
        (lambda: untyped.jwt_bearer(CLIENT, "s3cret"), TypeError, "`assertion`"),
        (lambda: untyped.token_exchange(CLIENT, "s3cret"), TypeError, "`subject_token`"),
    ],
)
def test_wrong_input_is_refused_by_name_and_not_quoted(
    make: Callable[[], object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words) as raised:
        make()
    assert "s3cret" not in str(raised.value)


def test_s1_a_repr_shows_no_secret() -> None:
    login = sources.http(URL, json={"password": "s3cret"}, headers={"X-Key": "s3cret"})
    client = sources.Client("me", token_endpoint=URL, client_secret="s3cret")
    jwt = sources.signed_jwt(PRIVATE_KEY)
    shown = repr([login, client, jwt, sources.jwt_bearer(client, jwt)])
    assert shown == (
        "[<keyfob source: http>, <keyfob client: me>, "
        "<keyfob source: signed_jwt>, <keyfob source: jwt_bearer>]"
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_child_forked_while_a_link_is_fetched_gets_links_of_its_own() -> None:
    run(
        """
from chain_server import chain_server
from forking import child
from test_chained_sources import chain, handler_of

with chain_server() as server:
    handler = handler_of(chain(server))
    server.held = {"login"}
    waiting = threading.Thread(target=handler.get_valid_token)
    waiting.start()
    wait_until(lambda: server.calls["login"] == 1)

    def work():
        assert handler.get_valid_token() == "oauth-1"
        assert handler.get_valid_token(force=True) == "oauth-2"

    child(work)
    assert server.calls == {"login": 2, "workload": 1, "oauth": 2}, server.calls
    server.release()
    waiting.join()
    assert handler.get_valid_token() == "oauth-3"
    assert server.calls == {"login": 2, "workload": 2, "oauth": 3}, server.calls
"""
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_child_keeps_the_token_of_its_parent() -> None:
    run(
        """
from chain_server import chain_server
from forking import child
from test_chained_sources import chain, handler_of

with chain_server() as server:
    handler = handler_of(chain(server))
    assert handler.get_valid_token() == "oauth-1"

    def work():
        assert handler.get_valid_token() == "oauth-1"

    child(work)
    assert server.calls == {"login": 1, "workload": 1, "oauth": 1}, server.calls
"""
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_handler_made_in_a_child_over_a_source_of_the_parent_has_its_own_links() -> None:
    run(
        """
from chain_server import chain_server
from forking import child
from test_chained_sources import chain, handler_of

with chain_server() as server:
    source = chain(server)
    server.held = {"login"}
    waiting = threading.Thread(target=handler_of(source).get_valid_token)
    waiting.start()
    wait_until(lambda: server.calls["login"] == 1)

    def work():
        tokens = together([handler_of(source).get_valid_token for _ in range(8)])
        assert sorted(tokens) == [f"oauth-{n}" for n in range(1, 9)], tokens

    child(work)
    assert server.calls["login"] == 2, server.calls
    server.release()
    waiting.join()
"""
    )
