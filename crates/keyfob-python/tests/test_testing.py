"""The helpers for tests of programs that use keyfob, next to the tools that such tests use."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import freezegun
import httpx
import keyfob
import pytest
import requests
import requests_mock
import responses
import respx
import time_machine
from keyfob import AuthenticationError, GenericExternallyManagedJWTHandler, RetryPolicy
from keyfob.testing import Clock, Issuer

API = "https://api.example.com/"


def test_time_passes_for_handlers_that_exist_already(
    keyfob_clock: Clock, keyfob_issuer: Issuer
) -> None:
    handler = GenericExternallyManagedJWTHandler(get_token=keyfob_issuer)
    handler.authenticate()
    keyfob_clock.advance(3000)
    assert handler.get_valid_token() == "token-1"
    keyfob_clock.advance(timedelta(seconds=601))
    assert not handler.authenticated
    assert handler.get_valid_token() == "token-2"


def test_a_fixture_starts_with_the_time_of_the_machine(keyfob_clock: Clock) -> None:
    assert abs(keyfob_clock.now() - datetime.now(timezone.utc)) < timedelta(seconds=1)


def test_the_clock_shows_the_time_of_the_machine_again_after_a_test() -> None:
    with Clock() as clock:
        clock.advance(10_000)
        clock.set(datetime(2050, 1, 1, tzinfo=timezone.utc))
        assert clock.now().year == 2050
        clock.set(datetime(2001, 1, 1, tzinfo=timezone.utc))
        assert clock.now().year == 2001
    assert abs(Clock().now() - datetime.now(timezone.utc)) < timedelta(seconds=1)


def test_t6_a_wall_clock_that_is_set_back_keeps_a_token_no_longer(
    keyfob_clock: Clock, keyfob_issuer: Issuer
) -> None:
    handler = GenericExternallyManagedJWTHandler(get_token=keyfob_issuer)
    handler.authenticate()
    keyfob_clock.set(datetime(2001, 1, 1, tzinfo=timezone.utc))
    assert handler.authenticated
    keyfob_clock.advance(3601)
    assert not handler.authenticated


def test_a_time_without_a_zone_and_a_negative_time_are_errors(keyfob_clock: Clock) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        keyfob_clock.set(datetime(2030, 1, 1))
    with pytest.raises(ValueError, match="0 or more"):
        keyfob_clock.advance(-1)


def expiring_hook() -> tuple[str, datetime]:
    """A hook whose expiry comes from Python's time."""
    return "t0ken", datetime.now(timezone.utc) + timedelta(minutes=5)


def test_with_freezegun_the_clock_is_synced(keyfob_clock: Clock) -> None:
    handler = GenericExternallyManagedJWTHandler(get_token=expiring_hook)
    with freezegun.freeze_time("2020-01-01") as frozen:
        keyfob_clock.sync()
        expires = handler.get_valid_token_with_expiry()[1]
        assert expires is not None
        assert abs(expires - datetime.now(timezone.utc) - timedelta(minutes=5)) < timedelta(
            seconds=1
        )
        frozen.tick(timedelta(minutes=6))
        assert handler.authenticated
        keyfob_clock.sync()
        assert not handler.authenticated
        handler.authenticate()
        assert handler.authenticated


def test_with_time_machine_the_clock_is_synced(keyfob_clock: Clock) -> None:
    handler = GenericExternallyManagedJWTHandler(get_token=expiring_hook)
    with time_machine.travel("2035-01-01", tick=False) as traveller:
        keyfob_clock.sync()
        handler.authenticate()
        traveller.shift(timedelta(minutes=6))
        keyfob_clock.sync()
        assert not handler.authenticated
        handler.authenticate()
        assert handler.authenticated


def test_the_issuer_is_a_hook_next_to_responses(keyfob_clock: Clock, keyfob_issuer: Issuer) -> None:
    session = keyfob.Session(keyfob_issuer, base_url=API)
    with responses.RequestsMock() as mock:
        mock.get(API + "reports", json={"count": 42})
        assert session.get("reports").json() == {"count": 42}
        keyfob_clock.advance(3601)
        session.get("reports")
        sent = [call.request.headers["authorization"] for call in mock.calls]
    assert sent == ["Bearer token-1", "Bearer token-2"]


