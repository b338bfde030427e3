"""The handler: one token that a hook renews, for any number of threads and sessions."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn

from keyfob import _core, _process
from keyfob._expiry import from_timestamp, to_timestamp
from keyfob._hook import GetToken, Hook
from keyfob._requests_auth import RequestsAuth
from keyfob._status import Status
from keyfob.errors import AuthenticationError

if TYPE_CHECKING:
    from keyfob._httpx_auth import HttpxAuth

_logger = logging.getLogger("keyfob")


class GenericExternallyManagedJWTHandler:
    """Keeps a JWT fresh that comes from somewhere else, by calling a hook whenever a new one is needed.

    Any number of threads, tasks and sessions share it: whoever needs a token at the same time causes one call of the hook.
    The token is renewed beside the requests well before it ends, so that callers wait only if there is none; and as long as
    it has not expired, a hook that fails costs nobody anything.

    Args:
        jwt: A token to start with, or ``None``.
        expires: When it expires, with a time zone; given if and only if ``jwt`` is.
        get_token: What to call for a token: any callable that takes no argument and returns ``(jwt, expires)`` or a
            :class:`JWT`, a coroutine function that does, or one of :mod:`keyfob.sources`. It is called on a thread of its
            own, and never twice at once.
        kwargs: For the next class, where this one is a base among others.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: The token cannot be sent, or its expiry has no time zone or cannot be meant.

    >>> from datetime import datetime, timedelta, timezone
    >>> def ask_the_vault():
    ...     return "t0ken", datetime.now(timezone.utc) + timedelta(minutes=5)
    >>> handler = GenericExternallyManagedJWTHandler(None, None, ask_the_vault)
    >>> handler.authenticated
    False
    >>> handler.get_valid_token() == "t0ken"
    True
    """

    fetch_timeout: float = 30.0
    """How long one call of the hook may take, in seconds; for a subclass to set. What a profile says comes first."""

    _source: _core.Source | None = None

    def __init__(
        self,
        jwt: str | None,
        expires: datetime | None,
        get_token: GetToken,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if jwt is not None and not isinstance(jwt, str):
            raise TypeError(f"jwt must be a str or None, not {type(jwt).__name__}")
        if jwt is not None and expires is None:
            _logger.warning("a jwt was given without its expiry; a new one will be got instead")
            jwt = None
        elif jwt is None and expires is not None:
            _logger.warning("an expiry was given without its jwt; it means nothing alone")
            expires = None
        self._hook = _hook(get_token)
        self._source = get_token if isinstance(get_token, _core.Source) else None
        self._tokens = _process.watch(
            _core.TokenCache(
                self._hook or get_token,
                jwt,
                None if expires is None else to_timestamp(expires),
                self.fetch_timeout,
            )
        )

    @property
    def authenticated(self) -> bool:
        """Whether there is a token that is not about to expire. Never calls the hook.

        >>> if not handler.authenticated:
        ...     handler.authenticate()
        """
        return self._tokens.authenticated

    def authenticate(self, force: bool = False) -> None:
        """Gets a token unless there is one.

        Args:
            force: Gets a new token whatever the present one is worth, and asks a hook again that failed or refused. If that
                fails, the present token stays.

        Raises:
            AuthenticationError: There is no token to be had; what the hook raised is the ``__cause__``.

        >>> handler.authenticate(force=True)  # the server says that the token was revoked
        """
        if force:
            self._tokens.renew()
        else:
            self._tokens.lease()

    @property
    def request_headers(self) -> dict[str, str]:
        """The header of an authenticated request, in a new dict. Never calls the hook.

        Raises:
            AuthenticationError: There is no token, or it has expired.

        >>> handler.request_headers
        {'authorization': '[redacted]'}
        """
        headers = self._tokens.current_headers()
        if headers is None:
            raise _not_present()
        return headers

    def get_valid_token(self, force: bool = False) -> str:
        """A token that can be sent now; gets one if there is none.

        It is a ``str`` whose ``repr`` hides it.

        Args:
            force: Gets a new token whatever the present one is worth.

        Raises:
            AuthenticationError: There is no token to be had; what the hook raised is the ``__cause__``.

        >>> headers = {"X-Token": handler.get_valid_token()}
        """
        if force:
            return self._tokens.renew().token
        return self._tokens.ready_token() or self._tokens.lease().token

    def get_valid_token_with_expiry(self) -> tuple[str, datetime | None]:
        """A token that can be sent now, and when it expires, in UTC; ``None`` if that is not known.

        Raises:
            AuthenticationError: There is no token to be had; what the hook raised is the ``__cause__``.

        >>> token, expires = handler.get_valid_token_with_expiry()
        >>> expires > datetime.now(timezone.utc)
        True
        """
        token, expires = self._tokens.token_with_expiry()
        return token, None if expires is None else from_timestamp(expires)

    @property
    def jwt(self) -> str | None:
        """The token in place, or ``None`` if there is none or it has expired. Never calls the hook.

        >>> handler.jwt
        '[redacted]'
        """
        lease = self._tokens.current()
        return None if lease is None else lease.token

    def status(self) -> Status:
        """How things stand, without any secret, for dashboards and health checks. Times are in seconds.

        >>> handler.status()["failures"]
        0
        """
        return self._tokens.status()

    def auth(self, *origins: str) -> RequestsAuth:
        """Authenticates the requests of a ``requests`` session of your own: ``session.auth = handler.auth()``.

        A 401 renews the token, and the request is sent once more if its body can be. Nothing else is retried.

        Args:
            origins: The URLs whose origins the token is for, besides those of a profile; without any it goes to each https
                origin that you name.

        Raises:
            OriginError: An origin is neither https nor this machine.

        >>> requests.get(api, auth=handler.auth(api))
        <Response [200]>
        """
        return RequestsAuth(self, origins)

    def httpx_auth(self, *origins: str) -> HttpxAuth:
        """Authenticates the requests of an ``httpx`` client of your own: ``httpx.Client(auth=handler.httpx_auth())``.

        For ``httpx.AsyncClient`` too, on asyncio and trio, and for the clients of ``httpx2``. A 401 renews the token, and the
        request is sent once more if its body can be. Nothing else is retried.

        Args:
            origins: The URLs whose origins the token is for, besides those of a profile; without any it goes to each https
                origin that you name.

        Raises:
            ImportError: Neither httpx nor httpx2 is installed.
            OriginError: An origin is neither https nor this machine.

        >>> httpx.get(api, auth=handler.httpx_auth(api))
        <Response [200 OK]>
        """
        # Only now: httpx need not be installed, and is slow to import.
        from keyfob._httpx_auth import HttpxAuth

        return HttpxAuth(self, origins)

    def _fields(self, lease: _core.Lease) -> Mapping[str, str]:
        """The fields that carry a token: the token's own, or what a subclass makes of them."""
        if type(self).request_headers is GenericExternallyManagedJWTHandler.request_headers:
            return lease.headers
        return self.request_headers

    def _origins(self) -> _core.Origins:
        """Where the token may go: where a profile says, or else wherever the caller names."""
        return _core.Origins(self._source)

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError(
            f"a {type(self).__name__} holds a token and is neither pickled nor copied; "
            "share it between threads, and make one in each process"
        )


def _hook(get_token: Any) -> Hook | None:
    if isinstance(get_token, _core.Source):
        return None
    if not callable(get_token):
        raise TypeError(
            f"get_token must be callable, or one of keyfob.sources, not {type(get_token).__name__}"
        )
    return Hook(get_token)


def _not_present() -> AuthenticationError:
    error = AuthenticationError(
        "the token is not present or has expired; call authenticate() first"
    )
    error.kind = "expired"
    return error
