"""Runs the jobs of the conformance table through one Python interface: ``python.py FACE``.

The documentation of the crate, in ``src/lib.rs``, describes jobs, outcomes, and what a driver must do.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keyfob
import requests
from keyfob import (
    BearerAuthSession,
    ExternallyManagedJWTSession,
    GenericExternallyManagedJWTHandler,
    RetryPolicy,
)

if TYPE_CHECKING:
    import httpx

Json = dict[str, Any]
KEYFOB_SESSIONS = (BearerAuthSession, ExternallyManagedJWTSession)


def main() -> None:
    """Runs the jobs of standard input, one a line."""
    # Most cases end with a warning, which says what the case is about.
    logging.getLogger("keyfob").addHandler(logging.NullHandler())
    face = FACES[sys.argv[1]]
    for line in sys.stdin:
        print(json.dumps(outcome(face, json.loads(line))), flush=True)  # noqa: T201


def outcome(face: Face, job: Json) -> Json:
    """What came of a job."""
    hook = Hook(job["client"]["fetches"])
    try:
        results = face(job["client"], hook, job["requests"])
    except NotSupportedError as missing:
        results = [failure(missing) for _ in job["requests"]]
    return {"results": results, "fetches": None if face is bearer_session else hook.calls}


class NotSupportedError(Exception):
    """The interface does not have a setting of the job."""


class Hook:
    """The source of tokens, which counts its calls."""

    def __init__(self, fetches: list[Any]) -> None:
        self._fetches = fetches
        self.calls = 0

    def __call__(self) -> tuple[str, datetime]:
        """The next token, which is valid for an hour."""
        # A handler makes one call at a time.
        self.calls += 1
        return self.token(self.calls), datetime.now(timezone.utc) + timedelta(hours=1)

    def token(self, call: int) -> str:
        """The token that this call brings."""
        fetch = (
            self._fetches[call - 1] if call <= len(self._fetches) else {"token": f"token-{call}"}
        )
        if fetch == "failure":
            raise RuntimeError("the source failed as scripted")
        token: str = fetch["token"]
        return token


class HeaderHandler(GenericExternallyManagedJWTHandler):
    """A handler whose token goes into a header field of its own."""

    header: str

    @property
    def request_headers(self) -> dict[str, str]:
        """The field with the current token."""
        return {self.header: self.jwt or ""}


def handler(client: Json, hook: Hook) -> GenericExternallyManagedJWTHandler:
    """The handler of a job."""
    rejected = client["rejected_statuses"]
    if client["header"] is None:
        return GenericExternallyManagedJWTHandler(None, None, hook, rejected_statuses=rejected)
    made = HeaderHandler(None, None, hook, rejected_statuses=rejected)
    made.header = client["header"]
    return made


def bearer_session(client: Json, hook: Hook, sent: list[Json]) -> list[Json]:
    """``BearerAuthSession``, with the first token."""
    if client["header"] is not None:
        raise NotSupportedError("a BearerAuthSession has no header of its own")
    if client["rejected_statuses"]:
        raise NotSupportedError("a BearerAuthSession renews nothing")
    if client["fetches"][:1] == ["failure"]:
        raise NotSupportedError("a BearerAuthSession has no source that can fail")
    return through_session(client, BearerAuthSession(hook.token(1)), sent)


def managed_session(client: Json, hook: Hook, sent: list[Json]) -> list[Json]:
    """``ExternallyManagedJWTSession``."""
    return through_session(client, ExternallyManagedJWTSession(handler(client, hook)), sent)


def through_session(
    client: Json, session: BearerAuthSession | ExternallyManagedJWTSession, sent: list[Json]
) -> list[Json]:
    """Sends over a session of keyfob."""
    session.retry = policy(client["retry"])
    session.bind(*client["origins"])
    session.allow_plain_http(*client["plain_http"])
    return over_requests(client, session, sent)


def policy(retry: Json) -> RetryPolicy:
    """The retry policy of a job."""
    return RetryPolicy(
        attempts=retry["attempts"],
        total=retry["total_ms"] / 1000,
        pauses=(retry["first_pause_ms"] / 1000, retry["longest_pause_ms"] / 1000),
        retry=retry["also"],
    )


def requests_auth(client: Json, hook: Hook, sent: list[Json]) -> list[Json]:
    """``handler.auth()`` in a session of ``requests``."""
    session = requests.Session()
    session.auth = handler(client, hook).auth(*bound(client))
    return over_requests(client, session, sent)


def over_requests(client: Json, session: requests.Session, sent: list[Json]) -> list[Json]:
    """Sends over a session of ``requests``."""
    session.headers.update(dict(client["default_headers"]))

    def send(request: Json) -> Json:
        settings: dict[str, Any] = {"timeout": client["timeout_ms"] / 1000}
        if request["idempotent"] and isinstance(session, KEYFOB_SESSIONS):
            settings["idempotent"] = True
        with body(request["body"]) as content:
            settings["files" if request["body"]["kind"] == "multipart" else "data"] = content
            try:
                headers = dict(request["headers"])
                answer = session.request(
                    request["method"], request["url"], headers=headers, **settings
                )
                return response(answer)
            except Exception as error:
                return failure(error)

    return [send(request) for request in sent]


def httpx_client(client: Json, hook: Hook, sent: list[Json]) -> list[Json]:
    """``handler.httpx_auth()`` in ``httpx.Client``."""
    import httpx

    return over_httpx(httpx.Client(**httpx_settings(client, hook)), sent)


def httpx_async_client(client: Json, hook: Hook, sent: list[Json]) -> list[Json]:
    """``handler.httpx_auth()`` in ``httpx.AsyncClient``."""
    import httpx

    return over_async_httpx(httpx.AsyncClient(**httpx_settings(client, hook)), sent)


def httpx_settings(client: Json, hook: Hook) -> dict[str, Any]:
    """The arguments of a client of ``httpx``."""
    return {
        "auth": handler(client, hook).httpx_auth(*bound(client)),
        "timeout": client["timeout_ms"] / 1000,
        "headers": client["default_headers"],
        "follow_redirects": True,
    }


def keyfob_client(client: Json, hook: Hook, sent: list[Json]) -> list[Json]:
    """``keyfob.Client``."""
    return over_httpx(keyfob.Client(hook, **keyfob_settings(client)), sent)


def keyfob_async_client(client: Json, hook: Hook, sent: list[Json]) -> list[Json]:
    """``keyfob.AsyncClient``."""
    return over_async_httpx(keyfob.AsyncClient(hook, **keyfob_settings(client)), sent)


def keyfob_settings(client: Json) -> dict[str, Any]:
    """The arguments of a client of keyfob."""
    if client["header"] is not None:
        raise NotSupportedError("a client of keyfob has no header of its own")
    return {
        "origins": client["origins"],
        "allow_plain_http": client["plain_http"],
        "timeout": client["timeout_ms"] / 1000,
        "retry": policy(client["retry"]),
        "rejected_statuses": client["rejected_statuses"],
        "redirects": 20,
        "headers": client["default_headers"],
    }


def over_httpx(client: httpx.Client, sent: list[Json]) -> list[Json]:
    """Sends over a client of ``httpx``."""

    def send(request: Json) -> Json:
        with body(request["body"]) as content:
            if request["body"].get("offset"):
                # `httpx` would announce the length of the whole file.
                content = (line for line in content)
            try:
                return response(client.request(**httpx_request(request, content)))
            except Exception as error:
                return failure(error)

    with client:
        return [send(request) for request in sent]


def over_async_httpx(client: httpx.AsyncClient, sent: list[Json]) -> list[Json]:
    """Sends over an async client of ``httpx``."""

    async def send(request: Json) -> Json:
        with body(request["body"]) as content:
            if request["body"]["kind"] in {"file", "generator"}:
                content = asynchronous(content)
            try:
                return response(await client.request(**httpx_request(request, content)))
            except Exception as error:
                return failure(error)

    async def send_all() -> list[Json]:
        async with client:
            return [await send(request) for request in sent]

    return asyncio.run(send_all())


def httpx_request(request: Json, content: Any) -> dict[str, Any]:
    """The arguments of a request of ``httpx``."""
    kind = "files" if request["body"]["kind"] == "multipart" else "content"
    names = ("method", "url", "headers")
    return {kind: content, **{name: request[name] for name in names}}


def bound(client: Json) -> list[str]:
    """The origins that an auth object is bound to."""
    if client["plain_http"]:
        raise NotSupportedError("an auth object does not allow plain http to other machines")
    origins: list[str] = client["origins"]
    return origins


@contextmanager
def body(body: Json) -> Iterator[Any]:
    """The body as both libraries take it."""
    match body["kind"]:
        case "none":
            yield None
        case "bytes":
            yield body["text"].encode()
        case "file":
            with Path(body["path"]).open("rb") as file:
                file.seek(body["offset"])
                yield file
        case "generator":
            yield (piece.encode() for piece in body["pieces"])
        case "multipart":
            yield {name: (None, text) for name, text in body["fields"]}


async def asynchronous(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """The same pieces for an event loop."""
    for piece in pieces:
        yield piece


def response(response: Any) -> Json:
    """A response of either library, as data."""
    return {
        "status": response.status_code,
        "headers": [(name.lower(), value) for name, value in response.headers.items()],
        "body": response.content.decode(errors="replace"),
    }


def failure(error: BaseException) -> Json:
    """An exception of either library, as data."""
    raised = [error, *causes(error)]
    classes = {base.__name__ for cause in raised for base in type(cause).__mro__}
    kinds = (kind for kind, names in KINDS if classes & names)
    return {"error": next(kinds, "other"), "text": ": ".join(map(repr, raised))}


def causes(error: BaseException) -> Iterator[BaseException]:
    """What caused an exception, also where ``requests`` gives the cause as an argument."""
    for cause in [error.__cause__, *error.args]:
        if isinstance(cause, BaseException):
            yield cause
            yield from causes(cause)


KINDS = [
    ("origin", {"OriginError"}),
    ("no_token", {"AuthenticationError"}),
    ("redirect", {"TooManyRedirects"}),
    # To `urllib3`, a refused connection is a kind of timeout.
    ("transport", {"NewConnectionError"}),
    ("timeout", {"Timeout", "TimeoutException", "ReadTimeoutError", "TimeoutError"}),
    (
        "input",
        {"InvalidURL", "MissingSchema", "InvalidSchema", "InvalidHeader", "UnsupportedProtocol"},
    ),
    (
        "transport",
        {
            "ConnectionError",
            "ChunkedEncodingError",
            "ContentDecodingError",
            "TransportError",
            "DecodingError",
        },
    ),
]
"""The names of the exceptions of each kind, in both libraries. The first that fits is the kind."""

Face = Callable[[Json, Hook, list[Json]], list[Json]]

FACES: dict[str, Face] = {
    "py-bearer": bearer_session,
    "py-managed": managed_session,
    "py-requests": requests_auth,
    "py-httpx": httpx_client,
    "py-httpx-async": httpx_async_client,
    "py-client": keyfob_client,
    "py-client-async": keyfob_async_client,
}

if __name__ == "__main__":
    main()
