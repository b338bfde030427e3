"""When a token expires, as Python's datetime says it and as the core counts it."""

from __future__ import annotations

from datetime import datetime, timezone


def to_timestamp(expires: datetime) -> float:
    """The POSIX timestamp of an expiry.

    Raises:
        TypeError: It is no datetime.
        ValueError: It has no time zone.
    """
    if not isinstance(expires, datetime):
        raise TypeError(f"expires must be a datetime with a time zone, not {_name(expires)}")
    if expires.utcoffset() is None:
        raise ValueError(
            "expires has no time zone, so it could be meant in any; say which, "
            "for example datetime.now(timezone.utc) + timedelta(hours=1)"
        )
    return expires.timestamp()


def from_timestamp(seconds: float) -> datetime:
    """The expiry at a POSIX timestamp, in UTC."""
    return datetime.fromtimestamp(seconds, timezone.utc)


def _name(value: object) -> str:
    return type(value).__name__
