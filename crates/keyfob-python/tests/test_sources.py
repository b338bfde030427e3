"""The core's sources, from Python."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from keyfob import AuthenticationError, GenericExternallyManagedJWTHandler, sources


def token_of(source: sources.Source) -> str:
    return GenericExternallyManagedJWTHandler(None, None, source).get_valid_token()


def test_a_command_prints_the_token() -> None:
    assert token_of(sources.command([sys.executable, "-c", "print('t0ken')"])) == "t0ken"


def test_s3_the_output_of_a_failing_command_is_in_no_error() -> None:
    failing = sources.command([sys.executable, "-c", "print('s3cret'); raise SystemExit(3)"])
    with pytest.raises(AuthenticationError) as raised:
        token_of(failing)
    assert "s3cret" not in str(raised.value)


def test_a_command_that_is_one_string_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="sequence of words"):
        sources.command("gh auth token")


def test_a_negative_number_is_rejected_at_once() -> None:
    for make in (
        lambda: sources.command(["gh"], timeout=-1),
        lambda: sources.env("API_TOKEN", default_lifetime=-1),
    ):
        with pytest.raises(ValueError, match="number of seconds"):
            make()


def test_a_file_is_read_again_when_a_token_is_forced(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("first\n")
    path.chmod(0o600)
    handler = GenericExternallyManagedJWTHandler(None, None, sources.file(path))
    assert handler.get_valid_token() == "first"
    path.write_text("second\n")
    assert handler.get_valid_token(force=True) == "second"


def test_a_missing_file_is_an_authentication_error(tmp_path: Path) -> None:
    with pytest.raises(AuthenticationError):
        token_of(sources.file(tmp_path / "none"))


def test_a_variable_is_read_when_a_token_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    source = sources.env("KEYFOB_TEST_TOKEN")
    monkeypatch.setenv("KEYFOB_TEST_TOKEN", "t0ken")
    assert token_of(source) == "t0ken"


def test_a_default_lifetime_ends_a_token_without_an_expiry() -> None:
    source = sources.command([sys.executable, "-c", "print('t0ken')"], default_lifetime=600)
    handler = GenericExternallyManagedJWTHandler(None, None, source)
    handler.authenticate()
    left = handler.status()["expires_in"]
    assert left is not None
    assert 500 < left <= 600


def test_a_user_and_a_password_are_sent_as_basic_and_read_again(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("open sesame\n")
    source = sources.basic("Aladdin", f"file:{password}")
    handler = GenericExternallyManagedJWTHandler(None, None, source)
    handler.authenticate()
    assert handler.request_headers["authorization"] == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    password.write_text("first")
    handler.authenticate(force=True)
    assert handler.request_headers["authorization"] == "Basic QWxhZGRpbjpmaXJzdA=="


@pytest.mark.parametrize(("user", "password"), [("me", "s3cret"), ("s3cret", None)])
def test_s1_a_secret_in_place_of_a_reference_is_refused_and_not_quoted(
    user: str, password: str | None
) -> None:
    with pytest.raises(ValueError, match="is a secret") as raised:
        sources.basic(user, password)
    assert "s3cret" not in str(raised.value)
