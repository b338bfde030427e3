"""The environment with gevent, gunicorn and uWSGI, which is not that of the tests: httpbin needs an older greenlet."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import keyfob
import program

PYTHON = Path(__file__).parents[3] / "target/python-servers/bin/python"


def run(script: str, folder: Path) -> str:
    """Runs a script in a process that gevent has patched before anything else was imported."""
    patched = f"from gevent import monkey; monkey.patch_all()\n{program.PREAMBLE}{script}"
    return _checked(["-c", patched], folder)


def _checked(arguments: list[str], folder: Path) -> str:
    ended = subprocess.run(
        [PYTHON, *arguments],
        capture_output=True,
        check=False,
        cwd=Path(__file__).parent,
        env=_environment(folder),
        text=True,
        timeout=program.TIMEOUT,
    )
    assert (ended.returncode, ended.stderr) == (0, ""), ended
    return ended.stdout


@contextmanager
def gunicorn(app: str, folder: Path, *options: str) -> Iterator[str]:
    """Serves a WSGI app, given as source text, with gunicorn; yields its URL."""
    (folder / "served.py").write_text(app)
    address = folder / "address"
    (folder / "settings.py").write_text(
        f"""
bind = "127.0.0.1:0"
def when_ready(server):
    with open({str(address)!r} + ".new", "w") as file:
        file.write("http://%s:%s/" % server.LISTENERS[0].sock.getsockname())
    import os
    os.rename({str(address)!r} + ".new", {str(address)!r})
"""
    )
    command = [
        str(PYTHON),
        "-m",
        "gunicorn",
        "-c",
        str(folder / "settings.py"),
        "--log-level=warning",
    ]
    environment = _environment(folder)
    with subprocess.Popen(
        [*command, *options, "served:app"], cwd=folder, env=environment
    ) as server:
        try:
            end = time.monotonic() + program.TIMEOUT
            while not address.exists():
                assert server.poll() is None
                assert time.monotonic() < end
                time.sleep(0.01)
            yield address.read_text()
        finally:
            server.terminate()
            server.wait(program.TIMEOUT)


@contextmanager
def uwsgi(app: str, folder: Path, *options: str) -> Iterator[str]:
    """Serves a WSGI app, given as source text, with uWSGI; yields its URL."""
    (folder / "served.py").write_text(app)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = [
            str(PYTHON.with_name("pyuwsgi")),
            f"--http-socket=fd://{listener.fileno()}",
            "--wsgi-file=served.py",
            "--callable=app",
            "--master",
            "--enable-threads",
            "--die-on-term",
            "--disable-logging",
            "--need-app",
        ]
        with subprocess.Popen(
            [*command, *options],
            cwd=folder,
            env=_environment(folder),
            pass_fds=[listener.fileno()],
            stderr=subprocess.DEVNULL,
        ) as server:
            try:
                yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
            finally:
                server.terminate()
                server.wait(program.TIMEOUT)


def fetch(url: str) -> str:
    """The body of the response to a GET request."""
    with build_opener(ProxyHandler({})).open(url, timeout=program.TIMEOUT) as response:
        text: str = response.read().decode()
    return text


def _environment(folder: Path) -> dict[str, str]:
    # Of the environment of the tests, it needs this package alone.
    (folder / "packages").mkdir(exist_ok=True)
    link = folder / "packages/keyfob"
    if not link.exists():
        link.symlink_to(Path(keyfob.__path__[0]))
    path = f"{folder / 'packages'}:{Path(__file__).parent}"
    return {**os.environ, "PYTHONPATH": path, "PYTHONWARNINGS": "ignore"}
