"""Forks: the child has the token of its parent, and none of the parent's locks and threads."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from program import run

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")


def test_a_child_forked_during_a_renewal_gets_a_token_of_its_own() -> None:
    run(
        """
from forking import child

hook = Hook()
handler = GenericExternallyManagedJWTHandler(None, None, hook)
hook.hold()
waiting = threading.Thread(target=handler.get_valid_token)
waiting.start()
wait_until(lambda: hook.calls == 1)

def work():
    hook.release()
    assert not handler.status()["renewing"]
    assert handler.get_valid_token() == "token-2"
    assert handler.authenticated

for _ in range(3):
    child(work)
hook.release()
waiting.join()
assert handler.get_valid_token() == "token-1"
"""
    )


def test_a_child_uses_the_valid_token() -> None:
    run(
        """
from forking import child

hook = Hook()
handler = GenericExternallyManagedJWTHandler("mine", ahead(3600), hook)
auth_objects = handler.auth(), handler.httpx_auth()

def work():
    assert handler.get_valid_token() == "mine"
    assert handler.request_headers == {"authorization": "Bearer mine"}
    assert handler.status()["generation"] == 1
    assert hook.calls == 0
    assert handler.get_valid_token(force=True) == "token-1"

child(work)
assert (hook.calls, handler.jwt) == (0, "mine")
"""
    )


def test_a_grandchild_gets_a_token_too() -> None:
    run(
        """
from forking import child

hook = Hook()
handler = GenericExternallyManagedJWTHandler(None, None, hook)

def work():
    assert handler.get_valid_token() == "token-1"
    child(lambda: handler.authenticate(force=True))
    assert handler.jwt == "token-1"

child(work)
assert handler.jwt is None
"""
    )


def test_a_child_forgets_a_failure_of_its_parent() -> None:
    run(
        """
import logging
from forking import child

logging.getLogger("keyfob").addHandler(logging.NullHandler())
hook = Hook()
hook.failure = AuthenticationError("locked", permanent=True)
handler = GenericExternallyManagedJWTHandler(None, None, hook)
try:
    handler.authenticate()
except AuthenticationError:
    hook.failure = None

child(lambda: handler.authenticate())
"""
    )


@pytest.mark.timeout(150)
def test_100_children_forked_while_threads_use_the_handler_all_get_a_token() -> None:
    # Takes about a second. Each child is a race of its own.
    run(
        """
from forking import child

handler = GenericExternallyManagedJWTHandler(None, None, lambda: ("t0ken", ahead(0.02)))
stop = threading.Event()

def use():
    while not stop.is_set():
        handler.get_valid_token()
        handler.status()
        handler.authenticated

def work():
    for _ in range(3):
        assert handler.get_valid_token() == "t0ken"
        handler.authenticate(force=True)

threads = [threading.Thread(target=use) for _ in range(4)]
for thread in threads:
    thread.start()
try:
    for _ in range(100):
        child(work)
finally:
    stop.set()
for thread in threads:
    thread.join()
""",
        # On a loaded machine this takes long.
        within=120,
    )


def test_a_child_forked_during_the_first_use_gets_a_token() -> None:
    # Objects that are initialized once are in an intermediate state once per program, so this runs many programs.
    script = """
from forking import child

handler = GenericExternallyManagedJWTHandler(None, None, lambda: ("t0ken", ahead(0.02)))
starting = threading.Barrier(5)

def use():
    starting.wait()
    handler.get_valid_token()

threads = [threading.Thread(target=use) for _ in range(4)]
for thread in threads:
    thread.start()
starting.wait()
for _ in range(5):
    child(handler.get_valid_token)
for thread in threads:
    thread.join()
"""
    with ThreadPoolExecutor(4) as pool:
        for ended in [pool.submit(run, script) for _ in range(16)]:
            ended.result()


def test_a_fork_waits_for_a_thread_that_logs_and_blocks_other_threads() -> None:
    run(
        """
import logging
from forking import child

