"""Sessions with a token from the issuer of the test, which retry without a pause."""

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
from servers import Servers

AT_ONCE = RetryPolicy(pauses=(0, 0))
"""The default policy without pauses. Sessions take a copy `with_own_budget`, so that no test uses up the budget of another."""


class Hook:
    """Fetches tokens from the issuer, and counts its calls."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._counting = threading.Lock()
        self.calls = 0

    def __call__(self) -> tuple[str, datetime]:
        with self._counting:
            self.calls += 1
        return self._servers.token(), in_an_hour()


def fixed(servers: Servers) -> BearerAuthSession:
    """A session with a valid token that is not renewed."""
    return with_token(servers.token())


def with_token(token: str) -> BearerAuthSession:
    """A session with this token."""
    session = BearerAuthSession(token)
    session.retry = AT_ONCE.with_own_budget()
    return session


def renewing(hook: Callable[[], Any]) -> ExternallyManagedJWTSession:
    """A session whose tokens come from the hook."""
    return over(GenericExternallyManagedJWTHandler(None, None, hook))


def over(handler: Any) -> ExternallyManagedJWTSession:
    """A session over this handler, which may be a custom one."""
    session = ExternallyManagedJWTSession(handler)
    session.retry = AT_ONCE.with_own_budget()
    return session


def in_an_hour() -> datetime:
    """The expiry of a token that outlives its test."""
    return datetime.now(timezone.utc) + timedelta(hours=1)
