"""Forks, for the scripts of tests: a child that fails or hangs fails the script."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import warnings
from collections.abc import Callable

# A child that hangs prints where it hangs.
faulthandler.register(signal.SIGALRM, chain=True)
# Since Python 3.12, forking a process that has threads causes a warning.
warnings.simplefilter("ignore", DeprecationWarning)

TIMEOUT = 40
"""The limit of a child in seconds, for a loaded machine."""


def fork(work: Callable[[], object]) -> int:
    """Starts a child that does this work and exits; returns its process id."""
    pid = os.fork()
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


def join(pid: int) -> None:
    """Waits for a child, which must exit with status 0."""
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert status == 0, f"child ended with {status}"


def child(work: Callable[[], object]) -> None:
    """Does this work in a child and waits for it."""
    join(fork(work))
