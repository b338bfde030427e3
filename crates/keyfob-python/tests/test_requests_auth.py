"""``handler.auth()`` as the auth of a plain ``requests`` session."""

from __future__ import annotations

import contextlib
import io
import re
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
import requests
import requests.adapters
from keyfob import AuthenticationError, GenericExternallyManagedJWTHandler, OriginError
from pytest_httpserver import HTTPServer
from servers import Servers
from tokens import Hook, ahead, together, wait_until
from werkzeug import Request, Response


def handler_of(servers: Servers, **first: Any) -> GenericExternallyManagedJWTHandler:
    return GenericExternallyManagedJWTHandler(
        first.get("jwt"), first.get("expires"), lambda: (servers.token(), ahead(3600))
    )


def ask(servers: Servers, auth: Any, **kwargs: Any) -> requests.Response:
    return requests.request(
        kwargs.pop("method", "GET"), servers.api_url, auth=auth, timeout=10, **kwargs
    )


def test_the_token_is_put_on_requests_of_a_session_and_of_a_single_call(servers: Servers) -> None:
    handler = handler_of(servers)
    with requests.Session() as session:
        session.auth = handler.auth()
        assert session.get(servers.api_url).status_code == 200
    assert ask(servers, handler.auth()).status_code == 200
    assert [one.authorization for one in servers.received()] == ["Bearer token-1"] * 2


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_r3_a_401_is_replayed_once_with_another_token(servers: Servers, method: str) -> None:
    handler = handler_of(servers)
    handler.authenticate()
    servers.revoke()
    response = ask(servers, handler.auth(), method=method, data=b"whole body" * 1000)
    assert response.status_code == 200
    assert [one.status_code for one in response.history] == [401]
    received = servers.received()
    assert [one.authorization for one in received] == ["Bearer token-1", "Bearer token-2"]
    assert received[0].checksum == received[1].checksum
    assert response.request.headers["authorization"] == "Bearer token-2"


def test_r3_a_second_401_is_returned(servers: Servers) -> None:
    servers.next(401, times=2)
    response = ask(servers, handler_of(servers).auth())
    assert response.status_code == 401
    assert servers.counts().requests == 2
    assert servers.counts().tokens == 2


def test_r3_a_401_is_returned_if_there_is_no_other_token(servers: Servers) -> None:
    hook = Hook()
    handler = GenericExternallyManagedJWTHandler("mine", ahead(3600), hook)
    hook.failure = RuntimeError()
    response = ask(servers, handler.auth())
    assert response.status_code == 401
    assert response.json is not None
    assert servers.counts().requests == 1
    # T8: the 401 of one endpoint does not affect other callers.
    assert handler.jwt == handler.get_valid_token() == "mine"


def test_r3_the_same_token_again_is_not_sent_again(servers: Servers) -> None:
    handler = GenericExternallyManagedJWTHandler(None, None, lambda: ("same", ahead(60)))
    assert ask(servers, handler.auth()).status_code == 401
    assert servers.counts().requests == 1


def test_r3_a_token_that_lacks_a_scope_is_not_renewed(servers: Servers) -> None:
    servers.next(401, headers={"www-authenticate": 'Bearer error="insufficient_scope"'})
    assert ask(servers, handler_of(servers).auth()).status_code == 401
    assert servers.counts().tokens == 1


@pytest.mark.parametrize("status", [403, 404, 429, 500, 503])
def test_r4_nothing_but_a_401_is_sent_again(servers: Servers, status: int) -> None:
    servers.next(status, headers={"retry-after": "0"})
    assert ask(servers, handler_of(servers).auth()).status_code == status
    assert servers.counts().requests == 1


def test_r4_a_lost_connection_is_not_retried(servers: Servers) -> None:
    servers.next(fault="reset")
    with pytest.raises(requests.ConnectionError):
        ask(servers, handler_of(servers).auth())
    assert servers.counts().faults == 1


def test_r4_a_file_is_sent_again_from_its_start_position(servers: Servers) -> None:
    handler = handler_of(servers)
    handler.authenticate()
    servers.revoke()
    body = io.BytesIO(b"skipped" + b"x" * 1000)
    body.seek(len(b"skipped"))
    assert ask(servers, handler.auth(), method="POST", data=body).status_code == 200
    assert [one.body_length for one in servers.received()] == [1000, 1000]


