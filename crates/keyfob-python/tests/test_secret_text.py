"""Tokens as `str` objects: they work like any text, and are not shown by accident."""

from __future__ import annotations

import copy
import io
import json
import marshal
import pickle
import traceback
import urllib.request
from datetime import datetime, timezone
from typing import Any

import msgpack
import pytest
import requests
import yaml
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


FORMATS: dict[str, Any] = {
    "json": lambda value: json.loads(json.dumps(value)),
    "msgpack": lambda value: msgpack.unpackb(msgpack.packb(value)),
    "yaml": lambda value: yaml.unsafe_load(yaml.dump(value)),
    "str": str,
    "format": "{}".format,
    "percent": lambda value: "%s" % value,  # noqa: UP031
    "concatenation": lambda value: value + "",
    "replace": lambda value: value.replace("\0", ""),
    "bytes": lambda value: value.encode().decode(),
    "slice": lambda value: value[:],
    "case": lambda value: value.swapcase().swapcase(),
    "translate": lambda value: value.translate({}),
    "strip": lambda value: value.strip(),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}
for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
    FORMATS[f"pickle {protocol}"] = lambda value, protocol=protocol: pickle.loads(
        pickle.dumps(value, protocol)
    )


@pytest.mark.parametrize("name", FORMATS)
def test_a_token_leaves_python_whole(
    name: str, handler: GenericExternallyManagedJWTHandler
) -> None:
    assert FORMATS[name](handler.get_valid_token()) == SECRET
    for value in handler.request_headers.values():
        assert FORMATS[name](value) == f"Bearer {SECRET}"


@pytest.mark.parametrize(
    "refuses",
    [yaml.safe_dump, lambda value: msgpack.packb(value, strict_types=True), marshal.dumps],
    ids=["yaml", "msgpack", "marshal"],
)
def test_a_format_that_knows_no_subclass_of_str_refuses_a_token(
    refuses: Any, handler: GenericExternallyManagedJWTHandler
) -> None:
    with pytest.raises((TypeError, ValueError, yaml.YAMLError)):
        refuses(handler.get_valid_token())


def test_s1_a_token_is_still_hidden_after_a_pickle(
    handler: GenericExternallyManagedJWTHandler,
) -> None:
    assert SECRET not in repr(pickle.loads(pickle.dumps(handler.request_headers)))


def test_a_response_is_pickled_with_the_credential_that_was_sent(servers: Servers) -> None:
    session = BearerAuthSession(servers.token())
    copied = pickle.loads(pickle.dumps(session.get(servers.api_url)))
    assert copied.request.headers["authorization"] == "Bearer token-1"


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
