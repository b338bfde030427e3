"""Forking, for programs of their own: a child that fails or hangs fails the program."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import warnings
from collections.abc import Callable

# A child that hangs says where.
faulthandler.register(signal.SIGALRM, chain=True)
# From Python 3.12 on, forking beside threads is warned of.
warnings.simplefilter("ignore", DeprecationWarning)

PATIENCE = 20
"""How many seconds a child may take on a loaded machine."""


def fork(work: Callable[[], object]) -> int:
    """Starts a child that does this work and ends; says its number."""
    number = os.fork()
    if number == 0:
        signal.alarm(PATIENCE)
        try:
            work()
            os._exit(0)
        except BaseException as raised:
            sys.stderr.write(f"{raised!r}\n")
            sys.stderr.flush()
            os._exit(1)
    return number


def join(number: int) -> None:
    """Waits for a child to end well."""
    status = os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])
    assert status == 0, f"child ended with {status}"


def child(work: Callable[[], object]) -> None:
    """Does this work in a child, and waits for it."""
    join(fork(work))
