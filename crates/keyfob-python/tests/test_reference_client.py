"""Programs that were written for the reference work unchanged: what its real callers do, step by step."""

from __future__ import annotations

import hashlib
import queue
from abc import ABC, abstractmethod
from datetime import datetime, timedelta, timezone
from typing import Any, get_type_hints

import pytest
import requests
from keyfob.authentication import (
    JWT,
    AuthenticationError,
    BearerAuthSession,
    ExternallyManagedJWT,
    ExternallyManagedJWTSession,
    GenericExternallyManagedJWTHandler,
)
from servers import Servers
from sessions import Hook
from tokens import ahead, together


class Api:
    """A client of an API that accepts any session, and hashes a token as the key of its cache."""

    def __init__(self, url: str, session: requests.Session) -> None:
        self.url, self.session = url, session
        token = getattr(session, "token", None)
        self.cache_key = hashlib.sha256(str(token).encode()).hexdigest() if token else None

    def patients(self, **params: Any) -> Any:
        response = self.session.get(f"{self.url}/patients", params=params)
        response.raise_for_status()
        return response.json()


class AuthenticationHandler(ABC):
    """The other base of the reference's own handler."""

    def __init__(self, username: str = "default") -> None:
        self.username = username

    @property
    @abstractmethod
    def hub_request_headers(self) -> dict[str, str]: ...


class HubHandler(GenericExternallyManagedJWTHandler, AuthenticationHandler):
    @property
    def hub_request_headers(self) -> dict[str, str]:
        return {**self.request_headers, "x-hub": self.username}


@pytest.fixture
def hook(servers: Servers) -> Hook:
    return Hook(servers)


@pytest.fixture
def session(hook: Hook) -> ExternallyManagedJWTSession:
    carrier = ExternallyManagedJWT(get_token=hook)
    handler = GenericExternallyManagedJWTHandler(
        jwt=carrier.jwt, expires=carrier.expires, get_token=carrier.get_token
    )
    return ExternallyManagedJWTSession(handler)


def test_step_1_the_token_of_a_session_is_a_key_of_a_cache(servers: Servers) -> None:
    text = servers.token()
    api = Api(servers.api_url, BearerAuthSession(text))
    assert api.cache_key == hashlib.sha256(text.encode()).hexdigest()
    assert Api(servers.api_url, requests.Session()).cache_key is None


def test_step_2_a_bearer_session_reads_json_and_content(servers: Servers) -> None:
    api = Api(servers.api_url, BearerAuthSession(servers.token()))
    assert api.patients(name="x")["query"] == "name=x"
    assert b"patients" in api.session.get(f"{servers.api_url}/patients").content


def test_step_3_a_rejected_token_is_replaced_by_hand(servers: Servers) -> None:
    session = BearerAuthSession("rejected")
    api = Api(servers.api_url, session)
    with pytest.raises(requests.HTTPError):
        api.patients()
    session.token = servers.token()
    assert api.patients()["headers"]["authorization"] == ["Bearer token-1"]
    session.token = "rejected-too"
    assert session.get(servers.api_url).status_code == 401
    sent = [received.authorization for received in servers.received()]
    assert sent == ["Bearer rejected", "Bearer token-1", "Bearer rejected-too"]


def test_step_4_a_carrier_is_recognized_by_its_class_and_its_attributes(hook: Hook) -> None:
    carrier = ExternallyManagedJWT(get_token=hook)
    assert isinstance(carrier, ExternallyManagedJWT)
    assert hasattr(carrier, "jwt")
    assert bool(carrier)
    assert ExternallyManagedJWT in get_type_hints(_configured)["secrets"].__args__


def _configured(secrets: ExternallyManagedJWT | dict[str, str]) -> None: ...


def test_step_5_a_new_token_is_written_back_into_the_carrier(hook: Hook) -> None:
    carrier = ExternallyManagedJWT(get_token=hook)
    carrier.jwt, carrier.expires = carrier.get_token()  # type: ignore[misc]
    handler = GenericExternallyManagedJWTHandler(carrier.jwt, carrier.expires, carrier.get_token)
    assert handler.get_valid_token() == "token-1"
    assert hook.calls == 1


