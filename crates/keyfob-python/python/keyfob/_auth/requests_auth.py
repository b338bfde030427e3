"""A handler as the ``auth`` of a plain ``requests`` session."""

from __future__ import annotations

from functools import partial
from typing import Any

from requests import PreparedRequest, Response
from requests.auth import AuthBase

from keyfob._auth.handler_auth import HandlerAuth
from keyfob._core import IDEMPOTENCY_KEY, Exchange, Lease
from keyfob._requests import has_header, redirect_target, replayable, rewound, with_cookies
from keyfob._values import RequestInfo


class RequestsAuth(HandlerAuth, AuthBase):
    """Puts a handler's token on requests, and renews it after a 401; made by ``handler.auth()``.

    It does not limit the time of a request: set ``timeout`` in your calls of ``requests``, which has none by default.
    """

    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        """Puts the token on a request that is being prepared; fetches one if there is none."""
        exchange = self._exchange(
            RequestInfo(
                method=r.method or "GET",
                url=str(r.url),
                idempotent=has_header(r, IDEMPOTENCY_KEY),
                replayable=replayable(r),
            )
        )
        lease = self._tokens.lease(exchange.max_wait)
        r.headers.update(self._handler._headers(lease))
        r.register_hook("response", partial(self._on_response, exchange, lease))
        return r

    def _on_response(
        self, exchange: Exchange, lease: Lease, response: Response, **kwargs: Any
    ) -> Response:
        """Runs for the response of each request, also of those that a redirect led to."""
        request = response.request
        step = self._judge(exchange, lease, response)
        if response.is_redirect:
            method = request.method or "GET"
            if not exchange.redirected(redirect_target(response), method):
                # `requests` copies this request for the redirect, and removes `Authorization` alone, and not always (R1).
                for name in self._handler._headers(lease):
                    request.headers.pop(name, None)
        if step is None:
            return response
        renewed = self._tokens.replace(lease, step, exchange.max_wait)
        if renewed is None or not rewound(request):
            return response
        return self._send_again(response, renewed, kwargs)

    def _send_again(self, response: Response, lease: Lease, kwargs: dict[str, Any]) -> Response:
        # Reads the body to the end, so that the connection returns to its pool, as `HTTPDigestAuth` does.
        _ = response.content
        request = with_cookies(response.request, response.cookies)
        request.headers.update(self._handler._headers(lease))
        result: Response = response.connection.send(request, **kwargs)
        result.history.append(response)
        result.request = request
        return result
