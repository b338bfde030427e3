"""Tools that replace adapters in tests work as with a plain session."""

from __future__ import annotations

import re
from typing import Any
from unittest import mock

import pytest
import requests
import requests_mock
import responses
from keyfob import (
    AuthenticationError,
    BearerAuthSession,
    ExternallyManagedJWTSession,
    GenericExternallyManagedJWTHandler,
    RetryPolicy,
)
from keyfob.errors import OriginError
from requests.adapters import HTTPAdapter
from sessions import over, with_token
from tokens import ahead

URL = "https://api.example.com/reports"
BEARER = {"authorization": "Bearer t0ken"}


@responses.activate
def test_responses_sees_the_requests_and_their_retries() -> None:
    responses.get(URL, status=503)
    responses.get(URL, json={"a": 1})
    assert with_token("t0ken").get(URL).json() == {"a": 1}
    seen = [call.request.headers["authorization"] for call in responses.calls]
    assert seen == ["Bearer t0ken"] * 2


def test_requests_mock_sees_the_requests_and_their_retries() -> None:
    with requests_mock.Mocker() as mocker:
        mocker.get(URL, [{"status_code": 503}, {"json": {"a": 1}}], request_headers=BEARER)
        assert with_token("t0ken").get(URL).json() == {"a": 1}
        assert mocker.call_count == 2


def test_a_scheme_of_a_custom_adapter_is_served() -> None:
    session = with_token("t0ken")
    adapter = requests_mock.Adapter()
    session.mount("mock://", adapter)
    adapter.register_uri("GET", "mock://api/reports", text="report", request_headers=BEARER)
    assert session.get("mock://api/reports").text == "report"


def test_r1_a_custom_adapter_allows_neither_plain_http_nor_a_redirect() -> None:
    session = with_token("t0ken")
    adapter = requests_mock.Adapter()
    for prefix in ["mock://", "http://", "https://", "HTTP://"]:
        session.mount(prefix, adapter)
    adapter.register_uri("GET", URL, status_code=302, headers={"Location": "mock://elsewhere/"})
    adapter.register_uri("GET", "mock://elsewhere/")
    for url in ["http://api.example.com/", "HTTP://api.example.com/"]:
        with pytest.raises(OriginError):
            session.get(url)
        # A prepared request is not normalized again.
        prepared = requests.Request("GET", URL).prepare()
        prepared.url = url
        with pytest.raises(OriginError):
            session.send(prepared)
    assert "authorization" not in session.get(URL).request.headers


def test_r1_a_bound_session_serves_no_custom_scheme() -> None:
    session = with_token("t0ken")
    session.mount("mock://", requests_mock.Adapter())
    session.bind("https://api.example.com")
    with pytest.raises(OriginError):
        session.get("mock://api/")


def test_a_custom_adapter_sends() -> None:
    seen: list[Any] = []

    class Recording(HTTPAdapter):
        def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:  # type: ignore[override]
            seen.append((request.headers["authorization"], kwargs["timeout"], kwargs["verify"]))
            response = requests.Response()
            response.status_code = 200
            response.request, response.url = request, str(request.url)
            return response

    session = with_token("t0ken")
    session.mount("https://api.example.com", Recording())
    assert session.get(URL, timeout=(3, 4), verify="bundle.pem").ok
    assert seen == [("Bearer t0ken", (3, 4), "bundle.pem")]


@responses.activate
def test_a_mock_of_a_handler_works() -> None:
    responses.get(URL, status=401)
    handler = mock.create_autospec(GenericExternallyManagedJWTHandler, instance=True)
    handler.authenticated = False
    handler.request_headers = BEARER
    session = over(handler)
    response = session.get(URL)
    handler.authenticate.assert_called_once_with()
    # A 401 is returned like any other response.
    assert (response.status_code, len(responses.calls)) == (401, 1)
    assert response.request.headers["authorization"] == "Bearer t0ken"
    assert BEARER == {"authorization": "Bearer t0ken"}


