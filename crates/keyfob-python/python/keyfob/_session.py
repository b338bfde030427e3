"""The common part of both sessions: ``requests.Session`` with a journey around each ``send``.

Everything but the journey, from adapters to redirects and cookies, is ``requests``' own.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

import requests
from requests import PreparedRequest, Request, Response
from requests.auth import HTTPDigestAuth
from requests.exceptions import InvalidSchema, TooManyRedirects
from requests.utils import resolve_proxies

from keyfob import _core
from keyfob._core import Lease, Origins, RetryPolicy
from keyfob._journey import Call, Credential, Journey
from keyfob._prepared import shallow_copy

_logger = logging.getLogger("keyfob")


class AuthenticatedSession(requests.Session):
    """A ``requests.Session`` whose requests carry a credential: the common part of both sessions.

    All that a plain session can do works as it does there. Beyond that:

    * A failure that is safe to repeat is repeated, as :attr:`retry` says.
    * A 401 renews the token, and the request is sent once more if its body can be.
    * The credential goes to https URLs that you name and to this machine, or to those you :meth:`bind` it to; a redirect to
      another origin does not get it.
    * It wins over any other ``Authorization``, from wherever it comes.
    """

    def __init__(self) -> None:
        super().__init__()
        self._retry = RetryPolicy()
        self._timeout: Timeout = 20.0
        self._origins = Origins()

    @property
    def retry(self) -> RetryPolicy:
        """What is sent again, how often, and after which pause. Sessions that share a policy share its budget of retries.

        Raises:
            TypeError: What is assigned is no :class:`RetryPolicy`.

        >>> session.retry = RetryPolicy(attempts=1)
        """
        return self._retry

    @retry.setter
    def retry(self, policy: RetryPolicy) -> None:
        if not isinstance(policy, RetryPolicy):
            raise TypeError(f"retry must be a RetryPolicy, not {type(policy).__name__}")
        self._retry = policy

    @property
    def timeout(self) -> Timeout:
        """The limit of each attempt where a call sets none: seconds, or ``(connect, read)``; 20 seconds unless set.

        ``(None, None)`` is no limit.

        Raises:
            ValueError: A limit that is assigned is not above 0.

        >>> session.timeout = 5
        """
        return self._timeout

    @timeout.setter
    def timeout(self, timeout: Timeout) -> None:
        _check_timeout(timeout)
        self._timeout = timeout

    def bind(self, *urls: str) -> None:
        """Binds the credential to the origins of these URLs: from now on it goes to no other.

        Raises:
            OriginError: A URL is neither https nor on this machine, or is none.

        >>> session = BearerAuthSession("mF_9.B5f-4.1JqM")
        >>> session.bind("https://api.example.com")
        >>> session.get("https://example.org")
        Traceback (most recent call last):
            ...
        keyfob.errors.OriginError: the credential is bound to https://api.example.com ...
        """
        for url in urls:
            self._origins.bind(url)

    def allow_plain_http(self, *urls: str) -> None:
        """Binds the credential to the origins of these URLs, though the network can read what is sent there.

        Raises:
            OriginError: A URL is none, or its scheme is neither http nor https.

        >>> session = BearerAuthSession("mF_9.B5f-4.1JqM")
        >>> session.allow_plain_http("http://build-server:8080")
        """
        for url in urls:
            self._origins.allow_plain_http(url)

    def request(  # type: ignore[override]
        self,
        method: str,
        url: str,
        params: Any = None,
        data: Any = None,
        headers: Mapping[str, str | bytes | None] | None = None,
        **kwargs: Any,
    ) -> Response:
        """Performs an HTTP request, as ``requests.Session.request`` does, with the credential on it.

        Args:
            do_not_retry_codes: Statuses that are an answer like others in this call.
            idempotent: Says that sending this request twice has the effect of once, so that it may be retried whatever its
                method. A header ``Idempotency-Key`` says the same.

        Raises:
            AuthenticationError: There is no token to be had; nothing was sent.
            OriginError: The credential may not go to this URL; nothing was sent.
            requests.RequestException: As a plain session; the last failure, when retries have ended.

        >>> session.request("POST", api, json={"item": 42}, idempotent=True)
        <Response [200]>
        """
        if "do_not_retry_codes" in kwargs or "idempotent" in kwargs:
            # `requests` hands the timeout on to `send` as it is: the one argument that others can travel with.
            kwargs["timeout"] = Call(
                kwargs.pop("timeout", None),
                tuple(kwargs.pop("do_not_retry_codes", None) or ()),
                bool(kwargs.pop("idempotent", False)),
            )
        return super().request(method, url, params=params, data=data, headers=headers, **kwargs)

    if TYPE_CHECKING:
        # As `requests` has them; its types know nothing of the arguments that `request` takes besides.
        # fmt: off
        def get(self, url: str, params: Any = None, **kwargs: Any) -> Response: ...  # type: ignore[override]
        def options(self, url: str, **kwargs: Any) -> Response: ...  # type: ignore[override]
        def head(self, url: str, **kwargs: Any) -> Response: ...  # type: ignore[override]
        def post(self, url: str, data: Any = None, json: Any = None, **kwargs: Any) -> Response: ...  # type: ignore[override]
        def put(self, url: str, data: Any = None, **kwargs: Any) -> Response: ...  # type: ignore[override]
        def patch(self, url: str, data: Any = None, **kwargs: Any) -> Response: ...  # type: ignore[override]
        def delete(self, url: str, **kwargs: Any) -> Response: ...  # type: ignore[override]
        # fmt: on

    def prepare_request(self, request: Request) -> PreparedRequest:
        """As ``requests.Session.prepare_request``; the credential is put on when the request is sent.

        >>> prepared = session.prepare_request(requests.Request("GET", api))
        """
        auth = request.auth or self.auth
        if auth is None and not _logger.isEnabledFor(logging.DEBUG):
            # It would be looked for in netrc, only to be replaced; in vain, unless the log is to tell.
            request = shallow_copy(request)
            request.auth = _nothing
        prepared = super().prepare_request(request)
        if isinstance(auth, HTTPDigestAuth):
            # It would answer a 401 with another credential than the session's.
            _logger.debug("the session's credential replaces digest authentication")
            prepared.deregister_hook("response", auth.handle_401)
            prepared.deregister_hook("response", auth.handle_redirect)
        return prepared

    def send(self, request: PreparedRequest, **kwargs: Any) -> Response:
        """Sends a prepared request with the credential on it; the request itself is not changed.

        Raises:
            AuthenticationError: There is no token to be had; nothing was sent.
            OriginError: The credential may not go to this URL; nothing was sent.
            requests.RequestException: As a plain session; the last failure, when retries have ended.

        >>> session.send(session.prepare_request(requests.Request("GET", api)))
        <Response [200]>
        """
        if not isinstance(request, PreparedRequest):
            return super().send(request, **kwargs)
        call = Call.of(kwargs.get("timeout"))
        timeout = kwargs["timeout"] = self._timeout if call.timeout is None else call.timeout
        if timeout is not self._timeout:
            _check_timeout(timeout)
        follow = kwargs.pop("allow_redirects", True)
        if "proxies" not in kwargs:
            kwargs["proxies"] = resolve_proxies(request, dict(self.proxies), self.trust_env)
        journey = Journey(self, request, call)
        history: list[Response] = []
        response = journey.hop(request, kwargs)
        while (hop := journey.next_hop(response)) is not None and follow:
            if len(history) >= self.max_redirects:
                raise TooManyRedirects(
                    f"Exceeded {self.max_redirects} redirects.", response=response
                )
            history.append(response)
            kwargs["proxies"] = self.rebuild_proxies(hop, kwargs.get("proxies"))
            response = journey.hop(hop, kwargs)
            response.history = history.copy()
        return response

    def _check_origin(self, url: str) -> None:
        """Refuses a URL that the credential may not go to.

        What an adapter of the caller's own makes of a scheme of its own, as ``mock://``, is not a matter of origins.
        """
        scheme = url.partition(":")[0].lower()
        if scheme in {"http", "https"} or not self._origins.unbound or not self._knows(url):
            self._origins.check(url)

    def _knows(self, url: str) -> bool:
        try:
            self.get_adapter(url)
        except InvalidSchema:
            return False
        return True

    def _credential(self, max_wait: float) -> Credential:
        """What goes on the next attempt; waits for it, at most so many seconds."""
        return self._credential_of(self._cache().lease(max_wait))

    def _credential_of(self, lease: Lease) -> Credential:
        return Credential(lease.headers, lease)

    def _cache(self) -> _core.TokenCache:
        raise NotImplementedError

    def _send_once(self, attempt: PreparedRequest, kwargs: dict[str, Any]) -> Response:
        return super().send(attempt, allow_redirects=False, **kwargs)

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError(
            f"a {type(self).__name__} holds a token and is neither pickled nor copied; "
            "share its handler, and make a session in each process"
        )


Timeout = float | tuple[float | None, float | None] | None


def _nothing(request: PreparedRequest) -> PreparedRequest:
    return request


def _check_timeout(timeout: Any) -> None:
    limits = timeout if isinstance(timeout, tuple) else (timeout,)
    for limit in limits:
        if isinstance(limit, (int, float)) and limit <= 0:
            raise ValueError(
                f"a timeout is a number of seconds above 0, not {limit}; (None, None) is no limit"
            )
