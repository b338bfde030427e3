"""Compares the Python package of keyfob with other libraries, and prints the results as one JSON object.

Run by the bench, with the package's own ``speed`` in the path: the server and the ways to measure are those of that bench.
"""

from __future__ import annotations

import json
import statistics
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from importlib.metadata import version

import google.auth.credentials
import google.auth.transport.requests
import httpx
import requests
import speed
from authlib.integrations.requests_client import OAuth2Session
from keyfob import ExternallyManagedJWTSession, GenericExternallyManagedJWTHandler

THREADS = 200
PAUSE = 0.2
HOUR = timedelta(hours=1)


class GoogleCredentials(google.auth.credentials.Credentials):
    """google-auth over a hook."""

    def __init__(self, hook: Callable[[], str] = lambda: speed.TOKEN, *, fresh: bool = True) -> None:
        super().__init__()
        self.hook = hook
        self.token = speed.TOKEN
        # google-auth counts in naive times of UTC.
        now = datetime.now(timezone.utc).replace(tzinfo=None)
        self.expiry = now + HOUR if fresh else now - HOUR

    def refresh(self, _request: object) -> None:
        self.token = self.hook()
        self.expiry = datetime.now(timezone.utc).replace(tzinfo=None) + HOUR


class AuthlibSession(OAuth2Session):
    """authlib, whose call to the token endpoint is a hook."""

    def __init__(self, hook: Callable[[], str] = lambda: speed.TOKEN, *, fresh: bool = True) -> None:
        expires = time.time() + (3600 if fresh else -3600)
        token = {
            "access_token": speed.TOKEN,
            "token_type": "Bearer",
            "refresh_token": "r",
            "expires_at": expires,
        }
        super().__init__("client", token=token, token_endpoint="http://127.0.0.1:1/token")
        self.hook = hook

    def refresh_token(self, *_: object, **__: object) -> dict[str, object]:
        expires = time.time() + 3600
        self.token = {**self.token, "access_token": self.hook(), "expires_at": expires}
        return self.token


class ReferencesSession(requests.Session):
    """The reference's shape: a lock, a check, a new dict of headers for each request, and a loop around it."""

    def __init__(self) -> None:
        super().__init__()
        self.shape = speed.ReferenceShape()

    def request(self, method, url, **keywords):  # type: ignore[no-untyped-def, override]
        keywords.setdefault("timeout", 20)
        for _ in range(3):
            headers = {**(keywords.pop("headers", None) or {}), **self.shape.request_headers}
            answer = super().request(method, url, headers=headers, **keywords)
            if answer.status_code < 400:
                break
        return answer


def main() -> None:
    names = ("keyfob", "requests", "google-auth", "authlib", "httpx")
    answers = {
        "versions": {name: version(name) for name in names},
        "read": read(),
        "request": request(),
        "herd": [herd(name, make) for name, make in HERDS.items()],
    }
    print(json.dumps(answers))


def read() -> dict[str, float]:
    """Seconds to a header that carries a cached token."""
    handler = speed.fresh_handler()
    shape = speed.ReferenceShape()
    google_auth, transport = GoogleCredentials(), google.auth.transport.requests.Request()
    authlib = AuthlibSession()
    url = "http://127.0.0.1/"

    def by_authlib() -> object:
        authlib.ensure_active_token(authlib.token)
        return authlib.token_auth.prepare(url, {}, None)

    return speed.interleaved(
        {
            "the reference's shape": lambda: shape.request_headers,
            "keyfob, get_valid_token()": lambda: handler.get_valid_token(),
            "keyfob, request_headers": lambda: handler.request_headers,
            "google-auth": lambda: google_auth.before_request(transport, "GET", url, {}),
            "authlib": by_authlib,
        }
    )


def request() -> dict[str, float]:
    """CPU of a request on loopback, as a ratio to plain requests."""
    headers = {"authorization": f"Bearer {speed.TOKEN}"}
    with speed.Server() as url:
        plain, client = requests.Session(), httpx.Client()
        ours = ExternallyManagedJWTSession(speed.fresh_handler())
        reference, authlib = ReferencesSession(), AuthlibSession()
        google_auth = google.auth.transport.requests.AuthorizedSession(GoogleCredentials())
        with_auth = httpx.Client(auth=speed.fresh_handler().httpx_auth())
        contenders: dict[str, Callable[[], object]] = {
            "requests": lambda: plain.get(url, headers=headers, timeout=20),
            "keyfob session": lambda: ours.get(url),
            "the reference's shape": lambda: reference.get(url),
            "google-auth AuthorizedSession": lambda: google_auth.get(url),
            "authlib OAuth2Session": lambda: authlib.get(url, timeout=20),
            "httpx": lambda: client.get(url, headers=headers),
            "httpx with keyfob": lambda: with_auth.get(url),
        }
        costs: dict[str, list[float]] = {name: [] for name in contenders}
        for _ in range(speed.ROUNDS):
            for name, call in contenders.items():
                costs[name].append(speed.cpu(call))
    base = costs["requests"]
    ratios = {
        name: statistics.median(one / other for one, other in zip(cost, base, strict=True))
        for name, cost in costs.items()
    }
    return {**ratios, "seconds": statistics.median(base)}


def keyfob_herd(hook: Callable[[], str]) -> Callable[[], object]:
    def get_token() -> tuple[str, datetime]:
        return hook(), datetime.now(timezone.utc) + HOUR

    handler = GenericExternallyManagedJWTHandler(None, None, get_token)
    return handler.get_valid_token


def google_herd(hook: Callable[[], str]) -> Callable[[], object]:
    credentials = GoogleCredentials(hook, fresh=False)
    transport = google.auth.transport.requests.Request()
    return lambda: credentials.before_request(transport, "GET", "http://127.0.0.1/", {})


def authlib_herd(hook: Callable[[], str]) -> Callable[[], object]:
    session = AuthlibSession(hook, fresh=False)
    return lambda: session.ensure_active_token(session.token)


def references_herd(hook: Callable[[], str]) -> Callable[[], object]:
    lock, tokens = threading.Lock(), []

    def get() -> None:
        with lock:
            if not tokens:
                tokens.append(hook())

    return get


HERDS = {
    "keyfob": keyfob_herd,
    "the reference's shape": references_herd,
    "google-auth": google_herd,
    "authlib": authlib_herd,
}


def herd(name: str, make: Callable[[Callable[[], str]], Callable[[], object]]) -> list[object]:
    """Calls to the hook, and the time of the last of 200 threads as a ratio to the hook's."""
    calls: list[int] = []

    def hook() -> str:
        calls.append(1)
        time.sleep(PAUSE)
        return speed.TOKEN

    ask, start, ends = make(hook), threading.Barrier(THREADS + 1), []

    def caller() -> None:
        start.wait()
        ask()
        ends.append(time.monotonic())

    threads = [threading.Thread(target=caller) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    start.wait()
    began = time.monotonic()
    for thread in threads:
        thread.join()
    return [name, len(calls), (max(ends) - began) / PAUSE]


if __name__ == "__main__":
    main()
