"""General authentication classes for external service interactions: the names of the API reference."""

from __future__ import annotations

from keyfob._handler.externally_managed_jwt import ExternallyManagedJWT
from keyfob._handler.handler import GenericExternallyManagedJWTHandler
from keyfob._session.bearer import BearerAuthSession
from keyfob._session.externally_managed import ExternallyManagedJWTSession
from keyfob._values import JWT
from keyfob.errors import AuthenticationError

__all__ = [
    "JWT",
    "AuthenticationError",
    "BearerAuthSession",
    "ExternallyManagedJWT",
    "ExternallyManagedJWTSession",
    "GenericExternallyManagedJWTHandler",
]
