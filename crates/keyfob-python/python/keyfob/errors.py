"""The exceptions of keyfob; each class says what happened and what to do."""

from __future__ import annotations

from requests.exceptions import InvalidURL

__all__ = ["AuthenticationError", "OriginError", "ProfileError"]


class AuthenticationError(ValueError):
    """No token can be sent: it is missing or has expired, or the hook failed.

    The ``__cause__`` is the exception of the hook. A hook may raise this error itself to give details about its failure:

    >>> raise AuthenticationError("the account is locked", permanent=True)
    Traceback (most recent call last):
        ...
    keyfob.errors.AuthenticationError: the account is locked

    Args:
        permanent: The hook is not called again until a caller forces it.
        retry_after: The hook is not called again for this time, in seconds.
    """

    kind: str
    """The kind of failure: ``unavailable``, ``refused``, ``expired``, ``malformed`` or ``deadline``."""

    permanent: bool
    """Whether the hook is not called again until a caller forces it."""

    retry_after: float | None
    """How long the hook is not called again, in seconds, if it set a time."""

    def __init__(
        self, *args: object, permanent: bool = False, retry_after: float | None = None
    ) -> None:
        super().__init__(*args)
        self.kind = "refused" if permanent else "unavailable"
        self.permanent = permanent
        self.retry_after = retry_after


class OriginError(InvalidURL):
    """The session's credential may not go to this URL, and nothing was sent.

    A session sends its credential over https, or to this machine. Use ``bind`` to limit it to the origins that it is for, and
    ``allow_plain_http`` if one of them has no https.

    >>> session.get("http://api.example.com")
    Traceback (most recent call last):
        ...
    keyfob.errors.OriginError: plain http to http://api.example.com would show the credential to the network; ...
    """


class ProfileError(ValueError):
    """A profile cannot be used: the file has errors, or has no such profile.

    The text lists each error on a line of its own, with line, column and a suggestion. It quotes no value, because a value may
    be a secret.

    >>> keyfob.session("ehrr", config=config)
    Traceback (most recent call last):
        ...
    keyfob.errors.ProfileError: there is no profile "ehrr"; did you mean `ehr`?...
    """
