"""What a ``repr`` says about tokens and origins; never a secret."""

from __future__ import annotations

from keyfob._core import Origins, TokenCache


def token_state(tokens: TokenCache) -> str:
    """Whether there is a token, and when it expires. Never calls the hook."""
    status = tokens.status()
    left = status["expires_in"]
    if status["authenticated"]:
        return f"authenticated, {_expiry(left)}"
    if left is not None and left > 0:
        return f"about to expire, {_expiry(left)}"
    if status["last_error"] is not None:
        return f"not authenticated, last error: {status['last_error']}"
    return "not authenticated"


def destinations(origins: Origins) -> str:
    """Where the token may go."""
    return "for " + (", ".join(origins.bound) or "any https origin")


def _expiry(left: float | None) -> str:
    return "unknown expiry" if left is None else f"expires in {left:.0f} s"
