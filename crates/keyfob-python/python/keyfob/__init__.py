"""HTTP sessions that stay authenticated.

keyfob is for programs whose API token is issued by something else and runs out. It gets the token where it comes from, renews
it once for all callers and before it ends, puts it on requests to the origins that it was given for and on no others, retries
what is safe to retry, and never shows it.

>>> from keyfob import ExternallyManagedJWTSession, GenericExternallyManagedJWTHandler
>>> handler = GenericExternallyManagedJWTHandler(None, None, ask_the_vault)
>>> session = ExternallyManagedJWTSession(handler)
>>> session.get(api)
<Response [200]>
"""

from __future__ import annotations

from keyfob import sources
from keyfob._core import RetryPolicy
from keyfob._profiles import ProfileSession, profiles, session
from keyfob._status import Status
from keyfob.authentication import (
    JWT,
    AuthenticationError,
    BearerAuthSession,
    ExternallyManagedJWT,
    ExternallyManagedJWTSession,
    GenericExternallyManagedJWTHandler,
)
from keyfob.errors import OriginError, ProfileError

__all__ = [
    "JWT",
    "AuthenticationError",
    "BearerAuthSession",
    "ExternallyManagedJWT",
    "ExternallyManagedJWTSession",
    "GenericExternallyManagedJWTHandler",
    "OriginError",
    "ProfileError",
    "ProfileSession",
    "RetryPolicy",
    "Status",
    "profiles",
    "session",
    "sources",
]
