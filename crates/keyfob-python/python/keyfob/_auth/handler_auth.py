"""The part that the auth objects of ``requests`` and ``httpx`` share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from keyfob import _event_loop
from keyfob._core import (
    DPOP,
    Exchange,
    Lease,
    Origins,
    PendingLease,
    Renew,
    RetryPolicy,
    TokenCache,
    Wait,
)
from keyfob._loopback import check_name
from keyfob._state import destinations, token_state
from keyfob._values import RequestInfo

_ONE_ATTEMPT = RetryPolicy(attempts=1)


class Handler(Protocol):
    """The part of a handler that an auth object uses."""

    _tokens: TokenCache

    def _origins(self) -> Origins:
        """The origins that may receive the token."""
        ...

    def _headers(self, lease: Lease) -> Mapping[str, str]:
        """The headers that carry a token."""
        ...


class HandlerAuth:
    """A handler's token for the requests of another client, which retries and limits them as it likes."""

    def __init__(self, handler: Handler, origins: tuple[str, ...]) -> None:
        self._handler = handler
        self._tokens = handler._tokens
        self._origins = handler._origins()
        for url in origins:
            self._origins.bind(url)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {destinations(self._origins)}: {token_state(self._tokens)}>"

    def _exchange(self, request: RequestInfo, policy: RetryPolicy = _ONE_ATTEMPT) -> Exchange:
        """Begins an exchange; raises ``OriginError`` if the token may not go to the request's URL."""
        exchange = Exchange(self._tokens, self._origins, policy, request)
        check_name(exchange)
        return exchange

    def _headers(self, exchange: Exchange, lease: Lease, method: str, url: str) -> dict[str, str]:
        """The headers of one attempt: the token's, and a proof of possession if the token is bound to a key."""
        headers = dict(self._handler._headers(lease))
        proof = exchange.proof(lease, method, url)
        return headers if proof is None else {**headers, DPOP: proof}

    def _judge(self, exchange: Exchange, lease: Lease, response: Any) -> Renew | Wait | None:
        """Judges a response: renew the token, send the request again at once with a new proof of possession, or nothing."""
        sent = lease if exchange.with_credential else None
        return exchange.on_response(sent, response.status_code, response.headers)

    async def _lease(self, max_wait: float) -> Lease:
        """The lease of an attempt, waiting on the caller's event loop."""
        lease = self._tokens.ready()
        if lease is not None:
            return lease
        loop = _event_loop.current()
        outcome = await _event_loop.wait_for_lease(loop, self._tokens.lease_on_loop, max_wait)
        if outcome is None or outcome[0] is None:
            return self._tokens.lease(0.0)
        return outcome[0]

    async def _replace(self, lease: Lease, step: Renew, max_wait: float) -> Lease | None:
        """Another lease in place of one that a server rejected, waiting on the caller's event loop."""

        def begin(wake: Any) -> PendingLease:
            return self._tokens.replace_on_loop(lease, step, wake)

        loop = _event_loop.current()
        outcome = await _event_loop.wait_for_lease(loop, begin, max_wait)
        if outcome is None:
            return self._tokens.replace(lease, step, 0.0)
        return outcome[0]
