"""Does the same harm to several libraries, and writes what each of them made of it as a Markdown table.

``cargo xtask torture`` sets it up. The server rotates the refresh token with each exchange. A refresh token that was used before
is taken once more within its time of grace; after that, the server revokes everything, as RFC 9700 §4.14.2 asks.

The peers use a file for the token as their documentation shows it: it is read at the start, and written after each exchange. It is
written as a whole or not at all.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs

CLIENT = "torture"
PROCESSES = 8
THREADS = 30
ROUNDS = 5

SLOW = "TORTURE_SLOW_STORE"
"""For how many seconds a worker saves a token."""

FULL = "TORTURE_FULL_STORE"
"""The worker can write no file, as if the disk were full."""


class State:
    """What the server knows, and the harm that it does next."""

    def __init__(self, lifetime: float = 3.0, grace: float = 10.0) -> None:
        self.lock = threading.Lock()
        self.lifetime, self.grace = lifetime, grace
        self.number = 0
        self.rotated = 0.0
        self.expiries: dict[str, float] = {}
        self.calls = self.reuses = 0
        self.revoked = self.outage = self.lose = False
        self.hold: threading.Event | None = None
        self.held = threading.Event()
        self.fetched = threading.Event()

    def exchange(self, refresh_token: str) -> dict[str, object] | None:
        """A new pair of tokens; nothing if the refresh token is refused."""
        with self.lock:
            now = time.monotonic()
            self.calls += 1
            repeats = self.number > 0 and refresh_token == f"refresh-{self.number - 1}"
            if refresh_token != f"refresh-{self.number}" and not (
                repeats and now - self.rotated < self.grace
            ):
                self.reuses += 1
                self.revoked = True
            if self.revoked:
                self.expiries.clear()
                return None
            self.number += 1
            self.rotated = now
            token = f"token-{self.number}"
            self.expiries[token] = now + self.lifetime
            return {
                "access_token": token,
                "token_type": "Bearer",
                "expires_in": self.lifetime,
                "refresh_token": f"refresh-{self.number}",
            }

    def accepts(self, authorization: str | None) -> bool:
        token = (authorization or "").removeprefix("Bearer ")
        with self.lock:
            return time.monotonic() < self.expiries.get(token, 0.0)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: State

    def do_GET(self) -> None:
        self.respond(200 if self.state.accepts(self.headers["authorization"]) else 401, {})

    def do_POST(self) -> None:
        state = self.state
        form = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
        if state.outage:
            return self.respond(503, {})
        answer = state.exchange(form["refresh_token"][0])
        if answer is None:
            return self.respond(400, {"error": "invalid_grant"})
        state.fetched.set()
        if state.hold is not None:
            hold, state.hold = state.hold, None
            state.held.set()
            hold.wait(20)
        if state.lose:
            state.lose = False
            self.close_connection = True
            return self.connection.shutdown(2)
        self.respond(200, answer)

    def respond(self, status: int, body: dict[str, object]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        if status == 401:
            self.send_header("WWW-Authenticate", 'Bearer error="invalid_token"')
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None: ...


class Server:
    """A server of its own for each round."""

    def __init__(self, state: State) -> None:
        handler = type("OneHandler", (Handler,), {"state": state})
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.http.daemon_threads = True
        self.http.handle_error = lambda *_: None  # type: ignore[method-assign]
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.http.server_port}"

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()


# What each library does in a process of its own.


def saved(folder: Path) -> dict[str, Any]:
    """The token in the file; at first only a refresh token."""
    file = folder / "token.json"
    if file.exists():
        token: dict[str, Any] = json.loads(file.read_text())
        return token
    first = {"access_token": "none", "token_type": "Bearer", "refresh_token": "refresh-0"}
    return {**first, "expires_at": time.time() - 1}


def save(folder: Path, token: dict[str, Any]) -> None:
    time.sleep(float(os.environ.get(SLOW, 0)))
    new = folder / f"token.{os.getpid()}.{threading.get_ident()}"
    new.write_text(json.dumps(token))
    new.replace(folder / "token.json")


def authlib(folder: Path, url: str, margin: float) -> Callable[[], int]:
    from authlib.integrations.requests_client import OAuth2Session

    session = OAuth2Session(
        CLIENT,
        token=saved(folder),
        token_endpoint=f"{url}/token",
        token_endpoint_auth_method="none",
        update_token=lambda token, **_: save(folder, dict(token)),
        leeway=margin,
    )
    return lambda: int(session.get(f"{url}/data").status_code)


def requests_oauthlib(folder: Path, url: str, _: float) -> Callable[[], int]:
    from requests_oauthlib import OAuth2Session

    token = saved(folder)
    token["expires_in"] = token["expires_at"] - time.time()
    session = OAuth2Session(
        CLIENT,
        token=token,
        auto_refresh_url=f"{url}/token",
        auto_refresh_kwargs={"client_id": CLIENT},
        token_updater=lambda token: save(folder, dict(token)),
    )
    return lambda: int(session.get(f"{url}/data").status_code)


def google_auth(folder: Path, url: str, margin: float) -> Callable[[], int]:
    from google.auth import _helpers
    from google.auth.transport.requests import AuthorizedSession
    from google.oauth2.credentials import Credentials

    _helpers.REFRESH_THRESHOLD = timedelta(seconds=margin)
    token = saved(folder)
    expiry = datetime.fromtimestamp(token["expires_at"], timezone.utc).replace(tzinfo=None)
    credentials = Credentials(
        token["access_token"],
        refresh_token=token["refresh_token"],
        token_uri=f"{url}/token",
        client_id=CLIENT,
        client_secret="none",
        expiry=expiry,
    )
    session = AuthorizedSession(credentials)
    last = [credentials.token]

    def send() -> int:
        status = int(session.get(f"{url}/data").status_code)
        if credentials.token != last[0]:
            last[0] = credentials.token
            expires_at = credentials.expiry.replace(tzinfo=timezone.utc).timestamp()
            names = {"access_token": credentials.token, "refresh_token": credentials.refresh_token}
            save(folder, {**names, "token_type": "Bearer", "expires_at": expires_at})
        return status

    return send


def keyfob(folder: Path, url: str, _: float) -> Callable[[], int]:
    import keyfob as library

    session = library.session("torture", config=folder / "keyfob.toml")
    return lambda: int(session.get(f"{url}/data").status_code)


PEERS = {
    "keyfob": keyfob,
    "google-auth": google_auth,
    "Authlib": authlib,
    "requests-oauthlib": requests_oauthlib,
}


class Counts(NamedTuple):
    """What a worker did."""

    sent: int
    failed: int
    longest: float
    """The seconds that the longest request took."""


def worker(peer: str, folder: str, url: str, margin: str, task: str, amount: str) -> None:
    """Sends requests, and prints how many there were, how many had no 200, and how long the longest took."""
    if FULL in os.environ:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    send = PEERS[peer](Path(folder), url, float(margin))
    times: list[float] = []

    def failed() -> int:
        begun = time.monotonic()
        try:
            return int(send() != 200)
        except Exception:
            return 1
        finally:
            times.append(time.monotonic() - begun)

    results: list[int] = []
    if task == "loop":
        end = time.monotonic() + float(amount)
        while time.monotonic() < end:
            results.append(failed())
            time.sleep(0.02)
    else:
        # The first request fetches a token. The others begin together, when the parent has revoked it.
        first = failed()
        print(first, flush=True)
        sys.stdin.readline()
        threads = [
            threading.Thread(target=lambda: results.append(failed())) for _ in range(int(amount))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    print(json.dumps(Counts(len(results), sum(results), max(times))), flush=True)


# The harm.


class Round:
    """A server and a folder for one round of one library."""

    def __init__(self, peer: str, state: State, margin: float = 1.0) -> None:
        self.peer, self.state, self.margin = peer, state, margin
        self.server = Server(state)
        self.temporary = tempfile.TemporaryDirectory()
        self.folder = Path(self.temporary.name)
        refresh_token = self.folder / "refresh"
        refresh_token.write_text("refresh-0")
        refresh_token.chmod(0o600)
        config = self.folder / "keyfob.toml"
        config.write_text(
            f'[profiles.torture]\nbase_url = "{self.server.url}"\n[profiles.torture.token]\n'
            f'grant = "refresh_token"\ntoken_endpoint = "{self.server.url}/token"\n'
            f'client_id = "{CLIENT}"\nrefresh_token = "file:{refresh_token}"\n'
        )
        config.chmod(0o600)

    def __enter__(self) -> Round:
        return self

    def __exit__(self, *_: object) -> None:
        self.server.close()
        self.temporary.cleanup()

    def start(self, task: str, amount: float, **store: str) -> subprocess.Popen[str]:
        environment = {
            **os.environ,
            **store,
            "XDG_STATE_HOME": str(self.folder / "state"),
            "AUTHLIB_INSECURE_TRANSPORT": "1",
            "OAUTHLIB_INSECURE_TRANSPORT": "1",
        }
        arguments = [self.peer, str(self.folder), self.server.url, str(self.margin), task]
        return subprocess.Popen(
            [sys.executable, __file__, "worker", *arguments, str(amount)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            text=True,
        )

    def once(self, **store: str) -> int:
        """One request in a new process: 1 if it failed."""
        return counts(self.start("loop", 0.001, **store)).failed

    def lock_store(self) -> Callable[[], None]:
        """Takes the lock of keyfob's store, like a process whose save is slow. Returns the function that releases the lock."""
        files = [lock.open() for lock in (self.folder / "state").rglob("*.lock")]
        for file in files:
            fcntl.flock(file, fcntl.LOCK_EX)

        def unlock() -> None:
            for file in files:
                file.close()

        return unlock


