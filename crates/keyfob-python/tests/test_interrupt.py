"""Ctrl-C ends every wait at once."""

from __future__ import annotations

import pytest
from program import run

WAITS = {
    "for a token": "handler.get_valid_token()",
    "for a forced renewal": "handler.authenticate(force=True)",
    "for another thread's renewal": """
threading.Thread(target=handler.authenticate, daemon=True).start()
wait_until(lambda: hook.calls == 1)
handler.get_valid_token()
""",
    "between two attempts": """
from keyfob import BearerAuthSession, RetryPolicy
session = BearerAuthSession("t0ken")
session.retry = RetryPolicy(pauses=(60, 60))
while True:  # pauses are random, and some are too short
    try:
        session.get("http://127.0.0.1:9")
    except OSError:
        pass
""",
}


@pytest.mark.parametrize("wait", WAITS)
def test_ctrl_c_ends_a_wait(wait: str) -> None:
    lines = "\n".join(f"    {line}" for line in WAITS[wait].splitlines())
    printed = run(
        f"""
hook = Hook()
hook.hold()
handler = GenericExternallyManagedJWTHandler(None, None, hook)
began = time.monotonic()
threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
{lines}
except KeyboardInterrupt:
    print(time.monotonic() - began)
"""
    )
    assert float(printed) < 15
