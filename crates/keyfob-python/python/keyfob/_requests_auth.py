"""A handler as the ``auth`` of a plain ``requests`` session."""

from __future__ import annotations

from functools import partial
from typing import Any
from urllib.parse import urljoin

from requests import PreparedRequest, Response
from requests.auth import AuthBase

from keyfob._core import (
    IDEMPOTENCY_KEY,
    Exchange,
    Lease,
    Origins,
    Renew,
    RetryPolicy,
    same_origin,
)
from keyfob._holder import Holder
from keyfob._prepared import replayable, rewound, with_cookies

_ONCE = RetryPolicy(attempts=1)


class RequestsAuth(AuthBase):
    """Puts a handler's token on requests, and renews it after a 401; made by ``handler.auth()``."""

    def __init__(self, handler: Holder, origins: tuple[str, ...]) -> None:
        self._handler = handler
        self._origins = Origins()
        for url in origins:
            self._origins.bind(url)

    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        """Puts the token on a request that is being prepared; gets one if there is none."""
        self._origins.check(str(r.url))
        idempotent = IDEMPOTENCY_KEY in r.headers
        exchange = Exchange(
            self._handler._tokens, _ONCE, r.method or "GET", idempotent, replayable(r)
        )
        lease = self._handler._tokens.lease(exchange.patience)
        r.headers.update(self._handler._fields(lease))
        r.register_hook("response", partial(self._answered, exchange, lease))
        return r

    def _answered(
        self, exchange: Exchange, lease: Lease, response: Response, **kwargs: Any
    ) -> Response:
        request = response.request
        fields = self._handler._fields(lease)
        carried = all(request.headers.get(name) == value for name, value in fields.items())
        if response.is_redirect and _leads_elsewhere(response):
            # `requests` takes off `Authorization` alone, and not always; it copies these for the next hop.
            for name in fields:
                request.headers.pop(name, None)
        step = exchange.answered(lease if carried else None, response.status_code, response.headers)
        if not isinstance(step, Renew):
            return response
        renewed = self._handler._tokens.replace(lease, step, exchange.patience)
        if renewed is None or not rewound(request):
            return response
        return self._sent_again(response, renewed, kwargs)

    def _sent_again(self, response: Response, lease: Lease, kwargs: dict[str, Any]) -> Response:
        # As `requests.auth.HTTPDigestAuth` does it: the connection goes back to its pool first.
        _ = response.content
        response.close()
        again = with_cookies(response.request, response.cookies)
        again.headers.update(self._handler._fields(lease))
        answer: Response = response.connection.send(again, **kwargs)
        answer.history.append(response)
        answer.request = again
        return answer


def _leads_elsewhere(response: Response) -> bool:
    target = urljoin(response.url, response.headers["location"])
    return not same_origin(response.url, target)
