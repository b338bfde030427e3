"""T10: a pool with the settings of a profile has a token for each user."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import keyfob
import pytest
import requests
from chain_server import PRIVATE_KEY, ChainServer, chain_server, decoded
from keyfob import OriginError, PoolKey, ProfileError
from profile_files import token_exchange, written
from servers import Servers
from tokens import together


@pytest.fixture
def server() -> Iterator[ChainServer]:
    with chain_server() as server:
        yield server


def exchange(server: ChainServer, folder: Path, more: str = "", grant: str = "") -> Path:
    """A file with a profile ``orders``, whose entries are in the folder; ``more`` goes into its first table."""
    grant = grant or 'grant = "token_exchange"\nsubject_token = "env:UNUSED"'
    text = f"""
[profiles.orders]
base_url = "{server.url}/"
store = {{ kind = "file", directory = "{folder / "store"}" }}
{more}

[profiles.orders.token]
token_endpoint = "{server.url}/oauth"
client_id = "gateway"
{grant}
"""
    return written(folder, text)


def login(key: PoolKey) -> Callable[[], str]:
    return lambda: f"login-of-{key.subject}"


def exchanged(server: ChainServer) -> list[str]:
    return sorted(body["subject_token"] for _, body in server.received.get("oauth", []))


def sent(server: ChainServer, path: str = "api") -> list[str]:
    return [headers["authorization"] for headers, _ in server.received.get(path, [])]


def test_t10_the_token_of_each_user_is_exchanged_once_for_all_clients(
    server: ChainServer, tmp_path: Path
) -> None:
    pool = keyfob.pool("orders", login, config=exchange(server, tmp_path))
    for user in ("alice", "bob", "alice"):
        with pool.session(user) as session, pool.client(user) as client:
            assert session.get("api").status_code == 200
            assert client.get("api").status_code == 200
        url = f"{server.url}/api"
        assert requests.get(url, auth=pool.auth(user), timeout=10).status_code == 200
        assert httpx.get(url, auth=pool.httpx_auth(user)).status_code == 200
    assert exchanged(server) == ["login-of-alice", "login-of-bob"]
    of_alice, of_bob = ["Bearer oauth-1"] * 4, ["Bearer oauth-2"] * 4
    assert sent(server) == of_alice + of_bob + of_alice
    assert pool.status()["entries"] == 2


def test_t10_async_clients_of_many_users_share_one_exchange_for_each(
    server: ChainServer, tmp_path: Path
) -> None:
    pool = keyfob.pool("orders", login, config=exchange(server, tmp_path))

    async def orders(user: str) -> int:
        async with pool.async_client(user) as client:
            return (await client.get("api")).status_code

    async def all_of_them() -> list[int]:
        return await asyncio.gather(*(orders(user) for user in ["alice", "bob", "carol"] * 4))

    assert asyncio.run(all_of_them()) == [200] * 12
    assert exchanged(server) == ["login-of-alice", "login-of-bob", "login-of-carol"]


def test_t1_two_pools_over_one_store_exchange_the_token_of_a_user_once(
    server: ChainServer, tmp_path: Path
) -> None:
    config = exchange(server, tmp_path)
    pools = [keyfob.pool("orders", login, config=config) for _ in range(2)]
    asks: list[Any] = [pool.handler(user) for pool in pools for user in ("alice", "bob")]
    tokens = together([handler.get_valid_token for handler in asks])
    assert tokens[:2] == tokens[2:]
    assert exchanged(server) == ["login-of-alice", "login-of-bob"]


def test_t10_the_subject_and_the_scopes_of_a_key_are_in_the_request(
    server: ChainServer, tmp_path: Path
) -> None:
    key = tmp_path / "key.json"
    key.write_text(PRIVATE_KEY)
    key.chmod(0o600)
    grant = f'grant = "jwt_bearer"\nprivate_key = "file:{key}"\nscopes = ["own"]'
    pool = keyfob.pool("orders", config=exchange(server, tmp_path, grant=grant))
    pool.handler(PoolKey("alice", scopes=["read"])).authenticate()
    pool.handler("bob").authenticate()
    bodies = [body for _, body in server.received["oauth"]]
    assert [body["scope"] for body in bodies] == ["read", "own"]
    claims = [decoded(body["assertion"].split(".")[1]) for body in bodies]
    assert [each["sub"] for each in claims] == ["alice", "bob"]


def test_r3_a_rejected_token_of_a_pool_is_renewed_for_its_user_alone(
    server: ChainServer, tmp_path: Path
) -> None:
    pool = keyfob.pool("orders", login, config=exchange(server, tmp_path))
    sessions = [pool.session("alice"), pool.session("bob")]
    for session in sessions:
        session.authenticate()
    server.refuse = {"oauth-1"}
    for session in sessions:
        with session:
            assert session.get("api").status_code == 200
    assert sent(server) == ["Bearer oauth-1", "Bearer oauth-3", "Bearer oauth-2"]


def test_r1_clients_of_a_pool_are_bound_to_the_origins_of_the_profile(
    server: ChainServer, tmp_path: Path
) -> None:
    pool = keyfob.pool("orders", login, config=exchange(server, tmp_path))
    elsewhere = "https://example.com/"
    with pool.session("alice") as session, pool.client("alice") as client:
        refused: list[Callable[[], Any]] = [
            partial(session.get, elsewhere),
            partial(client.get, elsewhere),
            lambda: requests.get(elsewhere, auth=pool.auth("alice"), timeout=5),
            lambda: httpx.get(elsewhere, auth=pool.httpx_auth("alice")),
        ]
        for request in refused:
            with pytest.raises(OriginError, match="is bound to"):
                request()
    assert server.received == {}


def test_the_settings_of_the_profile_apply_to_the_clients_of_its_pool(
    server: ChainServer, tmp_path: Path
) -> None:
    more = "timeout = 7\nredirects = 4"
    pool = keyfob.pool("orders", login, config=exchange(server, tmp_path, more))
    with pool.session("alice") as session, pool.client("alice") as client:
        assert (session.timeout, session.max_redirects) == (7, 4)
        assert session.retry is pool.session("bob").retry
        assert (client.timeout, client.max_redirects) == (httpx.Timeout(7), 4)
        assert session.base_url == f"{server.url}/"


def test_r3_a_status_that_the_profile_names_renews_the_token_of_its_user(
    servers: Servers, tmp_path: Path
) -> None:
    text = token_exchange(servers)
    text = text.replace('store = "memory"', 'store = "memory"\nrejected_statuses = 403')
    pool = keyfob.pool("orders", login, config=written(tmp_path, text))
    with pool.session("alice") as session, pool.client("bob") as client:
        for ask in (session.get, client.get):
            servers.next(403)
            assert ask("orders").status_code == 200
    assert servers.counts().token_requests == 4


@pytest.mark.parametrize(
    ("grant", "function", "error"),
    [
        ('grant = "client_credentials"', None, "has no token for each subject"),
        ('grant = "client_credentials"', login, "exchanges no token"),
        ("", None, "the same for all of them"),
    ],
)
def test_a_profile_whose_token_has_no_subject_makes_no_pool(
    grant: str, function: Any, error: str, server: ChainServer, tmp_path: Path
) -> None:
    with pytest.raises(ProfileError, match=error):
        keyfob.pool("orders", function, config=exchange(server, tmp_path, grant=grant))


def test_arguments_of_a_pool_that_are_no_use_are_errors(
    server: ChainServer, tmp_path: Path
) -> None:
    config = exchange(server, tmp_path)
    no_function: Any = "login"
    with pytest.raises(TypeError, match="subject_token must be a function"):
        keyfob.pool("orders", no_function, config=config)
    with pytest.raises(ValueError, match="max_entries"):
        keyfob.pool("orders", login, config=config, max_entries=0)
    pool = keyfob.pool("orders", login, config=config)
    with pytest.raises(ValueError, match="names another client"):
        pool.handler(PoolKey("alice", client="other"))
    assert "alice" not in repr(pool)
    assert repr(pool) == "<ProfilePool: 0 entries>"
