"""The costs of keyfob in Python, as ratios to programs without it.

Run it with a release build of the package: ``python benches/speed.py``. Each comparison alternates between both sides many
times and takes the medians. Absolute times depend on the machine and its load.
"""

from __future__ import annotations

import multiprocessing
import os
import socket
import statistics
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

import requests
from keyfob import ExternallyManagedJWTSession, GenericExternallyManagedJWTHandler

TOKEN = "x" * 1024
ROUNDS = 41
READS = 20_000
REQUESTS = 100


def main() -> None:
    """Prints a table for each measurement; exits with 1 if a target is missed."""
    if sys.platform == "linux":
        # On several processors, each request wakes an idle one, which takes a part of it that is not ours.
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    missed = [*cached_read(), *whole_request(), *many_threads()]
    if missed:
        sys.exit("missed: " + ", ".join(missed))


class ReferenceShape:
    """Returns a cached token the way the reference does: lock, check, new dict."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jwt = TOKEN
        self._expires = time.time() + 3600

    @property
    def request_headers(self) -> dict[str, str]:
        """The headers in a new dict. The expiry is a number, which is faster than the datetime of the reference."""
        with self._lock:
            if self._expires - 60 <= time.time():
                raise ValueError("expired")
            return {"authorization": f"Bearer {self._jwt}"}


def cached_read() -> list[str]:
    """Reads of a cached token in one thread."""
    handler = fresh_handler()
    session = ExternallyManagedJWTSession(handler)
    shape = ReferenceShape()
    prepared = dict(shape.request_headers)
    now, copy = time.monotonic, prepared.copy
    times = interleaved(
        {
            "floor: a clock and a copy of a dict": lambda: (now(), copy()),
            "the reference's shape": lambda: shape.request_headers,
            "get_valid_token()": lambda: handler.get_valid_token(),
            "handler.request_headers": lambda: handler.request_headers,
            "session.request_headers": lambda: session.request_headers,
        }
    )
    base = times["the reference's shape"]
    print(f"\n{'cached read':40} {'ratio':>6} {'ns':>6}")
    for name, seconds in times.items():
        print(f"{name:40} {seconds / base:6.2f} {seconds * 1e9:6.0f}")
    targets = {"get_valid_token()": 0.5, "handler.request_headers": 1.0}
    return [name for name, most in targets.items() if times[name] / base > most]


def whole_request() -> list[str]:
    """The CPU time of this process for a request on loopback."""
    with Server() as url:
        headers = {"authorization": f"Bearer {TOKEN}"}
        plain = requests.Session()
        ours = ExternallyManagedJWTSession(fresh_handler())
        costs: dict[str, list[float]] = {"plain": [], "keyfob": []}
        for _ in range(ROUNDS):
            costs["plain"].append(cpu(lambda: plain.get(url, headers=headers, timeout=20)))
            costs["keyfob"].append(cpu(lambda: ours.get(url)))
    medians = {name: statistics.median(cost) for name, cost in costs.items()}
    pairs = zip(costs["keyfob"], costs["plain"], strict=True)
    ratio = statistics.median(one / other for one, other in pairs)
    print(f"\n{'request, CPU':40} {'ratio':>6} {'µs':>6}")
    print(f"{'requests.Session':40} {1:6.3f} {medians['plain'] * 1e6:6.0f}")
    print(f"{'ExternallyManagedJWTSession':40} {ratio:6.3f} {medians['keyfob'] * 1e6:6.0f}")
    return [] if ratio <= 1.03 else ["request"]


def many_threads() -> list[str]:
    """200 threads that need a token at the same time."""
    pause, calls = 0.2, []

    def hook() -> tuple[str, datetime]:
        calls.append(1)
        time.sleep(pause)
        return TOKEN, datetime.now(timezone.utc) + timedelta(hours=1)

    took = []
    for _ in range(5):
        handler = GenericExternallyManagedJWTHandler(None, None, hook)
        start = threading.Barrier(201)
        ends: list[float] = []

        def caller(
            handler: GenericExternallyManagedJWTHandler = handler,
            start: threading.Barrier = start,
            ends: list[float] = ends,
        ) -> None:
            start.wait()
            handler.get_valid_token()
            ends.append(time.monotonic())

        threads = [threading.Thread(target=caller) for _ in range(200)]
        for thread in threads:
            thread.start()
        start.wait()
        began = time.monotonic()
        for thread in threads:
            thread.join()
        took.append(max(ends) - began)
    ratio = statistics.median(took) / pause
    print(f"\n{'200 threads, no token':40} {'ratio':>6} {'calls':>6}")
    print(f"{'time of the last thread, to that of the ':40} {ratio:6.2f} {len(calls) / 5:6.1f}")
    return [] if ratio <= 1.5 and len(calls) == 5 else ["many threads"]


def fresh_handler() -> GenericExternallyManagedJWTHandler:
    """A handler with a token that stays fresh."""
    expires = datetime.now(timezone.utc) + timedelta(hours=1)
    return GenericExternallyManagedJWTHandler(TOKEN, expires, lambda: (TOKEN, expires))


def interleaved(measured: dict[str, Callable[[], object]]) -> dict[str, float]:
    """The median time of each call in seconds, minus that of an empty call."""
    empty_call = "empty"
    calls = {empty_call: lambda: None, **measured}
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            began = time.perf_counter()
            for _ in range(READS):
                call()
            times[name].append((time.perf_counter() - began) / READS)
    medians = {name: statistics.median(each) for name, each in times.items()}
    empty = medians.pop(empty_call)
    return {name: median - empty for name, median in medians.items()}


def cpu(request: Callable[[], requests.Response]) -> float:
    """The CPU time of one request in seconds."""
    began = time.process_time()
    for _ in range(REQUESTS):
        assert request().status_code == 200
    return (time.process_time() - began) / REQUESTS


class Server:
    """Sends a small JSON response to each request, from a process of its own."""

    def __enter__(self) -> str:
        """Starts it."""
        listener = socket.create_server(("127.0.0.1", 0))
        self._process = multiprocessing.get_context("fork").Process(
            target=serve, args=(listener,), daemon=True
        )
        self._process.start()
        port = listener.getsockname()[1]
        listener.close()
        return f"http://127.0.0.1:{port}/things"

    def __exit__(self, *_: object) -> None:
        """Ends it."""
        self._process.terminate()
        self._process.join()


def serve(listener: socket.socket) -> None:
    """Runs one thread for each connection, until the process ends."""
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=respond, args=(connection,), daemon=True).start()


def respond(connection: socket.socket) -> None:
    """Understands only requests without a body."""
    body = b'{"ok": true}'
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    response = head % len(body) + body
    received = b""
    while chunk := connection.recv(65536):
        received += chunk
        while b"\r\n\r\n" in received:
            _, received = received.split(b"\r\n\r\n", 1)
            connection.sendall(response)


if __name__ == "__main__":
    main()
