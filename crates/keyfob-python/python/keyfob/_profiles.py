"""Sessions by name, from a ``keyfob.toml``."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from keyfob._certificates import Cert, EncryptedKey, Verify
from keyfob._core import Profile, profile_names
from keyfob._handler.handler import GenericExternallyManagedJWTHandler
from keyfob._hook import GetToken
from keyfob._pool import TokenPool
from keyfob._session.front import Session
from keyfob._values import PoolKey, PoolSettings
from keyfob.sources import named

if TYPE_CHECKING:
    from keyfob._httpx_clients import AsyncClient, Client


def session(
    name: str,
    *,
    config: str | os.PathLike[str] | None = None,
    verify: Verify = None,
    cert: Cert = None,
) -> ProfileSession:
    """A ``requests`` session with the settings of a profile in a ``keyfob.toml``: token, origins, base URL, retries.

    This neither fetches a token nor sends a request. Each call reads the file and makes a session with a token of its own. If
    the profile has a store, all sessions and other processes share one token; OAuth grants have one by default.

    Args:
        name: The name of the profile.
        config: The file; unless given, the one that ``KEYFOB_CONFIG`` names or the default one.
        verify: A file with certificate authorities (PEM), which are trusted in place of the system's: for the API, and for the
            server that issues the token. It takes precedence over ``ca_file`` in the profile, which takes precedence over
            ``REQUESTS_CA_BUNDLE``, ``CURL_CA_BUNDLE`` and ``SSL_CERT_FILE``.
        cert: The client certificate for the API and for the server that issues the token: a file (PEM) with certificate and key,
            or the two files. It takes precedence over ``client_certificate`` in the profile.

    Raises:
        ProfileError: The file has errors or has no such profile; or the CA file, the client certificate or the key of the profile cannot be used.

    >>> keyfob.session("ehr", config=config).get("reports")
    <Response [200]>
    """
    return ProfileSession(named(name, config, verify, cert))


def pool(
    name: str,
    subject_token: Callable[[PoolKey], GetToken] | None = None,
    *,
    config: str | os.PathLike[str] | None = None,
    verify: Verify = None,
    cert: Cert = None,
    max_entries: int = 10_000,
    idle_timeout: float = 3600.0,
    fetches_at_once: int = 32,
    max_queued: int = 100_000,
) -> ProfilePool:
    """A pool with the settings of a profile in a ``keyfob.toml``: a token for each user.

    The profile has a grant whose tokens have a subject: ``jwt_bearer`` with a ``private_key``, a sign-in, or ``token_exchange``.
    If it has a store, each user has an entry of their own there, which all processes share. Nothing is fetched yet.

    Args:
        name: The name of the profile.
        subject_token: For ``token_exchange``: returns the hook or the source (:mod:`keyfob.sources`) of a user's own token, which
            takes the place of ``subject_token`` in the file. It fetches nothing itself; the hook is called for each exchange. Not
            needed if ``subject_token`` in the file names a profile that takes subjects.
        config: The file; unless given, the one that ``KEYFOB_CONFIG`` names or the default one.
        verify: A file with certificate authorities (PEM); see :func:`keyfob.session`.
        cert: The client certificate; see :func:`keyfob.session`.
        max_entries: How many keys are kept; see :class:`TokenPool`, also for the other limits.
        idle_timeout: How long a key is kept that is not used, in seconds.
        fetches_at_once: How many tokens are fetched at the same time.
        max_queued: How many fetches may wait.

    Raises:
        ProfileError: The file has errors or has no such profile, or the profile takes no subject.
        ValueError: A limit is zero or out of range.

    >>> pool = keyfob.pool("orders", lambda key: lambda: f"login-of-{key.subject}", config=config)
    >>> pool.session("alice").get("orders")
    <Response [200]>
    """
    if subject_token is not None and not callable(subject_token):
        kind = type(subject_token).__name__
        raise TypeError(
            f"subject_token must be a function that returns the hook of a key, not {kind}"
        )
    settings = PoolSettings(max_entries, idle_timeout, fetches_at_once, max_queued)
    return ProfilePool(named(name, config, verify, cert), subject_token, settings)


def profiles(*, config: str | os.PathLike[str] | None = None) -> list[str]:
    """The sorted names of the profiles in a ``keyfob.toml``; empty if the default file does not exist.

    Args:
        config: The file; unless given, the one that ``KEYFOB_CONFIG`` names or the default one.

    Raises:
        ProfileError: The file has errors, or was named and does not exist.

    >>> keyfob.profiles(config=config)
    ['ehr', 'orders']
    """
    return profile_names(_path(config))


class ProfileSession(Session):
    """A ``requests.Session`` with the settings of a profile; made by :func:`keyfob.session`.

    It is bound to the origins of the profile, and URLs may be relative to its base URL. Other sessions over its
    ``authentication_handler`` share its token.

    >>> reports = keyfob.session("ehr", config=config)
    >>> reports.get("reports", params={"year": 2026})
    <Response [200]>
    >>> reports.authenticated
    True
    """

    def __init__(
        self, profile: Profile, handler: GenericExternallyManagedJWTHandler | None = None
    ) -> None:
        super().__init__(
            profile.source() if handler is None else handler,
            base_url=profile.base_url,
            timeout=profile.timeout,
            retry=profile.retry,
            redirects=profile.redirects_of_session,
            verify=profile.ca_file,
            cert=_certificate(profile),
        )


class ProfilePool(TokenPool):
    """A :class:`TokenPool` with the settings of a profile; made by :func:`keyfob.pool`.

    Its sessions, clients, handlers and auth objects are bound to the origins of the profile. Sessions and clients have its base
    URL, retries, timeouts and certificates too, and share one retry budget. Each has connections and cookies of its own, so keep
    it while its user is active; a client of yours serves all users over the same connections with :meth:`TokenPool.httpx_auth`.

    >>> pool = keyfob.pool("orders", lambda key: lambda: f"login-of-{key.subject}", config=config)
    >>> requests.get(api, auth=pool.auth("alice"))
    <Response [200]>
    """

    def __init__(
        self,
        profile: Profile,
        subject_token: Callable[[PoolKey], GetToken] | None,
        settings: PoolSettings,
    ) -> None:
        self._profile = profile
        self._retry = profile.retry
        source: Any = subject_token
        self._use(profile.pool(source, settings), profile.origins)

    def session(self, key: str | PoolKey) -> ProfileSession:
        """A ``requests`` session of a user. Nothing is fetched or sent.

        Args:
            key: The subject, or a :class:`PoolKey`, whose scopes and resource take the place of those in the file.

        Raises:
            AuthenticationError: The pool is full of keys that must not be evicted.
            ValueError: The key is empty, has a control character, or names another client than the profile.

        >>> pool = keyfob.pool("orders", lambda key: lambda: f"login-of-{key.subject}", config=config)
        >>> pool.session(PoolKey("alice", scopes=["orders:read"])).get("orders")
        <Response [200]>
        """
        session = ProfileSession(self._profile, self.handler(key))
        session.retry = self._retry
        return session

    def client(self, key: str | PoolKey, **kwargs: Any) -> Client:
        """A :class:`keyfob.Client` of a user, for ``httpx``. It takes the keywords of ``httpx.Client``.

        >>> pool = keyfob.pool("orders", lambda key: lambda: f"login-of-{key.subject}", config=config)
        >>> with pool.client("alice") as client:
        ...     client.get("orders")
        <Response [200 OK]>
        """
        # Imported here because httpx is optional, and slow to import.
        from keyfob._httpx_clients import Client

        return Client(self.handler(key), **self._of_httpx(), **kwargs)

    def async_client(self, key: str | PoolKey, **kwargs: Any) -> AsyncClient:
        """A :class:`keyfob.AsyncClient` of a user, for ``httpx``. It takes the keywords of ``httpx.AsyncClient``.

        >>> import asyncio
        >>> pool = keyfob.pool("orders", lambda key: lambda: f"login-of-{key.subject}", config=config)
        >>> async def orders():
        ...     async with pool.async_client("alice") as client:
        ...         return await client.get("orders")
        >>> asyncio.run(orders())
        <Response [200 OK]>
        """
        from keyfob._httpx_clients import AsyncClient

        return AsyncClient(self.handler(key), **self._of_httpx(), **kwargs)

    def _of_httpx(self) -> dict[str, Any]:
        profile = self._profile
        return {
            "base_url": profile.base_url,
            "timeout": profile.timeout,
            "retry": self._retry,
            "redirects": profile.redirects or 0,
            "verify": profile.ca_file,
            "cert": _certificate(profile),
        }


def _certificate(profile: Profile) -> tuple[str, str] | None:
    found = profile.client_certificate()
    if found is None:
        return None
    key = EncryptedKey(found[1])
    key.passphrase = found[2]
    return str(found[0]), key


def _path(config: str | os.PathLike[str] | None) -> str | None:
    return None if config is None else os.fspath(config)