@pytest.mark.parametrize("kind", ["generator", "pipe"])
def test_r4_a_body_that_cannot_be_sent_again_is_sent_once(servers: Servers, kind: str) -> None:
    handler = handler_of(servers)
    handler.authenticate()
    servers.revoke()

    class Pipe(io.BytesIO):
        def tell(self) -> int:
            raise OSError

    def pieces() -> Iterator[bytes]:
        yield b"x" * 500
        yield b"y" * 500

    body = pieces() if kind == "generator" else Pipe(b"x" * 1000)
    response = ask(servers, handler.auth(), method="POST", data=body)
    assert response.status_code == 401
    assert [one.body_length for one in servers.received()] == [1000]
    # The renewal has ended, so that an upload that the caller makes again gets the new token.
    assert handler.jwt == "token-2"


def test_r1_a_redirect_to_another_origin_does_not_carry_the_token(
    servers: Servers, httpserver: HTTPServer
) -> None:
    seen = []

    def elsewhere(request: Request) -> Response:
        seen.append(dict(request.headers))
        return Response("elsewhere")

    httpserver.expect_request("/there").respond_with_handler(elsewhere)
    servers.next(302, headers={"location": httpserver.url_for("/there")})
    response = ask(servers, handler_of(servers).auth())
    assert response.text == "elsewhere"
    assert "token-1" not in str(seen)
    assert "Authorization" not in seen[0]


def test_r1_a_401_from_another_origin_renews_no_token(
    servers: Servers, httpserver: HTTPServer
) -> None:
    handler = handler_of(servers)
    httpserver.expect_request("/there").respond_with_data(status=401)
    servers.next(302, headers={"location": httpserver.url_for("/there")})
    assert ask(servers, handler.auth()).status_code == 401
    assert len(httpserver.log) == 1
    assert servers.counts().tokens == 1


def test_r1_a_redirect_within_the_origin_keeps_the_token(servers: Servers) -> None:
    servers.next(302, headers={"location": f"{servers.api_url}/there"})
    assert ask(servers, handler_of(servers).auth()).json()["path"] == "/there"
    assert [one.authorization for one in servers.received()] == ["Bearer token-1"] * 2


class WithKey(GenericExternallyManagedJWTHandler):
    @property
    def request_headers(self) -> dict[str, str]:
        return {**super().request_headers, "x-api-key": "s3cret"}


def test_r1_a_header_of_a_subclass_does_not_follow_either(
    servers: Servers, httpserver: HTTPServer
) -> None:
    handler = WithKey(None, None, lambda: (servers.token(), ahead(3600)))
    httpserver.expect_request("/there").respond_with_data("elsewhere")
    servers.next(302, headers={"location": httpserver.url_for("/there")})
    assert ask(servers, handler.auth()).text == "elsewhere"
    assert servers.received()[0].headers["x-api-key"] == ["s3cret"]
    request, _ = httpserver.log[0]
    assert "s3cret" not in str(request.headers)


LOCATIONS = [
    "http://{other}/there",
    "//{other}/there",
    "////{other}/there",
    "///{other}/there",
    "http:////{other}/there",
    "http:{other}/there",
    "http://A\\@{other}/there",
    "http://127.0.0.1:{port}\\@{other}/there",
    "http://127.0.0.1:{port}@{other}/there",
    "http://u:p@{other}/there",
    "\\\\{other}\\there",
    "/\\{other}/there",
    "http:\\\\{other}/there",
    " http://{other}/there",
    "HTTP://{other}/there",
]


@pytest.mark.parametrize("after_a_401", [False, True], ids=["at once", "after a 401"])
@pytest.mark.parametrize("location", LOCATIONS)
def test_r1_no_header_of_the_credential_follows_to_a_hostile_location(
    servers: Servers, httpserver: HTTPServer, location: str, after_a_401: bool
) -> None:
    seen = []

    def elsewhere(request: Request) -> Response:
        seen.append(str(request.headers))
        return Response("elsewhere")

    httpserver.expect_request(re.compile(".*")).respond_with_handler(elsewhere)
    handler = WithKey(None, None, lambda: (servers.token(), ahead(3600)))
    if after_a_401:
        servers.next(401)
    other, port = f"127.0.0.1:{httpserver.port}", servers.api_url.rsplit(":", 1)[1]
    servers.next(302, headers={"location": location.format(other=other, port=port)})
    with contextlib.suppress(requests.RequestException):
        ask(servers, handler.auth())
    assert "s3cret" not in str(seen)
    assert "token-" not in str(seen)


