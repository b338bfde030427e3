"""R4: which failures are retried."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
import requests
from keyfob import BearerAuthSession, RetryPolicy
from pytest_httpserver import HTTPServer
from requests.adapters import HTTPAdapter
from servers import Servers
from sessions import AT_ONCE, fixed, with_token

IDEMPOTENT = ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"]
OTHERS = ["POST", "PATCH", "LOCK"]
TRANSIENT = [408, 425, 429, 500, 502, 503, 504]


class Counting(HTTPAdapter):
    """Sends as usual, and counts the attempts."""

    sent = 0

    def send(self, *args: Any, **kwargs: Any) -> requests.Response:
        self.sent += 1
        return super().send(*args, **kwargs)


@pytest.mark.parametrize("status", TRANSIENT)
@pytest.mark.parametrize("method", IDEMPOTENT)
def test_r4_an_idempotent_request_is_retried_after(
    servers: Servers, method: str, status: int
) -> None:
    servers.next(status)
    assert fixed(servers).request(method, servers.api_url).status_code == 200
    assert servers.counts().requests == 2


@pytest.mark.parametrize("status", TRANSIENT)
@pytest.mark.parametrize("method", OTHERS)
def test_r4_a_request_that_is_not_idempotent_is_sent_once(
    servers: Servers, method: str, status: int
) -> None:
    servers.next(status)
    assert fixed(servers).request(method, servers.api_url, data=b"x").status_code == status
    assert servers.counts().requests == 1


@pytest.mark.parametrize("status", [400, 403, 404, 405, 409, 410, 418, 422, 501, 505])
def test_r4_other_statuses_are_returned(servers: Servers, status: int) -> None:
    servers.next(status)
    assert fixed(servers).get(servers.api_url).status_code == status
    assert servers.counts().requests == 1


@pytest.mark.parametrize("fault", ["reset", "close", "garbage"])
def test_r4_a_get_is_retried_after_a_broken_connection(servers: Servers, fault: str) -> None:
    servers.next(fault=fault)
    assert fixed(servers).get(servers.api_url).status_code == 200


@pytest.mark.parametrize("fault", ["reset", "close", "garbage"])
def test_r4_a_post_is_not_retried_after_a_broken_connection(servers: Servers, fault: str) -> None:
    servers.next(fault=fault)
    with pytest.raises(requests.ConnectionError):
        fixed(servers).post(servers.api_url, json={"n": 1})
    assert servers.counts().requests == 1


def test_r4_a_get_is_retried_after_a_timeout(servers: Servers) -> None:
    servers.next(fault="hang")
    assert fixed(servers).get(servers.api_url, timeout=(20, 0.5)).status_code == 200


def test_r4_a_post_is_not_retried_after_a_timeout(servers: Servers) -> None:
    servers.next(fault="hang")
    with pytest.raises(requests.ReadTimeout):
        fixed(servers).post(servers.api_url, json={"n": 1}, timeout=(20, 0.1))
    assert servers.counts().requests == 1


@pytest.mark.parametrize("status", [429, 503])
def test_r4_a_post_is_retried_if_the_server_says_it_did_nothing(
    servers: Servers, status: int
) -> None:
    servers.next(status, headers={"retry-after": "0"})
    assert fixed(servers).post(servers.api_url, json={"n": 1}).json()["body"] == '{"n": 1}'
    assert servers.counts().requests == 2


@pytest.mark.parametrize("value", ["0", "Sun, 06 Nov 1994 08:49:37 GMT"])
def test_r5_a_retry_after_that_is_sent_twice_is_read(value: str, servers: Servers) -> None:
    # `requests` joins two fields to this one.
    servers.next(503, headers={"retry-after": f"{value}, {value}"})
    assert fixed(servers).post(servers.api_url, data=b"whole").status_code == 200


@pytest.mark.parametrize("status", [408, 425, 500, 502, 504])
def test_r4_retry_after_allows_a_post_retry_only_with_429_and_503(
    servers: Servers, status: int
) -> None:
    servers.next(status, headers={"retry-after": "0"})
    assert fixed(servers).post(servers.api_url, json={"n": 1}).status_code == status
    assert servers.counts().requests == 1


@pytest.mark.parametrize("name", ["Idempotency-Key", "idempotency-key"])
def test_r4_a_post_with_an_idempotency_key_is_retried(servers: Servers, name: str) -> None:
    servers.next(500)
    servers.next(fault="reset")
    response = fixed(servers).post(servers.api_url, json={"n": 1}, headers={name: "8e03978e"})
    assert response.status_code == 200
    keys = [received.headers["idempotency-key"] for received in servers.received()]
    assert keys == [["8e03978e"]] * 3


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_r4_a_request_marked_idempotent_is_retried(servers: Servers, method: str) -> None:
    servers.next(500)
    session = fixed(servers)
    response = session.request(method, servers.api_url, json={"n": 1}, idempotent=True)
    assert response.status_code == 200


def test_r4_marking_idempotent_affects_that_call_alone(servers: Servers) -> None:
    servers.next(500, times=2)
    session = fixed(servers)
    assert session.post(servers.api_url, idempotent=True, timeout=20).status_code == 200
    servers.next(500)
    assert session.post(servers.api_url).status_code == 500
    assert session.put(servers.api_url, idempotent=False).status_code == 200


def test_r4_404_is_returned_unless_the_policy_retries_it(servers: Servers) -> None:
    session = fixed(servers)
    servers.next(404)
    assert session.get(servers.api_url).status_code == 404
    session.retry = RetryPolicy(pauses=(0, 0), retry=[404])
    servers.next(404)
    assert session.get(servers.api_url).status_code == 200
    servers.next(404)
    assert session.post(servers.api_url).status_code == 404


def test_r4_a_policy_can_exclude_a_status(servers: Servers) -> None:
    session = fixed(servers)
    session.retry = RetryPolicy(pauses=(0, 0), do_not_retry=[503])
    servers.next(503, headers={"retry-after": "0"})
    assert session.get(servers.api_url).status_code == 503
    servers.next(502)
    assert session.get(servers.api_url).status_code == 200


@pytest.mark.parametrize("codes", [{503}, [503], (503, 404), frozenset({503})])
def test_a_call_can_exclude_a_status(servers: Servers, codes: Any) -> None:
    session = fixed(servers)
    servers.next(503)
    response = session.get(servers.api_url, params={"n": "1"}, do_not_retry_codes=codes)
    assert response.status_code == 503
    servers.next(503)
    assert session.get(servers.api_url).status_code == 200
    servers.next(502)
    assert session.get(servers.api_url, do_not_retry_codes=codes).status_code == 200


@pytest.mark.parametrize("codes", [None, (), set()])
def test_a_call_may_exclude_no_status(servers: Servers, codes: Any) -> None:
    servers.next(503)
    assert fixed(servers).get(servers.api_url, do_not_retry_codes=codes).status_code == 200


def test_r4_a_failed_connect_is_retried_for_any_method() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    session = with_token("t0ken")
    adapter = Counting()
    session.mount("http://", adapter)
    with pytest.raises(requests.ConnectionError):
        session.post(url, json={"n": 1})
    assert adapter.sent == 4


def test_r4_a_connect_timeout_is_retried_for_any_method() -> None:
    session = with_token("t0ken")
    adapter = mock.create_autospec(HTTPAdapter, instance=True)
    adapter.send.side_effect = requests.ConnectTimeout("no response")
    session.mount("https://", adapter)
    with pytest.raises(requests.ConnectTimeout):
        session.patch("https://api.example.com/")
    assert adapter.send.call_count == 4


@pytest.mark.parametrize(
    "failure",
    [
        requests.exceptions.SSLError,
        requests.exceptions.InvalidURL,
        requests.exceptions.InvalidHeader,
        requests.exceptions.ContentDecodingError,
        requests.exceptions.RetryError,
    ],
)
def test_r4_a_failure_that_a_retry_cannot_fix_is_not_retried(
    failure: type[Exception],
) -> None:
    session = with_token("t0ken")
    adapter = mock.create_autospec(HTTPAdapter, instance=True)
    adapter.send.side_effect = failure("unchanged")
    session.mount("https://", adapter)
    with pytest.raises(failure, match="unchanged"):
        session.get("https://api.example.com/")
    assert adapter.send.call_count == 1


def test_r4_a_programming_error_is_not_retried() -> None:
    session = with_token("t0ken")
    adapter = mock.create_autospec(HTTPAdapter, instance=True)
    adapter.send.side_effect = ZeroDivisionError
    session.mount("https://", adapter)
    with pytest.raises(ZeroDivisionError):
        session.get("https://api.example.com/")
    assert adapter.send.call_count == 1


def test_r4_a_body_that_cannot_be_replayed_is_never_sent_again(servers: Servers) -> None:
    def body() -> Iterator[bytes]:
        yield b"once"

    servers.next(503, headers={"retry-after": "0"})
    response = fixed(servers).put(servers.api_url, data=body(), idempotent=True)
    assert response.status_code == 503
    assert [received.body for received in servers.received()] == ["once"]


def test_r4_a_body_that_cannot_be_replayed_is_not_retried_even_if_unsent() -> None:
    session = with_token("t0ken")
    adapter = mock.create_autospec(HTTPAdapter, instance=True)
    adapter.send.side_effect = requests.ConnectTimeout("no response")
    session.mount("https://", adapter)
    with pytest.raises(requests.ConnectTimeout):
        session.put("https://api.example.com/", data=iter([b"once"]))
    assert adapter.send.call_count == 1


def test_a_prepared_request_is_retried_like_any_other(servers: Servers) -> None:
    servers.next(503)
    prepared = requests.Request("GET", servers.api_url).prepare()
    assert fixed(servers).send(prepared).status_code == 200


def test_r5_a_response_body_that_breaks_off_is_not_retried(servers: Servers) -> None:
    servers.next(200, body={"text": "half of it"}, cut_body_after=4)
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        fixed(servers).get(servers.api_url)
    assert servers.counts().requests == 1


def test_a_response_that_is_retried_may_break_off(servers: Servers) -> None:
    servers.next(503, body={"text": "half of it"}, cut_body_after=4)
    assert fixed(servers).get(servers.api_url).status_code == 200


def test_each_session_has_its_own_policy_until_it_is_shared(servers: Servers) -> None:
    one, other = fixed(servers), fixed(servers)
    one.retry = RetryPolicy(attempts=1)
    servers.next(503)
    assert one.get(servers.api_url).status_code == 503
    servers.next(503)
    assert other.get(servers.api_url).status_code == 200
    one.retry = other.retry = AT_ONCE.with_own_budget()
    servers.next(503)
    assert one.get(servers.api_url).status_code == 200


def test_r4_a_request_is_not_lost_while_a_server_restarts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as once:
        port = once.getsockname()[1]
    httpserver = HTTPServer(port=port)
    httpserver.expect_request("/").respond_with_data("up again")
    restart = threading.Timer(2, httpserver.start)
    restart.start()
    try:
        assert BearerAuthSession("t0ken").post(f"http://127.0.0.1:{port}/").text == "up again"
    finally:
        restart.join()
        httpserver.stop()  # type: ignore[no-untyped-call]
