"""Forks, for the scripts of tests: a child that fails or hangs fails the script."""

from __future__ import annotations

import ctypes
import faulthandler
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path

# A child that hangs prints where it hangs.
faulthandler.register(signal.SIGALRM, chain=True)
# Since Python 3.12, forking a process that has threads causes a warning.
warnings.simplefilter("ignore", DeprecationWarning)

TIMEOUT = 40
"""The limit of a child in seconds, for a loaded machine."""


def fork(work: Callable[[], object], call: Callable[[], int] = os.fork) -> int:
    """Starts a child that does this work and exits; returns its process id."""
    pid = call()
    if pid == 0:
        signal.alarm(TIMEOUT)
        try:
            work()
            os._exit(0)
        except BaseException as raised:
            sys.stderr.write(f"{raised!r}\n")
            sys.stderr.flush()
            os._exit(1)
    return pid


def fork_in_c() -> int:
    """Forks as C code does: no function of ``os.register_at_fork`` runs, and Python's own locks are not made new.

    If another thread waits for the interpreter at that moment, the child can wait for it for ever, whatever it does.
    """
    _wait_until_others_rest()
    return ctypes.PyDLL(None).fork()


def _wait_until_others_rest() -> None:
    """Waits until no other thread runs, nor will in the next milliseconds.

    A thread that waits for the interpreter wakes every five milliseconds, and one that waits for a token every fifty.
    """
    end = time.monotonic() + TIMEOUT
    while True:
        assert time.monotonic() < end, "other threads keep running"
        _do_others_run_within(0.2)
        if not _do_others_run_within(0.02):
            return


def _do_others_run_within(seconds: float) -> bool:
    end = time.monotonic() + seconds
    before = _switches()
    while time.monotonic() < end:
        time.sleep(0.002)
        if _switches() != before:
            return True
    return False


def _switches() -> dict[str, list[str]]:
    """How often each other thread of this process began and stopped to run; empty where the system does not tell."""
    others = {}
    for task in Path("/proc/self/task").glob("[0-9]*"):
        if int(task.name) == threading.get_native_id():
            continue
        try:
            lines = (task / "status").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):  # The thread has ended.
            lines = []
        others[task.name] = [line for line in lines if "ctxt_switches" in line]
    return others


def join(pid: int) -> None:
    """Waits for a child, which must exit with status 0."""
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert status == 0, f"child ended with {status}"


def child(work: Callable[[], object]) -> None:
    """Does this work in a child and waits for it."""
    join(fork(work))
