"""Sessions by name in many processes: they share one token, and none of a parent's locks."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from profile_files import client_credentials, written
from program import run
from servers import Servers

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")


def script(config: Path, text: str) -> str:
    return f"""
import keyfob
from forking import fork, join

config = {str(config)!r}
{text}"""


@pytest.mark.parametrize("session_made", ["before the fork", "in each worker"])
def test_t1_eight_forked_workers_with_an_empty_store_send_one_token_request(
    session_made: str, tmp_path: Path
) -> None:
    # The issuer is slow, so that all workers need a token before there is one.
    with Servers.start(issuing_takes=0.3) as servers:
        config = written(tmp_path, client_credentials(servers, tmp_path))
        text = """
opened, gate = os.pipe()
parents = keyfob.session("ehr", config=config)

def work():
    session = parents if BEFORE else keyfob.session("ehr", config=config)
    os.close(gate)
    os.read(opened, 1)
    for _ in range(3):
        assert session.get("reports").status_code == 200

workers = [fork(work) for _ in range(8)]
os.close(gate)
for worker in workers:
    join(worker)
"""
        run(script(config, text.replace("BEFORE", str(session_made == "before the fork"))))
        counts = servers.counts()
        assert (counts.token_requests, counts.statuses) == (1, {200: 24})
        assert {each.authorization for each in servers.received()} == {"Bearer token-1"}


def test_t1_a_child_forked_during_a_renewal_waits_for_the_parents_renewal(tmp_path: Path) -> None:
    with Servers.start(issuing_takes=0.5) as servers:
        config = written(tmp_path, client_credentials(servers, tmp_path))
        run(
            script(
                config,
                """
session = keyfob.session("ehr", config=config)
renewing = threading.Thread(target=session.authenticate)
renewing.start()
wait_until(lambda: session.authentication_handler.status()["renewing"])
time.sleep(0.2)
workers = [fork(lambda: session.get("reports").raise_for_status()) for _ in range(3)]
for worker in workers:
    join(worker)
renewing.join()
""",
            )
        )
        assert servers.counts().token_requests == 1


def test_t7_a_child_forked_while_a_secret_is_read_is_not_blocked(
    servers: Servers, tmp_path: Path
) -> None:
    # In the parent, a thread waits for the secret and holds the lock of the source.
    helper = tmp_path / "helper"
    helper.write_text(
        f"#!/bin/sh\ntouch {tmp_path}/asked\n"
        f"while [ ! -e {tmp_path}/free ]; do sleep 0.02; done\necho s3cret\n"
    )
    helper.chmod(0o700)
    text = client_credentials(servers, tmp_path).replace(
        f'"file:{tmp_path}/secret"', f'"command:{helper}"'
    )
    text = text.replace(
        f'store = {{ kind = "file", directory = "{tmp_path}/store" }}', 'store = "memory"'
    )
    assert "memory" in text
    run(
        script(
            written(tmp_path, text),
            f"""
free = {str(tmp_path / "free")!r}
session = keyfob.session("ehr", config=config)
renewing = threading.Thread(target=session.authenticate)
renewing.start()
wait_until(lambda: os.path.exists({str(tmp_path / "asked")!r}))

def work():
    open(free, "w").close()
    assert session.get("reports").status_code == 200

join(fork(work))
renewing.join()
assert session.authenticated
""",
        )
    )
    assert servers.counts().token_requests == 2


def test_t7_a_program_exits_while_a_profiles_token_is_fetched(
    servers: Servers, tmp_path: Path
) -> None:
    servers.next_token(held=True)
    config = written(tmp_path, client_credentials(servers, tmp_path))
    run(
        script(
            config,
            """
session = keyfob.session("ehr", config=config)
threading.Thread(target=session.authenticate, daemon=True).start()
wait_until(lambda: session.authentication_handler.status()["renewing"])
""",
        )
    )
    servers.release()


def test_t9_a_program_exits_after_the_exchange_that_it_has_begun(tmp_path: Path) -> None:
    with Servers.start(issuing_takes=0.7) as servers:
        text = client_credentials(servers, tmp_path).replace(
            'grant = "client_credentials"',
            f'grant = "refresh_token"\nrefresh_token = "file:{tmp_path}/first"',
        )
        first = tmp_path / "first"
        first.write_text("refresh-1")
        first.chmod(0o600)
        config = written(tmp_path, text)
        run(
            script(
                config,
                f"""
from pathlib import Path

session = keyfob.session("ehr", config=config)
threading.Thread(target=session.authenticate, daemon=True).start()
# The note of the exchange is stored before its request is sent.
wait_until(lambda: list(Path({str(tmp_path / "store")!r}).glob("*.token")))
""",
            )
        )
        run(
            script(config, 'keyfob.session("ehr", config=config).get("reports").raise_for_status()')
        )
        assert servers.counts().token_requests == 1
