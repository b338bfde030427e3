"""Details of ``requests`` that its documentation leaves out: requests sent twice, and causes of failures."""

from __future__ import annotations

import os
import sys
from typing import Any, TypeVar
from urllib.parse import urljoin, urlparse, urlsplit

from requests import PreparedRequest, Response, exceptions
from requests.cookies import RequestsCookieJar, get_cookie_header, merge_cookies
from requests.exceptions import UnrewindableBodyError
from requests.sessions import SessionRedirectMixin
from requests.structures import CaseInsensitiveDict
from requests.utils import requote_uri, rewind_body
from urllib3.exceptions import (
    ConnectTimeoutError,
    MaxRetryError,
    NewConnectionError,
    ProxyError,
)

from keyfob import _certificates, _tunnel

T = TypeVar("T")


def shallow_copy(value: T) -> T:
    """Copies an object with plain attributes like ``copy.copy``, ten times as fast."""
    copy = object.__new__(type(value))
    copy.__dict__.update(value.__dict__)
    return copy


def copied(request: PreparedRequest) -> PreparedRequest:
    """Copies a request and its headers; faster than ``copy()``, which copies the cookies too."""
    copy = shallow_copy(request)
    copy.headers = _copied_headers(request.headers)
    return copy


def environment_has_proxies() -> bool:
    """Whether the environment may name a proxy. True on Windows and macOS, whose system settings can name one too."""
    return sys.platform in {"win32", "darwin"} or any(
        name[-6:].lower() == "_proxy" for name in os.environ
    )


def has_header(request: PreparedRequest, name: str) -> bool:
    """Whether the request has a header of this name."""
    # `name in headers` raises and catches an exception for each name that is missing.
    store = getattr(request.headers, "_store", request.headers)
    return name.lower() in store


def replayable(request: PreparedRequest) -> bool:
    """Whether the body is in memory, or is a file whose start position is known."""
    private: Any = request
    return _in_memory(request) or isinstance(private._body_position, int)


def rewound(request: PreparedRequest) -> bool:
    """Rewinds the body to its start position; false if that is impossible."""
    if _in_memory(request):
        return True
    try:
        rewind_body(request)
    except (UnrewindableBodyError, ValueError):  # A file that was closed raises `ValueError`.
        return False
    return True


def with_cookies(request: PreparedRequest, cookies: RequestsCookieJar) -> PreparedRequest:
    """Adds cookies to a copy of the request; a ``Cookie`` header that the caller set stays (R9)."""
    private: Any = request
    copy = copied(request)
    header = copy.headers.pop("Cookie", None)
    if header is not None and header != get_cookie_header(private._cookies, copy):
        return request
    copy.prepare_cookies(merge_cookies(private._cookies.copy(), cookies))
    return copy


def redirected(response: Response) -> tuple[str, str]:
    """The URL and the method of the request that a redirect leads to: what ``resolve_redirects`` of ``requests`` makes of them."""
    rules: Any = SessionRedirectMixin()
    request = shallow_copy(response.request)
    rules.rebuild_method(request, response)
    return _target(rules.get_redirect_target(response), response.url), request.method or "GET"


def _target(location: str, base: str) -> str:
    if location.startswith("//"):
        location = f"{urlsplit(base).scheme}:{location}"
    try:
        parsed = urlparse(location)
    except ValueError:  # The redirect fails with the same error.
        return location
    if parsed.netloc:
        return requote_uri(parsed.geturl())
    return urljoin(base, requote_uri(parsed.geturl()))


def classify(error: exceptions.RequestException) -> str:
    """Classifies a failure for the core: it is retried only if the server cannot have seen the request."""
    if isinstance(error, exceptions.SSLError):
        # Perhaps not in the handshake, but later, when the request was sent.
        return "broken" if _certificates.ended_by_server(error) else "final"
    if isinstance(error, exceptions.ConnectTimeout):
        return "connect"
    if isinstance(error, exceptions.ProxyError) and (refused := _tunnel.classify(error)):
        return refused
    if isinstance(error, exceptions.Timeout):
        return "timeout"
    if isinstance(error, exceptions.ConnectionError):
        return _connection_failure(error)
    return "final"


def _connection_failure(error: exceptions.ConnectionError) -> str:
    cause = error.args[0] if error.args else None
    if isinstance(cause, MaxRetryError):
        cause = cause.reason
    if isinstance(cause, ProxyError):
        # A proxy may also close the connection after it has received the whole request.
        cause = cause.original_error
    if not isinstance(cause, (NewConnectionError, ConnectTimeoutError)):
        return "broken"
    # As while the server restarts: the core waits longer then.
    reason = cause.__cause__ or cause.__context__
    return "refused" if isinstance(reason, ConnectionRefusedError) else "connect"


def _copied_headers(headers: Any) -> Any:
    if type(headers) is not CaseInsensitiveDict:
        return headers.copy()
    # `headers.copy()` sets each header again, which was the largest part of a session's own work.
    copy = shallow_copy(headers)
    vars(copy)["_store"] = vars(headers)["_store"].copy()
    return copy


def _in_memory(request: PreparedRequest) -> bool:
    return request.body is None or isinstance(request.body, (bytes, str, bytearray, memoryview))