@responses.activate
def test_each_attempt_reads_the_headers_of_a_custom_handler_again() -> None:
    responses.get(URL, status=503)
    responses.get(URL)

    class Handler:
        authenticated = True
        looked = 0

        def authenticate(self) -> None:
            raise AssertionError

        @property
        def request_headers(self) -> dict[str, str]:
            Handler.looked += 1
            return {"X-Key": str(Handler.looked)}

    ExternallyManagedJWTSession(Handler()).get(URL)  # type: ignore[arg-type]
    assert [call.request.headers["X-Key"] for call in responses.calls] == ["1", "2"]


@responses.activate
def test_an_overridden_send_sees_each_attempt_as_it_is_sent_and_its_response() -> None:
    responses.get(URL, status=503)
    responses.get(URL)
    seen: list[Any] = []

    class Session(BearerAuthSession):
        def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
            response = super().send(request.copy(), **kwargs)
            seen.append((request.headers["Authorization"], response.status_code))
            return response

    session = Session("t0ken")
    session.retry = with_token("t0ken").retry
    response = session.get(URL)
    assert seen == [("Bearer t0ken", 503), ("Bearer t0ken", 200)]
    # It is a request like the caller's, and would be retried if it were sent by hand.
    assert type(response.request) is requests.PreparedRequest


@responses.activate
def test_an_overridden_send_may_answer_a_request_itself() -> None:
    class Session(BearerAuthSession):
        def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:
            made = requests.Response()
            made.status_code, made.request, made.url = 418, request, str(request.url)
            return made

    seen = []
    hooks = {"response": lambda response, **_: seen.append(response.status_code)}
    assert Session("t0ken").get(URL, hooks=hooks).status_code == 418
    assert seen == [418]


def test_a_mock_of_send_works_with_a_mock_of_a_response() -> None:
    session = BearerAuthSession("t0ken")
    with mock.patch.object(session, "send") as send:
        assert session.get(URL) is send.return_value
        send.side_effect = requests.ConnectionError
        session.retry = RetryPolicy(attempts=1)
        with pytest.raises(requests.ConnectionError):
            session.get(URL)
    with mock.patch("requests.Session.send") as send:
        assert session.get(URL) is send.return_value
        assert send.call_args.args[0].headers["authorization"] == "Bearer t0ken"


@responses.activate
def test_a_response_hook_sees_the_credential_that_was_sent() -> None:
    responses.get(URL)
    seen = []
    hooks = {"response": lambda response, **_: seen.append(response.request.headers)}
    with_token("t0ken").get(URL, hooks=hooks)
    assert [headers["authorization"] for headers in seen] == ["Bearer t0ken"]


@responses.activate
def test_the_token_of_a_bearer_session_can_be_read_and_replaced() -> None:
    responses.get(URL)
    session = with_token("t0ken")
    assert session.token == "t0ken"
    session.token = "another"
    session.get(URL)
    assert responses.calls[0].request.headers["authorization"] == "Bearer another"
    for unusable, error in [(None, TypeError), (b"t0ken", TypeError), ("", ValueError)]:
        with pytest.raises(error):
            session.token = unusable  # type: ignore[assignment]
    with pytest.raises(ValueError, match="header") as refused:
        session.token = "s3cret\nX-Evil: 1"
    assert not re.search("s3cret|Evil", str(refused.value))
    assert session.token == "another"


@responses.activate
def test_a_token_that_expires_between_check_and_use_is_never_an_error() -> None:
    responses.get(URL)
    calls = []

    def hook() -> tuple[str, Any]:
        calls.append(1)
        return f"t0ken-{len(calls)}", ahead(0.05)

    session = over(GenericExternallyManagedJWTHandler(None, None, hook))
    try:
        for _ in range(100_000):
            assert session.get(URL).status_code == 200
            assert session.request_headers
            if len(calls) > 3:
                break
    except AuthenticationError as error:  # pragma: no cover
        pytest.fail(str(error))
    assert len(calls) > 3
