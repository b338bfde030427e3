"""Programs exit at once, with their own status and without output, whatever keyfob is doing at that moment.

Each case is a race against the exit of the interpreter, so it runs many times.
"""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
from program import TIMEOUT, run, start

ENDINGS = {
    "during a renewal": """
def slow():
    time.sleep(0.005)
    return "t0ken", ahead(60)

handler = GenericExternallyManagedJWTHandler("mine", ahead(40), slow)
assert handler.get_valid_token() == "mine"
time.sleep(random() / 50)
""",
    "right after renewals began": """
handlers = [GenericExternallyManagedJWTHandler("mine", ahead(40), Hook()) for _ in range(10)]
for handler in handlers:
    handler.get_valid_token()
""",
    "while failed renewals are logged": """
import logging
logging.basicConfig(level=logging.DEBUG, stream=open(os.devnull, "w"))
hook = Hook()
hook.failure = RuntimeError()
handlers = [GenericExternallyManagedJWTHandler("mine", ahead(40), hook) for _ in range(10)]
for handler in handlers:
    handler.get_valid_token()
""",
    "during a hook that hangs": """
hook = Hook()
hook.hold()
handler = GenericExternallyManagedJWTHandler("mine", ahead(40), hook)
handler.get_valid_token()
wait_until(lambda: hook.calls == 1)
""",
    "while daemon threads wait for a hook that hangs": """
hook = Hook()
hook.hold()
handler = GenericExternallyManagedJWTHandler(None, None, hook)
for _ in range(8):
    threading.Thread(target=handler.get_valid_token, daemon=True).start()
wait_until(lambda: hook.calls == 1)
time.sleep(random() / 20)
""",
    "while daemon threads use tokens": """
handler = GenericExternallyManagedJWTHandler(None, None, lambda: ("t0ken", ahead(0.02)))

def use():
    try:
        while True:
            handler.get_valid_token()
    except AuthenticationError:
        pass  # During the exit no hook is called, so there is no new token.

for _ in range(4):
    threading.Thread(target=use, daemon=True).start()
time.sleep(random() / 20)
""",
    "during a coroutine that hangs": """
import asyncio

async def hook():
    await asyncio.sleep(60)

handler = GenericExternallyManagedJWTHandler("mine", ahead(40), hook)
handler.get_valid_token()
time.sleep(random() / 50)
""",
    "during a command that hangs": """
from keyfob import sources

handler = GenericExternallyManagedJWTHandler("mine", ahead(40), sources.command(["sleep", "60"]))
handler.get_valid_token()
time.sleep(random() / 50)
""",
    "with an event loop that was closed during a renewal": """
import asyncio, httpx

hook = Hook()
hook.hold()
handler = GenericExternallyManagedJWTHandler(None, None, hook)

async def main():
    async with httpx.AsyncClient(auth=handler.httpx_auth()) as client:
        asking = asyncio.create_task(client.get("https://127.0.0.1:9/"))
        while hook.calls == 0:
            await asyncio.sleep(0)
        asking.cancel()

asyncio.run(main())
hook.release()
""",
}


ENDINGS["while daemon threads send requests"] = """
import itertools, logging
import requests_mock
from keyfob import ExternallyManagedJWTSession

logging.getLogger("keyfob").addHandler(logging.NullHandler())
number = itertools.count()

api = requests_mock.Adapter()
api.register_uri("GET", "mock://api/", [{"status_code": 401}, {"status_code": 200}])
handler = GenericExternallyManagedJWTHandler(
    None, None, lambda: (f"token-{next(number)}", ahead(0.02))
)

def use():
    session = ExternallyManagedJWTSession(handler)
    session.mount("mock://", api)
    try:
        while True:
            session.get("mock://api/")
    except AuthenticationError:
        pass

for _ in range(4):
    threading.Thread(target=use, daemon=True).start()
time.sleep(random() / 20)
"""


@pytest.mark.parametrize("moment", ENDINGS)
def test_a_program_exits(moment: str) -> None:
    script = f"from random import random\n{ENDINGS[moment]}\nsys.exit(7)"
    with ThreadPoolExecutor(4) as pool:
        for ended in [pool.submit(run, script, status=7) for _ in range(10)]:
            ended.result()


def test_no_hook_is_called_after_the_exit_began() -> None:
    run(
        """
import logging
logging.getLogger("keyfob").addHandler(logging.NullHandler())
hook = Hook()
handler = GenericExternallyManagedJWTHandler(None, None, hook)

import keyfob._core as core
core.before_exit()
try:
    handler.get_valid_token()
except AuthenticationError as error:
    assert "is exiting" in str(error), error
else:
    raise SystemExit("there is a token")
assert hook.calls == 0
"""
    )


