"""``handler.auth()`` on the requests of a plain ``requests`` session."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
import requests
import requests.adapters
from keyfob import AuthenticationError, GenericExternallyManagedJWTHandler, OriginError
from outside import Outside
from pytest_httpserver import HTTPServer
from tokens import Hook, ahead, together, wait_until
from werkzeug import Request, Response


def handler_of(outside: Outside, **first: Any) -> GenericExternallyManagedJWTHandler:
    return GenericExternallyManagedJWTHandler(
        first.get("jwt"), first.get("expires"), lambda: (outside.token(), ahead(3600))
    )


def ask(outside: Outside, auth: Any, **kwargs: Any) -> requests.Response:
    return requests.request(
        kwargs.pop("method", "GET"), outside.api_url, auth=auth, timeout=10, **kwargs
    )


def test_the_token_is_put_on_requests_of_a_session_and_of_a_single_call(outside: Outside) -> None:
    handler = handler_of(outside)
    with requests.Session() as session:
        session.auth = handler.auth()
        assert session.get(outside.api_url).status_code == 200
    assert ask(outside, handler.auth()).status_code == 200
    assert [one.authorization for one in outside.received()] == ["Bearer token-1"] * 2


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_r3_a_401_is_healed_once_by_another_token(outside: Outside, method: str) -> None:
    handler = handler_of(outside)
    handler.authenticate()
    outside.revoke()
    answer = ask(outside, handler.auth(), method=method, data=b"whole body" * 1000)
    assert answer.status_code == 200
    assert [one.status_code for one in answer.history] == [401]
    received = outside.received()
    assert [one.authorization for one in received] == ["Bearer token-1", "Bearer token-2"]
    assert received[0].checksum == received[1].checksum
    assert answer.request.headers["authorization"] == "Bearer token-2"


def test_r3_a_second_401_is_the_callers(outside: Outside) -> None:
    outside.next(401, times=2)
    answer = ask(outside, handler_of(outside).auth())
    assert answer.status_code == 401
    assert outside.counts().requests == 2
    assert outside.counts().tokens == 2


def test_r3_a_401_stays_when_there_is_no_other_token(outside: Outside) -> None:
    hook = Hook()
    handler = GenericExternallyManagedJWTHandler("mine", ahead(3600), hook)
    hook.failure = RuntimeError()
    answer = ask(outside, handler.auth())
    assert answer.status_code == 401
    assert answer.json is not None
    assert outside.counts().requests == 1
    # T8: one endpoint's 401 takes the token from nobody.
    assert handler.jwt == handler.get_valid_token() == "mine"


def test_r3_the_same_token_again_is_not_sent_again(outside: Outside) -> None:
    handler = GenericExternallyManagedJWTHandler(None, None, lambda: ("same", ahead(60)))
    assert ask(outside, handler.auth()).status_code == 401
    assert outside.counts().requests == 1


def test_r3_a_token_that_lacks_a_scope_is_not_renewed(outside: Outside) -> None:
    outside.next(401, headers={"www-authenticate": 'Bearer error="insufficient_scope"'})
    assert ask(outside, handler_of(outside).auth()).status_code == 401
    assert outside.counts().tokens == 1


@pytest.mark.parametrize("status", [403, 404, 429, 500, 503])
def test_r4_nothing_but_a_401_is_sent_again(outside: Outside, status: int) -> None:
    outside.next(status, headers={"retry-after": "0"})
    assert ask(outside, handler_of(outside).auth()).status_code == status
    assert outside.counts().requests == 1


def test_r4_a_lost_connection_is_the_callers(outside: Outside) -> None:
    outside.next(fault="reset")
    with pytest.raises(requests.ConnectionError):
        ask(outside, handler_of(outside).auth())
    assert outside.counts().faults == 1


def test_r4_a_file_is_sent_again_from_where_it_began(outside: Outside) -> None:
    handler = handler_of(outside)
    handler.authenticate()
    outside.revoke()
    body = io.BytesIO(b"skipped" + b"x" * 1000)
    body.seek(len(b"skipped"))
    assert ask(outside, handler.auth(), method="POST", data=body).status_code == 200
    assert [one.body_length for one in outside.received()] == [1000, 1000]


@pytest.mark.parametrize("kind", ["generator", "pipe"])
def test_r4_a_body_that_cannot_be_sent_again_is_sent_once(outside: Outside, kind: str) -> None:
    handler = handler_of(outside)
    handler.authenticate()
    outside.revoke()

    class Pipe(io.BytesIO):
        def tell(self) -> int:
            raise OSError

    def pieces() -> Iterator[bytes]:
        yield b"x" * 500
        yield b"y" * 500

    body = pieces() if kind == "generator" else Pipe(b"x" * 1000)
    answer = ask(outside, handler.auth(), method="POST", data=body)
    assert answer.status_code == 401
    assert [one.body_length for one in outside.received()] == [1000]
    # T8: the token is known to be refused all the same.
    wait_until(lambda: handler.jwt == "token-2")


def test_r1_a_redirect_to_another_origin_goes_without_the_token(
    outside: Outside, httpserver: HTTPServer
) -> None:
    seen = []

    def elsewhere(request: Request) -> Response:
        seen.append(dict(request.headers))
        return Response("elsewhere")

    httpserver.expect_request("/there").respond_with_handler(elsewhere)
    outside.next(302, headers={"location": httpserver.url_for("/there")})
    answer = ask(outside, handler_of(outside).auth())
    assert answer.text == "elsewhere"
    assert "token-1" not in str(seen)
    assert "Authorization" not in seen[0]


def test_r1_a_401_of_another_origin_is_not_healed(outside: Outside, httpserver: HTTPServer) -> None:
    handler = handler_of(outside)
    httpserver.expect_request("/there").respond_with_data(status=401)
    outside.next(302, headers={"location": httpserver.url_for("/there")})
    assert ask(outside, handler.auth()).status_code == 401
    assert len(httpserver.log) == 1
    assert outside.counts().tokens == 1


def test_r1_a_redirect_within_the_origin_keeps_the_token(outside: Outside) -> None:
    outside.next(302, headers={"location": f"{outside.api_url}/there"})
    assert ask(outside, handler_of(outside).auth()).json()["path"] == "/there"
    assert [one.authorization for one in outside.received()] == ["Bearer token-1"] * 2


class WithKey(GenericExternallyManagedJWTHandler):
    @property
    def request_headers(self) -> dict[str, str]:
        return {**super().request_headers, "x-api-key": "s3cret"}


def test_r1_a_field_of_a_subclass_stays_behind_as_well(
    outside: Outside, httpserver: HTTPServer
) -> None:
    handler = WithKey(None, None, lambda: (outside.token(), ahead(3600)))
    httpserver.expect_request("/there").respond_with_data("elsewhere")
    outside.next(302, headers={"location": httpserver.url_for("/there")})
    assert ask(outside, handler.auth()).text == "elsewhere"
    assert outside.received()[0].headers["x-api-key"] == ["s3cret"]
    request, _ = httpserver.log[0]
    assert "s3cret" not in str(request.headers)


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


def test_r1_the_token_goes_to_the_given_origins_alone(outside: Outside) -> None:
    handler = handler_of(outside)
    auth = handler.auth(f"{outside.api_url}/any/path", "https://api.example.com")
    assert ask(outside, auth).status_code == 200
    with Outside.start() as other, pytest.raises(OriginError):
        ask(other, auth)
    with pytest.raises(OriginError):
        requests.get("https://other.example.com/", auth=auth, timeout=1)
    assert outside.counts().requests == 1


@pytest.mark.parametrize("wrong", ["", "api.example.com", "ftp://api.example.com", "https://"])
def test_r1_what_is_no_origin_is_refused(wrong: str) -> None:
    with pytest.raises(OriginError):
        GenericExternallyManagedJWTHandler(None, None, Hook()).auth(wrong)


def test_r2_without_a_token_nothing_is_sent(outside: Outside) -> None:
    hook = Hook()
    hook.failure = RuntimeError()
    handler = GenericExternallyManagedJWTHandler(None, None, hook)
    with pytest.raises(AuthenticationError):
        ask(outside, handler.auth())
    assert outside.counts().requests == 0


def test_r9_the_callers_headers_are_not_changed(outside: Outside) -> None:
    headers = {"X-Mine": "1", "Authorization": "Basic b3RoZXI="}
    ask(outside, handler_of(outside).auth(), headers=headers)
    assert headers == {"X-Mine": "1", "Authorization": "Basic b3RoZXI="}
    received = outside.received()[0]
    assert received.authorization == "Bearer token-1"
    assert received.headers["x-mine"] == ["1"]


def test_t8_50_late_401s_cause_one_renewal(outside: Outside) -> None:
    handler = handler_of(outside)
    handler.authenticate()
    outside.revoke()
    auth = handler.auth()
    statuses = together([lambda: ask(outside, auth).status_code] * 50)
    assert statuses == [200] * 50
    assert outside.counts().tokens == 2


def test_t8_a_401_for_a_token_that_was_replaced_causes_no_renewal(outside: Outside) -> None:
    handler = handler_of(outside)
    outside.next(401, held=True)
    answers = []
    late = threading.Thread(target=lambda: answers.append(ask(outside, handler.auth())))
    late.start()
    wait_until(lambda: outside.counts().requests == 1)
    handler.authenticate(force=True)
    outside.release()
    late.join()
    assert answers[0].status_code == 200
    assert outside.counts().tokens == 2


def test_the_cookies_of_a_401_go_with_the_next_attempt(outside: Outside) -> None:
    outside.next(401, headers={"set-cookie": "visit=1"})
    assert ask(outside, handler_of(outside).auth()).status_code == 200
    assert outside.received()[1].headers["cookie"] == ["visit=1"]


def test_the_connection_of_a_401_is_used_again(outside: Outside) -> None:
    outside.next(401, body={"text": "no"})
    with requests.Session() as session:
        adapter = requests.adapters.HTTPAdapter(pool_maxsize=1, pool_block=True)
        session.mount("http://", adapter)
        session.auth = handler_of(outside).auth()
        assert session.get(outside.api_url, stream=True).json()["path"] == "/"
    assert len({one.connection for one in outside.received()}) == 1


def test_t3_a_renewal_that_takes_its_time_holds_up_no_request(outside: Outside) -> None:
    first = outside.token()
    hook = Hook()
    hook.hold()
    handler = GenericExternallyManagedJWTHandler(first, ahead(40), hook)
    began = time.monotonic()
    for _ in range(5):
        assert ask(outside, handler.auth()).status_code == 200
    assert time.monotonic() - began < 5
    wait_until(lambda: hook.calls == 1)
    hook.release()


def test_a_request_may_be_prepared_now_and_sent_later(outside: Outside) -> None:
    handler = handler_of(outside)
    with requests.Session() as session:
        request = requests.Request("GET", outside.api_url, auth=handler.auth())
        prepared = session.prepare_request(request)
        assert prepared.headers["authorization"] == "Bearer token-1"
        outside.revoke()
        assert session.send(prepared).status_code == 200


def test_r7_a_token_of_short_life_is_renewed_between_requests(outside: Outside) -> None:
    def brief() -> tuple[str, datetime]:
        return outside.token(), ahead(0.2)

    handler = GenericExternallyManagedJWTHandler(None, None, brief)
    with requests.Session() as session:
        session.auth = handler.auth()
        assert session.get(outside.api_url).status_code == 200
        wait_until(lambda: handler.jwt != "token-1")
        assert session.get(outside.api_url).status_code == 200
    assert outside.received()[1].authorization != "Bearer token-1"


def test_r4_nothing_but_the_401_is_sent_again(
    outside: Outside, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "keyfob")
    handler = GenericExternallyManagedJWTHandler(None, None, lambda: (outside.token(), ahead(60)))
    outside.next(503)
    with requests.Session() as session:
        assert session.get(outside.api_url, auth=handler.auth()).status_code == 503
    assert outside.counts().requests == 1
    assert not [record for record in caplog.records if "sent again" in record.getMessage()]
