"""HTTP sessions that stay authenticated."""

from __future__ import annotations

__all__ = ["AuthenticationError"]


class AuthenticationError(Exception):
    """There is no token to be had."""
