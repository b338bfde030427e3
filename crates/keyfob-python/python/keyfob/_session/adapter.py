"""The transport adapter of sessions, which gives a timeout the same meaning for uploads as for downloads (R8)."""

from __future__ import annotations

import io
from typing import Any

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter


class UploadAdapter(HTTPAdapter):
    """Sends a large body from memory in pieces, so that the timeout limits each piece.

    ``requests`` hands such a body to the socket as a whole, and the timeout then limits the whole upload: it cuts off a large one
    that makes progress.
    """

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
