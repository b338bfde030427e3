"""The loop around each request: authorize, send, judge, again?

What a failure or a 401 leads to is decided by the core's exchange. Everything else, from adapters to redirects and cookies, is
``requests``' own: an attempt is a ``requests.Session.send``.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import requests
from requests import PreparedRequest, Request, Response
from requests.auth import HTTPDigestAuth
from requests.exceptions import InvalidSchema, RequestException, TooManyRedirects
from requests.hooks import dispatch_hook
from requests.utils import resolve_proxies

from keyfob import _core
from keyfob._core import IDEMPOTENCY_KEY, Exchange, Lease, Origins, Renew, RetryPolicy, Wait
from keyfob._failures import classify
from keyfob._prepared import copied, has_field, replayable, rewound, shallow_copy, with_cookies
from keyfob.errors import AuthenticationError

_logger = logging.getLogger("keyfob")


class Credential(NamedTuple):
    """The fields to put on a request, and the lease that they are of; none if they are somebody else's."""

    fields: Mapping[str, str]
    lease: Lease | None


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
            kwargs["timeout"] = _Call(
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
        call = _Call.of(kwargs.get("timeout"))
        timeout = kwargs["timeout"] = self._timeout if call.timeout is None else call.timeout
        if timeout is not self._timeout:
            _check_timeout(timeout)
        follow = kwargs.pop("allow_redirects", True)
        if "proxies" not in kwargs:
            kwargs["proxies"] = resolve_proxies(request, dict(self.proxies), self.trust_env)
        journey = _Journey(self, request, call)
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

    def _credential(self, patience: float) -> Credential:
        """What goes on the next attempt; waits for it, at most so many seconds."""
        return self._credential_of(self._cache().lease(patience))

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


Step = Wait | Renew

Timeout = float | tuple[float | None, float | None] | None


class _Call(NamedTuple):
    """What a call of `request` says that `requests` knows nothing of, and its timeout, in whose place it travels."""

    timeout: Any
    do_not_retry_codes: tuple[int, ...] = ()
    idempotent: bool = False

    @classmethod
    def of(cls, timeout: Any) -> _Call:
        if timeout is None:
            return _NOTHING_SAID
        return timeout if isinstance(timeout, cls) else cls(timeout)


_NOTHING_SAID = _Call(None)


class _Elsewhere(PreparedRequest):
    """A request whose origin a redirect named, so that the credential does not go there; nor does a copy take it there."""

    def copy(self) -> PreparedRequest:
        copy = super().copy()
        copy.__class__ = _Elsewhere
        return copy


class _Journey:
    """One logical request, from its first attempt to the answer after the last redirect."""

    def __init__(
        self, session: AuthenticatedSession, request: PreparedRequest, call: _Call
    ) -> None:
        self._left_behind = isinstance(request, _Elsewhere)
        """A redirect led to another origin, and what was taken off is not put back."""
        if not self._left_behind:
            session._check_origin(str(request.url))
        policy = session._retry
        if call.do_not_retry_codes:
            policy = policy.except_for(call.do_not_retry_codes)
        self._session = session
        self._cache = session._cache()
        self._exchange = Exchange(
            self._cache,
            policy,
            request.method or "GET",
            call.idempotent or has_field(request, IDEMPOTENCY_KEY),
            replayable(request),
        )
        self._fields: Collection[str] = ()

    def hop(self, request: PreparedRequest, kwargs: dict[str, Any]) -> Response:
        """Sends to one URL until that is done, and answers the last response or raises the last failure."""
        template = request
        credential = self._credential()
        while True:
            attempt = self._authorized(template, credential)
            result, step = self._attempt(attempt, request.hooks, credential.lease, kwargs)
            again = None if step is None else self._again(template, step, credential)
            if again is None:
                return _given(result, request.hooks, step, kwargs)
            credential = again
            if isinstance(result, Response):
                # Only now: until there is a token to go on with, this may be the answer.
                result.close()
                template = self._with_cookies_of(result, template)

    def next_hop(self, response: Response) -> PreparedRequest | None:
        """The request that a redirect leads to, without the credential if that is another origin."""
        hop, request = response.next, response.request
        if hop is None:
            return None
        hop.hooks = request.hooks
        if hop.body is not None and not replayable(hop):
            # An answer that asks for the body again is the caller's.
            return None
        lost_its_body = hop.body is None and request.body is not None
        if lost_its_body or hop.method != request.method:
            self._exchange.becomes_a_read()
        if not _core.same_origin(str(request.url), str(hop.url)):
            self._left_behind = True
            for name in self._fields:
                hop.headers.pop(name, None)
        if self._left_behind:
            hop.__class__ = _Elsewhere
        return hop

    def _attempt(
        self,
        attempt: PreparedRequest,
        hooks: Any,
        lease: Lease | None,
        kwargs: dict[str, Any],
    ) -> tuple[Response | RequestException, Step | None]:
        judged = False
        step: Step | None = None

        def judge(response: Response, **adapter_kwargs: Any) -> Response:
            nonlocal judged, step
            judged = True
            step = self._exchange.answered(lease, response.status_code, response.headers)
            if step is not None:
                return response
            # The caller's own hooks see what the caller will see.
            return _shown(response, hooks, adapter_kwargs)

        attempt.hooks = {"response": [judge]}
        try:
            return self._session._send_once(attempt, kwargs), step
        except RequestException as error:
            if not judged:
                step = self._exchange.failed(lease, classify(error))
            elif step is None:
                raise
            return error, step
        finally:
            attempt.hooks = hooks

    def _again(
        self, request: PreparedRequest, step: Step, credential: Credential
    ) -> Credential | None:
        """The credential to send the request again with, if it can be sent again."""
        if isinstance(step, Renew):
            renewed = self._renewed(step, credential)
            return renewed if renewed is None or rewound(request) else None
        time.sleep(step.pause)
        if not rewound(request):
            return None
        try:
            return self._credential()
        except AuthenticationError as error:
            self._exchange.given_up(str(error))
            return None

    def _credential(self) -> Credential:
        if self._left_behind:
            return Credential({}, None)
        return self._session._credential(self._exchange.patience)

    def _renewed(self, step: Renew, credential: Credential) -> Credential | None:
        if credential.lease is None:
            return None
        lease = self._cache.replace(credential.lease, step, self._exchange.patience)
        return None if lease is None else self._session._credential_of(lease)

    def _authorized(self, request: PreparedRequest, credential: Credential) -> PreparedRequest:
        """The request as it is sent this time; the caller's stays as it was."""
        attempt = copied(request)
        headers = attempt.headers
        for name, value in credential.fields.items():
            if name not in self._fields and has_field(attempt, name):
                _logger.debug(
                    "the session's credential replaces the %s that the request had",
                    name,
                )
            headers[name] = value
        self._fields = credential.fields.keys()
        return attempt

    def _with_cookies_of(self, response: Response, request: PreparedRequest) -> PreparedRequest:
        """What a failed attempt was given goes with the next one, as it would with the next request."""
        return with_cookies(request, self._session.cookies) if response.cookies else request


def _nothing(request: PreparedRequest) -> PreparedRequest:
    return request


def _given(
    result: Response | RequestException,
    hooks: Any,
    step: Step | None,
    kwargs: dict[str, Any],
) -> Response:
    """Gives the caller what is in hand."""
    if not isinstance(result, Response):
        raise result
    if step is None:
        return result
    # It was to be sent again, so that the caller's hooks have not seen it yet.
    return _shown(result, hooks, kwargs)


def _shown(response: Response, hooks: Any, kwargs: dict[str, Any]) -> Response:
    """The response, or what the caller's hooks make of it."""
    shown: Response = dispatch_hook("response", hooks, response, **kwargs)
    return shown


def _check_timeout(timeout: Any) -> None:
    limits = timeout if isinstance(timeout, tuple) else (timeout,)
    for limit in limits:
        if isinstance(limit, (int, float)) and limit <= 0:
            raise ValueError(
                f"a timeout is a number of seconds above 0, not {limit}; (None, None) is no limit"
            )
