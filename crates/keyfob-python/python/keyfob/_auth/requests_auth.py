"""A handler as the ``auth`` of a plain ``requests`` session."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from requests import PreparedRequest, Response
from requests.auth import AuthBase

from keyfob._auth.handler_auth import HandlerAuth
from keyfob._core import IDEMPOTENCY_KEY, Exchange, Lease, Renew, Wait
from keyfob._loopback import check_environment
from keyfob._requests import has_header, redirected, replayable, rewound, with_cookies
from keyfob._values import RequestInfo


class RequestsAuth(HandlerAuth, AuthBase):
    """Puts a handler's token on requests, and renews it after a 401; made by ``handler.auth()``.

    It does not limit the time of a request: set ``timeout`` in your calls of ``requests``, which has none by default. It cannot
    see the session's proxies. So it refuses plain http to this machine while a proxy of the environment would get the token; a
    proxy that you give the session gets it.
    """

    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        """Puts the token on a request that is being prepared; fetches one if there is none."""
        url = str(r.url)
        exchange = self._exchange(
            RequestInfo(
                method=r.method or "GET",
                url=url,
                idempotent=has_header(r, IDEMPOTENCY_KEY),
                replayable=replayable(r),
            )
        )
        check_environment(exchange, url)
        request = _Request(self, exchange, self._tokens.lease(exchange.max_wait))
        request.authorize(r)
        r.register_hook("response", request.on_response)
        return r


class _Request:
    """One logical request, from its first attempt to the response after the last redirect."""

    def __init__(self, auth: RequestsAuth, exchange: Exchange, lease: Lease) -> None:
        self._auth = auth
        self._exchange = exchange
        self._lease = lease
        self._names: Collection[str] = ()

    def authorize(self, request: PreparedRequest) -> None:
        self._put_on(request, request.method or "GET", str(request.url))

    def _put_on(self, request: PreparedRequest, method: str, url: str) -> None:
        headers = self._auth._headers(self._exchange, self._lease, method, url)
        request.headers.update(headers)
        self._names = headers.keys()

    def on_response(self, response: Response, **kwargs: Any) -> Response:
        """Runs for the response of each request, also of those that a redirect led to."""
        # `requests` copies this one for a redirect, whatever request was sent last.
        request = response.request
        step = self._auth._judge(self._exchange, self._lease, response)
        if step is not None:
            response = self._obey(step, response, kwargs)
        if response.is_redirect and response.status_code in _KEEPS_BODY and not replayable(request):
            # `requests` would send an empty body; the caller gets the redirect (R4).
            response.__class__ = _FinalResponse
        elif response.is_redirect:
            self._follow(response, request)
        return response

    def _follow(self, response: Response, request: PreparedRequest) -> None:
        """Takes the token off the request, and puts it back if the redirect stays within the origin (R1).

        ``requests`` itself removes ``Authorization`` alone, and not always.
        """
        for name in self._names:
            request.headers.pop(name, None)
        url, method = redirected(response)
        if self._exchange.redirected(url, method):
            self._put_on(request, method, url)
        else:
            # It names the old origin (RFC 9110 §7.2).
            request.headers.pop("Host", None)

    def _obey(self, step: Renew | Wait, response: Response, kwargs: dict[str, Any]) -> Response:
        if isinstance(step, Renew):
            renewed = self._auth._tokens.replace(self._lease, step, self._exchange.max_wait)
            if renewed is None or not step.replay:
                return response
            self._lease = renewed
        if not rewound(response.request):
            return response
        # Reads the body to the end, so that the connection returns to its pool, as `HTTPDigestAuth` does.
        _ = response.content
        request = with_cookies(response.request, response.cookies)
        self.authorize(request)
        result: Response = response.connection.send(request, **kwargs)
        result.history.append(response)
        result.request = request
        return result


class _FinalResponse(Response):
    """A redirect that is not followed. ``requests`` asks the response whether it is one."""

    @property
    def is_redirect(self) -> bool:
        return False


_KEEPS_BODY = {307, 308}
"""The redirects that keep the body (RFC 9110 §15.4)."""
