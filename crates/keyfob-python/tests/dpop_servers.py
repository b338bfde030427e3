"""A token endpoint and an API that check each proof of possession (RFC 9449), with the package ``cryptography``."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat


@dataclass
class DpopServers:
    """What the servers expect and what they have received."""

    url: str = ""
    nonce: str | None = None
    """The nonce that proofs for the API must contain, if any."""
    revoked: set[str] = field(default_factory=set)
    tokens: int = 0
    accepted: list[str] = field(default_factory=list)
    """Method and path of each request of the API whose token and proof were right."""
    refused: list[str] = field(default_factory=list)
    """Why each other one was refused."""
    bodies: list[bytes] = field(default_factory=list)
    jtis: set[str] = field(default_factory=set)
    public_keys: set[str] = field(default_factory=set)

    @property
    def token_url(self) -> str:
        return f"{self.url}token"

    def check(self, request: BaseHTTPRequestHandler, path: str, token: str | None) -> str | None:
        """Why the proof of a request is wrong; ``None`` if it is right."""
        proofs = request.headers.get_all("dpop") or []
        if len(proofs) != 1:
            return f"{len(proofs)} proofs"
        header, claims = verified(proofs[0])
        if header["typ"] != "dpop+jwt" or "d" in header["jwk"]:
            return "header"
        expected = {"htm": request.command, "htu": self.url + path.split("?")[0].lstrip("/")}
        if token is not None:
            digest = hashlib.sha256(token.encode()).digest()
            expected["ath"] = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if token is not None and self.nonce is not None:
            expected["nonce"] = self.nonce
        for name, value in expected.items():
            if claims.get(name) != value:
                return name
        if claims["jti"] in self.jtis:
            return "jti"
        self.jtis.add(claims["jti"])
        self.public_keys.add(json.dumps(header["jwk"]))
        return None


def verified(proof: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The header and the claims of a proof, whose signature is right."""
    head, body, signature = proof.split(".")
    header = json.loads(decoded(head))
    numbers = [int.from_bytes(decoded(header["jwk"][name]), "big") for name in ("x", "y")]
    key = ec.EllipticCurvePublicNumbers(numbers[0], numbers[1], ec.SECP256R1()).public_key()
    raw = decoded(signature)
    pair = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    try:
        key.verify(pair, f"{head}.{body}".encode(), ec.ECDSA(SHA256()))
    except InvalidSignature:
        raise AssertionError("the signature of the proof is wrong") from None
    return header, json.loads(decoded(body))


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@contextmanager
def dpop_servers() -> Iterator[DpopServers]:
    """Starts both on one port; they end with the ``with`` statement."""
    state = DpopServers()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            body = self.rfile.read(length)
            if self.path == "/token":
                self.token()
            else:
                self.api(body)

        do_POST = do_GET  # noqa: N815

        def token(self) -> None:
            wrong = state.check(self, "/token", None)
            if wrong is not None:
                self.answer(400, {"error": "invalid_dpop_proof", "error_description": wrong})
                return
            state.tokens += 1
            token = {"access_token": f"token-{state.tokens}", "token_type": "DPoP"}
            self.answer(200, {**token, "expires_in": 3600})

        def api(self, body: bytes) -> None:
            scheme, _, token = (self.headers.get("authorization") or "").partition(" ")
            if scheme != "DPoP" or token in state.revoked:
                state.refused.append("token")
                self.answer(401, {}, {"www-authenticate": 'DPoP error="invalid_token"'})
                return
            wrong = state.check(self, self.path, token)
            if wrong == "nonce":
                state.refused.append(wrong)
                challenge = 'DPoP error="use_dpop_nonce"'
                self.answer(401, {}, {"www-authenticate": challenge, "dpop-nonce": state.nonce})
            elif wrong is not None:
                state.refused.append(wrong)
                self.answer(401, {}, {"www-authenticate": 'DPoP error="invalid_dpop_proof"'})
            elif self.path.startswith("/redirect"):
                state.accepted.append(f"{self.command} {self.path}")
                self.answer(307, {}, {"location": "/there?a=b"})
            else:
                state.accepted.append(f"{self.command} {self.path}")
                state.bodies.append(body)
                self.answer(200, {})

        def answer(self, status: int, body: Any, headers: dict[str, Any] | None = None) -> None:
            text = json.dumps(body).encode()
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()


def profile(
    servers: DpopServers, folder: Path, grant: str = 'grant = "client_credentials"'
) -> Path:
    """A profile file whose tokens are bound to a new key."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "key.pem").write_bytes(pem)
    (folder / "key.pem").chmod(0o600)
    path = folder / "keyfob.toml"
    path.write_text(
        f"""
[profiles.ehr]
base_url = "{servers.url}"
store = "memory"

[profiles.ehr.token]
{grant}
token_endpoint = "{servers.token_url}"
client_id = "reports"
dpop_key = "file:{folder / "key.pem"}"
"""
    )
    path.chmod(0o600)
    return path
