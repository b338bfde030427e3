"""A handler as the ``auth`` of an ``httpx`` client, sync or async; of ``httpx2`` as well."""

from __future__ import annotations

import importlib
from collections.abc import AsyncGenerator, Generator
from typing import TYPE_CHECKING, Any

from keyfob import _loop
from keyfob._core import IDEMPOTENCY_KEY, Exchange, Lease, Renew
from keyfob._handler_auth import HandlerAuth
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
    """Puts a handler's token on requests, and renews it after a 401; made by ``handler.httpx_auth()``."""

    def sync_auth_flow(
        self, request: httpx.Request
    ) -> Generator[httpx.Request, httpx.Response, None]:
        """What ``httpx.Client`` does around a request."""
        exchange = self._begin(request)
        lease = self._tokens.lease(exchange.max_wait)
        response = yield self._with(lease, request)
        step = self._judge(exchange, lease, response.request.headers, response)
        if step is not None:
            renewed = self._tokens.replace(lease, step, exchange.max_wait)
            if renewed is not None:
                yield self._with(renewed, request)

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """What ``httpx.AsyncClient`` does around a request."""
        exchange = self._begin(request)
        lease = await self._lease(exchange.max_wait)
        response = yield self._with(lease, request)
        step = self._judge(exchange, lease, response.request.headers, response)
        if step is not None:
            renewed = await self._replaced(lease, step, exchange.max_wait)
            if renewed is not None:
                yield self._with(renewed, request)

    def _begin(self, request: httpx.Request) -> Exchange:
        return self._exchange(
            request.method,
            str(request.url),
            idempotent=IDEMPOTENCY_KEY in request.headers,
            replayable=_replayable(request),
        )

    def _with(self, lease: Lease, request: httpx.Request) -> httpx.Request:
        fields = self._handler._fields(lease)
        for name in fields:
            if name.lower() != "authorization":
                raise OriginError(
                    f"the token goes into the field {name}, which httpx would hand on to any server "
                    "that a redirect names; use one of keyfob's sessions"
                )
        request.headers.update(fields)
        return request

    async def _lease(self, max_wait: float) -> Lease:
        lease = self._tokens.ready()
        if lease is not None:
            return lease
        loop = self._loop()
        outcome = await _loop.finish(loop, self._tokens.lease_on_loop, max_wait)
        if outcome is None or outcome[0] is None:
            return self._tokens.lease(0.0)
        return outcome[0]

    async def _replaced(self, lease: Lease, step: Renew, max_wait: float) -> Lease | None:
        def begin(ring: Any) -> Any:
            return self._tokens.replace_on_loop(lease, step, ring)

        outcome = await _loop.finish(self._loop(), begin, max_wait)
        if outcome is None:
            return self._tokens.replace(lease, step, 0.0)
        return outcome[0]

    def _loop(self) -> _loop.Loop:
        """The loop on which this waits, where a coroutine of the hook runs as well."""
        loop = _loop.current()
        if self._handler._hook is not None:
            self._handler._hook.run = loop.run
        return loop


def _replayable(request: httpx.Request) -> bool:
    """Whether the body is in memory, so that it can be sent again in full."""
    try:
        return request.content is not None
    except RuntimeError:  # `RequestNotRead`, of either library
        return False
