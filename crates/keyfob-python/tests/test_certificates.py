"""One setting for certificate authorities: for the API, and for the server that issues the token."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import keyfob
import pytest
import requests
import trustme

ANSWER = b'{"access_token": "t0ken", "token_type": "Bearer", "expires_in": 3600}'


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[trustme.CA, str]:
    authority = trustme.CA()
    path = tmp_path_factory.mktemp("ca") / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    return authority, str(path)


@pytest.fixture(scope="module")
def url(authority: tuple[trustme.CA, str]) -> Iterator[str]:
    """A token endpoint and an API over TLS, whose certificate the system does not trust."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            self.send_response(200)
            self.send_header("content-length", str(len(ANSWER)))
            self.end_headers()
            self.wfile.write(ANSWER)

        do_POST = do_GET  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority[0].issue_cert("127.0.0.1").configure_cert(context)
    server = Server(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def _no_certificates_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)


def profile(url: str, folder: Path, more: str = "") -> Path:
    path = folder / "keyfob.toml"
    path.write_text(
        f"""
[profiles.ehr]
base_url = "{url}"
store = "memory"
{more}

[profiles.ehr.token]
grant = "client_credentials"
token_endpoint = "{url}token"
client_id = "reports"
"""
    )
    path.chmod(0o600)
    return path


def test_without_a_ca_file_the_errors_say_what_to_do(url: str, tmp_path: Path) -> None:
    session = keyfob.session("ehr", config=profile(url, tmp_path))
    with pytest.raises(keyfob.AuthenticationError, match="`verify` in Python") as raised:
        session.get("reports")
    assert "OtherError" not in str(raised.value)
    with pytest.raises(requests.exceptions.SSLError):
        keyfob.Session(lambda: "t0ken", base_url=url).get("reports")


def test_verify_applies_to_the_api_and_to_the_token_endpoint(
    url: str, authority: tuple[trustme.CA, str], tmp_path: Path
) -> None:
    session = keyfob.session("ehr", config=profile(url, tmp_path), verify=authority[1])
    assert session.get("reports").status_code == 200
    assert session.verify == authority[1]
    source = keyfob.sources.profile("ehr", config=profile(url, tmp_path), verify=Path(authority[1]))
    handler = keyfob.GenericExternallyManagedJWTHandler(get_token=source)
    assert handler.get_valid_token() == "t0ken"
    hook = keyfob.Session(lambda: "t0ken", base_url=url, verify=authority[1])
    assert hook.get("reports").status_code == 200
    with keyfob.Client(lambda: "t0ken", base_url=url, verify=authority[1]) as client:
        assert client.get("reports").status_code == 200
    untrusting = keyfob.Client(lambda: "t0ken", base_url=url)
    with untrusting, pytest.raises(httpx.ConnectError, match="certificate"):
        untrusting.get("reports")


def test_the_ca_file_of_a_profile_applies_to_both(
    url: str, authority: tuple[trustme.CA, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "unused.pem"))
    config = profile(url, tmp_path, f'ca_file = "{authority[1]}"')
    assert keyfob.session("ehr", config=config).get("reports").status_code == 200


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_a_file_of_the_environment_applies_to_both(
    name: str,
    url: str,
    authority: tuple[trustme.CA, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(name, authority[1])
    session = keyfob.session("ehr", config=profile(url, tmp_path))
    assert session.get("reports").status_code == 200
    assert keyfob.Session(lambda: "t0ken", base_url=url).get("reports").status_code == 200
    with keyfob.Client(lambda: "t0ken", base_url=url) as client:
        assert client.get("reports").status_code == 200


def test_a_call_may_name_another_file(url: str, authority: tuple[trustme.CA, str]) -> None:
    session = keyfob.Session(lambda: "t0ken", base_url=url)
    assert session.get("reports", verify=authority[1]).status_code == 200


@pytest.mark.parametrize("content", [None, "", "text", "-----BEGIN CERTIFICATE-----\nAA"])
@pytest.mark.parametrize("name", ["verify", "REQUESTS_CA_BUNDLE", "ca_file"])
def test_a_ca_file_that_cannot_be_used_is_an_error_at_once_that_names_it(
    name: str, content: str | None, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "broken.pem"
    if content is not None:
        path.write_text(content)
    settings = {"verify": str(path)} if name == "verify" else {}
    if name == "REQUESTS_CA_BUNDLE":
        monkeypatch.setenv(name, str(path))
    config = profile(url, tmp_path, f'ca_file = "{path}"' if name == "ca_file" else "")
    with pytest.raises(keyfob.ProfileError, match=r"broken\.pem"):
        keyfob.session("ehr", config=config, **settings)
    if name == "verify":
        with pytest.raises(ValueError, match=r"CA file .*broken\.pem"):
            keyfob.Session(lambda: "t0ken", base_url=url, verify=str(path))


def test_verification_cannot_be_turned_off_for_the_token_endpoint(url: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="name the file with your certificate authority"):
        keyfob.session("ehr", config=profile(url, tmp_path), verify=False)