def test_r1_the_renewed_token_follows_a_redirect_within_the_origin_after_a_401(
    servers: Servers,
) -> None:
    handler = WithKey(None, None, lambda: (servers.token(), ahead(3600)))
    handler.authenticate()
    servers.revoke()
    servers.next(401)
    servers.next(302, headers={"location": "/there"})
    assert ask(servers, handler.auth()).status_code == 200
    received = [(one.path, one.authorization) for one in servers.received()]
    assert received == [
        ("/", "Bearer token-1"),
        ("/", "Bearer token-2"),
        ("/there", "Bearer token-2"),
    ]
    assert [one.headers["x-api-key"] for one in servers.received()] == [["s3cret"]] * 3


def test_r1_a_redirect_back_does_not_restore_a_header_of_the_credential(
    servers: Servers, httpserver: HTTPServer
) -> None:
    handler = WithKey(None, None, lambda: (servers.token(), ahead(3600)))
    back = Response(status=302, headers={"location": f"{servers.api_url}/home"})
    httpserver.expect_request("/there").respond_with_response(back)
    servers.next(302, headers={"location": httpserver.url_for("/there")})
    assert ask(servers, handler.auth()).status_code == 401
    assert not {"authorization", "x-api-key"} & servers.received()[1].headers.keys()
    assert servers.counts().tokens == 1


def test_a_redirect_to_another_origin_does_not_keep_the_host_of_the_caller(
    servers: Servers,
) -> None:
    with Servers.start() as other:
        servers.next(302, headers={"location": other.api_url})
        ask(servers, handler_of(servers).auth(), headers={"Host": "virtual.example"})
        assert other.received()[0].headers["host"] == [other.api_url.removeprefix("http://")]


@pytest.mark.parametrize("status", [307, 308])
def test_r4_a_streamed_body_is_not_sent_again_and_not_sent_empty_after_a_redirect(
    servers: Servers, status: int
) -> None:
    servers.next(status, headers={"location": "/moved"})
    response = ask(servers, handler_of(servers).auth(), method="PUT", data=iter([b"once"]))
    assert (response.status_code, response.headers["location"]) == (status, "/moved")
    assert [each.body for each in servers.received()] == ["once"]


@pytest.mark.parametrize("status", [307, 308])
def test_r4_a_body_in_memory_follows_a_redirect(servers: Servers, status: int) -> None:
    servers.next(status, headers={"location": "/moved"})
    response = ask(servers, handler_of(servers).auth(), method="PUT", data=b"whole")
    assert response.status_code == 200
    assert [each.body for each in servers.received()] == ["whole", "whole"]


@pytest.mark.parametrize("status", [301, 302, 303])
def test_r3_the_response_of_a_later_hop_never_sends_the_post_again(
    servers: Servers, status: int
) -> None:
    servers.next(status, headers={"location": "/made"})
    servers.next(401)
    assert ask(servers, handler_of(servers).auth(), method="POST", data=b"once").status_code == 200
    sent = [(each.method, each.path, each.body) for each in servers.received()]
    assert sent == [("POST", "/", "once"), ("GET", "/made", ""), ("GET", "/made", "")]


def test_r3_a_get_after_a_streamed_post_is_replayed(servers: Servers) -> None:
    servers.next(303, headers={"location": "/made"})
    servers.next(401)
    response = ask(servers, handler_of(servers).auth(), method="POST", data=iter([b"once"]))
    assert response.status_code == 200
    assert [each.method for each in servers.received()] == ["POST", "GET", "GET"]


@pytest.mark.parametrize(
    "url", ["http://api.example.com/", "http://10.0.0.1/", "http://localhost.example.com/"]
)
def test_r1_plain_http_is_refused_before_the_hook_is_called(url: str) -> None:
    hook = Hook()
    handler = GenericExternallyManagedJWTHandler(None, None, hook)
    with pytest.raises(OriginError, match="http"):
        requests.get(url, auth=handler.auth(), timeout=1)
    with pytest.raises(OriginError):
        handler.auth(url)
    assert hook.calls == 0


def test_r1_the_token_goes_to_the_given_origins_alone(servers: Servers) -> None:
    handler = handler_of(servers)
    auth = handler.auth(f"{servers.api_url}/any/path", "https://api.example.com")
    assert ask(servers, auth).status_code == 200
    with Servers.start() as other, pytest.raises(OriginError):
        ask(other, auth)
    with pytest.raises(OriginError):
        requests.get("https://other.example.com/", auth=auth, timeout=1)
    assert servers.counts().requests == 1


