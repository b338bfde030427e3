"""What it means if a proxy refuses to connect to a server (RFC 9110 §9.3.6)."""

from __future__ import annotations

import re


def classify(error: BaseException) -> str | None:
    """Classifies the refusal for the core, and adds to the error what to do, as a note (PEP 678); ``None`` for another failure.

    ``requests`` and ``httpx`` say the status only in words.
    """
    found = _STATUS.search(str(error))
    if found is None:
        return None
    status = int(found[1])
    add_note = getattr(error, "add_note", None)  # Python 3.10 has none.
    if add_note is not None:
        add_note(
            f"keyfob: the proxy refused the connection with status {status}; {_advice(status)}"
        )
    return "connect" if status in _MAY_PASS else "final"


def _advice(status: int) -> str:
    if status == 407:
        return "put the user name and the password that it wants into its URL, as in http://USER:PASSWORD@HOST:PORT"
    if status in (401, 403, 451):
        return "it does not allow this server: ask where it is run, or list the host in NO_PROXY"
    if status in _MAY_PASS:
        return "it may not reach the server: check the name of the server"
    return "it may not be a proxy, or wants you to sign in to the network: check HTTPS_PROXY"


_MAY_PASS = (408, 425, 429, 500, 502, 503, 504)
"""The statuses that may be gone at the next attempt."""

_STATUS = re.compile(r"(?:^|Tunnel connection failed: )([1-5][0-9]{2})(?= |'|$)")
