"""What keyfob raises: see each class for what happened and what to do."""

from __future__ import annotations

from requests.exceptions import InvalidURL

__all__ = ["AuthenticationError", "OriginError", "ProfileError"]


class AuthenticationError(ValueError):
    """There is no token that could be sent: it is missing or has expired, or the hook failed.

    What a hook raised is the ``__cause__``. A hook may raise this error itself, to say more about its failure than that
    it failed:

    >>> raise AuthenticationError("the account is locked", permanent=True)
    Traceback (most recent call last):
        ...
    keyfob.errors.AuthenticationError: the account is locked

    Args:
        permanent: The hook is not asked again until a caller forces it.
        retry_after: The seconds in which the hook is not to be asked again.
    """

    kind: str
    """In one word: ``unavailable``, ``refused``, ``expired``, ``malformed`` or ``deadline``."""

    permanent: bool
    """Whether the hook is not asked again until a caller forces it."""

    retry_after: float | None
    """The seconds in which the hook is not asked again, if it said so."""

    def __init__(
        self, *args: object, permanent: bool = False, retry_after: float | None = None
    ) -> None:
        super().__init__(*args)
        self.kind = "refused" if permanent else "unavailable"
        self.permanent = permanent
        self.retry_after = retry_after


class OriginError(InvalidURL):
    """The session's credential may not go to this URL, and nothing was sent.

    A session sends its credential over https, or to this machine. Bind it to the origins that it is for with ``bind``, and
    allow plain http to one of them, where you must, with ``allow_plain_http``.

    >>> session.get("http://api.example.com")
    Traceback (most recent call last):
        ...
    keyfob.errors.OriginError: plain http to http://api.example.com would show the credential to the network; ...
    """


class ProfileError(ValueError):
    """A profile cannot be used: the file has faults, or there is no such profile.

    The text has each fault on a line of its own, with line and column, and what to write instead. No value is quoted, since
    it may be a secret.

    >>> keyfob.session("ehrr", config=config)
    Traceback (most recent call last):
        ...
    keyfob.errors.ProfileError: there is no profile "ehrr"; did you mean `ehr`?...
    """
