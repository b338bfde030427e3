"""The certificate authorities that are trusted in place of the system's."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

Verify = str | os.PathLike[str] | bool | None
"""A file with certificate authorities (PEM); ``None`` or true for the file of the environment, or the system's."""


def ca_file(verify: Verify) -> str | None:
    """The file that a user names; ``None`` if there is none.

    Raises:
        ValueError: Verification is turned off.
    """
    if verify is None or verify is True:
        return None
    if verify is False:
        raise ValueError(
            "verify=False would send the token to any server that claims to be the right one; "
            "name the file with your certificate authority: verify='authority.pem'"
        )
    return os.fspath(verify)


def checked(path: str) -> str:
    """The path, if its file can be used as a CA file.

    Raises:
        ValueError: The file is missing, empty or not in PEM; the error names it.
    """
    if Path(path).is_dir():  # `requests` takes a directory that OpenSSL has prepared.
        return path
    try:
        ssl.create_default_context(cafile=path)
    except OSError as cause:  # An `SSLError` too.
        problem = "cannot be read" if Path(path).is_file() is False else "has no certificate in PEM"
        raise ValueError(f"the CA file {path} {problem}") from cause
    return path


def of_requests() -> str | None:
    """The file that the environment names for ``requests``."""
    return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or None


def of_environment() -> str | None:
    """The file that the environment names for ``requests``, or for OpenSSL and rustls."""
    return of_requests() or os.environ.get("SSL_CERT_FILE") or None


def context(path: str | None) -> ssl.SSLContext:
    """The TLS settings of a client that trusts this file, or else the one of the environment, or the system."""
    file = path or of_environment()
    return ssl.create_default_context(cafile=None if file is None else checked(file))
