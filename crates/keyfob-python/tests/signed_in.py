"""Sessions that have a token of the issuer beside the test, and retry at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

from keyfob import (
    BearerAuthSession,
    ExternallyManagedJWTSession,
    GenericExternallyManagedJWTHandler,
    RetryPolicy,
)
from outside import Outside

AT_ONCE = RetryPolicy(pauses=(0, 0))
"""The usual rules without a pause; for its `with_own_budget`, so that no test spends what is another's."""


class Hook:
    """Gets tokens from the issuer, and counts how often it is called."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside
        self._counting = threading.Lock()
        self.calls = 0

    def __call__(self) -> tuple[str, datetime]:
        with self._counting:
            self.calls += 1
        return self._outside.token(), in_an_hour()


def fixed(outside: Outside) -> BearerAuthSession:
    """A session with a good token that is not renewed."""
    return with_token(outside.token())


def with_token(token: str) -> BearerAuthSession:
    """A session with this token."""
    session = BearerAuthSession(token)
    session.retry = AT_ONCE.with_own_budget()
    return session


def renewing(hook: Callable[[], Any]) -> ExternallyManagedJWTSession:
    """A session whose tokens the hook gets."""
    return over(GenericExternallyManagedJWTHandler(None, None, hook))


def over(handler: Any) -> ExternallyManagedJWTSession:
    """A session over this handler, or over what takes its place."""
    session = ExternallyManagedJWTSession(handler)
    session.retry = AT_ONCE.with_own_budget()
    return session


def in_an_hour() -> datetime:
    """The expiry of a token that outlives its test."""
    return datetime.now(timezone.utc) + timedelta(hours=1)
