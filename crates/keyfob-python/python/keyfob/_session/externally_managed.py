"""The session over a handler."""

from __future__ import annotations

from typing import Any

from keyfob import _core, _fork
from keyfob._handler.handler import GenericExternallyManagedJWTHandler
from keyfob._session.request_loop import Credential
from keyfob._session.session import AuthenticatedSession
from keyfob._state import token_state


class ExternallyManagedJWTSession(AuthenticatedSession):
    """A ``requests.Session`` whose requests carry the fresh token of a handler.

    Sessions that share a handler share its token. The handler may also be an object of your own that has ``authenticated``,
    ``authenticate()`` and ``request_headers``. In that case your object decides which callers wait, and a 401 is returned like
    any other response.

    Args:
        authentication_handler: The handler; it stays available as the attribute of the same name.

    >>> handler = GenericExternallyManagedJWTHandler(None, None, ask_the_vault)
    >>> session = ExternallyManagedJWTSession(handler)
    >>> session.get(api)
    <Response [200]>
    """

    def __init__(self, authentication_handler: GenericExternallyManagedJWTHandler) -> None:
        super().__init__()
        for name in ("authenticated", "authenticate", "request_headers"):
            # Looked up on the class, because reading the attribute itself may call a hook or raise.
            if not hasattr(type(authentication_handler), name) and name not in dir(
                authentication_handler
            ):
                raise TypeError(
                    "authentication_handler must be a GenericExternallyManagedJWTHandler or have "
                    f"its attributes; {type(authentication_handler).__name__} has no {name}"
                )
        self.authentication_handler = authentication_handler
        if issubclass(type(authentication_handler), _HANDLER):
            self._origins = authentication_handler._origins()

    @property
    def authenticated(self) -> bool:
        """Whether there is a token that is not about to expire. Never calls the hook.

        >>> if not session.authenticated:
        ...     session.authenticate()
        """
        return self.authentication_handler.authenticated

    def authenticate(self, force: bool = False) -> None:
        """Fetches a token unless there is a valid one.

        Args:
            force: Fetches a new token even if the current one is valid.

        Raises:
            AuthenticationError: No token is available; the ``__cause__`` is the exception of the hook.

        >>> session.authenticate(force=True)  # the server says that the token was revoked
        """
        if force:
            self.authentication_handler.authenticate(force=True)
        else:
            self.authentication_handler.authenticate()

    @property
    def request_headers(self) -> dict[str, str]:
        """The headers of an authenticated request, in a new dict; fetches a token if there is none.

        If you put them on a request yourself, nothing checks the origin: prefer a session for that origin.

        Raises:
            AuthenticationError: No token is available; the ``__cause__`` is the exception of the hook.

        >>> session.request_headers
        {'authorization': '[redacted]'}
        """
        handler = self.authentication_handler
        if _uses_core(handler) and type(handler).request_headers is _HANDLER.request_headers:
            return handler._tokens.headers()
        return dict(self._credential(None).headers)

    def _credential(self, max_wait: float | None) -> Credential:
        handler = self.authentication_handler
        if _uses_core(handler):
            return self._credential_of(handler._tokens.lease(max_wait))
        if not handler.authenticated:
            handler.authenticate()
        return Credential(dict(handler.request_headers), None)

    def _credential_of(self, lease: _core.Lease) -> Credential:
        return Credential(self.authentication_handler._headers(lease), lease)

    def _token_state(self) -> str:
        handler = self.authentication_handler
        if _uses_core(handler):
            return token_state(handler._tokens)
        return f"over a {type(handler).__name__}"

    def _cache(self) -> _core.TokenCache:
        handler = self.authentication_handler
        return handler._tokens if _uses_core(handler) else _unused_cache()


_HANDLER = GenericExternallyManagedJWTHandler


def _uses_core(handler: object) -> bool:
    """Whether the token comes from the core's cache.

    It looks at the real type, because a mock with a handler's ``__class__`` is a handler of the user's own.
    """
    kind = type(handler)
    if kind not in _KINDS:
        _KINDS[kind] = _inherits(kind)
    return _KINDS[kind]


_KINDS: dict[type, bool] = {}
"""Results of earlier calls, because each request asks several times."""


def _inherits(kind: type[Any]) -> bool:
    return (
        issubclass(kind, _HANDLER)
        and kind.authenticated is _HANDLER.authenticated
        and kind.authenticate is _HANDLER.authenticate
    )


def _unused_cache() -> _core.TokenCache:
    """A cache for exchanges that need one and never ask it for a token."""
    global _UNUSED_CACHE
    if _UNUSED_CACHE is None:
        _UNUSED_CACHE = _fork.watch(_core.TokenCache(_core.Source.fixed("none")))
    return _UNUSED_CACHE


_UNUSED_CACHE: _core.TokenCache | None = None
