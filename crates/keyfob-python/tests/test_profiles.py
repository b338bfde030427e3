"""Sessions by name, from a ``keyfob.toml``."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

import httpx
import keyfob
import pytest
import requests
import requests_mock
from keyfob import AuthenticationError, OriginError, ProfileError
from profile_files import SECRET, client_credentials, from_file, written
from servers import Servers


def ehr(servers: Servers, folder: Path, more: str = "") -> keyfob.ProfileSession:
    return keyfob.session("ehr", config=written(folder, client_credentials(servers, folder, more)))


def test_a_session_by_name_gets_a_token_from_the_profiles_grant(
    servers: Servers, tmp_path: Path
) -> None:
    session = ehr(servers, tmp_path)
    assert isinstance(session, requests.Session)
    assert not session.authenticated
    assert servers.counts().token_requests == 0
    assert session.get("reports").status_code == 200
    assert session.get("reports").status_code == 200
    assert [each.authorization for each in servers.received()] == ["Bearer token-1"] * 2
    assert servers.counts().token_requests == 1


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("reports", "/v1/reports"),
        (b"reports", "/v1/reports"),
        ("reports/../orders?year=2026", "/v1/orders"),
        ("", "/v1/"),
        ("/status", "/status"),
    ],
)
def test_a_relative_url_is_resolved_against_the_base_url(
    url: Any, path: str, servers: Servers, tmp_path: Path
) -> None:
    text = client_credentials(servers, tmp_path)
    text = text.replace(servers.api_url, servers.api_url.rstrip("/") + "/v1")
    session = keyfob.session("ehr", config=written(tmp_path, text))
    assert session.get(url).status_code == 200
    assert [each.path for each in servers.received()] == [path]


def test_an_absolute_url_is_used_unchanged(servers: Servers, tmp_path: Path) -> None:
    url = servers.api_url.rstrip("/") + "/elsewhere"
    assert ehr(servers, tmp_path).get(url).url == url


def test_r9_the_request_that_is_prepared_is_not_changed(servers: Servers, tmp_path: Path) -> None:
    request = requests.Request("GET", "reports")
    session = ehr(servers, tmp_path)
    assert session.send(session.prepare_request(request)).status_code == 200
    assert request.url == "reports"


def test_without_a_base_url_a_relative_url_is_invalid(servers: Servers, tmp_path: Path) -> None:
    text = client_credentials(servers, tmp_path).replace("base_url =", "origins =")
    text = text.replace(servers.api_url, servers.api_url.rstrip("/"))
    session = keyfob.session("ehr", config=written(tmp_path, text))
    assert session.base_url is None
    with pytest.raises(requests.exceptions.MissingSchema):
        session.get("reports")
    assert session.get(servers.api_url).status_code == 200


@pytest.mark.parametrize("url", ["https://example.com/", "//example.com/", "http://[", "mock://a/"])
def test_r1_the_token_goes_to_the_origins_of_the_profile_alone(
    url: str, servers: Servers, tmp_path: Path
) -> None:
    session = ehr(servers, tmp_path)
    with pytest.raises((OriginError, requests.exceptions.InvalidURL, ValueError)):
        session.get(url)
    assert (servers.counts().token_requests, servers.counts().requests) == (0, 0)


def test_r1_handlers_over_the_profile_are_bound_to_its_origins(
    servers: Servers, tmp_path: Path
) -> None:
    config = written(tmp_path, client_credentials(servers, tmp_path))
    source = keyfob.sources.profile("ehr", config=config)
    handler = keyfob.GenericExternallyManagedJWTHandler(None, None, source)
    session = keyfob.ExternallyManagedJWTSession(handler)
    for refused in (
        lambda: session.get("https://example.com"),
        lambda: requests.get("https://example.com", auth=handler.auth(), timeout=5),
        lambda: httpx.get("https://example.com", auth=handler.httpx_auth()),
    ):
        with pytest.raises(OriginError, match="is bound to"):
            refused()
    assert servers.counts().token_requests == 0
    assert session.get(servers.api_url).status_code == 200
    assert requests.get(servers.api_url, auth=handler.auth(), timeout=5).status_code == 200
    assert httpx.get(servers.api_url, auth=handler.httpx_auth()).status_code == 200
    assert servers.counts().token_requests == 1


def test_r1_plain_http_goes_where_the_profile_allows_it(servers: Servers, tmp_path: Path) -> None:
    text = client_credentials(
        servers, tmp_path, 'allow_plain_http = "http://build-server.example:8080"'
    )
    session = keyfob.session("ehr", config=written(tmp_path, text))
    build_server = requests_mock.Adapter()
    build_server.register_uri("GET", "/job", text="built")
    session.mount("http://", build_server)
    assert session.get("http://build-server.example:8080/job").text == "built"
    with pytest.raises(OriginError):
        session.get("http://build-server.example/job")


def test_r5_the_profile_sets_the_retry_policy(servers: Servers, tmp_path: Path) -> None:
    retry = "retry = { attempts = 3, first_pause = 0.001, also = 404, except = 503 }"
    session = ehr(servers, tmp_path, retry)
    servers.next(404, times=5)
    assert session.get("reports").status_code == 404
    assert servers.counts().requests == 3
    assert session.get("reports").status_code == 200
    servers.next(503)
    assert session.get("reports").status_code == 503


def test_r8_the_profile_sets_the_timeout(servers: Servers, tmp_path: Path) -> None:
    session = ehr(servers, tmp_path, "timeout = 0.2\nretry = { attempts = 1 }")
    servers.next(200, held=True)
    with pytest.raises(requests.exceptions.Timeout):
        session.get("reports")
    servers.release()


def test_a_profile_without_redirects_returns_a_redirect(servers: Servers, tmp_path: Path) -> None:
    session = ehr(servers, tmp_path, "redirects = 0")
    servers.next(302, headers={"location": "/there"})
    assert session.get("reports").status_code == 302
    session = ehr(servers, tmp_path, "redirects = 1")
    servers.next(302, headers={"location": "/there"}, times=3)
    with pytest.raises(requests.exceptions.TooManyRedirects):
        session.get("reports")
    assert ehr(servers, tmp_path, "").max_redirects == 10


def test_r1_a_token_in_a_custom_header_stays_with_its_origin(
    servers: Servers, tmp_path: Path
) -> None:
    text = from_file(servers, tmp_path, token_settings='header = "X-Tracker-Key"')
    session = keyfob.session("ehr", config=written(tmp_path, text))
    with Servers.start() as other:
        servers.next(302, headers={"location": other.api_url})
        assert session.get("reports").status_code == 401
        (elsewhere,) = other.received()
    (sent,) = servers.received()
    assert sent.headers["x-tracker-key"] == ["token-1"]
    assert sent.authorization is None
    assert "x-tracker-key" not in elsewhere.headers


def test_the_next_session_gets_its_token_from_the_store(servers: Servers, tmp_path: Path) -> None:
    for _ in range(3):
        assert ehr(servers, tmp_path).get("reports").status_code == 200
    assert servers.counts().token_requests == 1


def test_r3_a_401_renews_the_token(servers: Servers, tmp_path: Path) -> None:
    session = ehr(servers, tmp_path)
    session.get("reports")
    servers.revoke()
    assert session.post("reports", data=b"whole").status_code == 200
    assert servers.counts().token_requests == 2


def test_the_token_settings_of_the_profile_apply(servers: Servers, tmp_path: Path) -> None:
    text = from_file(servers, tmp_path, token_settings="default_lifetime = 600")
    session = keyfob.session("ehr", config=written(tmp_path, text))
    session.authenticate()
    left = session.authentication_handler.status()["expires_in"]
    assert left is not None
    assert 500 < left <= 600
    slow = text.replace(f"file:{tmp_path}/token", "command:sleep 20") + "fetch_timeout = 0.2"
    # A token of a command is stored, unlike that of a file. Nothing is written to the home directory.
    slow = slow.replace("[profiles.ehr]\n", '[profiles.ehr]\nstore = "memory"\n')
    began = time.monotonic()
    with pytest.raises(AuthenticationError):
        keyfob.session("ehr", config=written(tmp_path, slow)).authenticate()
    assert time.monotonic() - began < 18


def test_the_environment_variable_names_the_file(
    servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "KEYFOB_CONFIG", str(written(tmp_path, client_credentials(servers, tmp_path)))
    )
    assert keyfob.profiles() == ["ehr"]
    assert keyfob.session("ehr").get("reports").status_code == 200


def test_the_default_file_need_not_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KEYFOB_CONFIG", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert keyfob.profiles() == []
    with pytest.raises(ProfileError, match="does not exist"):
        keyfob.session("ehr")
    with pytest.raises(ProfileError, match="does not exist"):
        keyfob.profiles(config=tmp_path / "none.toml")


def test_a_misspelt_name_gets_a_suggestion(servers: Servers, tmp_path: Path) -> None:
    config = written(tmp_path, client_credentials(servers, tmp_path))
    with pytest.raises(ProfileError, match=r'no profile "ehrr"; did you mean `ehr`\?'):
        keyfob.session("ehrr", config=config)


def test_s1_profile_errors_have_a_position_and_no_value(servers: Servers, tmp_path: Path) -> None:
    text = client_credentials(servers, tmp_path)
    text = text.replace(f"file:{tmp_path}/secret", SECRET).replace("client_id", "client-id")
    config = written(tmp_path, text)
    for use in (
        lambda: keyfob.session("ehr", config=config),
        lambda: keyfob.profiles(config=config),
        lambda: keyfob.sources.profile("ehr", config=str(config)),
    ):
        with pytest.raises(ProfileError) as raised:
            use()
        lines = str(raised.value)
        assert f"{config}:10:1: unknown key `client-id`; did you mean `client_id`?" in lines
        assert f"{config}:11:17: `client_secret` is a secret" in lines
        assert SECRET not in lines
        assert isinstance(raised.value, ValueError)


def test_an_unknown_grant_is_reported(servers: Servers, tmp_path: Path) -> None:
    text = client_credentials(servers, tmp_path).replace("client_credentials", "client_credential")
    with pytest.raises(ProfileError, match=r":8:9: .*did you mean `client_credentials`\?"):
        keyfob.session("ehr", config=written(tmp_path, text))


def test_a_missing_secret_fails_the_request_and_not_the_session(
    servers: Servers, tmp_path: Path
) -> None:
    session = ehr(servers, tmp_path)
    (tmp_path / "secret").unlink()
    with pytest.raises(AuthenticationError, match="secret does not exist"):
        session.get("reports")
    assert servers.counts().requests == 0


def test_s1_the_log_has_no_secret_and_no_records_of_other_libraries(
    servers: Servers, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    session = ehr(servers, tmp_path)
    with caplog.at_level(logging.DEBUG):
        session.get("reports")
        session.authenticate(force=True)
    assert "renew" in caplog.text
    for secret in (SECRET, "token-1", "token-2"):
        assert secret not in caplog.text
        assert secret not in repr(session.request_headers) + repr(vars(session))
    # `urllib3` sends the request to the API. Libraries of the core have no logger here.
    assert {record.name.partition(".")[0] for record in caplog.records} <= {"keyfob", "urllib3"}


def test_r3_a_profile_names_the_statuses_that_mean_a_rejected_token(
    servers: Servers, tmp_path: Path
) -> None:
    session = ehr(servers, tmp_path, "rejected_statuses = 403")
    servers.next(403)
    assert session.get("reports").status_code == 200
    assert servers.counts().token_requests == 2
