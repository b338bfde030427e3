"""Runs scripts in processes of their own, for tests that cannot use their own process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TIMEOUT = 60.0
"""The limit of a script in seconds, for a loaded machine; most scripts take less than one second."""

PREAMBLE = """
import os, signal, sys, threading, time
from datetime import datetime, timedelta, timezone
from keyfob import AuthenticationError, GenericExternallyManagedJWTHandler
from tokens import Hook, ahead, together, wait_until

# A test run that is a background job starts with SIGINT ignored, and its children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
"""


def run(script: str, *, status: int = 0, within: float = TIMEOUT) -> str:
    """Runs a script, which must end in time and print nothing to standard error; returns its output."""
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
    """Starts a script, for use in a ``with`` statement."""
    return subprocess.Popen(
        [sys.executable, "-c", PREAMBLE + script],
        cwd=Path(__file__).parent,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
