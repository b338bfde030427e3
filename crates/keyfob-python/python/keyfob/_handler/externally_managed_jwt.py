"""The settings that a handler is made from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from keyfob._handler.handler import GenericExternallyManagedJWTHandler
from keyfob._hook import GetToken


@dataclass(kw_only=True)
class ExternallyManagedJWT:
    """The settings that a handler is made from: an optional first token, and the hook that returns the next one.

    ``get_token`` is any callable without arguments that returns ``(jwt, expires)`` or a :class:`JWT`, a coroutine function
    that does so, or one of :mod:`keyfob.sources`. It is not called at once, but when a token is needed.

    >>> managed = ExternallyManagedJWT(get_token=ask_the_vault)
    >>> managed
    ExternallyManagedJWT(jwt=None, expires=None, get_token=<function ...>)
    >>> managed.handler() is managed.handler()
    True
    """

    jwt: str | None = None
    expires: datetime | None = None
    get_token: GetToken

    def handler(self) -> GenericExternallyManagedJWTHandler:
        """The handler of these settings. It is the same one each time, so that its token is fetched once.

        Raises:
            TypeError: A setting has the wrong type.
            ValueError: The token cannot be sent, or its expiry has no time zone.
        """
        existing: GenericExternallyManagedJWTHandler | None = vars(self).get(_HANDLER)
        if existing is not None:
            return existing
        made = GenericExternallyManagedJWTHandler(self.jwt, self.expires, self.get_token)
        # `setdefault` is atomic: of two threads, both get the handler of the first.
        first: GenericExternallyManagedJWTHandler = vars(self).setdefault(_HANDLER, made)
        return first

    def __getstate__(self) -> dict[str, Any]:
        """The settings alone: a copy has a handler of its own."""
        return {name: value for name, value in vars(self).items() if name != _HANDLER}

    def __repr__(self) -> str:
        jwt = None if self.jwt is None else "[redacted]"
        return (
            f"{type(self).__qualname__}(jwt={jwt}, expires={self.expires!r}, "
            f"get_token={self.get_token!r})"
        )


_HANDLER = "_handler"
"""The attribute that holds the handler. It is no field of the dataclass, so it is neither compared nor shown."""
