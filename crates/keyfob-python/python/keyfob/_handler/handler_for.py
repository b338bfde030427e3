"""The handler for whatever a user passes as the tokens of a client."""

from __future__ import annotations

from typing import Any

from keyfob import _core
from keyfob._handler.externally_managed_jwt import ExternallyManagedJWT
from keyfob._handler.handler import GenericExternallyManagedJWTHandler
from keyfob._hook import GetToken
from keyfob._values import CacheSettings

Tokens = GetToken | GenericExternallyManagedJWTHandler | ExternallyManagedJWT
"""A hook, one of :mod:`keyfob.sources`, or a handler that other clients may share."""


def handler_for(tokens: Any, settings: CacheSettings) -> GenericExternallyManagedJWTHandler:
    """The handler for these tokens.

    Raises:
        TypeError: They are nothing that can give a token, or a handler has settings of its own already.
    """
    if isinstance(tokens, str):
        # Not shown: it may be the token.
        raise TypeError(
            "a str is no source of tokens; for a token that never changes use BearerAuthSession(token), "
            "for a profile use keyfob.session(name)"
        )
    if isinstance(tokens, _core.Source) or callable(tokens):
        source: Any = tokens
        return GenericExternallyManagedJWTHandler(get_token=source, **settings._asdict())
    if settings != CacheSettings():
        given = [name for name, value in settings._asdict().items() if value is not None]
        raise TypeError(f"{', '.join(given)}: set it on the handler, which has its token already")
    if isinstance(tokens, ExternallyManagedJWT):
        return tokens.handler()
    handler: GenericExternallyManagedJWTHandler = tokens
    return handler
