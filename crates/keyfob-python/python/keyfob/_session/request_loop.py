"""The loop of one logical request: authorize, send, judge, repeat.

The core's exchange decides what a response or a failure leads to, and whether the credential follows a redirect. This loop only
does what the exchange says.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping, MutableMapping
from typing import Any, NamedTuple, Protocol

from requests import PreparedRequest, Response
from requests.cookies import RequestsCookieJar
from requests.exceptions import RequestException, UnrewindableBodyError
from requests.hooks import dispatch_hook

from keyfob._certificates import advise
from keyfob._core import (
    DPOP,
    IDEMPOTENCY_KEY,
    Exchange,
    Lease,
    Origins,
    Renew,
    RetryPolicy,
    TokenCache,
    Wait,
)
from keyfob._loopback import check_name, without_environment
from keyfob._requests import classify, copied, has_header, replayable, rewound, with_cookies
from keyfob._values import RequestInfo
from keyfob.errors import AuthenticationError

_logger = logging.getLogger("keyfob")


class Credential(NamedTuple):
    """The headers to put on a request, and their lease; no lease if a handler of the user's own made them."""

    headers: Mapping[str, str]
    lease: Lease | None


class CallSettings(NamedTuple):
    """The settings of one call that ``requests`` does not know."""

    do_not_retry_codes: tuple[int, ...] = ()
    idempotent: bool = False


class Sender(Protocol):
    """The part of a session that the loop uses."""

    cookies: RequestsCookieJar
    proxies: MutableMapping[str, str]
    _retry: RetryPolicy
    _origins: Origins

    def _cache(self) -> TokenCache:
        """The cache of the credential."""
        ...

    def _bound_url(self, url: str) -> str | None:
        """The URL whose origin the core checks; ``None`` if the check does not apply."""
        ...

    def _credential(self, max_wait: float) -> Credential:
        """The credential of the next attempt; waits for it at most this many seconds."""
        ...

    def _credential_of(self, lease: Lease) -> Credential:
        """The credential of an attempt with this lease."""
        ...


