"""Client certificates of sessions and of profiles, and what errors of the TLS handshake say."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import json
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import keyfob
import pytest
import requests
import trustme
from sessions import AT_ONCE

Start = Callable[..., str]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def folder(authority: trustme.CA, tmp_path: Path) -> Path:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    renew(authority, tmp_path)
    return tmp_path


def renew(authority: trustme.CA, folder: Path, **settings: Any) -> str:
    """Puts a new client certificate into the files; returns its fingerprint."""
    issued = authority.issue_cert("client.example", **settings)
    for name, pem in [("tls.crt", issued.cert_chain_pems[0]), ("tls.key", issued.private_key_pem)]:
        new = folder / "new"
        new.write_bytes(pem.bytes())
        new.chmod(0o600)
        new.rename(folder / name)
    der = ssl.PEM_cert_to_DER_cert(issued.cert_chain_pems[0].bytes().decode())
    return hashlib.sha256(der).hexdigest()


@pytest.fixture
def start(authority: trustme.CA) -> Iterator[Start]:
    """Starts a server that responds with the fingerprint of the client's certificate, or redirects.

    It ends the first connections in the handshake, if ``ended`` says how many.
    """
    servers: list[ThreadingHTTPServer] = []

    def start(
        mode: ssl.VerifyMode = ssl.CERT_REQUIRED,
        target: str = "",
        only_tls12: bool = False,
        ended: int = 0,
        **settings: Any,
    ) -> str:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.rfile.read(int(self.headers.get("content-length") or 0))
                connection: Any = self.connection
                der = connection.getpeercert(binary_form=True)
                presented = hashlib.sha256(der).hexdigest() if der else None
                token = {"access_token": "t0ken", "token_type": "Bearer", "expires_in": 3600}
                body = json.dumps({"presented": presented, **token}).encode()
                self.send_response(307 if target else 200)
                if target:
                    self.send_header("location", target)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            accepted = 0

            def verify_request(self, request: Any, client_address: object) -> bool:  # noqa: ARG002
                self.accepted += 1
                if self.accepted <= ended:
                    # Not by TLS. What is received is read, so that the connection is not reset.
                    socket.socket.recv(request, 65536)
                return self.accepted > ended

            def handle_error(self, request: object, client_address: object) -> None:
                pass

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        name = settings.pop("name", "127.0.0.1")
        authority.issue_cert(name, **settings).configure_cert(context)
        authority.configure_trust(context)
        context.verify_mode = mode
        if only_tls12:
            # In TLS 1.3 the alert may be lost with the connection.
            context.maximum_version = ssl.TLSVersion.TLSv1_2
        server = Server(("127.0.0.1", 0), Handler)
        # The handshake is in the thread of the connection.
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"https://127.0.0.1:{server.server_port}/"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def session(url: str, folder: Path, **settings: Any) -> keyfob.Session:
    pair = (folder / "tls.crt", folder / "tls.key")
    settings = {"cert": pair, "verify": str(folder / "ca.pem"), "retries": 0, **settings}
    return keyfob.Session(lambda: "t0ken", base_url=url, **settings)


def presented(response: Any) -> Any:
    assert response.status_code == 200
    return response.json()["presented"]


def test_a_session_presents_its_certificate_and_a_new_one_after_the_files_change(
    start: Start, authority: trustme.CA, folder: Path
) -> None:
    made = session(start(), folder)
    before = presented(made.get("data"))
    assert before == presented(made.get("data"))
    for _ in range(2):
        after = renew(authority, folder)
        assert presented(made.get("data")) == after
        assert presented(made.get("data")) == after


def test_a_new_pair_that_cannot_be_used_keeps_the_old_one_and_warns_once(
    start: Start, authority: trustme.CA, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = session(start(), folder)
    before = presented(made.get("data"))
    (folder / "tls.key").write_text("")
    with caplog.at_level(logging.WARNING, "keyfob"):
        for _ in range(3):
            assert presented(made.get("data")) == before
    assert [r for r in caplog.messages if "the old one stays in use" in r] == caplog.messages
    assert len(caplog.messages) == 1
    assert presented(made.get("data")) == before
    assert renew(authority, folder) == presented(made.get("data"))


def test_r1_a_server_that_a_redirect_leads_to_does_not_see_the_certificate(
    start: Start, folder: Path
) -> None:
    other = start(ssl.CERT_OPTIONAL)
    assert presented(session(start(target=other), folder).get("data")) is None
    assert presented(session(other, folder).get("data")) is not None


def test_r1_a_redirect_sent_by_hand_does_not_show_the_certificate(
    start: Start, folder: Path
) -> None:
    other = start(ssl.CERT_OPTIONAL)
    made = session(start(target=other), folder)
    response = made.get("data", allow_redirects=False)
    assert response.next is not None
    assert presented(made.send(response.next)) is None
    assert presented(session(other, folder).get("data")) is not None


@pytest.mark.parametrize("bound", [False, True])
@pytest.mark.parametrize("followed", ["by hand", "by the call", "by the client"])
@pytest.mark.parametrize("is_async", [False, True])
def test_r1_a_server_that_a_redirect_of_httpx_leads_to_does_not_see_the_certificate(
    start: Start, folder: Path, bound: bool, followed: str, is_async: bool
) -> None:
    other = start(ssl.CERT_OPTIONAL)
    url = start(target=other)
    settings: Any = {
        "cert": (f"{folder}/tls.crt", f"{folder}/tls.key"),
        "verify": str(folder / "ca.pem"),
        "redirects": 3 if followed == "by the client" else 0,
        "base_url": url if bound else None,
    }
    call: Any = {"follow_redirects": True} if followed == "by the call" else {}

    def sync() -> Any:
        with keyfob.Client(lambda: "t0ken", **settings) as client:
            if not bound:
                assert presented(client.get(other)) is not None
            response: Any = client.get(url, **call)
            return client.send(response.next_request) if followed == "by hand" else response

    async def on_loop() -> Any:
        async with keyfob.AsyncClient(lambda: "t0ken", **settings) as client:
            if not bound:
                assert presented(await client.get(other)) is not None
            response: Any = await client.get(url, **call)
            return await client.send(response.next_request) if followed == "by hand" else response

    assert presented(asyncio.run(on_loop()) if is_async else sync()) is None


def test_r4_a_connection_that_ends_in_the_handshake_is_tried_again(
    start: Start, folder: Path
) -> None:
    made = session(start(ended=2), folder, retry=AT_ONCE.with_own_budget(), retries=None)
    assert presented(made.get("data")) is not None
    # `requests` does not tell whether the request was sent.
    made = session(start(ended=1), folder, retry=AT_ONCE.with_own_budget(), retries=None)
    with pytest.raises(requests.exceptions.SSLError):
        made.post("data", data=b"once")


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("is_async", [False, True])
def test_r4_a_connection_that_ends_in_the_handshake_of_httpx_is_tried_again(
    method: str, is_async: bool, start: Start, folder: Path
) -> None:
    settings: Any = {
        "cert": (f"{folder}/tls.crt", f"{folder}/tls.key"),
        "verify": str(folder / "ca.pem"),
        "base_url": start(ended=2),
        "retry": AT_ONCE.with_own_budget(),
    }

    async def on_loop() -> Any:
        async with keyfob.AsyncClient(lambda: "t0ken", **settings) as client:
            return await client.request(method, "data")

    if is_async:
        assert presented(asyncio.run(on_loop())) is not None
        return
    with keyfob.Client(lambda: "t0ken", **settings) as client:
        assert presented(client.request(method, "data")) is not None


def test_the_certificate_of_a_profile_is_for_the_api_and_for_the_token_endpoint(
    start: Start, folder: Path
) -> None:
    url = start()
    config = folder / "keyfob.toml"
    text = f"""
