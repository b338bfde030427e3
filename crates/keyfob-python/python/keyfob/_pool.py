"""A token for each of many users."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from keyfob import _core, _fork
from keyfob._auth.requests_auth import RequestsAuth
from keyfob._handler.handler import GenericExternallyManagedJWTHandler
from keyfob._hook import GetToken
from keyfob._values import PoolKey, PoolSettings, PoolStatus

if TYPE_CHECKING:
    from keyfob._auth.httpx_auth import HttpxAuth


class TokenPool:
    """Keeps a token for each of many users, tenants or services, in bounded memory.

    Each user has a handler of their own, made when it is first used: one call of the hook for all callers, a remembered failure,
    and a renewal before the token expires. At most ``fetches_at_once`` hooks run at the same time, for all users together; the
    others wait, first come, first served.

    Args:
        source_of: Returns the hook or the source (:mod:`keyfob.sources`) of a :class:`PoolKey`. It fetches nothing itself. It is
            called when a key is first used, or used again after it was evicted. The hook runs in an empty context, because it
            serves any caller, and must not wait for another token of the same pool.
        max_entries: How many keys are kept. Keys that are used often stay when many others come.
        idle_timeout: How long a key is kept that is not used, in seconds; above zero.
        fetches_at_once: How many hooks run at the same time.
        max_queued: How many fetches may wait; beyond these, a caller without a valid token gets an error at once.
        fetch_timeout: The limit of one call of a hook, in seconds, without the wait for other fetches.
        default_lifetime: How long a token without an expiry is used, in seconds; until a server rejects it unless given.

    Raises:
        ValueError: A limit is zero or out of range.

    >>> pool = TokenPool(lambda key: lambda: (f"t0ken-of-{key.subject}", 300))
    >>> pool.handler("alice").get_valid_token() == "t0ken-of-alice"
    True
    """

    def __init__(
        self,
        source_of: Callable[[PoolKey], GetToken],
        *,
        max_entries: int = 10_000,
        idle_timeout: float = 3600.0,
        fetches_at_once: int = 32,
        max_queued: int = 100_000,
        fetch_timeout: float = _core.FETCH_TIMEOUT,
        default_lifetime: float | None = None,
    ) -> None:
        if not callable(source_of):
            kind = type(source_of).__name__
            raise TypeError(
                f"source_of must be a function that returns the hook of a key, not {kind}"
            )
        limits = {
            "max_entries": max_entries,
            "fetches_at_once": fetches_at_once,
            "max_queued": max_queued,
        }
        for name, limit in limits.items():
            if limit < 0:
                raise ValueError(f"`{name}` of the pool is {limit}; give a number from 0 on")
        settings = PoolSettings(
            max_entries, idle_timeout, fetches_at_once, max_queued, fetch_timeout, default_lifetime
        )
        make: Any = source_of
        self._use(_core.TokenPool(make, settings), _core.Origins)

    def _use(self, core: _core.TokenPool, origins: Callable[[], _core.Origins]) -> None:
        """Keeps the core's pool, and makes the origins of each handler with this function."""
        self._core = _fork.watch(core)
        self._origins = origins

    def handler(self, key: str | PoolKey) -> GenericExternallyManagedJWTHandler:
        """The handler of a user, for everything that a handler can do. Nothing is fetched.

        A handler that is kept stays in use, and a pool that has evicted its key finds it again. In a forked child it shares the
        token with all handlers of the key there, and continues with that of the parent.

        Args:
            key: The subject, or a :class:`PoolKey`.

        Raises:
            AuthenticationError: ``source_of`` failed or returned no hook, or the pool is full of keys that must not be evicted.
            TypeError: A part of the key is no text.
            ValueError: The key is empty, or has a control character.

        >>> handler = pool.handler(PoolKey("alice", scopes=["read"]))
        """
        return _PooledHandler(self._core.tokens(_key(key)), self._origins)

    def auth(self, key: str | PoolKey, *origins: str) -> RequestsAuth:
        """Authenticates a request of ``requests`` as a user; see :meth:`GenericExternallyManagedJWTHandler.auth`.

        >>> requests.get(api, auth=pool.auth("alice", api))
        <Response [200]>
        """
        return self.handler(key).auth(*origins)

    def httpx_auth(self, key: str | PoolKey, *origins: str) -> HttpxAuth:
        """Authenticates a request of ``httpx`` as a user; see :meth:`GenericExternallyManagedJWTHandler.httpx_auth`.

        >>> httpx.get(api, auth=pool.httpx_auth("alice", api))
        <Response [200 OK]>
        """
        return self.handler(key).httpx_auth(*origins)

    def remove(self, key: str | PoolKey) -> bool:
        """Forgets a user with the tokens, as at a sign-out. Returns whether there was one.

        >>> pool.remove("unknown-user")
        False
        """
        return self._core.remove(_key(key))

    def status(self) -> PoolStatus:
        """The state of the pool, without any key or secret.

        >>> pool.status()["fetching"]
        0
        """
        return self._core.status()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.status()['entries']} entries>"


class _PooledHandler(GenericExternallyManagedJWTHandler):
    """The handler of one key of a pool."""

    def __init__(self, tokens: _core.TokenCache, origins: Callable[[], _core.Origins]) -> None:
        # Not that of the base, which makes a cache of its own. This one is forked with its pool, when it is next used.
        self._tokens = tokens
        self._origins_of_pool = origins

    def _origins(self) -> _core.Origins:
        return self._origins_of_pool()


def _key(key: str | PoolKey) -> PoolKey:
    subject, scopes, resource, client = key if isinstance(key, PoolKey) else PoolKey(key)
    texts = {"subject": subject, "resource": resource, "client": client}
    for name, text in texts.items():
        if not isinstance(text, str) and (name == "subject" or text is not None):
            raise TypeError(f"the {name} of a pool's key must be a str, not {type(text).__name__}")
    # A str is a sequence of str, too.
    if isinstance(scopes, str) or not all(isinstance(scope, str) for scope in scopes):
        raise TypeError("the scopes of a pool's key must be a list of str, not one str")
    return PoolKey(subject, list(scopes), resource, client)
