"""What a failure of ``requests`` says about the request: whether the server can have seen it."""

from __future__ import annotations

from requests import exceptions
from urllib3.exceptions import (
    ConnectTimeoutError,
    MaxRetryError,
    NewConnectionError,
    ProxyError,
)


def classify(error: exceptions.RequestException) -> str:
    """One of the core's classes of failure."""
    if isinstance(error, exceptions.SSLError):
        return "final"
    if isinstance(error, exceptions.ConnectTimeout):
        return "connect"
    if isinstance(error, exceptions.Timeout):
        return "timeout"
    if isinstance(error, exceptions.ConnectionError):
        return "connect" if _never_connected(error) else "broken"
    return "final"


def _never_connected(error: exceptions.ConnectionError) -> bool:
    cause = error.args[0] if error.args else None
    if isinstance(cause, MaxRetryError):
        cause = cause.reason
    if isinstance(cause, ProxyError):
        # A proxy may also have hung up with the whole request in its hands.
        cause = cause.original_error
    return isinstance(cause, (NewConnectionError, ConnectTimeoutError))