[profiles.ehr]
base_url = "{url}"
store = "memory"
ca_file = "{folder}/ca.pem"
%s
[profiles.ehr.token]
grant = "client_credentials"
token_endpoint = "{url}token"
client_id = "reports"
"""
    key = f'client_certificate = {{ certificate = "{folder}/tls.crt", key = "{folder}/tls.key" }}'
    config.write_text(text % key)
    config.chmod(0o600)
    assert presented(keyfob.session("ehr", config=config).get("data")) is not None
    config.write_text(text % "")
    pair = (f"{folder}/tls.crt", f"{folder}/tls.key")
    assert presented(keyfob.session("ehr", config=config, cert=pair).get("data")) is not None
    with pytest.raises(keyfob.AuthenticationError, match="demands a client certificate"):
        keyfob.session("ehr", config=config).get("data")


def test_an_httpx_client_presents_a_certificate(start: Start, folder: Path) -> None:
    pair = (f"{folder}/tls.crt", f"{folder}/tls.key")
    settings: Any = {"cert": pair, "verify": str(folder / "ca.pem"), "base_url": start()}
    with keyfob.Client(lambda: "t0ken", **settings) as client:
        assert presented(client.get("data")) is not None


@pytest.mark.parametrize("broken", ["tls.crt", "tls.key"])
def test_a_certificate_that_cannot_be_used_is_an_error_at_once_that_names_it(
    broken: str, folder: Path
) -> None:
    (folder / broken).write_text("")
    with pytest.raises(ValueError, match=broken.replace(".", r"\.")):
        session("https://127.0.0.1:9/", folder)


PAST = dt.datetime(2020, 1, 1, tzinfo=dt.timezone.utc)
FUTURE = dt.datetime(2090, 1, 1, tzinfo=dt.timezone.utc)


@pytest.mark.parametrize(
    ("server", "client", "words"),
    [
        ({"not_after": PAST}, {}, "certificate of the server has expired"),
        ({"not_before": FUTURE, "not_after": FUTURE}, {}, "is not valid yet"),
        ({"name": "other.example"}, {}, "is for another host"),
        ({"mode": ssl.CERT_NONE}, {"verify": None}, "verify='authority.pem'"),
        ({"only_tls12": True}, {"cert": None}, "demands a client certificate"),
        ({}, {"scheme": "plain"}, "its URL begins with http://"),
    ],
)
def test_an_error_of_the_handshake_has_a_note_that_says_what_to_do(
    server: Any, client: Any, words: str, start: Start, folder: Path, monkeypatch: Any
) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    if client.pop("scheme", None):
        plain = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
        threading.Thread(target=plain.serve_forever, daemon=True).start()
        url = f"https://127.0.0.1:{plain.server_port}/"
    else:
        url = start(**server)
    with pytest.raises(requests.exceptions.SSLError) as raised:
        session(url, folder, **client).get("data")
    notes = getattr(raised.value, "__notes__", None)
    assert notes is None or words in " ".join(notes)
    assert notes or not hasattr(BaseException, "add_note")
