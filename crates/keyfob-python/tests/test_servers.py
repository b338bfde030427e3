"""The test kit as a program, with plain requests: the other tests rely on it."""

from __future__ import annotations

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from servers import Counts, Received, Servers, checksum


def ask(servers: Servers, token: str, body: bytes | None = None) -> requests.Response:
    headers = {"Authorization": f"Bearer {token}"}
    url = f"{servers.api_url}/things?n=1"
    return requests.request("POST" if body else "GET", url, headers=headers, data=body, timeout=10)


def test_a_token_is_accepted_until_it_is_revoked(servers: Servers) -> None:
    token = servers.token()
    assert ask(servers, token).status_code == 200
    assert servers.revoke() == token
    refused = ask(servers, token)
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    assert servers.revoke() is None


def test_every_request_is_counted(servers: Servers) -> None:
    token = servers.token()
    ask(servers, token)
    ask(servers, "other")
    assert servers.counts() == Counts(
        token_requests=1,
        tokens=1,
        requests=2,
        statuses={200: 1, 401: 1},
        faults=0,
        connections=2,
    )


@pytest.mark.parametrize("body", [b"x", b"8 bytes.", "grüße an alle".encode()])
def test_the_api_returns_the_request_it_received(servers: Servers, body: bytes) -> None:
    received = Received(**ask(servers, servers.token(), body).json())
    assert (received.method, received.path, received.query) == ("POST", "/things", "n=1")
    assert received.authorization == "Bearer token-1"
    assert received.body == body.decode()
    assert received.body_length == len(body)
    assert received.checksum == checksum(body)
    assert servers.received() == [received]


def test_a_large_body_is_reported_by_its_checksum(servers: Servers) -> None:
    body = bytes(range(251)) * 1000
    received = Received(**ask(servers, servers.token(), body).json())
    assert received.body is None
    assert received.checksum == checksum(body)


def test_scripted_responses_come_in_order_before_the_usual_ones(servers: Servers) -> None:
    token = servers.token()
    servers.next(503, headers={"retry-after": "7"}, times=2)
    servers.next(200, body={"json": [1, 2]})
    servers.next(200, body={"zeros": 70_000})
    for _ in range(2):
        busy = ask(servers, token)
        assert (busy.status_code, busy.headers["Retry-After"]) == (503, "7")
    assert ask(servers, token).json() == [1, 2]
    assert ask(servers, token).content == bytes(70_000)
    assert ask(servers, token).json()["path"] == "/things"


@pytest.mark.parametrize("fault", ["reset", "close", "garbage"])
def test_a_fault_ends_the_connection(servers: Servers, fault: str) -> None:
    servers.next(fault=fault)
    with pytest.raises(requests.ConnectionError):
        ask(servers, servers.token())
    assert servers.counts().faults == 1


def test_a_body_can_be_cut_short(servers: Servers) -> None:
    servers.next(200, body={"text": "half of it"}, cut_body_after=4)
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        ask(servers, servers.token())


def test_every_nth_request_gets_the_configured_response() -> None:
    with Servers.start(every={2: 503, 3: "reset"}) as servers:
        token = servers.token()
        statuses = [ask(servers, token).status_code for _ in range(2)]
        assert statuses == [200, 503]
        with pytest.raises(requests.ConnectionError):
            ask(servers, token)


def test_tokens_have_the_configured_lifetime() -> None:
    form = {"grant_type": "client_credentials"}
    with Servers.start(lifetime=60) as servers:
        issued = requests.post(servers.token_url, data=form, timeout=10)
        assert issued.json()["expires_in"] == 60


def test_the_issuer_refuses_as_configured_and_then_issues(servers: Servers) -> None:
    servers.next_token(400, body={"json": {"error": "invalid_grant"}})
    refused = requests.post(servers.token_url, data={"grant_type": "password"}, timeout=10)
    assert (refused.status_code, refused.json()) == (400, {"error": "invalid_grant"})
    assert servers.token() == "token-1"


def test_a_held_response_waits_for_its_release(servers: Servers) -> None:
    servers.next_token(held=True)
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(servers.token)
        while servers.counts().tokens == 0:
            pass
        assert not waiting.done()
        servers.release()
        assert waiting.result() == "token-1"


def test_the_program_ends_with_its_test() -> None:
    with Servers.start() as servers:
        servers.next(fault="hang")
        url = servers.api_url
        with pytest.raises(requests.ReadTimeout):
            requests.get(url, timeout=(10, 0.05))
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=10)


def test_the_program_ends_when_its_test_is_killed() -> None:
    # The program inherits standard error, so `run` returns only after the program has ended.
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
from servers import Servers

with Servers.start() as servers:
    print(servers.api_url, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
