"""A handler as the ``auth`` of a client of ``httpx`` or ``httpx2``, sync or async."""

from __future__ import annotations

import importlib
from collections.abc import AsyncGenerator, Generator
from typing import TYPE_CHECKING, Any

from keyfob import _event_loop
from keyfob._auth.handler_auth import HandlerAuth
from keyfob._core import IDEMPOTENCY_KEY, Exchange, Lease, PendingLease, Renew
from keyfob._loopback import check_environment_of_httpx
from keyfob._values import RequestInfo
from keyfob.errors import OriginError

if TYPE_CHECKING:
    import httpx
    from httpx import Auth as _Auth
else:

    def _bases() -> tuple[type, ...]:
        bases = []
        for name in ("httpx", "httpx2"):
            try:
                base = importlib.import_module(name).Auth
            except ImportError:
                continue
            if base not in bases:
                bases.append(base)
        if not bases:
            raise ImportError("httpx_auth() needs httpx or httpx2; install one of them")
        return tuple(bases)

    _Auth = type("_Auth", _bases(), {})


class HttpxAuth(HandlerAuth, _Auth):
    """Puts a handler's token on requests, and renews it after a 401; made by ``handler.httpx_auth()``.

    It does not limit the time of a request: the timeouts of your client apply. It cannot see the client's proxies. So it refuses
    plain http to this machine while a proxy of the environment would get the token; a proxy that you give the client gets it.
    """

    def sync_auth_flow(
        self, request: httpx.Request
    ) -> Generator[httpx.Request, httpx.Response, None]:
        """Authenticates a request of ``httpx.Client``."""
        exchange = self._begin(request)
        lease = self._tokens.lease(exchange.max_wait)
        response = yield self._authorized(request, lease)
        step = self._judge_last(exchange, lease, response)
        if step is not None:
            renewed = self._tokens.replace(lease, step, exchange.max_wait)
            if renewed is not None and step.replay:
                yield self._authorized(response.request, renewed)

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Authenticates a request of ``httpx.AsyncClient``."""
        exchange = self._begin(request)
        lease = await self._lease(exchange.max_wait)
        response = yield self._authorized(request, lease)
        step = self._judge_last(exchange, lease, response)
        if step is not None:
            renewed = await self._replace(lease, step, exchange.max_wait)
            if renewed is not None and step.replay:
                yield self._authorized(response.request, renewed)

    def _begin(self, request: httpx.Request) -> Exchange:
        exchange = self._exchange(
            RequestInfo(
                method=request.method,
                url=_connected(request.url),
                idempotent=IDEMPOTENCY_KEY in request.headers,
                replayable=_replayable(request),
            )
        )
        check_environment_of_httpx(exchange, _host(request.url))
        return exchange

    def _authorized(self, request: httpx.Request, lease: Lease) -> httpx.Request:
        headers = self._handler._headers(lease)
        for name in headers:
            if name.lower() != "authorization":
                raise OriginError(
                    f"httpx would send the token in the header {name} to any server that a redirect "
                    "names; use one of keyfob's sessions"
                )
        request.headers.update(headers)
        return request

    def _judge_last(
        self, exchange: Exchange, lease: Lease, response: httpx.Response
    ) -> Renew | None:
        """Judges the response after all redirects, which ``httpx`` follows before it asks here."""
        for redirected in [*response.history[1:], response] if response.history else []:
            exchange.redirected(_connected(redirected.request.url), redirected.request.method)
        return self._judge(exchange, lease, response)

    async def _lease(self, max_wait: float) -> Lease:
        lease = self._tokens.ready()
        if lease is not None:
            return lease
        loop = _event_loop.current()
        outcome = await _event_loop.wait_for_lease(loop, self._tokens.lease_on_loop, max_wait)
        if outcome is None or outcome[0] is None:
            return self._tokens.lease(0.0)
        return outcome[0]

    async def _replace(self, lease: Lease, step: Renew, max_wait: float) -> Lease | None:
        def begin(wake: Any) -> PendingLease:
            return self._tokens.replace_on_loop(lease, step, wake)

        loop = _event_loop.current()
        outcome = await _event_loop.wait_for_lease(loop, begin, max_wait)
        if outcome is None:
            return self._tokens.replace(lease, step, 0.0)
        return outcome[0]


def _connected(url: httpx.URL) -> str:
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
        return False
