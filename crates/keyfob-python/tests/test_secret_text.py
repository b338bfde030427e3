"""Tokens as `str` objects: they work like any text, and are not shown by accident."""

from __future__ import annotations

import copy
import io
import json
import pickle
import traceback
import urllib.request
from datetime import datetime, timezone
from typing import Any

import pytest
import requests
from keyfob import JWT, BearerAuthSession, ExternallyManagedJWT, GenericExternallyManagedJWTHandler
from servers import Servers
from tokens import ahead

SECRET = "s3cret-t0ken"


@pytest.fixture
def handler() -> GenericExternallyManagedJWTHandler:
    return GenericExternallyManagedJWTHandler(SECRET, ahead(3600), lambda: (SECRET, ahead(3600)))


def test_s1_no_object_that_holds_a_token_shows_it(
    handler: GenericExternallyManagedJWTHandler,
) -> None:
    session = BearerAuthSession(SECRET)
    jwt = JWT(SECRET, datetime(2030, 1, 1, tzinfo=timezone.utc))
    managed = ExternallyManagedJWT(jwt=SECRET, expires=jwt.expires, get_token=list)  # type: ignore[arg-type]
    objects: list[Any] = [
        jwt,
        managed,
        handler,
        session,
        handler.get_valid_token(),
        handler.get_valid_token(force=True),
        handler.get_valid_token_with_expiry(),
        handler.jwt,
        handler.request_headers,
        handler.status(),
        handler.auth(),
        handler.httpx_auth(),
        session.token,
        vars(handler),
        vars(session),
        vars(handler.auth()),
    ]
    for each in objects:
        for shown in [
            repr(each),
            f"{each!r}",
            repr([each]),
            repr({1: each}),
        ]:
            assert SECRET not in shown
    for each in [jwt, managed]:
        assert "2030" in repr(each)
        assert SECRET not in f"{each}"


def test_s1_a_traceback_with_local_variables_does_not_show_the_token(
    handler: GenericExternallyManagedJWTHandler,
) -> None:
    def fail() -> None:
        token = handler.get_valid_token()
        headers = handler.request_headers
        raise RuntimeError(len(token) + len(headers))

    with pytest.raises(RuntimeError) as raised:
        fail()
    shown = traceback.TracebackException.from_exception(raised.value, capture_locals=True)
    text = "".join(shown.format())
    assert "token = " in text
    assert SECRET not in text


def test_the_token_is_text_like_any_other(handler: GenericExternallyManagedJWTHandler) -> None:
    token = handler.get_valid_token()
    assert isinstance(token, str)
    assert token == SECRET
    assert hash(token) == hash(SECRET)
    assert {SECRET: 1}[token] == 1
    assert f"{token}" == str(token) == f"{token:s}" == "%s" % token == SECRET  # noqa: UP031
    assert f"Bearer {token}" == "Bearer " + token
    assert token.encode() == SECRET.encode()
    assert json.dumps({"token": token}) == f'{{"token": "{SECRET}"}}'
    assert token.split("-") == SECRET.split("-")


def test_the_token_prints_as_text(handler: GenericExternallyManagedJWTHandler) -> None:
    written = io.StringIO()
    print(handler.get_valid_token(), file=written)
    assert written.getvalue() == f"{SECRET}\n"


def test_s1_a_pickle_of_the_token_does_not_contain_it(
    handler: GenericExternallyManagedJWTHandler,
) -> None:
    for secret in [handler.get_valid_token(), handler.request_headers]:
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            assert SECRET.encode() not in pickle.dumps(secret, protocol)


def test_a_copy_of_the_token_is_the_token(handler: GenericExternallyManagedJWTHandler) -> None:
    for copied in [copy.copy, copy.deepcopy]:
        headers = copied(handler.request_headers)
        assert headers == {"authorization": f"Bearer {SECRET}"}
        assert SECRET not in repr(headers)
        assert copied(handler.get_valid_token()) == SECRET


def test_the_headers_work_for_other_clients(servers: Servers) -> None:
    handler = GenericExternallyManagedJWTHandler(None, None, lambda: (servers.token(), ahead(3600)))
    handler.authenticate()
    headers = handler.request_headers
    with urllib.request.urlopen(
        urllib.request.Request(servers.api_url, headers=headers)
    ) as response:
        assert response.status == 200
    for module in ["httpx", "httpx2"]:
        client = pytest.importorskip(module)
        assert client.get(servers.api_url, headers=headers).status_code == 200
    assert requests.get(servers.api_url, headers=headers, timeout=10).status_code == 200


@pytest.mark.parametrize("convert", [copy.copy, copy.deepcopy, pickle.dumps])
def test_s2_a_handler_is_neither_copied_nor_pickled(
    handler: GenericExternallyManagedJWTHandler, convert: Any
) -> None:
    class Derived(GenericExternallyManagedJWTHandler):
        pass

    derived = Derived(None, None, lambda: (SECRET, ahead(60)))
    for refused in [handler, derived]:
        with pytest.raises(
            TypeError, match=r"cannot be pickled or copied; share it between threads"
        ):
            convert(refused)


@pytest.mark.parametrize("convert", [copy.deepcopy, pickle.dumps])
def test_s2_objects_that_hold_a_handler_are_neither_copied_nor_pickled(
    handler: GenericExternallyManagedJWTHandler, convert: Any
) -> None:
    with pytest.raises(TypeError, match="cannot be pickled or copied"):
        convert([handler])


def test_a_copy_of_the_settings_has_a_handler_of_its_own() -> None:
    managed = ExternallyManagedJWT(get_token=list)  # type: ignore[arg-type]
    handler = managed.handler()
    assert managed.handler() is handler
    assert copy.deepcopy(managed).handler() is not handler
    assert pickle.loads(pickle.dumps(managed)) == managed
