"""A server with the links of a chain: a login, a workload token, and a token endpoint."""

from __future__ import annotations

import base64
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

PRIVATE_KEY = json.dumps(
    {
        "kty": "OKP",
        "crv": "Ed25519",
        "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    }
)
"""The example of RFC 8037, appendix A.1."""


class ChainServer:
    """Issues ``PATH-1``, ``PATH-2`` and so on at each path; records what it receives."""

    def __init__(self) -> None:
        self.url = ""
        self.calls: Counter[str] = Counter()
        self.received: dict[str, list[tuple[dict[str, str], Any]]] = {}
        """The headers and the body of each request, by path."""
        self.lifetimes: dict[str, int] = {}
        self.refuse: set[str] = set()
        """Credentials that are refused from now on."""
        self.held: set[str] = set()
        """Paths whose next request is answered after :meth:`release`."""
        self._released = threading.Event()
        self._lock = threading.Lock()

    def release(self) -> None:
        self._released.set()

    def answer(self, path: str, headers: dict[str, str], body: Any) -> tuple[int, dict[str, Any]]:
        if path == "calls":
            return 200, dict(self.calls)
        with self._lock:
            self.calls[path] += 1
            number = self.calls[path]
            self.received.setdefault(path, []).append((headers, body))
            is_held = path in self.held
            self.held.discard(path)
        if is_held:
            self._released.wait(60)
        if headers.get("authorization", "").removeprefix("Bearer ") in self.refuse:
            return 401, {}
        token, lifetime = f"{path}-{number}", self.lifetimes.get(path, 3600)
        if path.endswith("oauth"):
            id_token = ".".join(map(_encoded, [{"alg": "none"}, {"sub": token}])) + ".c2ln"
            answer = {"access_token": token, "token_type": "Bearer", "id_token": id_token}
            return 200, {**answer, "expires_in": lifetime}
        return 200, {"data": {"token": token, "ttl": lifetime}}


def _encoded(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def decoded(part: str) -> Any:
    """The JSON in a part of a JWT."""
    return json.loads(base64.urlsafe_b64decode(part + "=="))


@contextmanager
def chain_server() -> Iterator[ChainServer]:
    server = ChainServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.do_POST()

        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
            headers = {name.lower(): value for name, value in self.headers.items()}
            is_json = headers.get("content-type") == "application/json"
            body = json.loads(text) if is_json else {k: v[0] for k, v in parse_qs(text).items()}
            status, answer = server.answer(self.path.strip("/"), headers, body)
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *_: Any) -> None:  # noqa: A002 — as in the base.
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listener:
        listener.daemon_threads = True
        server.url = f"http://127.0.0.1:{listener.server_port}"
        thread = threading.Thread(target=listener.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.release()
            listener.shutdown()
            thread.join()
