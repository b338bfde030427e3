"""R8: an attempt fails when nothing moves for the timeout; a slow transfer that makes progress is not cut off."""

from __future__ import annotations

import io
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from keyfob import BearerAuthSession, RetryPolicy

TIMEOUT = 1.5
"""The limit of an attempt; a slow transfer takes longer as a whole."""
SIZE = 16_000_000
"""More than the buffers of the sockets hold."""
BODIES: dict[str, Callable[[], Any]] = {
    "bytes": lambda: b"x" * SIZE,
    "text": lambda: "x" * SIZE,
    "file": lambda: io.BytesIO(b"x" * SIZE),
    "iterator": lambda: (b"x" * 100_000 for _ in range(SIZE // 100_000)),
}


@pytest.fixture
def session() -> BearerAuthSession:
    session = BearerAuthSession("t0ken")
    session.retry = RetryPolicy(attempts=1)
    session.timeout = TIMEOUT
    return session


@pytest.mark.parametrize("body", BODIES)
def test_r8_a_slow_upload_that_makes_progress_is_not_cut_off(
    session: BearerAuthSession, body: str
) -> None:
    def receive_slowly(connection: socket.socket) -> None:
        received = 0
        while received < SIZE:
            # The whole part: the buffers of the system would empty too slowly in small pieces.
            part = min(SIZE // 40, SIZE - received)
            received += len(connection.recv(part, socket.MSG_WAITALL))
            # What the system holds at the end is read after the upload has ended, when the limit for the response counts.
            if received < SIZE / 2:
                time.sleep(TIMEOUT / 14)
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    began = time.monotonic()
    with server(receive_slowly) as url:
        assert session.put(url, data=BODIES[body]()).status_code == 200
    assert time.monotonic() - began > TIMEOUT


@pytest.mark.parametrize("body", BODIES)
def test_r8_a_stalled_upload_fails(session: BearerAuthSession, body: str) -> None:
    with server(stall) as url, pytest.raises(requests.ConnectionError):
        session.put(url, data=BODIES[body]())


def test_r8_a_slow_response_that_makes_progress_is_not_cut_off(session: BearerAuthSession) -> None:
    def send_slowly(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n")
        for _ in range(20):
            time.sleep(TIMEOUT / 10)
            connection.sendall(b"x")

    began = time.monotonic()
    with server(send_slowly) as url:
        assert session.get(url).content == b"x" * 20
    assert time.monotonic() - began > TIMEOUT


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\nx"])
def test_r8_a_stalled_response_fails(session: BearerAuthSession, head: bytes) -> None:
    def send_and_stall(connection: socket.socket) -> None:
        connection.sendall(head)
        stall(connection)

    with server(send_and_stall) as url, pytest.raises((requests.Timeout, requests.ConnectionError)):
        session.get(url)


def test_the_body_of_a_sent_request_is_the_one_of_the_caller(session: BearerAuthSession) -> None:
    def receive(connection: socket.socket) -> None:
        received = 0
        while received < SIZE:
            received += len(connection.recv(SIZE))
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    body = b"x" * SIZE
    session.timeout = 60
    with server(receive) as url:
        assert session.put(url, data=body).request.body is body


def stall(_: socket.socket) -> None:
    """Reads and sends nothing until the client closes the connection."""
    finished.wait(60)


finished = threading.Event()


@contextmanager
def server(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that handles one connection like this."""
    finished.clear()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            connection, _ = listener.accept()
            with connection:
                serve(connection)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finished.set()
        thread.join(60)
