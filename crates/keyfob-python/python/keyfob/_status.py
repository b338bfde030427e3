"""How a handler stands."""

from __future__ import annotations

from typing import TypedDict


class Status(TypedDict):
    """How a handler stands, without any secret; times are in seconds.

    >>> handler.status()["authenticated"]
    True
    """

    authenticated: bool
    """Whether there is a token that is not about to expire."""
    age: float | None
    """Time since the hook was asked for the token."""
    expires_in: float | None
    """Time until the token expires; ``None`` if there is no token, or it has no known expiry."""
    next_renewal_in: float | None
    """Time until the token is renewed beside the requests, or until a failed renewal is tried again."""
    renewing: bool
    """Whether the hook is being asked now."""
    generation: int
    """Grows each time another token takes the place of the last, the first one included."""
    renewals: int
    """Renewals that gave a token."""
    failures: int
    """Renewals that failed."""
    delayed: int
    """Callers that waited for a renewal though there had been a token before; those after a 401 apart."""
    last_error: str | None
    """What the last renewal failed of, in one word, if it failed."""
