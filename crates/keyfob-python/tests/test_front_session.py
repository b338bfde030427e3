"""``keyfob.Session``: a session over any source of tokens in one line, and what its ``repr`` says."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import keyfob
import pytest
import requests
from keyfob import (
    ExternallyManagedJWT,
    GenericExternallyManagedJWTHandler,
    OriginError,
    RetryPolicy,
)
from servers import Servers
from sessions import AT_ONCE, Hook
from tokens import ahead


@pytest.mark.parametrize("base", ["v1", "v1/"])
@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("reports", "/v1/reports"),
        (b"reports", "/v1/reports"),
        ("a/../reports", "/v1/reports"),
        ("../reports", "/reports"),
        ("../../../reports", "/reports"),
        ("/reports", "/reports"),
        ("?year=2026", "/v1/"),
        ("", "/v1/"),
        ("reports:2026", "/v1/reports:2026"),
        ("./reports", "/v1/reports"),
    ],
)
def test_a_relative_url_is_resolved_against_the_base_url(
    base: str, url: Any, path: str, servers: Servers
) -> None:
    if url == "reports:2026":
        url = "./reports:2026"  # RFC 3986 §4.2: a colon in the first segment needs a `./`.
    session = keyfob.Session(Hook(servers), base_url=f"{servers.api_url}/{base}")
    assert session.get(url).status_code == 200
    assert [each.path for each in servers.received()] == [path]


ELSEWHERE = [
    "//evil.example/x",
    "///evil.example/x",
    "////evil.example/x",
    "/\\evil.example/x",
    "\\\\evil.example\\x",
    "https://evil.example/x",
    "https:evil.example",
    "http:evil.example",
    "/..//evil.example/x",
    "/.//evil.example/x",
    "@evil.example/x",
    ":8080/x",
    "\t//evil.example/x",
    "/\t/evil.example/x",
    " //evil.example/x",
    "//evil.example:0/x",
    "//user@evil.example/x",
    "javascript:alert(1)",
]


@pytest.mark.parametrize("url", ELSEWHERE)
def test_r1_no_relative_url_leaves_the_origin_of_the_base_url(url: str, servers: Servers) -> None:
    session = keyfob.Session(Hook(servers), base_url=f"{servers.api_url}/v1", retries=0)
    try:
        response = session.get(url, timeout=5)
    except (OriginError, requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema):
        assert servers.counts().requests == 0
        return
    assert str(response.url).startswith(f"{servers.api_url}/")
    assert servers.counts().requests == 1


def test_r1_the_token_goes_to_the_base_url_and_the_origins_alone(servers: Servers) -> None:
    hook = Hook(servers)
    with Servers.start() as other:
        session = keyfob.Session(hook, base_url=servers.api_url, origins=other.api_url)
        assert session.get(other.api_url).status_code == 401
        assert len(other.received()) == 2
        with pytest.raises(OriginError, match="is bound to"):
            session.get("https://example.com")
        alone = keyfob.Session(hook, origins=[servers.api_url])
        with pytest.raises(OriginError, match="is bound to"):
            alone.get(other.api_url)


def test_r1_plain_http_to_another_machine_is_refused_unless_it_is_allowed() -> None:
    with pytest.raises(OriginError, match="plain http"):
        keyfob.Session(lambda: "t0ken", base_url="http://api.example.com")
    allowed = keyfob.Session(
        lambda: "t0ken",
        base_url="http://api.example.com/v1",
        allow_plain_http="http://api.example.com",
    )
    assert allowed.base_url == "http://api.example.com/v1/"


def test_without_a_base_url_it_is_a_session_like_the_others(servers: Servers) -> None:
    session = keyfob.Session(Hook(servers))
    assert session.base_url is None
    assert session.get(servers.api_url).status_code == 200
    with pytest.raises(requests.exceptions.MissingSchema):
        session.get("reports")


@pytest.mark.parametrize("kind", ["handler", "settings", "source", "hook"])
def test_the_tokens_are_a_hook_a_source_or_a_handler(
    kind: str, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = Hook(servers)
    monkeypatch.setenv("API_TOKEN", servers.token())
    tokens: dict[str, Any] = {
        "handler": GenericExternallyManagedJWTHandler(get_token=hook),
        "settings": ExternallyManagedJWT(get_token=hook),
        "source": keyfob.sources.env("API_TOKEN"),
        "hook": hook,
    }
    session = keyfob.Session(tokens[kind], base_url=servers.api_url)
    assert session.get("reports").status_code == 200
    if kind == "handler":
        assert session.authentication_handler is tokens[kind]


def test_s1_a_str_is_refused_and_not_shown() -> None:
    with pytest.raises(TypeError, match="BearerAuthSession") as raised:
        keyfob.Session("s3cret")  # type: ignore[arg-type]
    assert "s3cret" not in str(raised.value)


def test_r5_retries_and_the_total_are_keywords(servers: Servers) -> None:
    servers.next(503, times=9)
    session = keyfob.Session(Hook(servers), base_url=servers.api_url, retries=0)
    assert session.get("reports").status_code == 503
    assert servers.counts().requests == 1
    session = keyfob.Session(Hook(servers), base_url=servers.api_url, total=0.01)
    session.authenticate()
    assert session.get("reports").status_code == 503
    assert servers.counts().requests == 2
    session = keyfob.Session(Hook(servers), base_url=servers.api_url, retry=AT_ONCE)
    assert session.get("reports").status_code == 503
    assert servers.counts().requests == 6


def test_r8_the_timeout_is_a_keyword(servers: Servers) -> None:
    session = keyfob.Session(Hook(servers), base_url=servers.api_url, timeout=0.2, retries=0)
    servers.next(200, held=True)
    with pytest.raises(requests.exceptions.Timeout):
        session.get("reports")
    servers.release()


def test_redirects_are_returned_or_limited(servers: Servers) -> None:
    servers.next(302, headers={"location": "/there"}, times=9)
    session = keyfob.Session(Hook(servers), base_url=servers.api_url, redirects=0)
    assert session.get("reports").status_code == 302
    session = keyfob.Session(Hook(servers), base_url=servers.api_url, redirects=1)
    with pytest.raises(requests.exceptions.TooManyRedirects):
        session.get("reports")


@pytest.mark.parametrize(
    ("setting", "name", "value"),
    [
        ({"header": "X-Api-Key"}, "x-api-key", "token-1"),
        ({"scheme": "Token"}, "authorization", "Token token-1"),
    ],
)
def test_the_token_goes_where_the_keyword_says(
    setting: dict[str, str], name: str, value: str, servers: Servers
) -> None:
    options: Any = setting
    session = keyfob.Session(Hook(servers), base_url=servers.api_url, **options)
    session.get("reports")
    assert servers.received()[0].headers[name] == [value]
    handler = GenericExternallyManagedJWTHandler("first", ahead(3600), Hook(servers), **options)
    assert dict(handler.request_headers) == {name: value.replace("token-1", "first")}


def test_t5_the_default_lifetime_is_a_keyword() -> None:
    session = keyfob.Session(lambda: "t0ken", default_lifetime=600)
    session.authenticate()
    left = session.authentication_handler.status()["expires_in"]
    assert left is not None
    assert 590 < left <= 600


WRONG: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"header": "X-Key", "scheme": "Token"}, TypeError, "exclude each other"),
    ({"header": "no header"}, ValueError, "not the name of a header"),
    ({"scheme": "two words"}, ValueError, "scheme has a character"),
    ({"retries": -1}, ValueError, "0 or more"),
    ({"retries": 1, "retry": RetryPolicy()}, TypeError, "is complete"),
    ({"total": -1}, ValueError, "0 or more"),
    ({"timeout": 0}, ValueError, "above 0"),
    ({"fetch_timeout": -1}, ValueError, "fetch_timeout"),
    ({"base_url": "reports"}, OriginError, "names no scheme"),
    ({"base_url": "ftp://a"}, OriginError, "only http and https"),
    ({"base_url": "https://a/?b=c"}, ValueError, "neither a query nor a fragment"),
    ({"verify": False}, ValueError, "name the file with your certificate authority"),
    ({"verify": "/nowhere/ca.pem"}, ValueError, "CA file /nowhere/ca.pem cannot be read"),
    ({"timeuot": 1}, TypeError, "timeuot"),
]


@pytest.mark.parametrize(
    ("wrong", "kind", "message"), WRONG, ids=[str(each[0])[:40] for each in WRONG]
)
def test_a_wrong_setting_is_an_error_at_once(
    wrong: dict[str, Any], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        keyfob.Session(lambda: "t0ken", **wrong)


def test_settings_of_the_token_belong_on_a_handler_that_is_passed() -> None:
    handler = GenericExternallyManagedJWTHandler(get_token=lambda: "t0ken")
    with pytest.raises(TypeError, match="header: set it on the handler"):
        keyfob.Session(handler, header="X-Key")


def test_s1_a_repr_says_where_the_token_goes_and_when_it_expires() -> None:
    handler = GenericExternallyManagedJWTHandler(get_token=lambda: ("s3cret", timedelta(hours=1)))
    session = keyfob.Session(handler, base_url="https://api.example.com/v1")
    assert repr(handler) == "<GenericExternallyManagedJWTHandler: not authenticated>"
    assert repr(session) == "<Session for https://api.example.com: not authenticated>"
    handler.authenticate()
    state = r"authenticated, expires in 3(600|599) s>"
    for each, start in [
        (handler, "<GenericExternallyManagedJWTHandler: "),
        (session, "<Session for https://api.example.com: "),
        (handler.auth("https://a.example"), "<RequestsAuth for https://a.example: "),
        (handler.httpx_auth(), "<HttpxAuth for any https origin: "),
    ]:
        assert re.fullmatch(re.escape(start) + state, repr(each)), repr(each)
    bearer = keyfob.BearerAuthSession("s3cret")
    assert repr(bearer) == "<BearerAuthSession for any https origin: authenticated, unknown expiry>"


def test_a_repr_of_a_failed_handler_says_so_without_a_call() -> None:
    calls = []

    def broken() -> str:
        calls.append(1)
        raise OSError("s3cret")

    handler = GenericExternallyManagedJWTHandler(get_token=broken)
    with pytest.raises(keyfob.AuthenticationError):
        handler.authenticate()
    shown = repr(handler)
    assert shown == (
        "<GenericExternallyManagedJWTHandler: not authenticated, last error: unavailable>"
    )
    assert len(calls) == 1


def test_a_repr_of_a_session_over_an_own_handler_calls_nothing() -> None:
    class Own:
        @property
        def authenticated(self) -> bool:
            raise AssertionError("it is not called")

        request_headers = authenticated

        def authenticate(self) -> None:
            raise AssertionError("it is not called")

    own: Any = Own()
    session = keyfob.ExternallyManagedJWTSession(own)
    assert repr(session) == "<ExternallyManagedJWTSession for any https origin: over a Own>"
