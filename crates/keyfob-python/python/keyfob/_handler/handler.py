"""The handler: one token that a hook renews, for any number of threads and sessions."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn

from keyfob import _core, _fork
from keyfob._auth.requests_auth import RequestsAuth
from keyfob._hook import GetToken
from keyfob._state import token_state
from keyfob._values import CacheSettings, Status, from_timestamp, to_timestamp
from keyfob.errors import AuthenticationError

if TYPE_CHECKING:
    from keyfob._auth.httpx_auth import HttpxAuth

_logger = logging.getLogger("keyfob")


class GenericExternallyManagedJWTHandler:
    """Keeps a JWT from an external source fresh: calls a hook whenever a new token is needed.

    Any number of threads, tasks and sessions can share a handler. All callers that need a token at the same time cause one
    call of the hook. The token is renewed in the background well before it expires, so callers wait only when there is no
    usable token. A hook that fails affects no caller while the current token is valid.

    Args:
        jwt: A token to start with, or ``None``.
        expires: When ``jwt`` expires, with a time zone. Required with ``jwt``, and meaningless without it.
        get_token: Returns a new token: any callable without arguments, a coroutine function, or one of :mod:`keyfob.sources`.
            It may return ``(jwt, expires)``, a :class:`JWT`, the token alone, or the dict of a token endpoint
            (``access_token``, ``expires_in``). ``expires`` is a ``datetime`` with a time zone, a ``timedelta``, a number of
            seconds, or ``None`` if it is unknown. A hook runs on a thread of its own, in a copy of the context of the caller
            that needs the token; a coroutine runs on an ``asyncio`` loop of keyfob's own. One call runs at a time, unless an
            earlier one has exceeded :attr:`fetch_timeout`.
        fetch_timeout: The limit of one call of the hook, in seconds; see :attr:`fetch_timeout`.
        default_lifetime: How long a token without an expiry is used, in seconds; until a server rejects it unless given.
        header: The header that carries the token alone, instead of ``Authorization: Bearer``.
        scheme: The scheme before the token in ``Authorization``, instead of ``Bearer``.
        rejected_statuses: The statuses, such as 403, by which a server says that the token is not valid, in addition to 401: the
            token is renewed and the request sent once more.
        kwargs: Passed to the next class, for a subclass with several bases.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: The token cannot be sent, or its expiry has no time zone or is out of range.

    >>> from datetime import datetime, timedelta, timezone
    >>> def ask_the_vault():
    ...     return "t0ken", datetime.now(timezone.utc) + timedelta(minutes=5)
    >>> handler = GenericExternallyManagedJWTHandler(None, None, ask_the_vault)
    >>> handler.authenticated
    False
    >>> handler.get_valid_token() == "t0ken"
    True
    """

    fetch_timeout: float = _core.FETCH_TIMEOUT
    """The limit of one call of the hook, in seconds; a subclass may set it. The limit of a profile takes precedence."""

    _source: _core.Source | None = None

    def __init__(
        self,
        jwt: str | None = None,
        expires: datetime | None = None,
        get_token: GetToken | None = None,
        *,
        fetch_timeout: float | None = None,
        default_lifetime: float | None = None,
        header: str | None = None,
        scheme: str | None = None,
        rejected_statuses: Collection[int] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if fetch_timeout is not None:
            self.fetch_timeout = fetch_timeout
        settings = CacheSettings(
            self.fetch_timeout, default_lifetime, header, scheme, rejected_statuses
        )
        if jwt is not None and not isinstance(jwt, str):
            kind = type(jwt).__name__
            raise TypeError(
                f"jwt must be a str or None, not {kind}; pass the hook by name: get_token=hook"
            )
        if jwt is not None and expires is None:
            _logger.warning("a jwt without an expiry is ignored; a new one is fetched instead")
            jwt = None
        elif jwt is None and expires is not None:
            _logger.warning("an expiry without a jwt is ignored")
            expires = None
        source: Any = get_token
        _check_get_token(source)
        self._source = source if isinstance(source, _core.Source) else None
        self._tokens = _fork.watch(
            _core.TokenCache(
                source,
                jwt,
                None if expires is None else to_timestamp(expires),
                settings,
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
        """Fetches a token unless there is a valid one.

        Args:
            force: Fetches a new token even if the current one is valid, and even if the hook failed or refused a moment
                ago. If the fetch fails, the current token stays.

        Raises:
            AuthenticationError: No token is available; the ``__cause__`` is the exception of the hook.

        >>> handler.authenticate(force=True)  # the server says that the token was revoked
        """
        if force:
            self._tokens.renew()
        else:
            self._tokens.lease()

    @property
    def request_headers(self) -> dict[str, str]:
        """The headers of an authenticated request, in a new dict. Never calls the hook.

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
        """A token that can be sent now; fetches one if there is none.

        It is a ``str`` whose ``repr`` hides it.

        Args:
            force: Fetches a new token even if the current one is valid.

        Raises:
            AuthenticationError: No token is available; the ``__cause__`` is the exception of the hook.

        >>> headers = {"X-Token": handler.get_valid_token()}
        """
        if force:
            return self._tokens.renew().token
        return self._tokens.ready_token() or self._tokens.lease().token

    def get_valid_token_with_expiry(self) -> tuple[str, datetime | None]:
        """A token that can be sent now, and its expiry in UTC; ``None`` if the expiry is unknown.

        Raises:
            AuthenticationError: No token is available; the ``__cause__`` is the exception of the hook.

        >>> token, expires = handler.get_valid_token_with_expiry()
        >>> expires > datetime.now(timezone.utc)
        True
        """
        token, expires = self._tokens.token_with_expiry()
        return token, None if expires is None else from_timestamp(expires)

    @property
    def jwt(self) -> str | None:
        """The current token, or ``None`` if there is none or it has expired. Never calls the hook.

        >>> handler.jwt
        '[redacted]'
        """
        lease = self._tokens.current()
        return None if lease is None else lease.token

    def status(self) -> Status:
        """The state of the handler without any secret, for dashboards and health checks. Times are in seconds.

        >>> handler.status()["failures"]
        0
        """
        return self._tokens.status()

    def auth(self, *origins: str) -> RequestsAuth:
        """Authenticates the requests of your own ``requests`` session: ``session.auth = handler.auth()``.

        After a 401 it renews the token, and sends the request once more if the body can be sent again. It retries nothing
        else. Timeouts are those of your session: ``requests`` has none unless you pass ``timeout``.

        Args:
            origins: URLs whose origins may receive the token, in addition to those of a profile. Without any, the token may
                go to each https origin that you name in a request.

        Raises:
            OriginError: An origin is neither https nor on this machine.

        >>> requests.get(api, auth=handler.auth(api))
        <Response [200]>
        """
        return RequestsAuth(self, origins)

    def httpx_auth(self, *origins: str) -> HttpxAuth:
        """Authenticates the requests of your own ``httpx`` client: ``httpx.Client(auth=handler.httpx_auth())``.

        It works with ``httpx.AsyncClient`` on asyncio and trio, and with the clients of ``httpx2``. After a 401 it renews the
        token, and sends the request once more if the body is in memory. It retries nothing else. Timeouts are those of your
        client: ``httpx`` limits each connect, read and write to 5 seconds unless you set ``timeout``.

        Args:
            origins: URLs whose origins may receive the token, in addition to those of a profile. Without any, the token may
                go to each https origin that you name in a request.

        Raises:
            ImportError: Neither httpx nor httpx2 is installed.
            OriginError: An origin is neither https nor on this machine.

        >>> httpx.get(api, auth=handler.httpx_auth(api))
        <Response [200 OK]>
        """
        # Imported here because httpx is optional, and slow to import.
        from keyfob._auth.httpx_auth import HttpxAuth

        return HttpxAuth(self, origins)

    def _headers(self, lease: _core.Lease) -> Mapping[str, str]:
        """The headers that carry a token: the token's own, or those of a subclass."""
        if type(self).request_headers is GenericExternallyManagedJWTHandler.request_headers:
            return lease.headers
        return self.request_headers

    def _origins(self) -> _core.Origins:
        """Where the token may go: to the origins of the profile, or to any https origin that the caller names."""
        return _core.Origins(self._source)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {token_state(self._tokens)}>"

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError(
            f"a {type(self).__name__} holds a token and cannot be pickled or copied; "
            "share it between threads, and make one in each process"
        )


def _check_get_token(get_token: Any) -> None:
    if get_token is None:
        raise TypeError("get_token is missing: pass the hook or source of the tokens")
    if not isinstance(get_token, _core.Source) and not callable(get_token):
        raise TypeError(
            f"get_token must be callable, or one of keyfob.sources, not {type(get_token).__name__}"
        )


def _not_present() -> AuthenticationError:
    error = AuthenticationError("the token is missing or has expired; call authenticate() first")
    error.kind = "expired"
    return error
