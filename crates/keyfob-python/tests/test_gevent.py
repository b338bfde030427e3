"""T7: under gevent, a wait for a token lets the other greenlets of the hub go on."""

from __future__ import annotations

from pathlib import Path

import pytest
from green_servers import run

API = """
import gevent, requests
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Api(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    issued = 0

    def do_GET(self):
        time.sleep(0.2)
        Api.issued += 1
        body = b"token-%d" % Api.issued
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

api = ThreadingHTTPServer(("127.0.0.1", 0), Api)
gevent.spawn(api.serve_forever)
URL = f"http://127.0.0.1:{api.server_port}/"
client = requests.Session()  # its sockets belong to the hub, and later calls use them again

def get_token():
    return client.get(URL).text, ahead(3600)

delays = []

def tick():
    while True:
        began = time.monotonic()
        gevent.sleep(0.005)
        delays.append(time.monotonic() - began)

gevent.spawn(tick)
"""


def test_t1_t7_a_hook_with_io_blocks_no_greenlet_and_is_called_once(tmp_path: Path) -> None:
    run(
        API
        + """
handler = GenericExternallyManagedJWTHandler(None, None, get_token)
jobs = [gevent.spawn(handler.get_valid_token) for _ in range(50)]
gevent.joinall(jobs, raise_error=True)
assert {job.value for job in jobs} == {"token-1"}
assert len(delays) > 10
for number in (2, 3, 4):
    assert handler.get_valid_token(force=True) == f"token-{number}"
assert len(delays) > 40
""",
        tmp_path,
    )


def test_t3_a_renewal_in_the_background_runs_while_the_hub_runs(tmp_path: Path) -> None:
    run(
        API
        + """
handler = GenericExternallyManagedJWTHandler("mine", ahead(40), get_token)
assert handler.get_valid_token() == "mine"
wait_until(lambda: handler.jwt == "token-1")
""",
        tmp_path,
    )


def test_r3_sessions_and_auth_objects_renew_after_a_401(tmp_path: Path) -> None:
    run(
        API
        + """
import httpx
from keyfob import ExternallyManagedJWTSession

class Strict(Api):
    def do_GET(self):
        self.send_response(401 if self.headers["authorization"].endswith("old") else 200)
        self.send_header("content-length", "0")
        self.end_headers()

strict = ThreadingHTTPServer(("127.0.0.1", 0), Strict)
gevent.spawn(strict.serve_forever)
target = f"http://127.0.0.1:{strict.server_port}/"

def handler():
    return GenericExternallyManagedJWTHandler("old", ahead(3600), get_token)

assert ExternallyManagedJWTSession(handler()).get(target).status_code == 200
assert requests.get(target, auth=handler().auth()).status_code == 200
assert httpx.get(target, auth=handler().httpx_auth()).status_code == 200
""",
        tmp_path,
    )


WAITS = {
    "alone in its hub": "print(handler(lambda: (time.sleep(0.05), token)[1]).get_valid_token())",
    "for a coroutine": """
async def hook():
    await asyncio.sleep(0.05)
    # On threads of the loop
    return await asyncio.get_running_loop().run_in_executor(None, lambda: token)
first = handler(hook)
first.get_valid_token()
time.sleep(0.1)
print(handler(hook).get_valid_token())
""",
    "on a native thread": "print(gevent.get_hub().threadpool.apply(handler(lambda: token).get_valid_token))",
    "with a time limit": """
try:
    with gevent.Timeout(0.05):
        handler(lambda: time.sleep(60)).get_valid_token()
except gevent.Timeout:
    print("t0ken")
""",
    "that is killed": """
job = gevent.spawn(handler(lambda: time.sleep(60)).get_valid_token)
gevent.sleep(0.05)
job.kill()
print("t0ken")
""",
    "with its own context": """
import contextvars
name = contextvars.ContextVar("name")
seen = handler(lambda: (name.get(), ahead(60)))
name.set("t0ken")
print(seen.get_valid_token())
""",
}


@pytest.mark.parametrize("wait", WAITS)
def test_t7_a_greenlet_waits(wait: str, tmp_path: Path) -> None:
    printed = run(
        f"""
import asyncio, gevent
token = "t0ken", ahead(3600)
def handler(hook):
    return GenericExternallyManagedJWTHandler(None, None, hook)
{WAITS[wait]}
""",
        tmp_path,
    )
    assert printed == "t0ken\n"