def counts(process: subprocess.Popen[str], said: str | None = None) -> Counts:
    output, _ = process.communicate(said, timeout=120)
    return Counts(*json.loads(output.strip().splitlines()[-1]))


def shared(peer: str) -> str:
    with Round(peer, State(lifetime=3, grace=0)) as round_:
        results = [counts(one) for one in [round_.start("loop", 8) for _ in range(PROCESSES)]]
        failed, sent = sum(one.failed for one in results), sum(one.sent for one in results)
        return f"{share(failed, sent)}, {round_.state.reuses} reuses"


def killed(peer: str) -> str:
    lost = 0
    for _ in range(ROUNDS):
        with Round(peer, State()) as round_:
            release = round_.state.hold = threading.Event()
            process = round_.start("loop", 5)
            round_.state.held.wait(20)
            process.send_signal(signal.SIGKILL)
            process.communicate()
            release.set()
            lost += round_.once()
    return share(lost, ROUNDS)


def lost_response(peer: str) -> str:
    first = second = 0
    for _ in range(ROUNDS):
        with Round(peer, State()) as round_:
            round_.state.lose = True
            first += round_.once()
            second += round_.once()
    return f"{share(first, ROUNDS)}, then {share(second, ROUNDS)}"


def outage(peer: str) -> str:
    with Round(peer, State(lifetime=10), margin=5) as round_:
        process = round_.start("loop", 8.5)
        round_.state.fetched.wait(20)
        time.sleep(0.2)
        round_.state.outage = True
        result = counts(process)
        return share(result.failed, result.sent)


