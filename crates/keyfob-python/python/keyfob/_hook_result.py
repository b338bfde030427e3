"""What a hook may return, read as a token with its expiry.

An error names the type of what was returned and the names of its fields, never a value: any value may be the token.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from keyfob._values import JWT, to_timestamp
from keyfob.errors import AuthenticationError

Expires = datetime | timedelta | float | None
"""A point in time with a time zone, or a lifetime: a ``timedelta`` or seconds; ``None`` if it is unknown."""

HookResult = str | tuple[str, Expires] | JWT | Mapping[str, Any]
"""What a hook may return; a mapping is the response of a token endpoint (RFC 6749 §5.1) or looks like one."""


class HookToken(NamedTuple):
    """A token, its scheme unless that is ``Bearer``, and a POSIX timestamp of its expiry or its lifetime in seconds."""

    jwt: str
    scheme: str | None = None
    expires: float | None = None
    lifetime: float | None = None


def read(result: Any) -> HookToken:
    """Reads what a hook returned.

    Raises:
        AuthenticationError: It is the error response of a token endpoint.
        TypeError: It has the wrong type.
        ValueError: Its expiry cannot be read, or is in a field that is not known.
    """
    if isinstance(result, str):
        return HookToken(result)
    if isinstance(result, JWT):
        return _with_expiry(result.jwt, result.expires)
    if isinstance(result, tuple) and any(name in _TOKEN for name in getattr(result, "_fields", ())):
        # The fields of a named tuple say more than their order: `expires_on` is no lifetime.
        named: Any = result
        return _read_mapping(named._asdict())
    if isinstance(result, (tuple, list)) and len(result) == 2:
        return _with_expiry(result[0], result[1])
    if isinstance(result, Mapping):
        return _read_mapping(result)
    raise TypeError(
        "get_token must return a token: a str, (jwt, expires), a JWT, or the dict of a token endpoint; "
        f"not {type(result).__name__}"
    )


def _with_expiry(jwt: Any, expires: Any) -> HookToken:
    if not isinstance(jwt, str):
        raise TypeError(f"get_token must return the token as a str, not {type(jwt).__name__}")
    if expires is None:
        return HookToken(jwt)
    if isinstance(expires, timedelta):
        return HookToken(jwt, lifetime=max(0.0, expires.total_seconds()))
    if isinstance(expires, (int, float)) and not isinstance(expires, bool):
        lifetime = _finite(expires, "expires")
        if lifetime >= _A_POINT_IN_TIME:
            raise ValueError(
                "expires is a number of seconds from now, and this one looks like a point in time; "
                "return datetime.fromtimestamp(number, timezone.utc) instead"
            )
        return HookToken(jwt, lifetime=max(0.0, lifetime))
    if not isinstance(expires, datetime):
        raise TypeError(
            "expires must be a datetime with a time zone, a timedelta, a number of seconds or None, "
            f"not {type(expires).__name__}"
        )
    return HookToken(jwt, expires=to_timestamp(expires))


def _read_mapping(fields: Mapping[Any, Any]) -> HookToken:
    jwt = _first(fields, _TOKEN)
    if jwt is None:
        raise _without_token(fields)
    name, text = jwt
    if not isinstance(text, str):
        raise TypeError(f"`{name}` of get_token's dict must be a str, not {type(text).__name__}")
    unknown = [str(field) for field in fields if _is_unknown_expiry(field, fields[field])]
    if unknown:
        raise ValueError(
            f"get_token returned a dict whose expiry may be in {_quoted(unknown)}, which keyfob does not know; "
            f"use one of {_quoted([*_ABSOLUTE, *_RELATIVE])}, or return (jwt, expires)"
        )
    token = HookToken(text, scheme=_scheme(_first(fields, _KIND)))
    # A point in time first: the number of seconds in a dict that was kept counts from an unknown moment.
    absolute = _first(fields, _ABSOLUTE)
    if absolute is not None:
        return token._replace(expires=_point_in_time(*absolute))
    relative = _first(fields, _RELATIVE)
    if relative is not None:
        return token._replace(lifetime=_lifetime(*relative))
    return token


def _without_token(fields: Mapping[Any, Any]) -> Exception:
    error = fields.get("error")
    if isinstance(error, str):
        # Some libraries return the error response (RFC 6749 §5.2) instead of raising an exception.
        code = f"`{error}`" if _is_plain(error) else "an error"
        return AuthenticationError(
            f"get_token returned the error response of a token endpoint: {code}",
            permanent=error in _PERMANENT,
        )
    return ValueError(
        f"get_token returned a dict without a token: it has none of {_quoted(_TOKEN)}, "
        f"but {_quoted(sorted(str(field) for field in fields))}"
    )


def _first(fields: Mapping[Any, Any], names: tuple[str, ...]) -> tuple[str, Any] | None:
    """The first of these fields that is there; ``None`` as a value is the same as no field."""
    return next(((name, fields[name]) for name in names if fields.get(name) is not None), None)


def _scheme(kind: tuple[str, Any] | None) -> str | None:
    """The scheme of a token type; many servers send ``bearer`` for the scheme ``Bearer`` (RFC 6749 §5.1)."""
    if kind is None:
        return None
    name, scheme = kind
    if not isinstance(scheme, str):
        raise TypeError(f"`{name}` of get_token's dict must be a str, not {type(scheme).__name__}")
    return None if scheme.lower() in _BEARER else scheme


def _point_in_time(name: str, value: Any) -> float:
    if isinstance(value, datetime):
        return to_timestamp(value)
    number = _number(value)
    if number is not None:
        if number >= _MILLISECONDS:
            raise ValueError(f"`{name}` of get_token's dict looks like milliseconds; give seconds")
        if abs(number) < _A_POINT_IN_TIME:
            raise ValueError(
                f"`{name}` of get_token's dict is a POSIX timestamp, and this one looks like a number of seconds from now; "
                "name the field `expires_in`"
            )
        return _finite(number, name)
    if isinstance(value, str):
        try:
            # `fromisoformat` knows `Z` (RFC 3339 §4.3) since Python 3.11.
            time = datetime.fromisoformat(value.strip().replace("Z", "+00:00"))
        except ValueError:
            time = None
        if time is not None and time.utcoffset() is not None:
            return time.timestamp()
        raise ValueError(
            f"`{name}` of get_token's dict is neither a POSIX timestamp nor a time with a time zone (RFC 3339)"
        )
    raise _wrong_type(name, value)


def _lifetime(name: str, value: Any) -> float:
    if isinstance(value, timedelta):
        return max(0.0, value.total_seconds())
    number = _number(value)
    if number is None:
        if isinstance(value, str):
            raise ValueError(f"`{name}` of get_token's dict is not a number of seconds")
        raise _wrong_type(name, value)
    return min(max(0.0, _finite(number, name)), _LONGEST)


def _number(value: Any) -> float | None:
    """A number, which some servers send as text."""
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return float(value)
    try:
        return float(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _finite(number: float, name: str) -> float:
    if not math.isfinite(number):
        raise ValueError(f"`{name}` must be a finite number; use None for an unknown expiry")
    return float(number)


def _wrong_type(name: str, value: Any) -> TypeError:
    return TypeError(f"`{name}` of get_token's dict has the wrong type: {type(value).__name__}")


def _is_unknown_expiry(field: Any, value: Any) -> bool:
    """Whether a field seems to say when the token expires, and is not known (T5)."""
    if not isinstance(field, str) or value is None or field in (*_ABSOLUTE, *_RELATIVE):
        return False
    name = field.lower().replace("-", "_")
    if any(other in name for other in _OF_ANOTHER):
        return False
    return any(word in name for word in _EXPIRY_WORDS)


def _quoted(names: Any) -> str:
    shown = [f"`{name}`" for name in names if _is_plain(name)][:_MOST_SHOWN]
    return ", ".join(shown) or "fields with unusual names"


def _is_plain(name: str) -> bool:
    """Whether a text is a plain word, and so no secret by mistake."""
    return len(name) <= 40 and name.replace("_", "").replace("-", "").isalpha() and name.isascii()


_TOKEN = ("access_token", "accessToken", "token", "jwt", "id_token")
_KIND = ("token_type", "tokenType")
_ABSOLUTE = ("expires_at", "expiresAt", "expires_on", "expires", "expiry", "expiration", "exp")
_RELATIVE = ("expires_in", "expiresIn")
_EXPIRY_WORDS = (
    "expir",
    "lifetime",
    "valid_until",
    "validuntil",
    "valid_for",
    "ttl",
    "lease_duration",
)
_OF_ANOTHER = ("refresh", "ext_expires", "id_token", "expireson")
"""In names of fields about something else: a refresh token, and Azure's ``expiresOn``, which has no time zone."""

_BEARER = ("bearer", "bearertoken")
_PERMANENT = ("invalid_grant", "invalid_client", "unauthorized_client")
_MOST_SHOWN = 16
_A_POINT_IN_TIME = 1e9
"""In seconds: a longer lifetime than any, and an earlier time than any."""

_MILLISECONDS = 1e11
_LONGEST = float(2**31)
"""About 68 years, in seconds. Longer lifetimes are cut to it, as those of a token response are."""