def test_the_issuer_is_a_hook_next_to_requests_mock(keyfob_issuer: Issuer) -> None:
    session = keyfob.Session(keyfob_issuer, base_url=API)
    with requests_mock.Mocker() as mock:
        mock.get(API + "reports", [{"status_code": 401}, {"text": "fine"}])
        assert session.get("reports").text == "fine"
    assert keyfob_issuer.tokens == ["token-1", "token-2"]


def test_the_issuer_is_a_hook_next_to_respx(keyfob_issuer: Issuer) -> None:
    handler = GenericExternallyManagedJWTHandler(get_token=keyfob_issuer)
    with respx.mock:
        route = respx.get(API).mock(return_value=httpx.Response(200))
        assert httpx.get(API, auth=handler.httpx_auth(API)).status_code == 200
    assert route.calls[0].request.headers["authorization"] == "Bearer token-1"


def test_the_responses_of_the_issuer_are_scripted(keyfob_issuer: Issuer) -> None:
    keyfob_issuer.next({"access_token": "scripted", "expires_in": 60})
    keyfob_issuer.next(error="invalid_grant")
    keyfob_issuer.next(status=503)
    keyfob_issuer.next("no JSON")
    handler = GenericExternallyManagedJWTHandler(get_token=keyfob_issuer)
    assert handler.get_valid_token() == "scripted"
    for message in ["`invalid_grant`", "hook failed", "hook failed"]:
        with pytest.raises(AuthenticationError, match=message):
            handler.authenticate(force=True)
    handler.authenticate(force=True)
    assert len(keyfob_issuer.requests) == 5
    assert keyfob_issuer.requests[0].form == {"grant_type": "client_credentials"}


def test_t1_a_held_response_shows_that_callers_share_a_fetch(keyfob_issuer: Issuer) -> None:
    keyfob_issuer.next(held=True)
    handler = GenericExternallyManagedJWTHandler(get_token=keyfob_issuer)
    threads = [threading.Thread(target=handler.authenticate) for _ in range(8)]
    for thread in threads:
        thread.start()
    while not keyfob_issuer.requests:
        time.sleep(0.005)
    keyfob_issuer.release()
    for thread in threads:
        thread.join(30)
    assert len(keyfob_issuer.requests) == 1


def test_tokens_without_an_expiry_and_revoked_ones() -> None:
    with Issuer(lifetime=None) as issuer:
        handler = GenericExternallyManagedJWTHandler(get_token=issuer)
        handler.authenticate()
        assert handler.get_valid_token_with_expiry()[1] is None
        assert issuer.accepts(handler.request_headers["authorization"])
        issuer.revoke()
        assert not issuer.accepts(handler.request_headers["authorization"])
        assert repr(issuer) == f"<Issuer at {issuer.url}: 1 tokens, 1 requests>"


def test_a_profile_gets_its_tokens_from_the_issuer(keyfob_issuer: Issuer, tmp_path: Path) -> None:
    config = tmp_path / "keyfob.toml"
    config.write_text(
        f"""
[profiles.ehr]
base_url = "{API}"
store = "memory"
token = {{ grant = "client_credentials", token_endpoint = "{keyfob_issuer.url}", client_id = "a", scopes = "b" }}
"""
    )
    config.chmod(0o600)
    session = keyfob.session("ehr", config=config)
    session.retry = RetryPolicy(pauses=(0, 0))
    with responses.RequestsMock() as mock:
        mock.get(API + "reports")
        assert session.get("reports").status_code == 200
    (received,) = keyfob_issuer.requests
    assert received.form["scope"] == "b"
    assert "client_credentials" not in repr(received)


def test_pytest_finds_the_fixtures_by_itself() -> None:
    text = (Path(__file__).parents[1] / "pyproject.toml").read_text()
    assert '[project.entry-points.pytest11]\nkeyfob = "keyfob._pytest_plugin"\n' in text


def test_an_issuer_that_has_ended_refuses_connections() -> None:
    with Issuer() as issuer:
        url = issuer.url
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.post(url, timeout=5)
