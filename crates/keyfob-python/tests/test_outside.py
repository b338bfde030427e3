"""What the other tests stand on: the test kit as a program, asked by a plain session."""

from __future__ import annotations

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from outside import Counts, Outside, Received, checksum


def ask(outside: Outside, token: str, body: bytes | None = None) -> requests.Response:
    headers = {"Authorization": f"Bearer {token}"}
    url = f"{outside.api_url}/things?n=1"
    return requests.request("POST" if body else "GET", url, headers=headers, data=body, timeout=10)


def test_a_token_is_let_in_until_it_is_revoked(outside: Outside) -> None:
    token = outside.token()
    assert ask(outside, token).status_code == 200
    assert outside.revoke() == token
    refused = ask(outside, token)
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    assert outside.revoke() is None


def test_every_request_is_counted(outside: Outside) -> None:
    token = outside.token()
    ask(outside, token)
    ask(outside, "other")
    assert outside.counts() == Counts(
        token_requests=1,
        tokens=1,
        requests=2,
        statuses={200: 1, 401: 1},
        faults=0,
        connections=2,
    )


@pytest.mark.parametrize("body", [b"x", b"8 bytes.", "grüße an alle".encode()])
def test_the_api_tells_what_it_received(outside: Outside, body: bytes) -> None:
    received = Received(**ask(outside, outside.token(), body).json())
    assert (received.method, received.path, received.query) == ("POST", "/things", "n=1")
    assert received.authorization == "Bearer token-1"
    assert received.body == body.decode()
    assert received.body_length == len(body)
    assert received.checksum == checksum(body)
    assert outside.received() == [received]


def test_a_large_body_is_told_by_its_checksum(outside: Outside) -> None:
    body = bytes(range(251)) * 1000
    received = Received(**ask(outside, outside.token(), body).json())
    assert received.body is None
    assert received.checksum == checksum(body)


def test_the_next_answers_come_in_order_and_then_the_usual_ones(outside: Outside) -> None:
    token = outside.token()
    outside.next(503, headers={"retry-after": "7"}, times=2)
    outside.next(200, body={"json": [1, 2]})
    outside.next(200, body={"zeros": 70_000})
    for _ in range(2):
        busy = ask(outside, token)
        assert (busy.status_code, busy.headers["Retry-After"]) == (503, "7")
    assert ask(outside, token).json() == [1, 2]
    assert ask(outside, token).content == bytes(70_000)
    assert ask(outside, token).json()["path"] == "/things"


@pytest.mark.parametrize("fault", ["reset", "close", "garbage"])
def test_a_fault_ends_the_connection(outside: Outside, fault: str) -> None:
    outside.next(fault=fault)
    with pytest.raises(requests.ConnectionError):
        ask(outside, outside.token())
    assert outside.counts().faults == 1


def test_a_body_can_be_cut_short(outside: Outside) -> None:
    outside.next(200, body={"text": "half of it"}, cut_body_after=4)
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        ask(outside, outside.token())


def test_every_nth_request_gets_its_answer() -> None:
    with Outside.start(every={2: 503, 3: "reset"}) as outside:
        token = outside.token()
        statuses = [ask(outside, token).status_code for _ in range(2)]
        assert statuses == [200, 503]
        with pytest.raises(requests.ConnectionError):
            ask(outside, token)


def test_tokens_live_as_long_as_told() -> None:
    form = {"grant_type": "client_credentials"}
    with Outside.start(lifetime=60) as outside:
        issued = requests.post(outside.token_url, data=form, timeout=10)
        assert issued.json()["expires_in"] == 60


def test_the_issuer_refuses_as_told_and_then_issues(outside: Outside) -> None:
    outside.next_token(400, body={"json": {"error": "invalid_grant"}})
    refused = requests.post(outside.token_url, data={"grant_type": "password"}, timeout=10)
    assert (refused.status_code, refused.json()) == (400, {"error": "invalid_grant"})
    assert outside.token() == "token-1"


def test_what_is_held_waits_for_its_release(outside: Outside) -> None:
    outside.next_token(held=True)
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(outside.token)
        while outside.counts().tokens == 0:
            pass
        assert not waiting.done()
        outside.release()
        assert waiting.result() == "token-1"


def test_the_program_ends_with_its_test() -> None:
    with Outside.start() as outside:
        outside.next(fault="hang")
        url = outside.api_url
        with pytest.raises(requests.ReadTimeout):
            requests.get(url, timeout=(10, 0.05))
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=10)


def test_the_program_ends_when_its_test_is_killed() -> None:
    # The program has the same standard error: there is more to read from it for as long as it runs.
    killed = subprocess.run(
        [sys.executable, "-c", KILLED],
        capture_output=True,
        check=False,
        cwd=Path(__file__).parent,
        text=True,
    )
    assert killed.returncode == -signal.SIGKILL, killed
    with pytest.raises(requests.ConnectionError):
        requests.get(killed.stdout.strip(), timeout=10)


KILLED = """
import os, signal
from outside import Outside

with Outside.start() as outside:
    print(outside.api_url, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
