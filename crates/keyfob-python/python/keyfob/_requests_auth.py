"""A handler as the ``auth`` of a plain ``requests`` session."""

from __future__ import annotations

from functools import partial
from typing import Any
from urllib.parse import urljoin

from requests import PreparedRequest, Response
from requests.auth import AuthBase

from keyfob._core import IDEMPOTENCY_KEY, Exchange, Lease, same_origin
from keyfob._handler_auth import HandlerAuth
from keyfob._prepared import has_field, replayable, rewound, with_cookies


class RequestsAuth(HandlerAuth, AuthBase):
    """Puts a handler's token on requests, and renews it after a 401; made by ``handler.auth()``."""

    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        """Puts the token on a request that is being prepared; gets one if there is none."""
        exchange = self._exchange(
            r.method or "GET",
            str(r.url),
            idempotent=has_field(r, IDEMPOTENCY_KEY),
            replayable=replayable(r),
        )
        lease = self._tokens.lease(exchange.max_wait)
        r.headers.update(self._handler._fields(lease))
        r.register_hook("response", partial(self._answered, exchange, lease))
        return r

    def _answered(
        self, exchange: Exchange, lease: Lease, response: Response, **kwargs: Any
    ) -> Response:
        request = response.request
        step = self._judge(exchange, lease, request.headers, response)
        if response.is_redirect and _leads_elsewhere(response):
            # `requests` takes off `Authorization` alone, and not always; it copies these for the next hop.
            for name in self._handler._fields(lease):
                request.headers.pop(name, None)
        if step is None:
            return response
        renewed = self._tokens.replace(lease, step, exchange.max_wait)
        if renewed is None or not rewound(request):
            return response
        return self._sent_again(response, renewed, kwargs)

    def _sent_again(self, response: Response, lease: Lease, kwargs: dict[str, Any]) -> Response:
        # As `requests.auth.HTTPDigestAuth` does it: the connection goes back to its pool first.
        _ = response.content
        again = with_cookies(response.request, response.cookies)
        again.headers.update(self._handler._fields(lease))
        answer: Response = response.connection.send(again, **kwargs)
        answer.history.append(response)
        answer.request = again
        return answer


def _leads_elsewhere(response: Response) -> bool:
    target = urljoin(response.url, response.headers["location"])
    return not same_origin(response.url, target)
