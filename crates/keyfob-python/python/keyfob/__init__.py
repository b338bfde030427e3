"""HTTP sessions that stay authenticated.

keyfob is for programs whose API tokens are issued by another system and expire. It fetches the token from its source, renews it
once for all callers before it expires, sends it only to the origins it was given for, retries what is safe to retry, and never
shows it.

>>> from keyfob import ExternallyManagedJWTSession, GenericExternallyManagedJWTHandler
>>> handler = GenericExternallyManagedJWTHandler(None, None, ask_the_vault)
>>> session = ExternallyManagedJWTSession(handler)
>>> session.get(api)
<Response [200]>

To send requests, with the token added, renewed and replayed:

- :class:`Session` is a ``requests.Session``; ``Client`` and ``AsyncClient`` are those of ``httpx``;
  :mod:`keyfob.aiohttp` has a middleware. :func:`session` makes the one that a profile describes.
- :class:`TokenPool` has a token for each of many users; :func:`pool` makes one with the settings of a profile.
- ``handler.auth()`` and ``handler.httpx_auth()`` are for a session or client of your own.
- :class:`BearerAuthSession` and :class:`ExternallyManagedJWTSession` have the names of an older module.

Where the token comes from: any function that returns ``token``, ``(token, seconds)`` or the response of a token endpoint;
or one of :mod:`keyfob.sources`: a command, a file, a variable, a grant of OAuth 2.0. A
:class:`GenericExternallyManagedJWTHandler` holds it, and sessions that are given the same handler share it.

When something fails: :class:`AuthenticationError` says that there is no token, :class:`OriginError` that the token may not
go there, :class:`ProfileError` that the profile has a mistake. A response is returned whatever its status.
:class:`RetryPolicy` says which requests are sent again, and :func:`step_up` reads what a server asks for.

For tests: :mod:`keyfob.testing` has a clock and an issuer. ``help()`` of each name has the details and an example.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keyfob import _core, sources
from keyfob._core import RetryPolicy
from keyfob._pool import TokenPool
from keyfob._profiles import ProfilePool, ProfileSession, pool, profiles, session
from keyfob._session.front import Session
from keyfob._step_up import StepUp, step_up
from keyfob._values import PoolKey, PoolStatus, Status
from keyfob.authentication import (
    JWT,
    AuthenticationError,
    BearerAuthSession,
    ExternallyManagedJWT,
    ExternallyManagedJWTSession,
    GenericExternallyManagedJWTHandler,
)
from keyfob.errors import OriginError, ProfileError

if TYPE_CHECKING:
    from keyfob._httpx_clients import AsyncClient as AsyncClient
    from keyfob._httpx_clients import Client as Client

__version__: str = _core.VERSION
"""The version of the package."""

__all__ = [
    "JWT",
    "AuthenticationError",
    "BearerAuthSession",
    "ExternallyManagedJWT",
    "ExternallyManagedJWTSession",
    "GenericExternallyManagedJWTHandler",
    "OriginError",
    "PoolKey",
    "PoolStatus",
    "ProfileError",
    "ProfilePool",
    "ProfileSession",
    "RetryPolicy",
    "Session",
    "Status",
    "StepUp",
    "TokenPool",
    "__version__",
    "pool",
    "profiles",
    "session",
    "sources",
    "step_up",
]


def __getattr__(name: str) -> Any:
    # Imported late because `httpx` is optional, and slow to import.
    if name in ("AsyncClient", "Client"):
        from keyfob import _httpx_clients

        return getattr(_httpx_clients, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
