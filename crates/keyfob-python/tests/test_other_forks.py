"""C5-like forks: those of other libraries, and those that Python does not know of."""

from __future__ import annotations

import os

import pytest
from program import run

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")

DURING_A_RENEWAL = """
hook = Hook()
handler = GenericExternallyManagedJWTHandler(None, None, hook)
hook.hold()
waiting = threading.Thread(target=handler.get_valid_token)
waiting.start()
wait_until(lambda: hook.calls == 1)

def work():
    hook.release()
    assert handler.status()["renewing"] is False
    assert handler.authenticated is False
    assert handler.get_valid_token() == "token-2"
    assert handler.get_valid_token(force=True) == "token-3"
"""


def test_a_child_that_c_code_forked_during_a_renewal_gets_a_token_of_its_own() -> None:
    # As uWSGI forks: no function of `os.register_at_fork` runs.
    run(
        DURING_A_RENEWAL
        + """
from forking import fork, fork_in_c, join

for _ in range(3):
    join(fork(work, fork_in_c))
hook.release()
waiting.join()
assert handler.get_valid_token() == "token-1"
"""
    )


def test_a_coroutine_hook_runs_in_a_child_that_c_code_forked() -> None:
    run(
        """
import asyncio
from forking import fork, fork_in_c, join

async def hook():
    await asyncio.sleep(0.01)
    return f"of-{os.getpid()}", ahead(3600)

handler = GenericExternallyManagedJWTHandler(None, None, hook)
assert handler.get_valid_token() == f"of-{os.getpid()}"

def work():
    assert handler.get_valid_token(force=True) == f"of-{os.getpid()}"

join(fork(work, fork_in_c))
assert handler.get_valid_token(force=True) == f"of-{os.getpid()}"
"""
    )


@pytest.mark.parametrize("library", ["billiard", "multiprocessing"])
def test_a_process_of_a_prefork_pool_gets_a_token_of_its_own(library: str) -> None:
    # Celery's workers are processes of billiard.
    run(
        DURING_A_RENEWAL
        + f"""
import {library} as library

def token(_):
    hook.release()
    return handler.get_valid_token()

with library.get_context("fork").Pool(2) as pool:
    assert set(pool.map(token, range(8))) <= {{"token-2", "token-3"}}
hook.release()
waiting.join()
assert handler.get_valid_token() == "token-1"
"""
    )


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_a_process_that_imports_the_program_makes_a_handler_of_its_own(
    method: str, tmp_path: object
) -> None:
    run(
        f"""
import multiprocessing
from operator import methodcaller
from functools import partial

sys.path.insert(0, {str(tmp_path)!r})
with open({str(tmp_path)!r} + "/worker.py", "w") as file:
    file.write('''
from keyfob import GenericExternallyManagedJWTHandler
from tokens import Hook
handler = GenericExternallyManagedJWTHandler(None, None, Hook())
def token(mine):
    return handler.get_valid_token(), mine, repr(mine)
''')
import worker
worker.handler.authenticate()
with multiprocessing.get_context({method!r}).Pool(1) as pool:
    # A token is passed to another process whole, and stays hidden there.
    mine = worker.handler.get_valid_token()
    assert pool.map(worker.token, [mine]) == [("token-1", "token-1", "'[redacted]'")]
"""
    )
