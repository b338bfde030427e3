"""The session with a fixed token."""

from __future__ import annotations

from keyfob import _core, _fork
from keyfob._session.session import AuthenticatedSession


class BearerAuthSession(AuthenticatedSession):
    """A ``requests.Session`` that sends a fixed bearer token (RFC 6750 §2.1), with safe automatic retry.

    It knows neither expiry nor renewal: it sends the token as it is. For a token that must be renewed, use
    :class:`ExternallyManagedJWTSession`.

    Args:
        bearer_token: The token, without the word ``Bearer``.

    Raises:
        TypeError: The token is not a ``str``.
        ValueError: It is empty, or contains a character that is not allowed in a header.

    >>> session = BearerAuthSession(get_a_token())
    >>> session.get(api, params={"year": 2026})
    <Response [200]>
    """

    def __init__(self, bearer_token: str) -> None:
        super().__init__()
        _check(bearer_token)
        source = _core.Source.fixed(bearer_token)
        self._tokens = _fork.watch(_core.TokenCache(source, bearer_token))

    @property
    def token(self) -> str:
        """The token. Later requests send the token that you assign. Its ``repr`` hides it.

        Raises:
            TypeError: The assigned value is not a ``str``.
            ValueError: It is empty, or contains a character that is not allowed in a header.

        >>> BearerAuthSession("mF_9.B5f-4.1JqM").token
        '[redacted]'
        """
        return self._tokens.lease().token

    @token.setter
    def token(self, token: str) -> None:
        _check(token)
        self._tokens.set_token(token)

    def _cache(self) -> _core.TokenCache:
        return self._tokens


def _check(token: object) -> None:
    if not isinstance(token, str):
        raise TypeError(f"the bearer token must be a str, not {type(token).__name__}")
