"""Helpers for tests of programs that use keyfob: a clock that a test moves, and a token endpoint that it scripts.

``pytest`` finds the fixtures ``keyfob_clock`` and ``keyfob_issuer`` by itself. docs/how-to/testing.md shows them together with
``responses``, ``requests-mock``, ``respx``, ``freezegun`` and ``time-machine``.

>>> from keyfob.testing import Clock, Issuer
>>> with Clock() as clock, Issuer(lifetime=300) as issuer:
...     session = keyfob.Session(issuer)
...     session.authenticate()
...     clock.advance(301)
...     session.authenticated
False
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, final
from urllib.error import HTTPError
from urllib.parse import parse_qsl
from urllib.request import ProxyHandler, Request, build_opener

from keyfob import _core
from keyfob._values import from_timestamp, to_timestamp

__all__ = ["Clock", "Issuer", "TokenRequest"]


@final
class Clock:
    """The clock of all handlers and sessions of this process, which a test moves.

    keyfob measures the age of a token on a clock of its own (T6), which ``freezegun`` and ``time-machine`` do not reach. This one
    moves it. It also keeps running with the time of the machine. Pauses between retries are not shortened: use
    ``RetryPolicy(pauses=(0, 0))``. As a context manager, it shows the time of the machine again at the end.

    >>> with Clock() as clock:
    ...     clock.set(datetime(2030, 1, 1, tzinfo=timezone.utc))
    ...     clock.now().year
    2030
    """

    def advance(self, time: float | timedelta) -> None:
        """Lets time pass: seconds, or a ``timedelta``.

        Raises:
            ValueError: It is negative; to set the wall clock back, use :meth:`set`.

        >>> with Clock() as clock:
        ...     clock.advance(3600)
        """
        seconds = time.total_seconds() if isinstance(time, timedelta) else time
        _core.advance_clock(seconds)

    def set(self, now: datetime) -> None:
        """Sets the time of the wall clock. Time passes until a later one; an earlier one sets the wall clock back.

        Raises:
            TypeError: It is not a ``datetime``.
            ValueError: It has no time zone.

        >>> with Clock() as clock:
        ...     clock.set(datetime.now(timezone.utc) + timedelta(days=1))
        """
        self._set(to_timestamp(now))

    def sync(self) -> None:
        """Sets the time to the one that Python shows, which ``freezegun`` or ``time-machine`` may have changed.

        Call it whenever they have moved the time.

        >>> with Clock() as clock:
        ...     clock.sync()
        """
        self._set(time.time())

    def now(self) -> datetime:
        """The time of the wall clock, in UTC.

        >>> with Clock() as clock:
        ...     clock.now().tzinfo
        datetime.timezone.utc
        """
        return from_timestamp(_core.wall_clock())

    def __enter__(self) -> Clock:
        """Returns the clock."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Shows the time of the machine again."""
        _core.reset_wall_clock()

    def _set(self, timestamp: float) -> None:
        ahead = timestamp - _core.wall_clock()
        if ahead >= 0:
            _core.advance_clock(ahead)
        else:
            _core.step_wall_clock(ahead)


@dataclass(frozen=True)
class TokenRequest:
    """A token request that an :class:`Issuer` received. Its ``repr`` does not show what it contains."""

    form: Mapping[str, str] = field(repr=False)
    """The parameters of the body, which may be secrets."""
    headers: Mapping[str, str] = field(repr=False)
    """The headers, with names in lower case."""


@dataclass
class _Scripted:
    status: int
    body: Any
    after: float
    held: bool


