"""Programs of their own, for what a test cannot do to the process that it runs in."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PATIENCE = 30.0
"""How long a program may take on a loaded machine; a free one takes a second at most, but for where it is said."""

PREAMBLE = """
import os, signal, sys, threading, time
from datetime import datetime, timedelta, timezone
from keyfob import AuthenticationError, GenericExternallyManagedJWTHandler
from tokens import Hook, ahead, together, wait_until
"""


def run(script: str, *, status: int = 0, within: float = PATIENCE) -> str:
    """Runs a script to its end, in time and without a word on standard error; says what it printed."""
    ended = subprocess.run(
        [sys.executable, "-c", PREAMBLE + script],
        capture_output=True,
        check=False,
        cwd=Path(__file__).parent,
        text=True,
        timeout=within,
    )
    assert (ended.returncode, ended.stderr) == (status, ""), ended
    return ended.stdout


def start(script: str) -> subprocess.Popen[str]:
    """Starts a script, to be used in a ``with`` statement."""
    return subprocess.Popen(
        [sys.executable, "-c", PREAMBLE + script],
        cwd=Path(__file__).parent,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