def test_step_6_a_fresh_token_needs_no_hook() -> None:
    handler = GenericExternallyManagedJWTHandler("mine", ahead(3600), lambda: None)  # type: ignore[arg-type,return-value]
    assert handler.authenticated
    assert handler.get_valid_token() == "mine"


def test_step_7_a_hook_reads_a_queue_of_another_thread() -> None:
    tokens: queue.Queue[tuple[str, datetime]] = queue.Queue()
    handler = GenericExternallyManagedJWTHandler(None, None, tokens.get)
    (token, _) = together([handler.get_valid_token, lambda: tokens.put(("queued", ahead(60)))])
    assert token == "queued"


def test_step_8_a_session_is_authenticated_at_start_up(
    session: ExternallyManagedJWTSession, hook: Hook
) -> None:
    if not session.authenticated:
        session.authenticate()
    assert session.authenticated
    assert hook.calls == 1


def test_step_9_the_handler_of_a_session_gives_its_token_to_another_client(
    session: ExternallyManagedJWTSession, servers: Servers
) -> None:
    authorization = f"Bearer {session.authentication_handler.get_valid_token()}"
    headers = {"Authorization": authorization}
    assert requests.get(servers.api_url, headers=headers, timeout=10).status_code == 200


def test_step_10_the_headers_of_a_session_are_passed_on(
    session: ExternallyManagedJWTSession, servers: Servers
) -> None:
    headers = {**session.request_headers, "accept": "application/json"}
    assert requests.get(servers.api_url, headers=headers, timeout=10).status_code == 200
    assert session.get(servers.api_url, headers=headers).status_code == 200


def test_step_11_a_handler_is_mixed_with_another_base(hook: Hook) -> None:
    handler = HubHandler(jwt=None, expires=None, get_token=hook, username="me")
    handler.authenticate()
    assert handler.hub_request_headers == {"authorization": "Bearer token-1", "x-hub": "me"}
    with pytest.raises(TypeError):
        GenericExternallyManagedJWTHandler(None, None, hook, username="me")


def test_step_12_a_session_is_a_session_of_requests(
    session: ExternallyManagedJWTSession, servers: Servers
) -> None:
    assert isinstance(session, requests.Session)
    with session as opened:
        opened.headers["x-app"] = "mine"
        opened.hooks["response"].append(lambda response, **_: response.raise_for_status())
        sent = opened.post(servers.api_url, json={"n": 1}, headers={"User-Agent": "app"}).json()
    assert (sent["headers"]["x-app"], sent["headers"]["user-agent"]) == (["mine"], ["app"])
    assert sent["body"] == '{"n": 1}'


def test_step_13_an_answer_of_404_is_not_repeated(
    session: ExternallyManagedJWTSession, servers: Servers
) -> None:
    servers.next(404)
    assert session.get(servers.api_url, do_not_retry_codes={404}).status_code == 404
    assert servers.counts().requests == 1


def test_step_14_a_lapsed_token_is_fetched_again_before_the_next_request(
    servers: Servers,
) -> None:
    def brief() -> tuple[str, datetime]:
        return servers.token(), datetime.now(timezone.utc) + timedelta(seconds=0.3)

    session = ExternallyManagedJWTSession(GenericExternallyManagedJWTHandler(None, None, brief))
    first = session.request_headers
    while session.request_headers == first:
        pass
    assert session.get(servers.api_url).status_code == 200


def test_step_15_a_failed_hook_is_a_value_error() -> None:
    def fails() -> tuple[str, datetime]:
        raise requests.ConnectionError("no route")

    handler = GenericExternallyManagedJWTHandler(None, None, fails)
    with pytest.raises(AuthenticationError):
        ExternallyManagedJWTSession(handler).get("https://api.example.com")
    with pytest.raises(ValueError, match="missing or has expired"):
        _ = handler.request_headers


def test_step_16_a_jwt_is_compared_and_unpacked() -> None:
    expires = ahead(60)
    assert JWT("t0ken", expires) == JWT(jwt="t0ken", expires=expires)
    jwt = JWT("t0ken", expires)
    handler = GenericExternallyManagedJWTHandler(jwt.jwt, jwt.expires, lambda: jwt)
    assert handler.get_valid_token() == jwt.jwt
