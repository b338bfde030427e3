"""Clients of ``httpx`` over any source of tokens, with the keywords of :class:`keyfob.Session`."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from itertools import pairwise
from types import TracebackType
from typing import Any

import anyio
import httpx
from httpx import USE_CLIENT_DEFAULT

from keyfob import _certificates, _tunnel
from keyfob._auth.httpx_auth import HttpxAuth, begin, connected, left_origin
from keyfob._certificates import Cert, Verify
from keyfob._core import TIMEOUT, Exchange, RetryPolicy, Wait
from keyfob._handler.handler import GenericExternallyManagedJWTHandler
from keyfob._handler.handler_for import Tokens, handler_for
from keyfob._session.front import as_folder, policy, resolved, several
from keyfob._values import CacheSettings


class _Settings:
    """What both clients do with their keywords."""

    _plain: Any
    """The client of ``httpx``."""

    _uncertified: Any
    """A client of ``httpx`` without the client certificate, for the servers that redirects name (R1)."""

    def __init__(
        self,
        tokens: Tokens,
        *,
        base_url: str | None = None,
        origins: str | Iterable[str] = (),
        allow_plain_http: str | Iterable[str] = (),
        timeout: Any = None,
        retries: int | None = None,
        total: float | None = None,
        retry: RetryPolicy | None = None,
        redirects: int = 0,
        verify: Verify = None,
        cert: Cert = None,
        scheme: str | None = None,
        rejected_statuses: Collection[int] | None = None,
        fetch_timeout: float | None = None,
        default_lifetime: float | None = None,
        **kwargs: Any,
    ) -> None:
        settings = CacheSettings(fetch_timeout, default_lifetime, None, scheme, rejected_statuses)
        self._folder = None if base_url is None else as_folder(base_url)
        self.authentication_handler: GenericExternallyManagedJWTHandler = handler_for(
            tokens, settings
        )
        self._keyfob_auth = HttpxAuth(self.authentication_handler, ())
        for url in several(allow_plain_http):
            self._keyfob_auth._origins.allow_plain_http(url)
        for url in [*several(origins), *([] if self._folder is None else [self._folder])]:
            self._keyfob_auth._origins.bind(url)
        self._policy = policy(retries, total, retry)
        authorities = _certificates.ca_file(verify)
        client: Any = self
        init: Any = super().__init__
        init(
            auth=self._keyfob_auth,
            base_url=self._folder or "",
            timeout=TIMEOUT if timeout is None else timeout,
            follow_redirects=redirects > 0,
            max_redirects=redirects or 20,
            verify=_certificates.context(authorities, cert),
            **kwargs,
        )
        # `httpx` would run them before the auth object and the retry loop judge a response, and a hook may raise.
        self._response_hooks, client._event_hooks["response"] = client._event_hooks["response"], []
        self._uncertified = None
        if cert is not None and kwargs.get("transport") is None:
            connection = {name: kwargs[name] for name in _CONNECTION if name in kwargs}
            self._uncertified = self._plain(
                verify=_certificates.context(authorities), cookies=client.cookies.jar, **connection
            )

    @property
    def event_hooks(self) -> dict[str, list[Callable[..., Any]]]:
        """The functions that ``httpx`` calls with each request and each response.

        Those of responses do not see a response that leads to a renewal or to a retry.
        """
        client: Any = self
        return {"request": client._event_hooks["request"], "response": self._response_hooks}

    @event_hooks.setter
    def event_hooks(self, event_hooks: Mapping[str, Iterable[Callable[..., Any]]]) -> None:
        client: Any = self
        client._event_hooks["request"] = list(event_hooks.get("request", []))
        self._response_hooks = list(event_hooks.get("response", []))

    def build_request(self, method: str, url: Any, **kwargs: Any) -> httpx.Request:
        """Like ``httpx``'s, with the URL resolved against the base URL as RFC 3986 §5 says."""
        build: Any = super()
        if self._folder is not None:
            url = resolved(self._folder, url)
        request: httpx.Request = build.build_request(method, url, **kwargs)
        return request

    def _name(self, request: httpx.Request) -> None:
        """Records the origin that the caller names. ``httpx`` copies the extension to the requests that redirects name."""
        if _NAMED not in request.extensions:
            request.extensions = {**request.extensions, _NAMED: connected(request.url)}

    def _shows_certificate(self, request: httpx.Request) -> bool:
        named: bool = request.extensions.get(_NAMED) == connected(request.url)
        return named or self._uncertified is None

    def __repr__(self) -> str:
        return repr(self._keyfob_auth).replace(HttpxAuth.__name__, type(self).__name__, 1)


