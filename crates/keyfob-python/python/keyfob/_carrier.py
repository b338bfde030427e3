"""The parts that a handler is made from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from keyfob._handler import GenericExternallyManagedJWTHandler
from keyfob._hook import GetToken


@dataclass(kw_only=True)
class ExternallyManagedJWT:
    """The parts that a handler is made from: perhaps a token to start with, and the hook that gets the next one.

    ``get_token`` is a function, a method or any callable that takes no argument and returns ``(jwt, expires)`` or a
    :class:`JWT`; a coroutine function will do, and so will one of :mod:`keyfob.sources`. It is not called at once, but when
    a token is needed.

    >>> carrier = ExternallyManagedJWT(get_token=ask_the_vault)
    >>> carrier
    ExternallyManagedJWT(jwt=None, expires=None, get_token=<function ...>)
    >>> carrier.handler() is carrier.handler()
    True
    """

    jwt: str | None = None
    expires: datetime | None = None
    get_token: GetToken

    def handler(self) -> GenericExternallyManagedJWTHandler:
        """The handler of these parts; the same one each time, so that its token is got once.

        Raises:
            TypeError: A part is of the wrong type.
            ValueError: The token cannot be sent, or its expiry has no time zone.
        """
        made: GenericExternallyManagedJWTHandler | None = vars(self).get(_HANDLER)
        if made is not None:
            return made
        made = GenericExternallyManagedJWTHandler(self.jwt, self.expires, self.get_token)
        # Whoever is first decides, also of two threads.
        first: GenericExternallyManagedJWTHandler = vars(self).setdefault(_HANDLER, made)
        return first

    def __getstate__(self) -> dict[str, Any]:
        """The parts alone: a copy has a handler of its own."""
        return {name: part for name, part in vars(self).items() if name != _HANDLER}

    def __repr__(self) -> str:
        jwt = None if self.jwt is None else "[redacted]"
        return (
            f"{type(self).__qualname__}(jwt={jwt}, expires={self.expires!r}, "
            f"get_token={self.get_token!r})"
        )


_HANDLER = "_handler"
"""Where a carrier keeps its handler: no field, and so neither compared nor shown."""
