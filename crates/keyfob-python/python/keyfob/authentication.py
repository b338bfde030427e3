"""General authentication classes for external service interactions: the names of the API reference."""

from __future__ import annotations

from keyfob._bearer_session import BearerAuthSession
from keyfob._carrier import ExternallyManagedJWT
from keyfob._handler import GenericExternallyManagedJWTHandler
from keyfob._jwt import JWT
from keyfob._jwt_session import ExternallyManagedJWTSession
from keyfob.errors import AuthenticationError

__all__ = [
    "JWT",
    "AuthenticationError",
    "BearerAuthSession",
    "ExternallyManagedJWT",
    "ExternallyManagedJWTSession",
    "GenericExternallyManagedJWTHandler",
]
