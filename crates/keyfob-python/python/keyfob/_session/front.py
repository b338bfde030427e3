"""The session over any source of tokens, with all settings as keywords."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any
from urllib.parse import urljoin

from requests import PreparedRequest, Request

from keyfob import _certificates
from keyfob._certificates import Cert, Verify
from keyfob._core import RetryPolicy
from keyfob._handler.handler_for import Tokens, handler_for
from keyfob._requests import shallow_copy
from keyfob._session.externally_managed import ExternallyManagedJWTSession
from keyfob._session.session import Timeout
from keyfob._values import CacheSettings


class Session(ExternallyManagedJWTSession):
    """A ``requests.Session`` over a hook or another source of tokens, with all settings as keywords.

    With a ``base_url`` the token goes to its origin alone, and URLs may be relative to it. Neither ``base_url`` nor ``origins``
    means: to each https origin that you name in a request.

    Args:
        tokens: A hook (``get_token`` of :class:`GenericExternallyManagedJWTHandler` says what it may return), one of
            :mod:`keyfob.sources`, or a handler, whose token its sessions share.
        base_url: Relative URLs are resolved against it (RFC 3986 §5). Its last segment is a folder, with or without a slash.
        origins: A URL, or several, whose origins may receive the token too.
        allow_plain_http: A URL, or several, whose origins may receive the token although the network can read it there.
        timeout: How long nothing may move in an attempt, in seconds; 20 unless given. See :attr:`timeout`.
        retries: How often a request is sent again at most; 3 unless given.
        total: The time in which an attempt may begin, in seconds from the call; 90 unless given.
        retry: A complete :class:`RetryPolicy`, instead of ``retries`` and ``total``.
        redirects: How many redirects are followed; with 0 a redirect is returned.
        verify: A file with certificate authorities (PEM), which are trusted in place of the system's. Unless given,
            ``REQUESTS_CA_BUNDLE``, ``CURL_CA_BUNDLE`` or ``SSL_CERT_FILE`` may name one.
        cert: The client certificate for servers that ask for one: a file (PEM) with certificate and key, or the two files. It is
            read again when the files change; see ``docs/reference/profiles.md``.
        header: The header that carries the token alone, instead of ``Authorization: Bearer``.
        scheme: The scheme before the token in ``Authorization``, instead of ``Bearer``.
        rejected_statuses: The statuses, such as 403, by which a server says that the token is not valid, in addition to 401: the
            token is renewed and the request sent once more.
        fetch_timeout: The limit of one call of the hook, in seconds; 30 unless given.
        default_lifetime: How long a token without an expiry is used, in seconds; until a server rejects it unless given.

    Raises:
        TypeError: An argument has the wrong type, or two exclude each other.
        ValueError: A number is out of range, or the CA file or the client certificate cannot be used.
        OriginError: A URL is invalid, or is neither https nor on this machine.

    >>> session = keyfob.Session(ask_the_vault, base_url=api, retries=5, timeout=10)
    >>> session.get("reports", params={"year": 2026})
    <Response [200]>
    >>> session
    <Session for http://127.0.0.1:...: authenticated, expires in 300 s>
    """

    base_url: str | None
    """The URL that relative URLs are resolved against, if there is one. Its path ends with a slash."""

    max_redirects: int
    """How many redirects are followed; 30 unless set, as with ``requests``."""

    def __init__(
        self,
        tokens: Tokens,
        *,
        base_url: str | None = None,
        origins: str | Iterable[str] = (),
        allow_plain_http: str | Iterable[str] = (),
        timeout: Timeout = None,
        retries: int | None = None,
        total: float | None = None,
        retry: RetryPolicy | None = None,
        redirects: int | None = None,
        verify: Verify = None,
        cert: Cert = None,
        header: str | None = None,
        scheme: str | None = None,
        rejected_statuses: Collection[int] | None = None,
        fetch_timeout: float | None = None,
        default_lifetime: float | None = None,
    ) -> None:
        settings = CacheSettings(fetch_timeout, default_lifetime, header, scheme, rejected_statuses)
        super().__init__(handler_for(tokens, settings))
        self.base_url = None if base_url is None else as_folder(base_url)
        self.allow_plain_http(*several(allow_plain_http))
        self.bind(*several(origins), *([] if self.base_url is None else [self.base_url]))
        if timeout is not None:
            self.timeout = timeout
        self.retry = policy(retries, total, retry)
        # With a `max_redirects` of zero, `requests` would raise an error instead of returning the redirect.
        self._follows_redirects = redirects != 0
        if redirects:
            self.max_redirects = redirects
        file = _certificates.ca_file(verify)
        if file is not None:
            vars(self)["verify"] = _certificates.checked(file)
        pair = _certificates.files(cert)
        if pair is not None:
            # A pair that cannot be used is an error now.
            _certificates.ClientCertificate(pair)
            vars(self)["cert"] = pair

    def prepare_request(self, request: Request) -> PreparedRequest:
        """Like ``requests.Session.prepare_request``, with the URL resolved against the base URL.

        >>> session = keyfob.Session(ask_the_vault, base_url=api)
        >>> session.prepare_request(requests.Request("GET", "reports")).url == api + "/reports"
        True
        """
        if self.base_url is not None:
            request = shallow_copy(request)
            request.url = resolved(self.base_url, request.url)
        return super().prepare_request(request)


def policy(retries: int | None, total: float | None, retry: RetryPolicy | None) -> RetryPolicy:
    """The retry policy of these settings, with a budget of its own unless it is a complete one."""
    if retry is not None:
        if retries is not None or total is not None:
            raise TypeError("`retry` is complete; give either it or `retries` and `total`")
        return retry
    settings: dict[str, Any] = {}
    if retries is not None:
        if isinstance(retries, bool) or not isinstance(retries, int) or retries < 0:
            raise ValueError("`retries` must be a number, 0 or more")
        settings["attempts"] = retries + 1
    if total is not None:
        settings["total"] = total
    return RetryPolicy(**settings)


def several(urls: str | Iterable[str]) -> list[str]:
    """One URL, or several."""
    return [urls] if isinstance(urls, str) else list(urls)


def as_folder(url: str) -> str:
    """A base URL whose path ends with a slash.

    Raises:
        ValueError: It has a query or a fragment, which relative URLs would lose.
    """
    if "?" in url or "#" in url:
        raise ValueError("`base_url` must have neither a query nor a fragment")
    return url if url.endswith("/") else f"{url}/"


def resolved(base: str, url: Any) -> str:
    text = url.decode() if isinstance(url, bytes) else str(url)
    try:
        return urljoin(base, text)
    except ValueError:  # It is not a URL, and `requests` raises the right error for that.
        return text