@pytest.mark.parametrize("wrong", ["", "api.example.com", "ftp://api.example.com", "https://"])
def test_r1_an_invalid_origin_is_rejected(wrong: str) -> None:
    with pytest.raises(OriginError):
        GenericExternallyManagedJWTHandler(None, None, Hook()).auth(wrong)


def test_r2_without_a_token_nothing_is_sent(servers: Servers) -> None:
    hook = Hook()
    hook.failure = RuntimeError()
    handler = GenericExternallyManagedJWTHandler(None, None, hook)
    with pytest.raises(AuthenticationError):
        ask(servers, handler.auth())
    assert servers.counts().requests == 0


def test_r9_the_callers_headers_are_not_changed(servers: Servers) -> None:
    headers = {"X-Mine": "1", "Authorization": "Basic b3RoZXI="}
    ask(servers, handler_of(servers).auth(), headers=headers)
    assert headers == {"X-Mine": "1", "Authorization": "Basic b3RoZXI="}
    received = servers.received()[0]
    assert received.authorization == "Bearer token-1"
    assert received.headers["x-mine"] == ["1"]


def test_t8_50_late_401s_cause_one_renewal(servers: Servers) -> None:
    handler = handler_of(servers)
    handler.authenticate()
    servers.revoke()
    auth = handler.auth()
    statuses = together([lambda: ask(servers, auth).status_code] * 50)
    assert statuses == [200] * 50
    assert servers.counts().tokens == 2


def test_t8_a_401_for_a_token_that_was_replaced_causes_no_renewal(servers: Servers) -> None:
    handler = handler_of(servers)
    servers.next(401, held=True)
    responses = []
    late = threading.Thread(target=lambda: responses.append(ask(servers, handler.auth())))
    late.start()
    wait_until(lambda: servers.counts().requests == 1)
    handler.authenticate(force=True)
    servers.release()
    late.join()
    assert responses[0].status_code == 200
    assert servers.counts().tokens == 2


def test_the_cookies_of_a_401_go_with_the_next_attempt(servers: Servers) -> None:
    servers.next(401, headers={"set-cookie": "visit=1"})
    assert ask(servers, handler_of(servers).auth()).status_code == 200
    assert servers.received()[1].headers["cookie"] == ["visit=1"]


def test_the_connection_of_a_401_is_used_again(servers: Servers) -> None:
    servers.next(401, body={"text": "no"})
    with requests.Session() as session:
        adapter = requests.adapters.HTTPAdapter(pool_maxsize=1, pool_block=True)
        session.mount("http://", adapter)
        session.auth = handler_of(servers).auth()
        assert session.get(servers.api_url, stream=True).json()["path"] == "/"
    assert len({one.connection for one in servers.received()}) == 1


def test_t3_a_slow_renewal_delays_no_request(servers: Servers) -> None:
    first = servers.token()
    hook = Hook()
    hook.hold()
    handler = GenericExternallyManagedJWTHandler(first, ahead(40), hook)
    began = time.monotonic()
    for _ in range(5):
        assert ask(servers, handler.auth()).status_code == 200
    assert time.monotonic() - began < 20
    wait_until(lambda: hook.calls == 1)
    hook.release()


def test_a_request_may_be_prepared_now_and_sent_later(servers: Servers) -> None:
    handler = handler_of(servers)
    with requests.Session() as session:
        request = requests.Request("GET", servers.api_url, auth=handler.auth())
        prepared = session.prepare_request(request)
        assert prepared.headers["authorization"] == "Bearer token-1"
        servers.revoke()
        assert session.send(prepared).status_code == 200


def test_r7_a_token_with_a_short_lifetime_is_renewed_between_requests(servers: Servers) -> None:
    def brief() -> tuple[str, datetime]:
        return servers.token(), ahead(0.2)

    handler = GenericExternallyManagedJWTHandler(None, None, brief)
    with requests.Session() as session:
        session.auth = handler.auth()
        assert session.get(servers.api_url).status_code == 200
        wait_until(lambda: handler.jwt != "token-1")
        assert session.get(servers.api_url).status_code == 200
    assert servers.received()[1].authorization != "Bearer token-1"


def test_r4_nothing_but_the_401_is_sent_again(
    servers: Servers, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "keyfob")
    handler = GenericExternallyManagedJWTHandler(None, None, lambda: (servers.token(), ahead(60)))
    servers.next(503)
    with requests.Session() as session:
        assert session.get(servers.api_url, auth=handler.auth()).status_code == 503
    assert servers.counts().requests == 1
    assert not [record for record in caplog.records if "sent again" in record.getMessage()]
