"""R1: the URLs of the caller that a session sends its credential to."""

from __future__ import annotations

import pytest
import requests
import responses
from keyfob import ExternallyManagedJWTSession, OriginError
from servers import Servers
from sessions import Hook, fixed, renewing, with_token

URL = "https://api.example.com/reports"


@responses.activate
@pytest.mark.parametrize("url", [URL, "https://other.example.org:8443/", "HTTPS://API.Example.com"])
def test_r1_any_https_origin_that_the_caller_names_gets_the_credential(url: str) -> None:
    response = responses.get(url)
    with_token("t0ken").get(url)
    assert response.calls[0].request.headers["Authorization"] == "Bearer t0ken"


def test_r1_loopback_gets_the_credential_over_plain_http(servers: Servers) -> None:
    session = fixed(servers)
    assert session.get(servers.api_url).json()["headers"]["authorization"] == ["Bearer token-1"]
    named = servers.api_url.replace("127.0.0.1", "localhost")
    assert session.get(named).status_code == 200


@responses.activate
@pytest.mark.parametrize(
    "url", ["http://api.example.com/", "http://10.0.0.1/", "http://localhost.example.com/"]
)
def test_r1_the_error_for_plain_http_says_how_to_allow_it(url: str) -> None:
    with pytest.raises(OriginError, match="allow_plain_http") as refused:
        with_token("t0ken").get(url)
    assert isinstance(refused.value, requests.exceptions.InvalidURL)
    assert not responses.calls


@responses.activate
def test_r1_plain_http_is_refused_before_a_token_is_fetched(servers: Servers) -> None:
    hook = Hook(servers)
    with pytest.raises(OriginError):
        renewing(hook).get("http://api.example.com/")
    assert hook.calls == 0


@responses.activate
def test_r1_plain_http_that_was_allowed_is_served_and_no_other_origin() -> None:
    responses.get("http://api.example.com/")
    session = with_token("t0ken")
    session.allow_plain_http("http://api.example.com/v1")
    session.get("http://api.example.com/")
    for other in ["http://other.example.com/", "http://api.example.com:8080/", URL]:
        with pytest.raises(OriginError):
            session.get(other)
    assert len(responses.calls) == 1


@responses.activate
def test_r1_a_bound_session_serves_the_origins_it_is_bound_to() -> None:
    responses.get(URL)
    responses.get("https://other.example.com/")
    session = with_token("t0ken")
    session.bind("https://api.example.com/v1/", "https://other.example.com")
    session.get(URL)
    session.get("https://other.example.com/")
    for elsewhere in [
        "https://example.com/",
        "https://api.example.com:444/",
        "https://api.example.com.evil.test/",
        "https://api.example.com@evil.test/",
        "http://127.0.0.1/",
    ]:
        with pytest.raises(OriginError):
            session.get(elsewhere)
    assert len(responses.calls) == 2


def test_r1_a_session_can_be_bound_to_loopback_and_not_to_plain_http(servers: Servers) -> None:
    session = fixed(servers)
    session.bind(servers.api_url)
    assert session.get(servers.api_url).status_code == 200
    with pytest.raises(OriginError):
        session.bind("http://api.example.com/")
    with pytest.raises(OriginError):
        session.bind("api.example.com")
    assert session.get(servers.api_url).status_code == 200


def test_r1_the_error_for_a_url_shows_neither_path_nor_query() -> None:
    with pytest.raises(OriginError) as refused:
        with_token("t0ken").get("http://api.example.com/patients?name=PATIENT")
    assert "PATIENT" not in str(refused.value)
    assert "patients" not in str(refused.value)


@pytest.mark.parametrize("url", ["ftp://api.example.com/", "mock://api/"])
def test_r1_other_schemes_are_refused(url: str) -> None:
    with pytest.raises(OriginError):
        with_token("t0ken").get(url)


def test_a_url_that_requests_rejects_is_rejected_here_too() -> None:
    session = with_token("t0ken")
    with pytest.raises(requests.exceptions.MissingSchema):
        session.get("api.example.com")
    with pytest.raises(requests.exceptions.InvalidURL):
        session.get("https://")


def test_r1_a_prepared_request_is_checked_too(servers: Servers) -> None:
    session = fixed(servers)
    session.bind("https://api.example.com")
    prepared = requests.Request("GET", servers.api_url).prepare()
    with pytest.raises(OriginError):
        session.send(prepared)
    assert servers.counts().requests == 0


@responses.activate
def test_r1_two_sessions_of_one_handler_have_their_own_origins(servers: Servers) -> None:
    responses.get(URL)
    responses.add_passthru(servers.token_url.rsplit("/", 1)[0])
    bound = renewing(Hook(servers))
    bound.bind("https://other.example.com")
    free = ExternallyManagedJWTSession(bound.authentication_handler)
    assert free.get(URL).status_code == 200
    with pytest.raises(OriginError):
        bound.get(URL)
