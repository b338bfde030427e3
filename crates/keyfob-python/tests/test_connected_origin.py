"""R1 for URLs that can be read in more than one way: the token goes only where keyfob judged that it may go.

keyfob judges the origin of a URL, and the HTTP library connects to a host and a port. If the two read a URL differently, a token
goes to a server that it was not bound to. These tests make thousands of URLs and ``Location`` fields, record to which scheme,
host and port the library wants to connect and whether the request has the token, and connect to nothing.
"""

from __future__ import annotations

import asyncio
import io
import ipaddress
import random
import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import httpcore
import httpx
import pytest
import requests
from keyfob import ExternallyManagedJWTSession, GenericExternallyManagedJWTHandler
from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from tokens import Hook
from urllib3 import HTTPResponse


class Origin(NamedTuple):
    """Where a library connects to."""

    scheme: str
    host: str
    port: int

    @property
    def bracketed(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def authority(self) -> str:
        return f"{self.bracketed}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.authority}"


class Case(NamedTuple):
    """A URL to send to, and the ``Location`` of the response if that is a redirect."""

    url: str
    location: str | None


PAIRS = [
    (Origin("https", "a.example", 8443), Origin("https", "b.example", 9443)),
    (Origin("http", "127.0.0.1", 8001), Origin("http", "127.0.0.2", 8002)),
    (Origin("https", "::1", 8443), Origin("https", "::2", 8443)),
]
"""The token is bound to the first origin of a pair. The second one belongs to somebody else."""


class Record:
    """Where a library wanted to send which case, and whether with the token."""

    def __init__(self) -> None:
        self.visits: list[tuple[Case, Origin, bool]] = []
        self.case = Case("", None)
        self._redirect = False

    def cases(self, own: Origin, other: Origin) -> Iterator[Case]:
        """The cases, each of which becomes the current one."""
        for self.case in cases(own, other):
            self._redirect = self.case.location is not None
            yield self.case

    def respond(self, origin: Origin, headers: Mapping[str, str]) -> tuple[int, dict[str, str]]:
        """The status and the header fields of the response to a request."""
        self.visits.append((self.case, origin, "authorization" in headers))
        if not self._redirect:
            return 200, {}
        self._redirect = False
        # It is text to a client, whatever the library makes of it.
        return 302, {"location": self.case.location or ""}


both_origins = pytest.mark.parametrize(("own", "other"), PAIRS)


@both_origins
def test_r1_a_session_connects_where_the_url_was_judged(
    own: Origin, other: Origin, names: list[tuple[str, int]]
) -> None:
    record = Record()
    session = ExternallyManagedJWTSession(handler())
    session.bind(own.url)
    mount(session, RecordingAdapter(record, names))
    for case in record.cases(own, other):
        with suppress(*FAILURES):
            session.get(case.url)
    check(record, own)


@both_origins
def test_r1_a_session_judges_a_url_that_was_set_by_hand(
    own: Origin, other: Origin, names: list[tuple[str, int]]
) -> None:
    record = Record()
    session = ExternallyManagedJWTSession(handler())
    session.bind(own.url)
    mount(session, RecordingAdapter(record, names))
    for case in record.cases(own, other):
        prepared = session.prepare_request(requests.Request("GET", own.url))
        prepared.url = case.url
        with suppress(*FAILURES):
            session.send(prepared)
    check(record, own)


@both_origins
def test_r1_requests_connects_where_the_auth_object_judged(
    own: Origin, other: Origin, names: list[tuple[str, int]]
) -> None:
    record = Record()
    session = requests.Session()
    session.auth = handler().auth(own.url)
    mount(session, RecordingAdapter(record, names))
    for case in record.cases(own, other):
        with suppress(*FAILURES):
            session.get(case.url)
    check(record, own)


@both_origins
def test_r1_httpx_connects_where_the_auth_object_judged(own: Origin, other: Origin) -> None:
    record = Record()
    transport = RecordingTransport(record)
    auth = handler().httpx_auth(own.url)
    with httpx.Client(auth=auth, transport=transport, follow_redirects=True) as client:
        for case in record.cases(own, other):
            with suppress(*FAILURES):
                client.get(case.url)
    check(record, own)


@both_origins
def test_r1_async_httpx_connects_where_the_auth_object_judged(own: Origin, other: Origin) -> None:
    record = Record()

    async def send_all() -> None:
        transport = RecordingAsyncTransport(record)
        auth = handler().httpx_auth(own.url)
        client = httpx.AsyncClient(auth=auth, transport=transport, follow_redirects=True)
        async with client:
            for case in record.cases(own, other):
                with suppress(*FAILURES):
                    await client.get(case.url)

    asyncio.run(send_all())
    check(record, own)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """The hosts and ports that were looked up. Nothing is found."""
    names: list[tuple[str, int]] = []

    def look_up(host: str, port: int, *_args: Any, **_kwargs: Any) -> Any:
        names.append((host, port))
        raise socket.gaierror(socket.EAI_NONAME, "the test connects to nothing")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return names


def handler() -> GenericExternallyManagedJWTHandler:
    return GenericExternallyManagedJWTHandler(None, None, Hook())


def check(record: Record, own: Origin) -> None:
    with_token = [(case, origin) for case, origin, has_token in record.visits if has_token]
    elsewhere = [(case, origin) for case, origin in with_token if canonical(origin) != own]
    assert not elsewhere
    # Otherwise the test would prove nothing.
    assert len(with_token) > 100


def canonical(origin: Origin) -> Origin:
    """The same origin with its host as resolvers read it."""
    host = origin.host.lower()
    if re.fullmatch("[0-9a-fx.]+", host):
        with suppress(OSError):
            host = socket.inet_ntoa(socket.inet_aton(host))
    elif ":" in host:
        host = str(ipaddress.ip_address(host))
    return origin._replace(host=host)


def cases(own: Origin, other: Origin) -> Iterator[Case]:
    """Hostile and random URLs: each as a URL to send to, and each as a ``Location``."""
    names = {
        "a": own.authority,
        "A": own.authority.upper(),
        "ah": own.bracketed,
        "ap": own.port,
        "b": other.authority,
        "bh": other.bracketed,
        "bp": other.port,
        "s": own.scheme,
        "S": own.scheme.upper(),
        "t": "http" if own.scheme == "https" else "https",
    }
    hostile, pieces, starts = (
        [text.format(**names) for text in re.split("[ \n]", texts.strip("\n"))]
        for texts in (HOSTILE, PIECES, STARTS)
    )
    for text in [*hostile, *randoms(own, pieces, starts)]:
        yield Case(text, None)
        yield Case(f"{own.url}/start", text)


def randoms(own: Origin, pieces: list[str], starts: list[str]) -> Iterator[str]:
    choice = random.Random(20261129)
    for _ in range(100):
        at = choice.randrange(len(own.url) + 1)
        yield f"{own.url[:at]}{choice.choice(pieces)}{own.url[at:]}/"
        middle = "".join(choice.choices(pieces, k=choice.randint(1, 5)))
        yield f"{choice.choice(starts)}{middle}/"


HOSTILE = """
{s}://{a}/ {S}://{A}/ {s}://{ah}:0{ap}/ {s}://@{a}/ //{a}/ /x x ?x #x
//{b}/ ///{b}/ ////{b}/ /\\{b}/ \\\\{b}/ /\\/{b}/ {s}:{b}/ {s}:/{b}/ {s}:///{b}/ {s}:\\\\{b}/ {s}:\\/\\/{b}/ {t}://{a}/ {t}:{b}/
{s}://{a}@{b}/ {s}://{a}:x@{b}/ {s}://{a}:@{b}/ {s}://{a}\\@{b}/ {s}://{b}\\@{a}/ {s}://{a}\\..@{b}/ {s}://{a}/@{b}/ {s}://{b}/@{a}/
{s}://{a}#@{b}/ {s}://{b}#@{a}/ {s}://{a}?@{b}/ {s}://{b}?@{a}/ {s}://{a};@{b}/ {s}://{a}&@{b}/ {s}://{a}@@{b}/ {s}://@@{b}/
{s}://{a}@{b}@{a}/ {s}://[{a}]@{b}/ {s}://[::1]@{b}/ {s}://[::1].{bh}:{ap}/ {s}://{ah}:{ap}@{bh}:{bp}:{ap}/
{s}://{a}%40{b}/ {s}://{a}%2f@{b}/ {s}://{a}%5c@{b}/ {s}://{a}%23@{b}/ {s}://{a}%00@{b}/ {s}://{a}.{b}/ {s}://{a}%2e{b}/
{s}://{ah}:{bp}/ {s}://{bh}:{ap}/ {s}://{ah}/ {s}://{ah}:/ {s}://{ah}:+{ap}/ {s}://{ah}:{ap}{bp}/ {s}://{ah}:{ap}:{bp}/
{s}://{ah}.:{ap}/ {s}://{ah}%2e:{ap}/ {s}://{ah}%00.{bh}:{ap}/ {s}://{ah}%0d%0a.{bh}:{ap}/ {s}://{ah}\\x.{bh}:{ap}/
{s}://{ah}\x00.{bh}:{ap}/ {s}://{ah}\t.{bh}:{ap}/ {s}://{ah}\x1f.{bh}:{ap}/ {s}://{ah}`.{bh}:{ap}/ {s}://{ah}|.{bh}:{ap}/
{s}://{ah}\u3002:{ap}/ {s}://{ah}\uff20{b}/ {s}://{ah}\uff0f@{b}/ {s}://{ah}\uff03@{b}/ {s}://{ah}\u2100.{bh}:{ap}/
{s}://\uff41.example:{ap}/ {s}://\u24d0.example:{ap}/ {s}://a.e\u00adxample:{ap}/ {s}://a.\u017fexample:{ap}/
{s}://2130706433:{ap}/ {s}://0x7f.1:{ap}/ {s}://0177.0.0.1:{ap}/ {s}://127.1:{ap}/ {s}://127.0.0.1.:{ap}/ {s}://127.000.0.1:{ap}/
{s}://[::1%25lo]:{ap}/ {s}://[::1%lo]:{ap}/ {s}://[::ffff:127.0.0.1]:{ap}/ {s}://[0:0::1]:{ap}/
{s}://localhost:{ap}/ {s}://x.localhost:{ap}/ .{b}/ ?@{b}/ #@{b}/ ;@{b}/ ..//{b}/
"""

PIECES = """
{a} {a} {ah} {b} {b} {bh} :{ap} :{bp} : @ @ \\ / // # ? . ; & , x 0 %2e %40 %2f %5c %00 [ ] [::1] ::1
\t \x00 \x1f \x7f \u3002 \uff20 \uff0f localhost 127.1
"""

STARTS = "{s}:// {s}:// {s}://{a} {s}://{a}@ {s}:/ {S}: {t}:// // /"


def mount(session: requests.Session, adapter: HTTPAdapter) -> None:
    for scheme in ("https://", "http://"):
        session.mount(scheme, adapter)


class RecordingAdapter(HTTPAdapter):
    """Lets ``urllib3`` begin to connect, records where to, and responds in place of the server."""

    def __init__(self, record: Record, names: list[tuple[str, int]]) -> None:
        super().__init__()
        self._record = record
        self._names = names

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        self._names.clear()
        try:
            super().send(request, *args, **kwargs)
        except requests.ConnectionError:
            if not self._names:
                raise
        scheme = str(self.get_connection_with_tls_context(request, True).scheme)
        origin = Origin(scheme, *self._names[-1])
        status, headers = self._record.respond(origin, request.headers)
        body = HTTPResponse(io.BytesIO(), headers, status, preload_content=False)
        return self.build_response(request, body)


class RecordingTransport(httpx.HTTPTransport):
    """Lets ``httpcore`` begin to connect, records where to, and responds in place of the server."""

    def __init__(self, record: Record) -> None:
        super().__init__()
        self._record = record
        self._names = Names()
        self._pool = httpcore.ConnectionPool(network_backend=self._names)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        with suppress(httpx.ConnectError):
            super().handle_request(request)
        origin = Origin(request.url.scheme, *self._names.last)
        status, headers = self._record.respond(origin, request.headers)
        return httpx.Response(status, headers=headers)


class RecordingAsyncTransport(httpx.AsyncHTTPTransport):
    """The same for ``httpx.AsyncClient``."""

    def __init__(self, record: Record) -> None:
        super().__init__()
        self._record = record
        self._names = AsyncNames()
        self._pool = httpcore.AsyncConnectionPool(network_backend=self._names)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        with suppress(httpx.ConnectError):
            await super().handle_async_request(request)
        origin = Origin(request.url.scheme, *self._names.last)
        status, headers = self._record.respond(origin, request.headers)
        return httpx.Response(status, headers=headers)


class Names(httpcore.NetworkBackend):
    """Records the host and port that ``httpcore`` wants to connect to."""

    last: tuple[str, int]

    def connect_tcp(self, host: str, port: int, *_args: Any, **_kwargs: Any) -> Any:
        self.last = host, port
        raise httpcore.ConnectError("the test connects to nothing")


class AsyncNames(httpcore.AsyncNetworkBackend):
    """The same on an event loop."""

    last: tuple[str, int]

    async def connect_tcp(self, host: str, port: int, *_args: Any, **_kwargs: Any) -> Any:
        self.last = host, port
        raise httpcore.ConnectError("the test connects to nothing")


FAILURES = (requests.RequestException, httpx.HTTPError, httpx.InvalidURL, ValueError)
"""What keyfob and the libraries raise for a URL that they refuse; some `ValueError` come from the standard library."""
