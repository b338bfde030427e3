"""What is sent again, and what is not."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
import requests
from keyfob import RetryPolicy
from outside import Outside
from requests.adapters import HTTPAdapter
from signed_in import AT_ONCE, fixed, with_token

IDEMPOTENT = ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"]
OTHERS = ["POST", "PATCH", "LOCK"]
TRANSIENT = [408, 425, 429, 500, 502, 503, 504]


class Refusing(HTTPAdapter):
    """Sends as usual, and counts."""

    sent = 0

    def send(self, *args: Any, **kwargs: Any) -> requests.Response:
        self.sent += 1
        return super().send(*args, **kwargs)


@pytest.mark.parametrize("status", TRANSIENT)
@pytest.mark.parametrize("method", IDEMPOTENT)
def test_r4_an_idempotent_request_is_sent_again_after(
    outside: Outside, method: str, status: int
) -> None:
    outside.next(status)
    assert fixed(outside).request(method, outside.api_url).status_code == 200
    assert outside.counts().requests == 2


@pytest.mark.parametrize("status", TRANSIENT)
@pytest.mark.parametrize("method", OTHERS)
def test_r4_another_request_is_sent_once(outside: Outside, method: str, status: int) -> None:
    outside.next(status)
    assert fixed(outside).request(method, outside.api_url, data=b"x").status_code == status
    assert outside.counts().requests == 1


@pytest.mark.parametrize("status", [400, 403, 404, 405, 409, 410, 418, 422, 501, 505])
def test_r4_other_statuses_are_answers(outside: Outside, status: int) -> None:
    outside.next(status)
    assert fixed(outside).get(outside.api_url).status_code == status
    assert outside.counts().requests == 1


@pytest.mark.parametrize("fault", ["reset", "close", "garbage"])
def test_r4_a_get_is_sent_again_after_a_broken_connection(outside: Outside, fault: str) -> None:
    outside.next(fault=fault)
    assert fixed(outside).get(outside.api_url).status_code == 200


@pytest.mark.parametrize("fault", ["reset", "close", "garbage"])
def test_r4_a_post_is_not_sent_again_after_a_broken_connection(
    outside: Outside, fault: str
) -> None:
    outside.next(fault=fault)
    with pytest.raises(requests.ConnectionError):
        fixed(outside).post(outside.api_url, json={"n": 1})
    assert outside.counts().requests == 1


def test_r4_a_get_is_sent_again_after_a_timeout(outside: Outside) -> None:
    outside.next(fault="hang")
    assert fixed(outside).get(outside.api_url, timeout=(5, 0.2)).status_code == 200


def test_r4_a_post_is_not_sent_again_after_a_timeout(outside: Outside) -> None:
    outside.next(fault="hang")
    with pytest.raises(requests.ReadTimeout):
        fixed(outside).post(outside.api_url, json={"n": 1}, timeout=(5, 0.1))
    assert outside.counts().requests == 1


@pytest.mark.parametrize("status", [429, 503])
def test_r4_a_post_is_sent_again_when_the_server_says_that_it_did_nothing(
    outside: Outside, status: int
) -> None:
    outside.next(status, headers={"retry-after": "0"})
    assert fixed(outside).post(outside.api_url, json={"n": 1}).json()["body"] == '{"n": 1}'
    assert outside.counts().requests == 2


@pytest.mark.parametrize("status", [408, 425, 500, 502, 504])
def test_r4_retry_after_says_so_only_with_429_and_503(outside: Outside, status: int) -> None:
    outside.next(status, headers={"retry-after": "0"})
    assert fixed(outside).post(outside.api_url, json={"n": 1}).status_code == status
    assert outside.counts().requests == 1


@pytest.mark.parametrize("name", ["Idempotency-Key", "idempotency-key"])
def test_r4_a_post_with_an_idempotency_key_is_sent_again(outside: Outside, name: str) -> None:
    outside.next(500)
    outside.next(fault="reset")
    answer = fixed(outside).post(outside.api_url, json={"n": 1}, headers={name: "8e03978e"})
    assert answer.status_code == 200
    keys = [received.headers["idempotency-key"] for received in outside.received()]
    assert keys == [["8e03978e"]] * 3


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_r4_a_request_that_says_so_itself_is_sent_again(outside: Outside, method: str) -> None:
    outside.next(500)
    session = fixed(outside)
    answer = session.request(method, outside.api_url, json={"n": 1}, idempotent=True)
    assert answer.status_code == 200


def test_r4_saying_so_goes_with_the_call_alone(outside: Outside) -> None:
    outside.next(500, times=2)
    session = fixed(outside)
    assert session.post(outside.api_url, idempotent=True, timeout=5).status_code == 200
    outside.next(500)
    assert session.post(outside.api_url).status_code == 500
    assert session.put(outside.api_url, idempotent=False).status_code == 200


def test_r4_404_is_an_answer_unless_the_policy_says_otherwise(outside: Outside) -> None:
    session = fixed(outside)
    outside.next(404)
    assert session.get(outside.api_url).status_code == 404
    session.retry = RetryPolicy(pauses=(0, 0), retry=[404])
    outside.next(404)
    assert session.get(outside.api_url).status_code == 200
    outside.next(404)
    assert session.post(outside.api_url).status_code == 404


def test_r4_a_policy_can_leave_a_status_out(outside: Outside) -> None:
    session = fixed(outside)
    session.retry = RetryPolicy(pauses=(0, 0), do_not_retry=[503])
    outside.next(503, headers={"retry-after": "0"})
    assert session.get(outside.api_url).status_code == 503
    outside.next(502)
    assert session.get(outside.api_url).status_code == 200


@pytest.mark.parametrize("codes", [{503}, [503], (503, 404), frozenset({503})])
def test_a_call_can_leave_a_status_out(outside: Outside, codes: Any) -> None:
    session = fixed(outside)
    outside.next(503)
    answer = session.get(outside.api_url, params={"n": "1"}, do_not_retry_codes=codes)
    assert answer.status_code == 503
    outside.next(503)
    assert session.get(outside.api_url).status_code == 200
    outside.next(502)
    assert session.get(outside.api_url, do_not_retry_codes=codes).status_code == 200


@pytest.mark.parametrize("codes", [None, (), set()])
def test_a_call_may_leave_nothing_out(outside: Outside, codes: Any) -> None:
    outside.next(503)
    assert fixed(outside).get(outside.api_url, do_not_retry_codes=codes).status_code == 200


def test_r4_a_connection_that_was_never_made_is_tried_again_whatever_the_method() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    session = with_token("t0ken")
    adapter = Refusing()
    session.mount("http://", adapter)
    with pytest.raises(requests.ConnectionError):
        session.post(url, json={"n": 1})
    assert adapter.sent == 4


def test_r4_a_timeout_of_the_connection_is_tried_again_whatever_the_method() -> None:
    session = with_token("t0ken")
    adapter = mock.create_autospec(HTTPAdapter, instance=True)
    adapter.send.side_effect = requests.ConnectTimeout("no answer")
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
def test_r4_what_sending_again_would_not_mend_is_not_sent_again(
    failure: type[Exception],
) -> None:
    session = with_token("t0ken")
    adapter = mock.create_autospec(HTTPAdapter, instance=True)
    adapter.send.side_effect = failure("as ever")
    session.mount("https://", adapter)
    with pytest.raises(failure, match="as ever"):
        session.get("https://api.example.com/")
    assert adapter.send.call_count == 1


def test_r4_an_error_of_the_program_is_not_sent_again() -> None:
    session = with_token("t0ken")
    adapter = mock.create_autospec(HTTPAdapter, instance=True)
    adapter.send.side_effect = ZeroDivisionError
    session.mount("https://", adapter)
    with pytest.raises(ZeroDivisionError):
        session.get("https://api.example.com/")
    assert adapter.send.call_count == 1


def test_r4_a_body_that_cannot_be_replayed_is_never_sent_again(outside: Outside) -> None:
    def body() -> Iterator[bytes]:
        yield b"once"

    outside.next(503, headers={"retry-after": "0"})
    answer = fixed(outside).put(outside.api_url, data=body(), idempotent=True)
    assert answer.status_code == 503
    assert [received.body for received in outside.received()] == ["once"]


def test_r4_a_body_that_cannot_be_replayed_is_not_even_sent_again_when_nothing_was_sent() -> None:
    session = with_token("t0ken")
    adapter = mock.create_autospec(HTTPAdapter, instance=True)
    adapter.send.side_effect = requests.ConnectTimeout("no answer")
    session.mount("https://", adapter)
    with pytest.raises(requests.ConnectTimeout):
        session.put("https://api.example.com/", data=iter([b"once"]))
    assert adapter.send.call_count == 1


def test_a_prepared_request_is_retried_as_any_other(outside: Outside) -> None:
    outside.next(503)
    prepared = requests.Request("GET", outside.api_url).prepare()
    assert fixed(outside).send(prepared).status_code == 200


def test_r5_a_body_that_breaks_off_is_not_asked_for_again(outside: Outside) -> None:
    outside.next(200, body={"text": "half of it"}, cut_body_after=4)
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        fixed(outside).get(outside.api_url)
    assert outside.counts().requests == 1


def test_an_answer_that_is_sent_again_may_break_off(outside: Outside) -> None:
    outside.next(503, body={"text": "half of it"}, cut_body_after=4)
    assert fixed(outside).get(outside.api_url).status_code == 200


def test_every_session_has_rules_of_its_own_until_they_are_shared(outside: Outside) -> None:
    one, other = fixed(outside), fixed(outside)
    one.retry = RetryPolicy(attempts=1)
    outside.next(503)
    assert one.get(outside.api_url).status_code == 503
    outside.next(503)
    assert other.get(outside.api_url).status_code == 200
    one.retry = other.retry = AT_ONCE.with_own_budget()
    outside.next(503)
    assert one.get(outside.api_url).status_code == 200