class Client(_Settings, httpx.Client):
    """An ``httpx.Client`` over a hook or another source of tokens, with the keywords of :class:`keyfob.Session`.

    It retries like a session, and authenticates like ``handler.httpx_auth()``. Unlike a session it follows redirects only if
    ``redirects`` says how many, and it has no ``header``, because ``httpx`` would send that to any server that a redirect names.
    The ``event_hooks`` of responses see no response that is sent again. All other keywords are those of ``httpx.Client``.

    >>> with keyfob.Client(ask_the_vault, base_url=api, retries=5) as client:
    ...     client.get("reports")
    <Response [200 OK]>
    """

    _plain = httpx.Client

    def send(
        self,
        request: httpx.Request,
        *,
        stream: bool = False,
        auth: Any = USE_CLIENT_DEFAULT,
        follow_redirects: Any = USE_CLIENT_DEFAULT,
    ) -> httpx.Response:
        """Sends a request until it succeeds or is not to be retried; with an ``auth`` of your own, once.

        Raises:
            AuthenticationError: No token is available; nothing was sent.
            OriginError: The token may not go to this URL; nothing was sent.
            httpx.TransportError: The last failure, after all retries.
        """
        self._name(request)
        if auth is not USE_CLIENT_DEFAULT:
            response = super().send(
                request, stream=stream, auth=auth, follow_redirects=follow_redirects
            )
            return self._shown([*response.history, response])
        loop = _RetryLoop(self._keyfob_auth, self._policy, request)
        while True:
            try:
                response = super().send(
                    loop.request, stream=stream, auth=loop.auth, follow_redirects=follow_redirects
                )
            except httpx.TransportError as error:
                if not loop.retries_failure(error):
                    raise
            else:
                if not loop.retries_response(response):
                    return self._shown(loop.shown(response))
                response.close()
            time.sleep(loop.pause)

    def _shown(self, responses: list[httpx.Response]) -> httpx.Response:
        """Runs the hooks of the caller on the responses that they see; returns the last one."""
        try:
            for response in responses:
                for hook in self._response_hooks:
                    hook(response)
        except BaseException:
            responses[-1].close()
            raise
        return responses[-1]

    def close(self) -> None:
        """Closes all connections."""
        super().close()
        if self._uncertified is not None:
            self._uncertified.close()

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        super().__exit__(kind, error, traceback)
        if self._uncertified is not None:
            self._uncertified.close()

    def _send_single_request(self, request: httpx.Request) -> httpx.Response:
        left_origin(request)
        sender: Any = super() if self._shows_certificate(request) else self._uncertified
        response: httpx.Response = sender._send_single_request(request)
        return response


class AsyncClient(_Settings, httpx.AsyncClient):
    """An ``httpx.AsyncClient`` over a hook or another source of tokens, with the keywords of :class:`keyfob.Session`.

    It works on asyncio and trio. See :class:`keyfob.Client` for what differs from a session.

    >>> import asyncio
    >>> async def reports():
    ...     async with keyfob.AsyncClient(ask_the_vault, base_url=api) as client:
    ...         return await client.get("reports")
    >>> asyncio.run(reports())
    <Response [200 OK]>
    """

    _plain = httpx.AsyncClient

    async def send(
        self,
        request: httpx.Request,
        *,
        stream: bool = False,
        auth: Any = USE_CLIENT_DEFAULT,
        follow_redirects: Any = USE_CLIENT_DEFAULT,
    ) -> httpx.Response:
        """Sends a request until it succeeds or is not to be retried; with an ``auth`` of your own, once.

        Raises:
            AuthenticationError: No token is available; nothing was sent.
            OriginError: The token may not go to this URL; nothing was sent.
            httpx.TransportError: The last failure, after all retries.
        """
        self._name(request)
        if auth is not USE_CLIENT_DEFAULT:
            response = await super().send(
                request, stream=stream, auth=auth, follow_redirects=follow_redirects
            )
            return await self._shown([*response.history, response])
        loop = _RetryLoop(self._keyfob_auth, self._policy, request)
        while True:
            try:
                response = await super().send(
                    loop.request, stream=stream, auth=loop.auth, follow_redirects=follow_redirects
                )
            except httpx.TransportError as error:
                if not loop.retries_failure(error):
                    raise
            else:
                if not loop.retries_response(response):
                    return await self._shown(loop.shown(response))
                await response.aclose()
            await anyio.sleep(loop.pause)

    async def _shown(self, responses: list[httpx.Response]) -> httpx.Response:
        """Runs the hooks of the caller on the responses that they see; returns the last one."""
        try:
            for response in responses:
                for hook in self._response_hooks:
                    await hook(response)
        except BaseException:
            await responses[-1].aclose()
            raise
        return responses[-1]

    async def aclose(self) -> None:
        """Closes all connections."""
        await super().aclose()
        if self._uncertified is not None:
            await self._uncertified.aclose()

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await super().__aexit__(kind, error, traceback)
        if self._uncertified is not None:
            await self._uncertified.aclose()

    async def _send_single_request(self, request: httpx.Request) -> httpx.Response:
        left_origin(request)
        sender: Any = super() if self._shows_certificate(request) else self._uncertified
        response: httpx.Response = await sender._send_single_request(request)
        return response


