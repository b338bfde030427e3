"""What a server asks for in addition to a valid token: more scopes, or another authentication of the user."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

from keyfob import _core


@dataclass(frozen=True)
class StepUp:
    """What a server asks for in addition to a valid token; :func:`keyfob.step_up` reads it from a response.

    The request fails with ``insufficient_scope`` (RFC 6750 §3.1) if the token lacks a right, and with
    ``insufficient_user_authentication`` (RFC 9470 §3) if the user has to sign in again or in a stronger way. The token is not
    renewed then, and the request is not sent again. What the server wrote is bounded in number and length; no value has a
    control character. As a ``str`` it is a sentence for people:

    >>> print(StepUp("insufficient_scope", scopes=("read", "write"), words="the server asks for the scopes read write"))
    the server asks for the scopes read write
    """

    reason: Literal["insufficient_scope", "insufficient_user_authentication", "insufficient_claims"]
    """The error code of the server."""
    scopes: tuple[str, ...] = ()
    """The scopes that the request needs; empty if the server does not name them."""
    acr_values: tuple[str, ...] = ()
    """The authentication context classes that the server accepts, best first."""
    max_age: int | None = None
    """How long ago the user may have signed in at most, in seconds."""
    realm: str | None = None
    """The name of the protected part of the server."""
    resource_metadata: str | None = None
    """The URL of the metadata of the protected resource (RFC 9728 §5.1)."""
    words: str = ""
    """What the server asks for, in words."""

    def __str__(self) -> str:
        return self.words


class _RequestsOrHttpx(Protocol):
    @property
    def status_code(self) -> int: ...
    @property
    def headers(self) -> Any: ...


class _Aiohttp(Protocol):
    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Any: ...


class _Error(Protocol):
    @property
    def response(self) -> Any: ...


def step_up(response: _RequestsOrHttpx | _Aiohttp | _Error) -> StepUp | None:
    """What a response asks for in addition to a valid token; ``None`` if it asks for nothing more.

    Args:
        response: A response of ``requests``, ``httpx`` or ``aiohttp``, or the error of its ``raise_for_status``.

    >>> response = requests.Response()
    >>> response.status_code = 401
    >>> response.headers["WWW-Authenticate"] = 'Bearer error="insufficient_user_authentication", max_age="300"'
    >>> asked = keyfob.step_up(response)
    >>> asked.max_age
    300
    >>> print(asked)
    the server asks for a sign-in in the last 300 s
    >>> keyfob.step_up(session.get(api)) is None
    True
    """
    # Not `or`: a response of `requests` is false if its status is an error.
    inner = getattr(response, "response", None)
    found: Any = response if inner is None else inner
    status = getattr(found, "status_code", None) or getattr(found, "status", None)
    headers = getattr(found, "headers", None)
    if status is None or headers is None:
        return None
    asked = _core.step_up(status, JoinedHeaders(headers))
    if asked is None:
        return None
    reason, scopes, acr_values, max_age, realm, resource_metadata, words = asked
    return StepUp(
        reason=reason,
        scopes=tuple(scopes),
        acr_values=tuple(acr_values),
        max_age=max_age,
        realm=realm,
        resource_metadata=resource_metadata,
        words=words,
    )


class JoinedHeaders:
    """The headers of a response, where several fields of one name are one list (RFC 9110 §5.3)."""

    def __init__(self, headers: Any) -> None:
        self._headers = headers

    def get(self, name: str) -> str | None:
        if not hasattr(self._headers, "getall"):  # All but `aiohttp` join the fields.
            value: str | None = self._headers.get(name)
            return value
        values = self._headers.getall(name, [])
        return ", ".join(values) if values else None
