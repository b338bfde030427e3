"""What both auth objects do with a handler's token, whatever the client's types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from keyfob._core import Exchange, Lease, Origins, Renew, RetryPolicy, TokenCache
from keyfob._hook import Hook

_ONCE = RetryPolicy(attempts=1)


class Holder(Protocol):
    """A handler, as far as an auth object knows it."""

    _tokens: TokenCache
    _hook: Hook | None

    def _origins(self) -> Origins:
        """Where the token may go."""
        ...

    def _fields(self, lease: Lease) -> Mapping[str, str]:
        """The fields that carry a token."""
        ...


class HandlerAuth:
    """A handler's token for the requests of a client that somebody else drives, and retries as it likes."""

    def __init__(self, handler: Holder, origins: tuple[str, ...]) -> None:
        self._handler = handler
        self._tokens = handler._tokens
        self._origins = handler._origins()
        for url in origins:
            self._origins.bind(url)

    def _exchange(self, method: str, url: str, *, idempotent: bool, replayable: bool) -> Exchange:
        """Begins, unless the token may not go where the request is to go."""
        self._origins.check(url)
        return Exchange(self._tokens, _ONCE, method, idempotent, replayable)

    def _judge(self, exchange: Exchange, lease: Lease, sent: Any, answer: Any) -> Renew | None:
        """Whether the token is to be renewed; ``sent`` are the fields of the request that was answered.

        That may be one that a redirect led to, and without the token.
        """
        fields = self._handler._fields(lease)
        carried = all(sent.get(name) == value for name, value in fields.items())
        step = exchange.answered(lease if carried else None, answer.status_code, answer.headers)
        return step if isinstance(step, Renew) else None
