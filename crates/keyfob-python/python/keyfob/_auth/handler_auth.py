"""The part that the auth objects of ``requests`` and ``httpx`` share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from keyfob._core import Exchange, Lease, Origins, Renew, RetryPolicy, TokenCache
from keyfob._loopback import check_name
from keyfob._values import RequestInfo
from keyfob.errors import ProfileError

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
        if self._tokens.proves_possession:
            # R2: never sent without the proof.
            raise ProfileError(
                "the tokens of this profile are bound to a key (`dpop_key`), and this auth object cannot send the proof of "
                "possession; use keyfob.session"
            )
        self._origins = handler._origins()
        for url in origins:
            self._origins.bind(url)

    def _exchange(self, request: RequestInfo) -> Exchange:
        """Begins an exchange; raises ``OriginError`` if the token may not go to the request's URL."""
        exchange = Exchange(self._tokens, self._origins, _ONE_ATTEMPT, request)
        check_name(exchange)
        return exchange

    def _judge(self, exchange: Exchange, lease: Lease, response: Any) -> Renew | None:
        """Whether to renew the token because of this response, and to send the request again if its body allows that."""
        sent = lease if exchange.with_credential else None
        step = exchange.on_response(sent, response.status_code, response.headers)
        return step if isinstance(step, Renew) else None
