"""T10: a pool in a process that forks: a child has none of the parent's locks, threads and connections."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from chain_server import ChainServer, chain_server
from profile_files import written
from program import run

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")


@pytest.fixture
def server() -> Iterator[ChainServer]:
    with chain_server() as server:
        yield server


def orders(server: ChainServer, folder: Path, token: str = "", store: str = "memory") -> Path:
    """A file with a profile ``orders`` that exchanges the token of each user."""
    store = f'"{store}"' if store == "memory" else f'{{ kind = "file", directory = "{folder}" }}'
    return written(
        folder,
        f"""
[profiles.orders]
base_url = "{server.url}/"
store = {store}

[profiles.orders.token]
grant = "token_exchange"
token_endpoint = "{server.url}/oauth"
client_id = "gateway"
subject_token = "env:UNUSED"
{token}
""",
    )


def script(server: ChainServer, config: Path, text: str) -> str:
    return f"""
import json, urllib.request
import keyfob
from forking import child, fork, join

def calls(path):
    with urllib.request.urlopen("{server.url}/calls") as response:
        return json.load(response).get(path, 0)

def login(key):
    return lambda: f"login-of-{{key.subject}}"

pool = keyfob.pool("orders", login, config={str(config)!r})
{text}"""


def test_t10_a_child_forked_while_a_pool_fetches_is_not_blocked(
    server: ChainServer, tmp_path: Path
) -> None:
    server.held = {"oauth"}
    text = """
sessions = [pool.session(user) for user in ("alice", "bob")]
waiting = threading.Thread(target=sessions[0].authenticate)
waiting.start()
wait_until(lambda: calls("oauth") == 1)

def work():
    assert pool.status() == {"entries": 0, "created": 0, "evicted": 0, "fetching": 0, "queued": 0}
    for session in sessions:
        assert session.get("api").status_code == 200
    assert pool.session("alice").get("api").status_code == 200
    assert pool.status()["created"] == 2

for _ in range(3):
    child(work)
os._exit(0)
"""
    run(script(server, orders(server, tmp_path), text))
    assert server.calls == {"oauth": 1 + 3 * 2, "api": 3 * 3}


def test_t1_forked_workers_and_their_parent_exchange_once_for_each_user(
    server: ChainServer, tmp_path: Path
) -> None:
    text = """
import multiprocessing

users = [f"user-{number}" for number in range(5)]
made_before = {user: pool.session(user) for user in users[:3]}
made_before["user-0"].authenticate()

def work():
    for user in users:
        session = made_before.get(user) or pool.session(user)
        assert session.get("api").status_code == 200
        assert pool.handler(user).jwt == session.authentication_handler.jwt

forked = multiprocessing.get_context("fork")
workers = [forked.Process(target=work) for _ in range(3)]
for worker in workers:
    worker.start()
children = [fork(work) for _ in range(3)]
work()
for pid in children:
    join(pid)
for worker in workers:
    worker.join()
    assert worker.exitcode == 0
"""
    run(script(server, orders(server, tmp_path, store="file"), text))
    assert server.calls == {"oauth": 5, "api": 7 * 5}
    subjects = [body["subject_token"] for _, body in server.received["oauth"]]
    assert sorted(subjects) == [f"login-of-user-{number}" for number in range(5)]


def test_t10_a_session_made_before_a_fork_continues_with_its_token(
    server: ChainServer, tmp_path: Path
) -> None:
    text = """
session = pool.session("alice")
session.authenticate()

def work():
    assert session.authenticated
    assert session.get("api").status_code == 200
    # The child has one token for the user, and renews it without the parent.
    assert pool.handler("alice").jwt == session.authentication_handler.jwt
    session.authenticate(force=True)
    assert pool.handler("alice").jwt == session.authentication_handler.jwt == "oauth-2"

child(work)
assert session.authentication_handler.jwt == "oauth-1"
"""
    run(script(server, orders(server, tmp_path), text))
    assert server.calls == {"oauth": 2, "api": 1}


def test_t10_a_child_forked_while_a_link_is_renewed_makes_the_link_anew(
    server: ChainServer, tmp_path: Path
) -> None:
    config = orders(server, tmp_path, 'client_assertion = "profile:workload"')
    workload = f"""
[profiles.workload]
origins = []
store = "memory"

[profiles.workload.token]
grant = "client_credentials"
token_endpoint = "{server.url}/workload/oauth"
client_id = "node"
"""
    config.write_text(config.read_text() + workload)
    server.held = {"workload/oauth"}
    text = """
waiting = threading.Thread(target=pool.session("alice").authenticate)
waiting.start()
wait_until(lambda: calls("workload/oauth") == 1)

def work():
    assert pool.session("alice").get("api").status_code == 200
    assert pool.session("bob").get("api").status_code == 200

child(work)
os._exit(0)
"""
    run(script(server, config, text))
    # The two users of the child share the token of the link.
    assert server.calls == {"workload/oauth": 2, "oauth": 2, "api": 2}


def test_t10_a_child_forked_while_a_hook_of_a_pool_runs_calls_it_anew() -> None:
    run(
        """
from forking import child
from keyfob import TokenPool

hook = Hook()
pool = TokenPool(lambda _: hook)
handler = pool.handler("alice")
hook.hold()
waiting = threading.Thread(target=handler.get_valid_token)
waiting.start()
wait_until(lambda: hook.calls == 1)

def work():
    hook.release()
    assert handler.get_valid_token() == "token-2"
    assert pool.handler("alice").get_valid_token() == "token-2"

for _ in range(3):
    child(work)
hook.release()
waiting.join()
assert handler.get_valid_token() == "token-1"
"""
    )


def test_t10_threads_of_a_child_that_use_a_pool_at_once_exchange_once(
    server: ChainServer, tmp_path: Path
) -> None:
    text = """
sessions = [pool.session("alice") for _ in range(4)]

def work():
    made = sessions + [pool.session("alice") for _ in range(4)]
    together([session.authenticate for session in made])

for _ in range(3):
    child(work)
"""
    run(script(server, orders(server, tmp_path), text))
    assert server.calls == {"oauth": 3}
