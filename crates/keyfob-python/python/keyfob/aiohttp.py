"""A handler's token on the requests of your own ``aiohttp.ClientSession``, as a client middleware (aiohttp 3.12 or newer).

>>> import asyncio, aiohttp, keyfob.aiohttp
>>> async def status():
...     middleware = keyfob.aiohttp.Middleware(ask_the_vault, api)
...     async with aiohttp.ClientSession(middlewares=[middleware]) as client:
...         async with client.get(api) as response:
...             return response.status
>>> asyncio.run(status())
200
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from weakref import WeakKeyDictionary, WeakValueDictionary

from aiohttp import ClientError, ClientHandlerType, ClientRequest, ClientResponse
from aiohttp.payload import BytesPayload, IOBasePayload
from yarl import URL

from keyfob._auth.handler_auth import HandlerAuth
from keyfob._core import IDEMPOTENCY_KEY, Exchange, Lease, Renew, Wait
from keyfob._handler.handler_for import Tokens, handler_for
from keyfob._loopback import check_proxy
from keyfob._step_up import JoinedHeaders
from keyfob._values import CacheSettings, RequestInfo
from keyfob.errors import OriginError

__all__ = ["Middleware"]


class Middleware(HandlerAuth):
    """Puts a token on each request of an ``aiohttp.ClientSession``, and renews it after a 401.

    It sends a request once more if its body is in memory or a file that can be rewound; it retries nothing else. The timeouts of
    your session apply. The token goes to the origins that you name and to no other: a request elsewhere is an error, and a redirect
    elsewhere is followed without the token (R1). Use one middleware of keyfob for a request: name it in ``middlewares`` of the
    call if a session talks to several services.

    Args:
        tokens: A hook, one of :mod:`keyfob.sources`, or a handler, whose token other clients share.
        origins: URLs whose origins may receive the token, in addition to those of a profile. At least one is needed.
        header: The header that carries the token alone, instead of ``Authorization: Bearer``.
        scheme: The scheme before the token in ``Authorization``, instead of ``Bearer``.
        rejected_statuses: The statuses, such as 403, by which a server says that the token is not valid, in addition to 401: the
            token is renewed and the request sent once more.

    Raises:
        TypeError: No origin is named, or an argument has the wrong type.
        OriginError: An origin is neither https nor on this machine.

    >>> keyfob.aiohttp.Middleware(ask_the_vault, "https://api.example.com")
    <Middleware for https://api.example.com: not authenticated>
    """

    def __init__(
        self,
        tokens: Tokens,
        *origins: str,
        header: str | None = None,
        scheme: str | None = None,
        rejected_statuses: Collection[int] | None = None,
    ) -> None:
        settings = CacheSettings(header=header, scheme=scheme, rejected_statuses=rejected_statuses)
        super().__init__(handler_for(tokens, settings), origins)
        if self._origins.unbound:
            raise TypeError(
                "name the origins that may receive the token: Middleware(tokens, 'https://api.example.com')"
            )

        # `aiohttp` asks a middleware for each redirect, without saying that it is one, and perhaps in another task.
        self._flows: WeakValueDictionary[int, _Flow] = WeakValueDictionary()
        self._redirects: WeakKeyDictionary[ClientResponse, _Flow] = WeakKeyDictionary()

    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        """Sends a request with the token on it; ``aiohttp`` calls it for each redirect too.

        Raises:
            AuthenticationError: No token is available; nothing was sent.
            OriginError: The token may not go to this URL; nothing was sent.
        """
        try:
            flow = self._flow_of(request)
            lease = await self._authorize(flow.exchange, request)
        except OriginError as refusal:
            raise _OriginError(*refusal.args) from None
        response = await handler(request)
        step = None if lease is None else self._judge_response(flow.exchange, lease, response)
        while isinstance(step, Wait) and lease is not None and _can_be_sent_again(request):
            response.close()
            self._put_on(flow.exchange, request, lease)
            response = await handler(request)
            step = self._judge_response(flow.exchange, lease, response)
        if isinstance(step, Renew) and lease is not None:
            renewed = await self._replace(lease, step, flow.exchange.max_wait)
            if renewed is not None and step.replay and _can_be_sent_again(request):
                response.close()
                self._put_on(flow.exchange, request, renewed)
                response = await handler(request)
        self._expect_redirect_of(flow, response)
        return response

    def _flow_of(self, request: ClientRequest) -> _Flow:
        """The flow of the call that the request belongs to: the one that a redirect or a retry of ``aiohttp`` continues."""
        call = _call_of(request)
        flow = self._flows.get(id(call))
        if flow is not None:
            flow.continue_with(request)
            return flow
        exchange = self._exchange(
            RequestInfo(
                method=request.method,
                url=_connected(request.url),
                idempotent=IDEMPOTENCY_KEY in request.headers,
                replayable=_is_replayable(request),
            )
        )
        return _Flow(call, exchange)

    def _expect_redirect_of(self, flow: _Flow, response: ClientResponse) -> None:
        """Keeps the flow if the next request of its call is one that a redirect names: as long as ``aiohttp`` has the response."""
        if response.status in _REDIRECTS:
            flow.redirected = True
            self._flows[id(flow.call)] = flow
            self._redirects[response] = flow

    async def _authorize(self, exchange: Exchange, request: ClientRequest) -> Lease | None:
        if not exchange.with_credential:
            return None
        check_proxy(exchange, request.proxy)
        lease = await self._lease(exchange.max_wait)
        self._put_on(exchange, request, lease)
        return lease

    def _put_on(self, exchange: Exchange, request: ClientRequest, lease: Lease) -> None:
        headers = self._headers(exchange, lease, request.method, str(request.url))
        for name, value in headers.items():
            # Not `update`, which would keep a second value of the caller's.
            request.headers[name] = value

    def _judge_response(
        self, exchange: Exchange, lease: Lease, response: ClientResponse
    ) -> Renew | Wait | None:
        return exchange.on_response(lease, response.status, JoinedHeaders(response.headers))


class _OriginError(OriginError, ClientError):
    """An ``OriginError`` that ``aiohttp`` passes on. It would replace one that is only an ``OSError``."""


_OriginError.__name__ = _OriginError.__qualname__ = OriginError.__name__
_OriginError.__module__ = OriginError.__module__


class _Flow:
    """One call of ``ClientSession.request``, from its first request to the response after the last redirect."""

    def __init__(self, call: Any, exchange: Exchange) -> None:
        self.call = call
        self.exchange = exchange
        self.redirected = False
        """Whether the next request is one that a redirect names."""

    def continue_with(self, request: ClientRequest) -> None:
        """Records the redirect that led to a request of this call."""
        if self.redirected:
            self.redirected = False
            self.exchange.redirected(_connected(request.url), request.method)


def _call_of(request: ClientRequest) -> Any:
    """An object that all requests of one call share, and no others."""
    private: Any = request
    return private._timer


def _connected(url: URL) -> str:
    """The scheme, host and port that ``aiohttp`` connects to, however the URL was written."""
    host = url.raw_host or ""
    return f"{url.scheme}://{f'[{host}]' if ':' in host else host}:{url.port}"


def _is_replayable(request: ClientRequest) -> bool:
    """Whether the body is in memory, or is a file that can be rewound."""
    body = request.body
    if isinstance(body, IOBasePayload):
        value: Any = body._value
        return bool(value.seekable())
    return isinstance(body, (bytes, BytesPayload))


def _can_be_sent_again(request: ClientRequest) -> bool:
    return not getattr(request.body, "consumed", False)


_REDIRECTS = (301, 302, 303, 307, 308)