def slow_store(peer: str) -> str:
    with Round(peer, State(lifetime=10)) as round_:
        process = round_.start("loop", 12, **{SLOW: "3"})
        round_.state.fetched.wait(20)
        time.sleep(5.5)
        unlock = round_.lock_store()
        time.sleep(3)
        unlock()
        result = counts(process)
        return f"{share(result.failed, result.sent)}, {result.longest:.1f} s"


def full_store(peer: str) -> str:
    first = second = 0
    for _ in range(ROUNDS):
        with Round(peer, State(grace=0)) as round_:
            first += round_.once(**{FULL: "1"})
            second += round_.once()
    return f"{share(first, ROUNDS)}, then {share(second, ROUNDS)}"


def late(peer: str) -> str:
    with Round(peer, State(lifetime=60)) as round_:
        process = round_.start("together", THREADS)
        assert process.stdout is not None
        if process.stdout.readline().strip() != "0":
            raise SystemExit(f"{peer} has no token")
        with round_.state.lock:
            round_.state.expiries.clear()
            round_.state.calls = 0
        failed = counts(process, "\n").failed
        return f"{share(failed, THREADS)}, {round_.state.calls} exchanges"


def share(failed: int, sent: int) -> str:
    return f"{failed} of {sent}"


HARM = {
    "shared": shared,
    "kill -9": killed,
    "lost response": lost_response,
    "outage": outage,
    "late 401s": late,
    "slow store": slow_store,
    "full store": full_store,
}

