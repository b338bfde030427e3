"""The session over a handler."""

from __future__ import annotations

from typing import Any

from keyfob import _core, _process
from keyfob._handler import GenericExternallyManagedJWTHandler
from keyfob._journey import Credential
from keyfob._session import AuthenticatedSession


class ExternallyManagedJWTSession(AuthenticatedSession):
    """A ``requests.Session`` whose requests carry the fresh token of a handler.

    Sessions that share a handler share its token. A handler of your own will do too, if it has ``authenticated``,
    ``authenticate()`` and ``request_headers``; but then it is up to that handler who waits for whom, and a 401 is an answer
    like others.

    Args:
        authentication_handler: What the token is got from; it stays the attribute of that name.

    >>> handler = GenericExternallyManagedJWTHandler(None, None, ask_the_vault)
    >>> session = ExternallyManagedJWTSession(handler)
    >>> session.get(api)
    <Response [200]>
    """

    def __init__(self, authentication_handler: GenericExternallyManagedJWTHandler) -> None:
        super().__init__()
        for name in ("authenticated", "authenticate", "request_headers"):
            # Looked for on the class: the attributes themselves may work, or raise.
            if not hasattr(type(authentication_handler), name) and name not in dir(
                authentication_handler
            ):
                raise TypeError(
                    "authentication_handler must be a GenericExternallyManagedJWTHandler or have "
                    f"its attributes; {type(authentication_handler).__name__} has no {name}"
                )
        self.authentication_handler = authentication_handler
        if issubclass(type(authentication_handler), _OWN):
            self._origins = authentication_handler._origins()

    @property
    def authenticated(self) -> bool:
        """Whether there is a token that is not about to expire. Never calls the hook.

        >>> if not session.authenticated:
        ...     session.authenticate()
        """
        return self.authentication_handler.authenticated

    def authenticate(self, force: bool = False) -> None:
        """Gets a token unless there is one.

        Args:
            force: Gets a new token whatever the present one is worth.

        Raises:
            AuthenticationError: There is no token to be had; what the hook raised is the ``__cause__``.

        >>> session.authenticate(force=True)  # the server says that the token was revoked
        """
        if force:
            self.authentication_handler.authenticate(force=True)
        else:
            self.authentication_handler.authenticate()

    @property
    def request_headers(self) -> dict[str, str]:
        """The header of an authenticated request, in a new dict; gets a token if there is none.

        Put on another request by hand it is bound to no origin: prefer a session for that origin.

        Raises:
            AuthenticationError: There is no token to be had; what the hook raised is the ``__cause__``.

        >>> session.request_headers
        {'authorization': '[redacted]'}
        """
        handler = self.authentication_handler
        if _is_own(handler) and type(handler).request_headers is _OWN.request_headers:
            return handler._tokens.headers()
        return dict(self._credential(None).fields)

    def _credential(self, max_wait: float | None) -> Credential:
        handler = self.authentication_handler
        if _is_own(handler):
            return self._credential_of(handler._tokens.lease(max_wait))
        if not handler.authenticated:
            handler.authenticate()
        return Credential(dict(handler.request_headers), None)

    def _credential_of(self, lease: _core.Lease) -> Credential:
        return Credential(self.authentication_handler._fields(lease), lease)

    def _cache(self) -> _core.TokenCache:
        handler = self.authentication_handler
        return handler._tokens if _is_own(handler) else _no_cache()


_OWN = GenericExternallyManagedJWTHandler


def _is_own(handler: object) -> bool:
    """Whether the token is the core's. By the real type: a mock that speaks for a handler is a handler of its own."""
    kind = type(handler)
    if kind not in _KINDS:
        _KINDS[kind] = _inherits(kind)
    return _KINDS[kind]


_KINDS: dict[type, bool] = {}
"""What was found out before: a request asks more than once."""


def _inherits(kind: type[Any]) -> bool:
    return (
        issubclass(kind, _OWN)
        and kind.authenticated is _OWN.authenticated
        and kind.authenticate is _OWN.authenticate
    )


def _no_cache() -> _core.TokenCache:
    """Stands where a cache would, for an exchange that never asks it for a token."""
    global _NO_CACHE
    if _NO_CACHE is None:
        _NO_CACHE = _process.watch(_core.TokenCache(_core.Source.fixed("none")))
    return _NO_CACHE


_NO_CACHE: _core.TokenCache | None = None
