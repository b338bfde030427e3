"""What a hook may return, read as a token with its expiry.

An error names the type of what was returned and the names of its fields, never a value: any value may be the token.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from keyfob._core import HookCall
from keyfob._values import JWT, to_timestamp
from keyfob.errors import AuthenticationError

Expires = datetime | timedelta | float | None
"""A point in time with a time zone, or a lifetime: a ``timedelta`` or seconds; ``None`` if it is unknown."""

HookResult = str | tuple[str, Expires] | JWT | Mapping[str, Any]
"""What a hook may return; a mapping is the response of a token endpoint (RFC 6749 §5.1) or looks like one."""


def report(result: Any, call: HookCall) -> None:
    """Reports what a hook returned to its call.

    Raises:
        AuthenticationError: It is the error response of a token endpoint.
        TypeError: It has the wrong type.
        ValueError: It is no token that can be sent, or its expiry cannot be read.
    """
    if isinstance(result, str):
        call.succeed(result)
    elif isinstance(result, JWT):
        _report_pair(result.jwt, result.expires, call)
    elif isinstance(result, Mapping):
        _report_mapping(result, call)
    elif isinstance(result, tuple) and any(
        name in _TOKEN for name in getattr(result, "_fields", ())
    ):
        # The fields of a named tuple say more than their order: `expires_on` is no lifetime.
        named: Any = result
        _report_mapping(named._asdict(), call)
    elif isinstance(result, (tuple, list)) and len(result) == 2:
        _report_pair(result[0], result[1], call)
    else:
        raise TypeError(
            "get_token must return a token: a str, (jwt, expires), a JWT, or the dict of a token endpoint; "
            f"not {type(result).__name__}"
        )


def _report_pair(jwt: Any, expires: Any, call: HookCall) -> None:
    if not isinstance(jwt, str):
        raise TypeError(f"get_token must return the token as a str, not {type(jwt).__name__}")
    if expires is None:
        call.succeed(jwt)
    elif isinstance(expires, datetime):
        call.succeed(jwt, expires=to_timestamp(expires))
    elif isinstance(expires, timedelta):
        call.succeed(jwt, lifetime=max(0.0, expires.total_seconds()))
    elif isinstance(expires, (int, float)) and not isinstance(expires, bool):
        call.succeed(jwt, lifetime=_lifetime(expires))
    else:
        raise TypeError(
            "expires must be a datetime with a time zone, a timedelta, a number of seconds or None, "
            f"not {type(expires).__name__}"
        )


def _lifetime(seconds: float) -> float:
    if not math.isfinite(seconds):
        raise ValueError("expires must be a finite number; use None for an unknown expiry")
    if seconds >= _A_POINT_IN_TIME:
        raise ValueError(
            "expires is a number of seconds from now, and this one looks like a point in time; "
            "return datetime.fromtimestamp(number, timezone.utc) instead"
        )
    return max(0.0, float(seconds))


def _report_mapping(fields: Mapping[Any, Any], call: HookCall) -> None:
    error = fields.get("error")
    if isinstance(error, str) and not any(fields.get(name) for name in _TOKEN):
        # Some libraries return the error response (RFC 6749 §5.2) instead of raising an exception.
        code = f"`{error}`" if _is_plain(error) else "an error"
        raise AuthenticationError(
            f"get_token returned the error response of a token endpoint: {code}",
            permanent=error in _PERMANENT,
        )
    if not fields:
        raise ValueError("get_token returned an empty dict, which has no token")
    fields = dict(fields)
    if "jwt" in fields:
        # The name in a `JWT`, which the core's formats do not have.
        fields.setdefault("token", fields.pop("jwt"))
    call.succeed_with_json(json.dumps(fields, default=_as_json, skipkeys=True, allow_nan=False))


def _as_json(value: Any) -> Any:
    if isinstance(value, datetime):
        to_timestamp(value)  # Refuses a time without a zone.
        return value.isoformat()
    if isinstance(value, timedelta):
        return max(0.0, value.total_seconds())
    # A wrong type for each field that the core reads; the others do not matter.
    return []


def _is_plain(name: str) -> bool:
    """Whether a text is a plain word, and so no secret by mistake."""
    return len(name) <= 40 and name.replace("_", "").isalpha() and name.isascii()


_TOKEN = ("access_token", "accessToken", "token", "jwt")
_PERMANENT = ("invalid_grant", "invalid_client", "unauthorized_client")
_A_POINT_IN_TIME = 1e9
"""In seconds: longer than the life of any token, and earlier than any expiry."""
