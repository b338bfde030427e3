"""One logical request, from its first attempt to the answer after the last redirect: authorize, send, judge, again?

What an answer or a failure leads to is decided by the core's exchange.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple, Protocol

from requests import PreparedRequest, Response
from requests.cookies import RequestsCookieJar
from requests.exceptions import RequestException
from requests.hooks import dispatch_hook

from keyfob import _core
from keyfob._core import IDEMPOTENCY_KEY, Exchange, Lease, Renew, RetryPolicy, Wait
from keyfob._failures import classify
from keyfob._prepared import copied, has_field, replayable, rewound, with_cookies
from keyfob.errors import AuthenticationError

_logger = logging.getLogger("keyfob")


class Credential(NamedTuple):
    """The fields to put on a request, and the lease that they are of; none if they are somebody else's."""

    fields: Mapping[str, str]
    lease: Lease | None


class Call(NamedTuple):
    """What a call says that ``requests`` knows nothing of, and its timeout, in whose place it travels."""

    timeout: Any
    do_not_retry_codes: tuple[int, ...] = ()
    idempotent: bool = False

    @classmethod
    def of(cls, timeout: Any) -> Call:
        """What came in place of a timeout, or a call that says no more than that."""
        if timeout is None:
            return _NOTHING_SAID
        return timeout if isinstance(timeout, cls) else cls(timeout)


_NOTHING_SAID = Call(None)


class Sender(Protocol):
    """A session, as far as a journey knows it."""

    cookies: RequestsCookieJar
    _retry: RetryPolicy

    def _check_origin(self, url: str) -> None:
        """Refuses a URL that the credential may not go to."""
        ...

    def _cache(self) -> _core.TokenCache:
        """Where the credential comes from, if that is the core."""
        ...

    def _credential(self, max_wait: float) -> Credential:
        """What goes on the next attempt; waits for it, at most so many seconds."""
        ...

    def _credential_of(self, lease: Lease) -> Credential:
        """What goes on an attempt with this lease."""
        ...

    def _send_once(self, attempt: PreparedRequest, kwargs: dict[str, Any]) -> Response:
        """One attempt, without redirects."""
        ...


class Journey:
    """One logical request, from its first attempt to the answer after the last redirect."""

    def __init__(self, session: Sender, request: PreparedRequest, call: Call) -> None:
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
        if hop.method != request.method:
            self._exchange.downgrade_to_get()
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
        return self._session._credential(self._exchange.max_wait)

    def _renewed(self, step: Renew, credential: Credential) -> Credential | None:
        if credential.lease is None:
            return None
        lease = self._cache.replace(credential.lease, step, self._exchange.max_wait)
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


class _Elsewhere(PreparedRequest):
    """A request whose origin a redirect named, so that the credential does not go there; nor does a copy take it there."""

    def copy(self) -> PreparedRequest:
        copy = super().copy()
        copy.__class__ = _Elsewhere
        return copy


Step = Wait | Renew


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
