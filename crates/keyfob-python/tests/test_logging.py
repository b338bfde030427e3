"""The records of the logger `keyfob`, which never contain a secret."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from keyfob import AuthenticationError, GenericExternallyManagedJWTHandler
from servers import Servers
from sessions import Hook, renewing
from tokens import ahead

SECRET = "s3cret-t0ken"


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    caplog.set_level(logging.DEBUG)
    yield caplog
    text = "\n".join(record.getMessage() for record in caplog.get_records("call"))
    assert text
    assert SECRET not in text
    assert "token-1" not in text


def levels(log: pytest.LogCaptureFixture, words: str) -> list[int]:
    return [each.levelno for each in log.records if each.name == "keyfob" and words in each.message]


def test_s1_renewals_retries_and_replays_are_logged_at_debug(
    servers: Servers, log: pytest.LogCaptureFixture
) -> None:
    session = renewing(Hook(servers))
    session.get(servers.api_url)
    servers.next(503)
    session.get(servers.api_url)
    servers.revoke()
    session.get(servers.api_url)
    assert levels(log, "token renewed") == [logging.DEBUG] * 2
    assert levels(log, "request will be sent again") == [logging.DEBUG]
    assert levels(log, "token was rejected; request is sent again") == [logging.DEBUG]


def test_s1_a_failure_is_logged_without_the_text_of_the_exception(
    log: pytest.LogCaptureFixture,
) -> None:
    def hook() -> tuple[str, object]:
        raise RuntimeError(SECRET)

    handler = GenericExternallyManagedJWTHandler(None, None, hook)  # type: ignore[arg-type]
    with pytest.raises(AuthenticationError):
        handler.authenticate()
    assert levels(log, "there is no valid token") == [logging.ERROR]
    valid = GenericExternallyManagedJWTHandler(SECRET, ahead(60), hook)  # type: ignore[arg-type]
    with pytest.raises(AuthenticationError):
        valid.authenticate(force=True)
    assert levels(log, "token is still valid") == [logging.WARNING]


def test_s1_no_url_is_logged(servers: Servers, log: pytest.LogCaptureFixture) -> None:
    session = renewing(Hook(servers))
    for status in [503, 401]:
        servers.next(status)
        session.get(f"{servers.api_url}/patients", params={"name": "PATIENT"})
    ours = "\n".join(each.message for each in log.records if each.name == "keyfob")
    assert "request will be sent again" in ours
    assert "PATIENT" not in ours
    assert "patients" not in ours


def test_reading_the_state_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    handler = GenericExternallyManagedJWTHandler(SECRET, ahead(3600), lambda: (SECRET, ahead(60)))
    caplog.set_level(logging.DEBUG, "keyfob")
    assert handler.authenticated
    assert handler.request_headers
    assert handler.jwt == handler.get_valid_token()
    assert handler.status()
    assert caplog.records == []


@pytest.mark.parametrize("unusable", [(SECRET + "\n", ahead(60)), (SECRET, "soon"), {"t": SECRET}])
def test_s1_an_unusable_result_is_not_quoted(
    unusable: object, log: pytest.LogCaptureFixture
) -> None:
    handler = GenericExternallyManagedJWTHandler(None, None, lambda: unusable)  # type: ignore[arg-type,return-value]
    with pytest.raises(AuthenticationError) as raised:
        handler.authenticate()
    assert SECRET not in str(raised.value)
    assert levels(log, "there is no valid token") == [logging.ERROR]


def test_a_log_level_that_is_set_later_takes_effect(caplog: pytest.LogCaptureFixture) -> None:
    handler = GenericExternallyManagedJWTHandler(None, None, lambda: (SECRET, ahead(60)))
    caplog.set_level(logging.INFO, "keyfob")
    handler.authenticate(force=True)
    assert levels(caplog, "token renewed") == []
    caplog.set_level(logging.DEBUG, "keyfob")
    handler.authenticate(force=True)
    assert levels(caplog, "token renewed") == [logging.DEBUG]
