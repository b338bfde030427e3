"""Plain values: tokens, their expiry, and the state of a handler."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, NamedTuple, TypedDict


@dataclass
class JWT:
    """A JSON web token and its expiry.

    ``expires`` is a ``datetime`` with a time zone. The ``repr`` does not show the token:

    >>> from datetime import datetime, timezone
    >>> JWT("s3cret", datetime(2030, 1, 1, tzinfo=timezone.utc))
    JWT(jwt=[redacted], expires=datetime.datetime(2030, 1, 1, 0, 0, tzinfo=datetime.timezone.utc))
    """

    jwt: str
    expires: datetime

    def __repr__(self) -> str:
        return f"{type(self).__qualname__}(jwt=[redacted], expires={self.expires!r})"


class Status(TypedDict):
    """The state of a handler, without any secret. Times are in seconds.

    >>> handler.status()["authenticated"]
    True
    """

    authenticated: bool
    """Whether there is a token that is not about to expire."""
    age: float | None
    """Time since the hook was called for the token."""
    expires_in: float | None
    """Time until the token expires; ``None`` without a token or a known expiry."""
    next_renewal_in: float | None
    """Time until the next renewal in the background.

    After a failure, until the next attempt; after a refusal, until the token expires.
    """
    renewing: bool
    """Whether the hook is running now."""
    generation: int
    """Grows by one with each new token, the first one included."""
    renewals: int
    """The number of renewals that returned a token."""
    failures: int
    """The number of renewals that failed."""
    delayed: int
    """The number of callers that waited although there was a token before; callers after a 401 are not counted."""
    last_error: str | None
    """The kind of the last failure, if the last renewal failed."""


class PoolKey(NamedTuple):
    """The key of a token in a :class:`keyfob.TokenPool`: whose it is, and for what.

    >>> PoolKey("alice", scopes=["read"]).subject
    'alice'
    """

    subject: str
    """The user, tenant or service that the token is for."""
    scopes: Sequence[str] = ()
    """The scopes that are requested; their order does not matter."""
    resource: str | None = None
    """The API that the token is for (RFC 8707)."""
    client: str | None = None
    """The client that asks for the token, if the pool serves several."""


class PoolStatus(TypedDict):
    """The state of a :class:`keyfob.TokenPool`, without any key or secret.

    >>> pool.status()["queued"]
    0
    """

    entries: int
    """The keys that the pool has a handler or a token for now."""
    created: int
    """How many keys were added."""
    evicted: int
    """How many keys were evicted, because there were too many or they were idle."""
    fetching: int
    """The fetches that run now."""
    queued: int
    """The fetches that wait for others to end."""


class PoolSettings(NamedTuple):
    """The settings of a pool."""

    max_entries: int
    idle_timeout: float
    fetches_at_once: int
    max_queued: int
    fetch_timeout: float | None = None
    default_lifetime: float | None = None


class CacheSettings(NamedTuple):
    """The settings of a token cache that have a default."""

    fetch_timeout: float | None = None
    """The limit of one call of the source, in seconds. The limit of a profile takes precedence."""
    default_lifetime: float | None = None
    """How long a token without an expiry is used, in seconds; until it is rejected unless set."""
    header: str | None = None
    """The header that carries the token alone, instead of ``Authorization: Bearer``."""
    scheme: str | None = None
    """The scheme before the token in ``Authorization``, instead of ``Bearer``."""
    rejected_statuses: Collection[int] | None = None
    """The statuses that mean a rejected token, in addition to 401; those of a profile unless set."""


class Transport(NamedTuple):
    """How a source reaches the server that issues its token."""

    ca_file: str | None
    """The file with the certificate authorities that are trusted."""
    cert: tuple[str, str] | None
    """The files of the client certificate and its key."""
    allow_plain_http: str | None
    """The origin that may be reached with plain ``http``."""
    timeout: float | None
    """The limit of one request, in seconds."""


class HttpSettings(NamedTuple):
    """The request of a token, and where in the response the token is.

    The value of a header, a form field or a place in the JSON is a text, a source whose token follows the text, and whether the
    text is JSON.
    """

    url: str
    method: str | None
    headers: list[tuple[str, str, Any, bool]]
    form: list[tuple[str, str, Any, bool]]
    json: list[tuple[str, str, Any, bool]]
    token: str | None
    expiry: str | None
    expiry_form: str | None
    refused: Collection[int] | None
    default_lifetime: float | None


class PrivateKey(NamedTuple):
    """A private key, as PEM or a JWK."""

    text: str
    passphrase: str | None
    key_id: str | None
    algorithm: str | None


class JwtTimes(NamedTuple):
    """When a JWT is valid, in seconds, and whether it is unique."""

    lifetime: float | None
    backdate: float | None
    not_before: bool
    unique_id: bool


class ClientSettings(NamedTuple):
    """A client of an authorization server."""

    issuer: str | None
    token_endpoint: str | None
    client_id: str | None
    client_secret: str | None
    secret_post: bool
    private_key: PrivateKey | None
    client_assertion: Any


class GrantSettings(NamedTuple):
    """What a client asks the token endpoint for."""

    assertion: Any
    subject: tuple[Any, str] | None
    requested_type: str | None
    scopes: list[str]
    audience: str | None
    resource: str | None
    parameters: list[tuple[str, str]]
    use_id_token: bool
    default_lifetime: float | None


class RequestInfo(NamedTuple):
    """The facts about a request that the core's exchange needs."""

    method: str
    url: str | None
    """Where the request goes. ``None`` skips the check of the origin; the credential then follows no redirect."""
    idempotent: bool
    """Whether the request itself says that it may be sent twice; otherwise its method decides."""
    replayable: bool
    """Whether the body can be sent again in full."""
    with_credential: bool = True
    """False if a redirect to another origin led here (R1)."""


class Secret(str):
    """A ``str`` that hides its text in a ``repr``, and therefore in tracebacks and dumps of variables.

    All else is as with any text. A pickle and other formats contain it in full, because an altered token could be sent.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "'[redacted]'"

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: Any) -> Secret:
        return self

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return (Secret, (str(self),))


def to_timestamp(expires: datetime) -> float:
    """Converts an expiry to a POSIX timestamp.

    Raises:
        TypeError: It is not a ``datetime``.
        ValueError: It has no time zone.
    """
    if not isinstance(expires, datetime):
        kind = type(expires).__name__
        raise TypeError(f"expires must be a datetime with a time zone, not {kind}")
    if expires.utcoffset() is None:
        raise ValueError(
            "expires has no time zone, so its meaning is ambiguous; add one, "
            "for example datetime.now(timezone.utc) + timedelta(hours=1)"
        )
    return expires.timestamp()


def from_timestamp(seconds: float) -> datetime:
    """Converts a POSIX timestamp to an expiry in UTC."""
    return datetime.fromtimestamp(seconds, timezone.utc)