class _RetryLoop:
    """One logical request: which request is sent next, and with which credential. The core's exchange decides."""

    def __init__(self, auth: HttpxAuth, retry: RetryPolicy, request: httpx.Request) -> None:
        self._auth = auth
        self._exchange: Exchange = begin(auth, request, retry)
        self._attempts: list[httpx.Response] = []
        self.request = request
        self.pause = 0.0

    @property
    def auth(self) -> HttpxAuth | None:
        """The auth of the next attempt: none after a redirect to another origin (R1)."""
        return self._auth if self._exchange.with_credential else None

    def retries_response(self, response: httpx.Response) -> bool:
        """Judges a response: whether to send its request again after the pause."""
        hops = [each for each in [*response.history, response] if each not in self._attempts]
        self._attempts += hops
        for before, after in pairwise(hops):
            # The auth object has sent the other ones again.
            if before.has_redirect_location:
                self._exchange.redirected(str(after.request.url), after.request.method)
        # The auth object has judged a rejection already, and has sent the request once more if that could help (R3).
        rejected = self._exchange.rejects(response.status_code, response.headers)
        if rejected and self._exchange.with_credential:
            return False
        step = self._exchange.on_response(None, response.status_code, response.headers)
        return self._obeys(step, response.request)

    def shown(self, last: httpx.Response) -> list[httpx.Response]:
        """The responses that the hooks of the caller see: redirects that were followed, and the last one."""
        followed = [each for each in self._attempts if each.has_redirect_location]
        return [*(each for each in followed if each is not last), last]

    def retries_failure(self, error: httpx.TransportError) -> bool:
        """Judges a failure: whether to send the request again after the pause."""
        _certificates.advise(error)
        request = error.request
        if request.url != self.request.url:
            self._exchange.redirected(str(request.url), request.method)
        return self._obeys(self._exchange.on_failure(None, _classify(error)), request)

    def _obeys(self, step: object, request: httpx.Request) -> bool:
        if not isinstance(step, Wait):
            return False
        self.pause, self.request = step.pause, request
        return True


def _classify(error: httpx.TransportError) -> str:
    """Classifies a failure for the core: it is retried only if that is safe (R4)."""
    if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)):
        if _certificates.ended_by_server(error):
            return "connect"
        # `httpx` tells of a certificate that is not trusted only in the text.
        if "certificate" in str(error).lower() or "ssl" in str(error).lower():
            return "final"
        return "refused" if _was_refused(error) else "connect"
    if isinstance(error, httpx.TimeoutException):
        return "timeout"
    if isinstance(error, httpx.ProxyError):
        return _tunnel.classify(error) or "final"
    if isinstance(error, (httpx.NetworkError, httpx.RemoteProtocolError)):
        return "broken"
    return "final"


def _was_refused(error: BaseException | None) -> bool:
    """Whether the connection was refused, as while the server restarts: the core waits longer then."""
    while error is not None and not isinstance(error, ConnectionRefusedError):
        # With several addresses, `anyio` raises a group.
        several = getattr(error, "exceptions", None)
        error = several[-1] if several else error.__cause__ or error.__context__
    return error is not None


_NAMED = "keyfob.named"

_CONNECTION = ("trust_env", "http1", "http2", "proxy", "mounts", "limits", "default_encoding")
"""The keywords of ``httpx`` that say how its clients connect."""

__all__ = ["AsyncClient", "Client"]
