"""T7: servers that fork their workers, also while a token is fetched, and workers that serve several requests at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from green_servers import fetch, gunicorn, uwsgi

APP = """
import threading, time
from datetime import datetime, timedelta, timezone
from keyfob import GenericExternallyManagedJWTHandler

calls = []

def get_token():
    calls.append(1)
    time.sleep(0.4)
    return f"token-{len(calls)}", datetime.now(timezone.utc) + timedelta(hours=1)

handler = GenericExternallyManagedJWTHandler(None, None, get_token)
# A daemon thread, because a fork by C code leaves Python waiting for other threads at its exit.
LATE = threading.Thread(target=handler.get_valid_token, daemon=True)
if __name__ in PRELOADED:
    LATE.start()
    while not calls:
        time.sleep(0.01)

def app(environ, start_response):
    path = environ["PATH_INFO"]
    body = str(len(calls)) if path == "/calls" else handler.get_valid_token()
    start_response("200 OK", [("content-length", str(len(body)))])
    return [body.encode()]
"""


def test_t1_t7_gunicorn_with_gevent_serves_other_requests_during_the_hook(tmp_path: Path) -> None:
    with (
        gunicorn(APP.replace("PRELOADED", "()"), tmp_path, "-k", "gevent") as url,
        ThreadPoolExecutor(10) as threads,
    ):
        tokens = [threads.submit(fetch, url) for _ in range(10)]
        assert fetch(f"{url}calls") in {"0", "1"}
        assert not tokens[0].done()
        assert {token.result() for token in tokens} == {"token-1"}
        assert fetch(f"{url}calls") == "1"


@pytest.mark.parametrize("worker", ["sync", "gthread", "gevent"])
def test_t7_gunicorn_workers_forked_during_a_renewal_get_a_token(
    worker: str, tmp_path: Path
) -> None:
    app = APP.replace("PRELOADED", "('served',)" if worker != "gevent" else "()")
    options = ["-k", worker, "--preload", "--workers", "2"]
    with gunicorn(app, tmp_path, *options) as url, ThreadPoolExecutor(4) as threads:
        for token in threads.map(fetch, [url] * 8):
            assert token.startswith("token-")


def test_t7_uwsgi_workers_forked_during_a_renewal_get_a_token(tmp_path: Path) -> None:
    app = APP.replace("PRELOADED", "(__name__,)")
    with uwsgi(app, tmp_path, "--workers=2") as url, ThreadPoolExecutor(4) as threads:
        for token in threads.map(fetch, [url] * 8):
            assert token.startswith("token-")
