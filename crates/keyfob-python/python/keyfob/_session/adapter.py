"""The transport adapter of sessions, which gives a timeout the same meaning for uploads as for downloads (R8)."""

from __future__ import annotations

import io
from typing import Any

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter

from keyfob._certificates import ClientCertificate, pair_of


class UploadAdapter(HTTPAdapter):
    """Sends a large body from memory in pieces, so that the timeout limits each piece.

    ``requests`` hands such a body to the socket as a whole, and the timeout then limits the whole upload: it cuts off a large one
    that makes progress.
    """

    def build_connection_pool_key_attributes(
        self, request: PreparedRequest, verify: Any, cert: Any = None
    ) -> Any:
        """Like ``HTTPAdapter``'s, with a pool of its own for each client certificate that the files have held.

        So the next request after a change goes over a new connection, and those that run are not disturbed.
        """
        build: Any = super().build_connection_pool_key_attributes
        host, pool = build(request, verify, None)
        if cert and host.get("scheme") == "https":
            pool = {**pool, "ssl_context": self._certificate(cert).context()}
        return host, pool

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:  # noqa: ARG002
        """Like ``HTTPAdapter``'s; the pool has the client certificate already."""
        check: Any = super().cert_verify
        check(conn, url, verify, None)

    def _certificate(self, cert: Any) -> ClientCertificate:
        known: dict[Any, ClientCertificate] = vars(self).setdefault("_certificates", {})
        if cert not in known:
            known[cert] = ClientCertificate(pair_of(cert))
        return known[cert]

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        """Sends a request like ``HTTPAdapter.send``."""
        attempt: Any = request
        body = attempt.body
        if not isinstance(body, (bytes, str, bytearray, memoryview)) or len(body) <= _ONE_PIECE:
            return super().send(request, *args, **kwargs)
        # `urllib3` reads a file in pieces. The `Content-Length` is already set.
        attempt.body = io.BytesIO(body.encode() if isinstance(body, str) else body)
        try:
            return super().send(request, *args, **kwargs)
        finally:
            attempt.body = body


_ONE_PIECE = 1 << 16