PAGE = """\
# The same faults on several libraries

This page shows what became of requests when things went wrong. `cargo xtask torture` does the same harm to keyfob and to other
Python libraries that renew tokens with a refresh token, and writes this page. A cell has the requests that failed of those that
were sent.

{table}

- *shared*: {processes} processes use one refresh token for 8 s. A token lives for 3 s, and a used refresh token that comes again
  (a reuse) revokes everything. All processes begin with the first refresh token.
- *kill -9*: the process is killed when the server has made the new tokens and not sent them yet. The request is that of the next
  process. Here and in the next column, the server takes a used refresh token once more within 10 s.
- *lost response*: the connection breaks before the response with the new tokens. The second number is for the request of the
  next process.
- *outage*: the token endpoint responds with 503 from the first token on, and the token lives on for the whole time.
- *late 401s*: the token is revoked, and {threads} threads send a request at once. An exchange is a call to the token endpoint.
- *slow store*: saving takes 3 s, and a token lives for 10 s. The time is that of the longest request. For keyfob, another process
  holds the lock of the store for these 3 s, from the half of the token's life on.
- *full store*: the process cannot write a file. The second number is for the request of the next process, which can. A used
  refresh token that comes again revokes everything, at once.

The other libraries keep the token in a file as their documentation shows it: they read it at the start and write it after each
exchange. Their margins before the expiry are set to 1 s, and to 5 s for *outage*, because tokens live for seconds here;
requests-oauthlib has none. Authlib and requests-oauthlib do not renew a token after a 401, and do not claim to.
They leave saving to the program, so the last two columns show a program that saves in the request that fetched the token.

Measured on {day} with Python {python}, {versions}. The [benchmarks](../benchmarks.md) have Rust libraries.
"""


def main(page: str) -> None:
    rows = []
    for peer in PEERS:
        cells = []
        for name, harm in HARM.items():
            cells.append(harm(peer))
            print(f"{peer}, {name}: {cells[-1]}", flush=True)
        rows.append(f"| {peer} | {' | '.join(cells)} |")
    head = [f"| | {' | '.join(HARM)} |", f"|---{'|--:' * len(HARM)}|"]
    names = [name.lower() for name in PEERS]
    text = PAGE.format(
        table="\n".join(head + rows),
        processes=PROCESSES,
        threads=THREADS,
        day=datetime.now(timezone.utc).date(),
        python=platform.python_version(),
        versions=", ".join(f"{name} {version(name)}" for name in names),
    )
    Path(page).write_text(text)


if __name__ == "__main__":
    if sys.argv[1] == "worker":
        worker(*sys.argv[2:])
    else:
        main(sys.argv[1])