class RequestLoop:
    """One logical request, from its first attempt to the response after the last redirect.

    ``send_once`` sends one attempt, which is an :class:`Attempt`, and follows no redirect.
    """

    def __init__(
        self,
        session: Sender,
        request: PreparedRequest,
        call: CallSettings,
        send_once: Callable[..., Response],
    ) -> None:
        policy = session._retry
        if call.do_not_retry_codes:
            policy = policy.except_for(call.do_not_retry_codes)
        self._session = session
        self._send_once = send_once
        self._cache = session._cache()
        self._headers: Collection[str] = ()
        self._exchange = Exchange(
            self._cache,
            session._origins,
            policy,
            RequestInfo(
                method=request.method or "GET",
                url=session._bound_url(str(request.url)),
                idempotent=call.idempotent or has_header(request, IDEMPOTENCY_KEY),
                replayable=replayable(request),
                with_credential=not isinstance(request, _WithoutCredential),
            ),
        )
        check_name(self._exchange)

    def send(self, request: PreparedRequest, kwargs: dict[str, Any]) -> Response:
        """Sends to one URL until the exchange is done; returns the last response or raises the last failure (R6)."""
        hooks = request.hooks
        if not self._exchange.with_credential:
            # R1: a server that does not get the credential does not see the client certificate, also not the session's own.
            kwargs = {**kwargs, "cert": None}
        credential = self._credential()
        if kwargs.get("proxies") and self._exchange.stays_local:
            direct = without_environment(kwargs["proxies"], self._session.proxies)
            kwargs = {**kwargs, "proxies": direct}
        while True:
            attempt = self._authorized(request, credential)
            result, step = self._attempt(attempt, request, credential.lease, kwargs)
            another = None if step is None else self._obey(step, request, credential)
            if another is None:
                return _conclude(result, hooks, step, kwargs)
            credential = another
            if isinstance(result, Response):
                # Closed only now: until there is another credential, this may be the last response.
                result.close()
                request = self._with_cookies_of(result, request)

    def redirect(self, response: Response) -> PreparedRequest | None:
        """The request that a redirect leads to; without the credential if that is another origin (R1)."""
        # A mock of a response names no target.
        target = response.next if isinstance(response, Response) else None
        if target is None:
            return None
        request = response.request
        target.hooks = request.hooks
        follows = self._exchange.redirected(str(target.url), target.method or "GET")
        for name in self._headers:
            target.headers.pop(name, None)
        if not follows or not has_header(request, "Authorization"):
            # `requests` takes one from netrc for each redirect, in place of the credential or in addition to it.
            target.headers.pop("Authorization", None)
        target.__class__ = PreparedRequest if follows else _WithoutCredential
        if not follows:
            # It names the old origin (RFC 9110 §7.2).
            target.headers.pop("Host", None)
        # A body that cannot be sent again: the caller gets the redirect.
        return target if target.body is None or replayable(target) else None

    def _attempt(
        self,
        attempt: PreparedRequest,
        request: PreparedRequest,
        lease: Lease | None,
        kwargs: dict[str, Any],
    ) -> tuple[Response | RequestException, Step | None]:
        hooks = request.hooks
        judged = False
        step: Step | None = None
        last: Response | None = None

        def judge(response: Response, **adapter_kwargs: Any) -> Response:
            nonlocal judged, step, last
            judged = True
            step = self._exchange.on_response(lease, response.status_code, response.headers)
            if step is not None:
                return response
            # The hooks of the caller see only the response that the caller gets. They may send its request again.
            _end_attempt(attempt, request)
            _end_attempt(response.request, request)
            last = _run_hooks(response, hooks, adapter_kwargs)
            return last

        attempt.hooks = {"response": [judge]}
        try:
            response = self._send_once(attempt, allow_redirects=False, **kwargs)
            if not judged and isinstance(response, Response):
                # An overridden `send` made the response itself.
                response = judge(response, **kwargs)
            _end_attempt(getattr(response, "request", None), request)
            return response, step
        except RequestException as error:
            _end_attempt(error.request, request)
            if isinstance(error, UnrewindableBodyError) and last is not None:
                # `requests` cannot make the request that a redirect names: the caller gets the redirect (R6).
                return last, None
            if not judged:
                step = self._exchange.on_failure(lease, classify(error))
                advise(error)
            elif step is None:
                raise
            return error, step
        finally:
            _end_attempt(attempt, request)

    def _obey(
        self, step: Step, request: PreparedRequest, credential: Credential
    ) -> Credential | None:
        """Does what the exchange says; returns the credential of the next attempt if there is to be one."""
        if isinstance(step, Renew):
            renewed = self._renewed(step, credential)
            return renewed if step.replay and rewound(request) else None
        time.sleep(step.pause)
        if not rewound(request):
            return None
        try:
            return self._credential()
        except AuthenticationError as error:
            self._exchange.will_not_retry(str(error))
            return None

    def _credential(self) -> Credential:
        if not self._exchange.with_credential:
            return Credential({}, None)
        return self._session._credential(self._exchange.max_wait)

    def _renewed(self, step: Renew, credential: Credential) -> Credential | None:
        if credential.lease is None:
            return None
        lease = self._cache.replace(credential.lease, step, self._exchange.max_wait)
        return None if lease is None else self._session._credential_of(lease)

    def _authorized(self, request: PreparedRequest, credential: Credential) -> PreparedRequest:
        """A copy of the request with the credential; the caller's request does not change (R9)."""
        attempt = copied(request)
        attempt.__class__ = Attempt
        if self._exchange.stays_local:
            # It was for a proxy, and there is none.
            attempt.headers.pop("Proxy-Authorization", None)
        for name, value in credential.headers.items():
            if name not in self._headers and has_header(attempt, name):
                _logger.debug("the session's credential replaces the %s of the request", name)
            attempt.headers[name] = value
        self._headers = credential.headers.keys()
        if credential.lease is not None:
            proof = self._exchange.proof(credential.lease, str(attempt.method), str(attempt.url))
            if proof is not None:
                attempt.headers[DPOP] = proof
                self._headers = {*self._headers, DPOP}
        return attempt

    def _with_cookies_of(self, response: Response, request: PreparedRequest) -> PreparedRequest:
        """Adds the cookies of a failed attempt to the next attempt, as ``requests`` adds them to the next request."""
        return with_cookies(request, self._session.cookies) if response.cookies else request


class Attempt(PreparedRequest):
    """One attempt of a loop, with the credential on it. So is a copy, which an overridden ``send`` may send in its place."""

    def copy(self) -> PreparedRequest:
        copy = super().copy()
        copy.__class__ = Attempt
        return copy


def _end_attempt(attempt: object, request: PreparedRequest) -> None:
    """Makes an attempt, or a copy of it, a request like the caller's: sent by hand, it gets a loop of its own."""
    if isinstance(attempt, Attempt):
        attempt.hooks = request.hooks
        attempt.__class__ = type(request)  # type: ignore[assignment]


class _WithoutCredential(PreparedRequest):
    """A request to an origin that a redirect named. Neither it nor a copy carries the credential, however it is sent."""

    def copy(self) -> PreparedRequest:
        copy = super().copy()
        copy.__class__ = _WithoutCredential
        return copy


Step = Wait | Renew


def _conclude(
    result: Response | RequestException, hooks: Any, step: Step | None, kwargs: dict[str, Any]
) -> Response:
    """Returns or raises the last result."""
    if isinstance(result, RequestException):
        raise result
    if step is None:
        return result
    # The response was to be retried, so the caller's hooks have not seen it yet.
    return _run_hooks(result, hooks, kwargs)


def _run_hooks(response: Response, hooks: Any, kwargs: dict[str, Any]) -> Response:
    """The response, or the one that the caller's hooks return instead."""
    result: Response = dispatch_hook("response", hooks, response, **kwargs)
    return result
