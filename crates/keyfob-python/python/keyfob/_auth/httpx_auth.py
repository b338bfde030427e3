"""A handler as the ``auth`` of a client of ``httpx`` or ``httpx2``, sync or async."""

from __future__ import annotations

import importlib
from collections.abc import AsyncGenerator, Generator
from typing import TYPE_CHECKING

from keyfob._auth.handler_auth import HandlerAuth
from keyfob._core import IDEMPOTENCY_KEY, Exchange, Lease, Renew, RetryPolicy, Wait
from keyfob._loopback import check_environment_of_httpx
from keyfob._values import RequestInfo
from keyfob.errors import OriginError

if TYPE_CHECKING:
    import httpx
    from httpx import Auth as _Auth
    from httpx import ByteStream as _ByteStream
else:

    def _of_both(kind: str) -> tuple[type, ...]:
        """The class of this name in each library that is installed."""
        found = []
        for name in ("httpx", "httpx2"):
            try:
                one = getattr(importlib.import_module(name), kind)
            except ImportError:
                continue
            if one not in found:
                found.append(one)
        if not found:
            raise ImportError("httpx_auth() needs httpx or httpx2; install one of them")
        return tuple(found)

    _Auth = type("_Auth", _of_both("Auth"), {})
    _ByteStream = _of_both("ByteStream")


class HttpxAuth(HandlerAuth, _Auth):
    """Puts a handler's token on requests, and renews it after a 401; made by ``handler.httpx_auth()``.

    It does not limit the time of a request: the timeouts of your client apply. It cannot see the client's proxies. So it refuses
    plain http to this machine while a proxy of the environment would get the token; a proxy that you give the client gets it.
    If an event hook of your client raises on a 401, the token is not renewed: ``httpx`` runs it first. That of
    :class:`keyfob.Client` runs later.
    """

    def sync_auth_flow(
        self, request: httpx.Request
    ) -> Generator[httpx.Request, httpx.Response, None]:
        """Authenticates a request of ``httpx.Client``."""
        flow = _Flow(self, request)
        if not flow.exchange.with_credential:
            yield request
            return
        lease = self._tokens.lease(flow.exchange.max_wait)
        response = yield flow.authorized(request, lease)
        while flow.needs_another_proof(lease, response):
            response = yield flow.authorized(response.request, lease)
        if flow.renewal is not None:
            renewed = self._tokens.replace(lease, flow.renewal, flow.exchange.max_wait)
            if renewed is not None and flow.renewal.replay:
                yield flow.authorized(response.request, renewed)

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Authenticates a request of ``httpx.AsyncClient``."""
        flow = _Flow(self, request)
        if not flow.exchange.with_credential:
            yield request
            return
        lease = await self._lease(flow.exchange.max_wait)
        response = yield flow.authorized(request, lease)
        while flow.needs_another_proof(lease, response):
            response = yield flow.authorized(response.request, lease)
        if flow.renewal is not None:
            renewed = await self._replace(lease, flow.renewal, flow.exchange.max_wait)
            if renewed is not None and flow.renewal.replay:
                yield flow.authorized(response.request, renewed)


def begin(auth: HttpxAuth, request: httpx.Request, policy: RetryPolicy | None = None) -> Exchange:
    """Begins an exchange for a request, which is sent once unless a policy says otherwise."""
    info = RequestInfo(
        method=request.method,
        url=connected(request.url),
        idempotent=IDEMPOTENCY_KEY in request.headers,
        replayable=_replayable(request),
        with_credential=not left_origin(request),
    )
    exchange = auth._exchange(info) if policy is None else auth._exchange(info, policy)
    check_environment_of_httpx(exchange, _host(request.url))
    return exchange


def left_origin(request: httpx.Request) -> bool:
    """Whether a redirect named this request and left the origin that got the token, there or on the way (R1).

    If so, the request carries no token afterwards.
    """
    origin = request.extensions.get(_ORIGIN)
    if origin is None:
        return False
    # `httpx` takes the header off a request that leaves the origin, and does not put it back.
    left: bool = origin != connected(request.url) or "authorization" not in request.headers
    if left:
        _note(request, _LEFT)
        if connected(request.url) == origin.replace("http:", "https:", 1):
            # But not for https to the same host.
            request.headers.pop("authorization", None)
    return left


def _note(request: httpx.Request, origin: str) -> None:
    # Not in place: in old versions of `httpx` the requests of other hops share the mapping.
    request.extensions = {**request.extensions, _ORIGIN: origin}


class _Flow:
    """One logical request, from its first attempt to the response after the last redirect."""

    def __init__(self, auth: HttpxAuth, request: httpx.Request) -> None:
        self._auth = auth
        self._replayable = _replayable(request)
        self._attempts: list[httpx.Response] = []
        self._redirected_again = False
        self.exchange = begin(auth, request)
        self.renewal: Renew | None = None
        """The renewal that the last response leads to, if any."""

    def authorized(self, request: httpx.Request, lease: Lease) -> httpx.Request:
        """The request with the headers of an attempt."""
        for name in self._auth._handler._headers(lease):
            if name.lower() != "authorization":
                raise OriginError(
                    f"httpx would send the token in the header {name} to any server that a redirect "
                    "names; use one of keyfob's sessions"
                )
        url = str(request.url)
        request.headers.update(self._auth._headers(self.exchange, lease, request.method, url))
        _note(request, connected(request.url))
        return request

    def needs_another_proof(self, lease: Lease, response: httpx.Response) -> bool:
        """Judges a response, and tells whether to send its request again with the same token and a new proof of possession."""
        # The history has the responses of earlier attempts too.
        new = [each for each in [*response.history, response] if each not in self._attempts]
        self._attempts += new
        for redirected in new[1:]:
            url, method = connected(redirected.request.url), redirected.request.method
            self.exchange.redirected(url, method)
        if self._has_proof_of_another_url(len(new) > 1, response):
            self._redirected_again = True
            return True
        step = self._auth._judge(self.exchange, lease, response)
        self.renewal = step if isinstance(step, Renew) else None
        return isinstance(step, Wait)

    def _has_proof_of_another_url(self, redirected: bool, response: httpx.Response) -> bool:
        """Whether ``httpx`` has followed a redirect with the proof for the first URL, and the server refused that."""
        return (
            redirected
            and not self._redirected_again
            and response.status_code == _UNAUTHORIZED
            and self._auth._tokens.proves_possession
            and self.exchange.with_credential
            and self._replayable
        )


def connected(url: httpx.URL) -> str:
    """The scheme, host and port that ``httpx`` connects to, however the URL was written."""
    host = f"[{_host(url)}]" if ":" in _host(url) else _host(url)
    return f"{url.scheme}://{host}" + ("" if url.port is None else f":{url.port}")


def _host(url: httpx.URL) -> str:
    return url.raw_host.decode("ascii")


def _replayable(request: httpx.Request) -> bool:
    """Whether the body is in memory, so that it can be sent again in full."""
    try:
        return request.content is not None
    except RuntimeError:  # `RequestNotRead`, of either library
        # A request that a redirect names has the stream of the one before it.
        return isinstance(request.stream, _ByteStream)


_UNAUTHORIZED = 401

_ORIGIN = "keyfob.origin"
"""The extension of a request that got the token: its origin. ``httpx`` copies it to the requests that redirects name."""

_LEFT = ""
"""In place of the origin, once the request is elsewhere: no later request of the chain gets the token."""
