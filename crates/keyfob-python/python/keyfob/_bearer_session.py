"""The session with a fixed token."""

from __future__ import annotations

from keyfob import _core, _process
from keyfob._session import AuthenticatedSession


class BearerAuthSession(AuthenticatedSession):
    """A ``requests.Session`` that sends a fixed bearer token (RFC 6750 §2.1), with safe automatic retry.

    It has no notion of expiry or renewal: the token is used as it is. If it has to be renewed, use
    :class:`ExternallyManagedJWTSession`.

    Args:
        bearer_token: The token, without the word ``Bearer``.

    Raises:
        TypeError: The token is no ``str``.
        ValueError: It is empty, or has a character that no header may carry.

    >>> session = BearerAuthSession(get_a_token())
    >>> session.get(api, params={"year": 2026})
    <Response [200]>
    """

    def __init__(self, bearer_token: str) -> None:
        super().__init__()
        _check(bearer_token)
        source = _core.Source.fixed(bearer_token)
        self._tokens = _process.watch(_core.TokenCache(source, bearer_token))

    @property
    def token(self) -> str:
        """The token; assigning another one has it sent from then on. Its ``repr`` hides it.

        Raises:
            TypeError: What is assigned is no ``str``.
            ValueError: It is empty, or has a character that no header may carry.

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
