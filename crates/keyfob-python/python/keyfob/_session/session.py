"""The base class of all sessions: a ``requests.Session`` whose ``send`` runs a request loop.

Adapters, redirects, cookies and everything else are the work of ``requests``.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

import requests
from requests import PreparedRequest, Request, Response
from requests.exceptions import InvalidSchema, TooManyRedirects
from requests.hooks import default_hooks
from requests.sessions import merge_hooks, merge_setting
from requests.utils import resolve_proxies

from keyfob import _certificates
from keyfob._core import TIMEOUT, Lease, Origins, RetryPolicy, TokenCache
from keyfob._requests import environment_has_proxies, shallow_copy
from keyfob._session.adapter import UploadAdapter
from keyfob._session.request_loop import Attempt, CallSettings, Credential, RequestLoop
from keyfob._state import destinations, token_state

_logger = logging.getLogger("keyfob")


class AuthenticatedSession(requests.Session):
    """A ``requests.Session`` whose requests carry a credential: the base class of all sessions.

    It does all that a plain session does. In addition:

    * It repeats a failed request if that is safe, as :attr:`retry` says.
    * After a 401 it renews the token, and sends the request once more if the body can be sent again.
    * It sends the credential to https URLs that you name and to this machine, or only to the origins you :meth:`bind` it to. A
      redirect to another origin does not get the credential.
    * Its credential replaces any other ``Authorization``, also one from netrc or the URL.
    * An attempt fails when nothing moves for :attr:`timeout`: while it connects, while it sends the body, and while it waits for
      the next bytes of the response. A large transfer that makes progress is not cut off.
    """

    _follows_redirects = True

    def __init__(self) -> None:
        super().__init__()
        self._retry = RetryPolicy()
        self._timeout: Timeout = TIMEOUT
        self._origins = Origins()
        for scheme in ("https://", "http://"):
            self.mount(scheme, UploadAdapter())

    @property
    def retry(self) -> RetryPolicy:
        """What is retried, how often, and after which pause. Sessions that share a policy share its retry budget.

        Raises:
            TypeError: The assigned value is not a :class:`RetryPolicy`.

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
        """How long nothing may move in an attempt, in seconds; 20 unless set. A call's own ``timeout`` takes precedence.

        A pair ``(connect, read)`` sets separate limits: one for opening the connection and for each piece of the body that is sent,
        and one for each wait for bytes of the response. ``(None, None)`` is no limit. An adapter that you mount yourself follows
        the rules of ``requests``, which limits the upload of a body from memory as a whole.

        Raises:
            ValueError: An assigned limit is not above 0.

        >>> session.timeout = 5
        """
        return self._timeout

    @timeout.setter
    def timeout(self, timeout: Timeout) -> None:
        _check_timeout(timeout)
        self._timeout = timeout

    def bind(self, *urls: str) -> None:
        """Binds the credential to the origins of these URLs: from now on it goes to no other origin.

        Raises:
            OriginError: A URL is invalid, or is neither https nor on this machine.

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
        """Binds the credential to the origins of these URLs, even though the network can read it there.

        Raises:
            OriginError: A URL is invalid, or its scheme is neither http nor https.

        >>> session = BearerAuthSession("mF_9.B5f-4.1JqM")
        >>> session.allow_plain_http("http://build-server:8080")
        """
        for url in urls:
            self._origins.allow_plain_http(url)

    def request(  # type: ignore[override]
        self,
        method: str,
        url: str | bytes,
        params: Any = None,
        data: Any = None,
        headers: Mapping[str, str | bytes | None] | None = None,
        cookies: Any = None,
        files: Any = None,
        auth: Any = None,
        timeout: Timeout = None,
        allow_redirects: bool = True,
        proxies: Any = None,
        hooks: Any = None,
        stream: bool | None = None,
        verify: bool | str | None = None,
        cert: Any = None,
        json: Any = None,
        *,
        do_not_retry_codes: Collection[int] | None = None,
        idempotent: bool = False,
    ) -> Response:
        """Performs an HTTP request like ``requests.Session.request``, with the credential on it.

        Args:
            do_not_retry_codes: Statuses that this call returns instead of retrying them.
            idempotent: Marks the request as safe to send twice, so that it may be retried with any method. An
                ``Idempotency-Key`` header has the same effect.

        Raises:
            AuthenticationError: No token is available; nothing was sent.
            OriginError: The credential may not go to this URL; nothing was sent.
            requests.RequestException: As a plain session; the last failure, after all retries.

        >>> session.request("POST", api, json={"item": 42}, idempotent=True)
        <Response [200]>
        """
        request = Request(
            method=method.upper(),
            url=url.decode() if isinstance(url, bytes) else url,
            headers=headers,
            files=files,
            data=data or {},
            json=json,
            params=params or {},
            auth=auth,
            cookies=cookies,
            hooks=hooks,
        )
        prepared = self.prepare_request(request)
        environment: Any = self.merge_environment_settings
        settings = environment(prepared.url, proxies or {}, stream, verify, cert)
        settings |= {"timeout": timeout, "allow_redirects": allow_redirects}
        call = CallSettings(tuple(do_not_retry_codes or ()), bool(idempotent))
        # By `self.send`, so that a subclass which overrides it sees each attempt.
        return self._send_all(prepared, settings, call, self.send)

    def merge_environment_settings(
        self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any
    ) -> Any:
        """Like ``requests.Session.merge_environment_settings``, with one order for CA files.

        The session's own ``verify`` comes before ``REQUESTS_CA_BUNDLE`` and ``CURL_CA_BUNDLE``, and those before
        ``SSL_CERT_FILE``, which ``requests`` does not know.

        >>> session.verify = "/etc/ssl/our-authority.pem"
        >>> session.merge_environment_settings(api, {}, None, None, None)["verify"]
        '/etc/ssl/our-authority.pem'
        """
        if verify is None or verify is True:
            if isinstance(self.verify, (str, os.PathLike)):
                verify = self.verify
            elif self.verify is True and self.trust_env:
                verify = _certificates.of_environment() or verify
        if self.trust_env and not environment_has_proxies():
            # `requests` searches the whole environment for them three times, which is up to a quarter of a request's CPU time.
            return {
                "proxies": merge_setting(proxies, self.proxies),
                "stream": merge_setting(stream, self.stream),
                "verify": merge_setting(verify, self.verify),
                "cert": merge_setting(cert, self.cert),
            }
        merge: Any = super().merge_environment_settings
        return merge(url, proxies, stream, verify, cert)

    if TYPE_CHECKING:
        # The types of `requests` do not have the additional arguments of `request`.
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
        """Like ``requests.Session.prepare_request``; the credential is added when the request is sent.

        >>> prepared = session.prepare_request(requests.Request("GET", api))
        """
        auth = request.auth or self.auth
        if auth is None:
            if _logger.isEnabledFor(logging.DEBUG):
                unused = super().prepare_request(Request("GET", request.url)).headers
                if unused.get("Authorization") != self.headers.get("Authorization"):
                    _logger.debug(
                        "the session's credential replaces the authorization of the request"
                    )
            # Skips the search in netrc, whose result is never sent.
            request = shallow_copy(request)
            request.auth = _no_auth
        prepared = super().prepare_request(request)
        with_those_of_auth = prepared.hooks
        prepared.hooks = default_hooks()
        prepared.prepare_hooks(merge_hooks(request.hooks, self.hooks))
        if prepared.hooks != with_those_of_auth:
            # They would answer a 401 with another credential than the session's, as digest authentication does.
            _logger.debug("the session's credential replaces the response hooks of the auth object")
        return prepared

    def send(self, request: PreparedRequest, **kwargs: Any) -> Response:
        """Sends a prepared request with the credential on it; the request itself does not change.

        Raises:
            AuthenticationError: No token is available; nothing was sent.
            OriginError: The credential may not go to this URL; nothing was sent.
            requests.RequestException: As a plain session; the last failure, after all retries.

        >>> session.send(session.prepare_request(requests.Request("GET", api)))
        <Response [200]>
        """
        if isinstance(request, Attempt) or not isinstance(request, PreparedRequest):
            return super().send(request, **kwargs)
        return self._send_all(request, kwargs, CallSettings(), self._send_once)

    def _send_all(
        self,
        request: PreparedRequest,
        kwargs: dict[str, Any],
        call: CallSettings,
        send_once: Callable[..., Response],
    ) -> Response:
        """Sends a request until it is done, and follows its redirects."""
        if kwargs.get("timeout") is None:
            kwargs["timeout"] = self._timeout
        else:
            _check_timeout(kwargs["timeout"])
        follow = kwargs.pop("allow_redirects", True) and self._follows_redirects
        if "proxies" not in kwargs:
            kwargs["proxies"] = resolve_proxies(request, dict(self.proxies), self.trust_env)
        loop = RequestLoop(self, request, call, send_once)
        history: list[Response] = []
        response = loop.send(request, kwargs)
        while (target := loop.redirect(response)) is not None and follow:
            if len(history) >= self.max_redirects:
                raise TooManyRedirects(
                    f"Exceeded {self.max_redirects} redirects.", response=response
                )
            history.append(response)
            kwargs["proxies"] = self.rebuild_proxies(target, kwargs.get("proxies"))
            response = loop.send(target, kwargs)
            response.history = history.copy()
        return response

    def _send_once(self, attempt: PreparedRequest, **kwargs: Any) -> Response:
        return super().send(attempt, **kwargs)

    def _bound_url(self, url: str) -> str | None:
        """The URL whose origin the core checks.

        A URL such as ``mock://`` has no origin. It is served by an adapter that the user mounted, until the session is bound.
        """
        scheme = url.partition(":")[0].lower()
        if scheme in {"http", "https"} or not self._origins.unbound or not self._has_adapter(url):
            return url
        return None

    def _has_adapter(self, url: str) -> bool:
        try:
            self.get_adapter(url)
        except InvalidSchema:
            return False
        return True

    def _credential(self, max_wait: float) -> Credential:
        """The credential of the next attempt; waits for it at most this many seconds."""
        return self._credential_of(self._cache().lease(max_wait))

    def _credential_of(self, lease: Lease) -> Credential:
        return Credential(lease.headers, lease)

    def _cache(self) -> TokenCache:
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {destinations(self._origins)}: {self._token_state()}>"

    def _token_state(self) -> str:
        return token_state(self._cache())

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError(
            f"a {type(self).__name__} holds a token and cannot be pickled or copied; "
            "share its handler, and make a session in each process"
        )


Timeout = float | tuple[float | None, float | None] | None


def _no_auth(request: PreparedRequest) -> PreparedRequest:
    return request


def _check_timeout(timeout: Any) -> None:
    limits = timeout if isinstance(timeout, tuple) else (timeout,)
    for limit in limits:
        if isinstance(limit, (int, float)) and limit <= 0:
            raise ValueError(
                f"a timeout must be a number of seconds above 0, not {limit}; use (None, None) for no limit"
            )