events = []
logs = threading.Event()
release = threading.Event()

class Slow(logging.Handler):
    def emit(self, record):
        if not logs.is_set():
            logs.set()
            release.wait()
            events.append("logged")

hook = Hook()
hook.failure = AuthenticationError("not now")
handler = GenericExternallyManagedJWTHandler(None, None, hook)
logging.getLogger("keyfob").addHandler(Slow())

def renew():
    try:
        handler.authenticate()
    except AuthenticationError:
        pass

def fork():
    child(lambda: None)
    events.append("forked")

renewing = threading.Thread(target=renew)
renewing.start()
logs.wait()
forking = threading.Thread(target=fork)
forking.start()
forking.join(0.3)
assert events == []
release.set()
forking.join()
renewing.join()
assert events[0] == "logged", events
"""
    )


def test_a_fork_does_not_wait_forever_for_a_log_handler_that_hangs() -> None:
    # Takes five seconds, the limit of the wait before a fork.
    run(
        """
import logging
from forking import child

logs = threading.Event()
release = threading.Event()

class Hangs(logging.Handler):
    def emit(self, record):
        logs.set()
        release.wait()

hook = Hook()
hook.failure = AuthenticationError("not now")
handler = GenericExternallyManagedJWTHandler(None, None, hook)
logging.getLogger("keyfob").addHandler(Hangs())

def renew():
    try:
        handler.authenticate()
    except AuthenticationError:
        pass

def work():
    # The child has no log handler that hangs.
    began = time.monotonic()
    child(lambda: None)
    assert time.monotonic() - began < 4

renewing = threading.Thread(target=renew)
renewing.start()
logs.wait()
child(work)
release.set()
renewing.join()
"""
    )


def test_a_process_may_use_its_token_until_it_forks() -> None:
    # Functions that were registered with `os.register_at_fork` before the import of keyfob run after `before_fork`.
    run(
        """
from keyfob import _core

handler = GenericExternallyManagedJWTHandler("mine", ahead(3600), Hook())
other = GenericExternallyManagedJWTHandler("another", ahead(3600), Hook())
_core.before_fork()
assert handler.get_valid_token() == "mine"

# Other threads wait.
waiting = threading.Thread(target=other.get_valid_token)
waiting.start()
waiting.join(0.3)
assert waiting.is_alive()
_core.after_fork_in_parent()
waiting.join()
"""
    )


def test_a_log_handler_may_fork() -> None:
    run(
        """
import logging
from forking import child

class Forks(logging.Handler):
    def emit(self, record):
        child(lambda: None)

hook = Hook()
hook.failure = AuthenticationError("not now")
handler = GenericExternallyManagedJWTHandler(None, None, hook)
logging.getLogger("keyfob").addHandler(Forks())
began = time.monotonic()
try:
    handler.authenticate()
except AuthenticationError:
    pass
# The fork does not wait for its own thread.
assert time.monotonic() - began < 4
"""
    )


def test_a_pool_of_forked_workers_gets_tokens() -> None:
    printed = run(
        """
import multiprocessing
import forking  # Silences the warning of Python 3.12 about forks and threads.

hook = Hook()
handler = GenericExternallyManagedJWTHandler(None, None, hook)

def use(_):
    return str(handler.get_valid_token())

with multiprocessing.get_context("fork").Pool(3) as pool:
    print(set(pool.map(use, range(12))))
"""
    )
    assert printed == "{'token-1'}\n"


def test_a_child_forked_by_a_hook_gets_a_token() -> None:
    # A hook does this if it is the first to use a pool of processes.
    run(
        """
from forking import child

calls = []

def hook():
    calls.append(1)
    if len(calls) == 1:
        child(lambda: other.authenticate())
    return "t0ken", ahead(60)

handler = GenericExternallyManagedJWTHandler(None, None, hook)
other = GenericExternallyManagedJWTHandler(None, None, hook)
assert handler.get_valid_token() == "t0ken"
"""
    )