@final
class Issuer:
    """A token endpoint on loopback (RFC 6749 §5.1), whose responses a test scripts.

    It is a hook too: pass it as ``get_token``. In a profile, set ``token_endpoint`` to its :attr:`url`. The tokens are
    ``token-1``, ``token-2`` and so on. It uses neither ``requests`` nor ``httpx``, so tools that patch these do not reach it.

    Args:
        lifetime: How long tokens live, in seconds; ``None`` for tokens without an expiry.

    >>> with Issuer() as issuer:
    ...     handler = keyfob.GenericExternallyManagedJWTHandler(get_token=issuer)
    ...     handler.authenticate()
    ...     issuer.tokens
    ['token-1']
    """

    def __init__(self, lifetime: float | None = 3600) -> None:
        self.lifetime = lifetime
        """How long the next tokens live, in seconds; ``None`` for tokens without an expiry."""
        self.tokens: list[str] = []
        """The tokens that were issued, the oldest first."""
        self.requests: list[TokenRequest] = []
        """The token requests that were received, the oldest first."""
        self._revoked: set[str] = set()
        self._scripted: deque[_Scripted] = deque()
        self._lock = threading.Lock()
        self._released = threading.Event()
        self._server = _Server(self)
        self.url: str = f"http://127.0.0.1:{self._server.server_port}/token"
        """The URL of the token endpoint."""
        thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        thread.start()

    def __call__(self) -> Mapping[str, Any]:
        """Requests a token; returns the response of the token endpoint.

        Raises:
            OSError: The response is not JSON, or has a status of 500 or more.
        """
        request = Request(self.url, b"grant_type=client_credentials")  # noqa: S310  # Its scheme is http.
        try:
            with _opener.open(request, timeout=60) as response:
                answer: Mapping[str, Any] = json.load(response)
        except HTTPError as error:
            with error:
                if error.code >= _SERVER_ERROR:
                    raise OSError(f"the issuer responded with the status {error.code}") from None
                answer = json.load(error)
        return answer

    def next(
        self,
        body: Mapping[str, Any] | str | None = None,
        *,
        status: int | None = None,
        error: str | None = None,
        after: float = 0.0,
        held: bool = False,
        times: int = 1,
    ) -> None:
        """Scripts the response to the next token request; later calls queue up. Without a body and an error it is a token.

        Args:
            body: Fields that replace those of the token response, or a text instead of it.
            status: The status; 400 for an error, otherwise 200, unless given.
            error: The code of an error response (RFC 6749 §5.2), such as ``invalid_grant``.
            after: A pause before the response, in seconds.
            held: Holds the response back until :meth:`release`.
            times: For how many requests it is the response.

        >>> with Issuer() as issuer:
        ...     issuer.next(error="invalid_client")
        ...     keyfob.Session(issuer).authenticate()
        Traceback (most recent call last):
            ...
        keyfob.errors.AuthenticationError: ...`invalid_client`
        """
        if error is not None:
            body = {"error": error}
        if status is None:
            status = 200 if error is None else 400
        scripted = _Scripted(status, body, after, held)
        with self._lock:
            self._scripted.extend([scripted] * times)

    def release(self) -> None:
        """Sends the responses that are held.

        >>> with Issuer() as issuer:
        ...     issuer.release()
        """
        self._released.set()

    def revoke(self, token: str | None = None) -> None:
        """Revokes a token, or the newest one.

        >>> with Issuer() as issuer:
        ...     keyfob.Session(issuer).authenticate()
        ...     issuer.revoke()
        ...     issuer.accepts("Bearer token-1")
        False
        """
        self._revoked.add(self.tokens[-1] if token is None else token)

    def accepts(self, authorization: str | None) -> bool:
        """Whether an API would accept this ``Authorization``: a token that was issued and not revoked. Time does not matter.

        >>> with Issuer() as issuer:
        ...     issuer.accepts(None)
        False
        """
        _, _, token = (authorization or "").partition(" ")
        return token in self.tokens and token not in self._revoked

    def close(self) -> None:
        """Ends the server."""
        self._released.set()
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Issuer:
        """Returns the issuer."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Ends the server."""
        self.close()

    def __repr__(self) -> str:
        """The URL and the counts, without a token."""
        return f"<Issuer at {self.url}: {len(self.tokens)} tokens, {len(self.requests)} requests>"

    def _respond(self, request: TokenRequest) -> tuple[int, bytes]:
        with self._lock:
            self.requests.append(request)
            scripted = (
                self._scripted.popleft() if self._scripted else _Scripted(200, None, 0.0, False)
            )
        if scripted.held:
            self._released.wait(60)
        time.sleep(scripted.after)
        body = scripted.body
        if isinstance(body, str):
            return scripted.status, body.encode()
        if body is None or "error" not in body:
            body = {**self._new_token(), **(body or {})}
        return scripted.status, json.dumps(body).encode()

    def _new_token(self) -> dict[str, Any]:
        with self._lock:
            token = f"token-{len(self.tokens) + 1}"
            self.tokens.append(token)
        response: dict[str, Any] = {"access_token": token, "token_type": "Bearer"}
        return response if self.lifetime is None else {**response, "expires_in": self.lifetime}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, issuer: Issuer) -> None:
        super().__init__(("127.0.0.1", 0), partial(_Handler, issuer))

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing: the client may have gone."""


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, issuer: Issuer, *args: Any) -> None:
        self._issuer = issuer
        super().__init__(*args)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = TokenRequest(dict(parse_qsl(body.decode())), headers)
        status, response = self._issuer._respond(request)
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(response)))
        self.end_headers()
        self.wfile.write(response)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Says nothing: a test that fails shows enough."""


# Ignores any proxy of the machine, because the issuer runs on it.
_opener = build_opener(ProxyHandler({}))

_SERVER_ERROR = 500