def test_a_thread_that_needs_a_token_during_the_exit_waits() -> None:
    run(
        """
from keyfob import _core

handler = GenericExternallyManagedJWTHandler("mine", ahead(3600), Hook())
others = [GenericExternallyManagedJWTHandler("mine", ahead(3600), Hook()) for _ in range(3)]
late = threading.Thread(target=handler.get_valid_token, daemon=True)
_core.before_exit()
began = time.monotonic()
late.start()
# The thread that runs the exit does not wait.
def seconds(other):
    began = time.monotonic()
    assert other.get_valid_token() == "mine"
    return time.monotonic() - began

# A loaded machine may delay one of them.
assert min(map(seconds, others)) < 1.5
late.join(0.2)
# The late thread waits for two seconds.
assert late.is_alive() or time.monotonic() - began > 2
"""
    )


def test_a_daemon_thread_that_the_exit_waits_for_may_go_on() -> None:
    # Functions that were registered before the import of keyfob run after `before_exit`.
    printed = run(
        """
import atexit
import requests_mock
from keyfob import BearerAuthSession, _core

work = threading.Event()

def flush():
    work.set()
    sending.join()

atexit.unregister(_core.before_exit)
atexit.register(flush)
atexit.register(_core.before_exit)

def send():
    session = BearerAuthSession("t0ken")
    api = requests_mock.Adapter()
    api.register_uri("GET", "mock://api/")
    session.mount("mock://", api)
    work.wait()
    print(session.get("mock://api/").status_code)

sending = threading.Thread(target=send, daemon=True)
sending.start()
"""
    )
    assert printed == "200\n"


@pytest.mark.parametrize("forced", [False, True])
def test_ctrl_c_ends_the_wait_for_a_token(forced: bool) -> None:
    script = f"""
hook = Hook()
hook.hold()
handler = GenericExternallyManagedJWTHandler(None, None, hook)

def interrupt():
    wait_until(lambda: hook.calls == 1)
    print("waiting", flush=True)

threading.Thread(target=interrupt).start()
try:
    handler.get_valid_token(force={forced})
except KeyboardInterrupt:
    # The renewal goes on without this caller.
    assert handler.status()["renewing"]
    hook.release()
    assert handler.get_valid_token() == "token-1"
    assert hook.calls == 1
    sys.exit(7)
"""
    with start(script) as program:
        try:
            assert program.stdout is not None
            assert program.stdout.readline() == "waiting\n"
            program.send_signal(signal.SIGINT)
            _, output = program.communicate(timeout=TIMEOUT)
        finally:
            program.kill()
    assert (program.returncode, output) == (7, "")


def test_signal_handlers_run_during_a_wait_for_a_token() -> None:
    run(
        """
seen = []
signal.signal(signal.SIGUSR1, lambda *_: seen.append(time.monotonic()))
hook = Hook()
hook.hold()
handler = GenericExternallyManagedJWTHandler(None, None, hook)

def interrupt():
    wait_until(lambda: hook.calls == 1)
    os.kill(os.getpid(), signal.SIGUSR1)
    wait_until(lambda: seen)
    hook.release()

threading.Thread(target=interrupt).start()
assert handler.get_valid_token() == "token-1"
assert len(seen) == 1
"""
    )


def test_a_hook_may_end_the_program() -> None:
    run(
        """
import logging
logging.getLogger("keyfob").addHandler(logging.NullHandler())
def hook():
    raise SystemExit(5)

GenericExternallyManagedJWTHandler(None, None, hook).authenticate()
""",
        status=5,
    )


def test_a_sub_interpreter_gets_a_clear_error() -> None:
    printed = run(
        """
import importlib

for name in ["_interpreters", "_xxsubinterpreters"]:
    try:
        interpreters = importlib.import_module(name)
        break
    except ImportError:
        continue
else:
    print("unsupported")
    sys.exit()
code = '''
import sys
sys.path[:] = PATH
try:
    import keyfob
except ImportError as error:
    print("refused:", type(error).__name__)
'''.replace("PATH", repr(sys.path))
number = interpreters.create()
failed = interpreters.run_string(number, code)
assert failed is None, failed
interpreters.destroy(number)
"""
    )
    assert printed in {"refused: ImportError\n", "unsupported\n"}
