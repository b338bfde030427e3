"""Sources of tokens other than a hook: pass one of these to a handler as its ``get_token``.

>>> from keyfob import GenericExternallyManagedJWTHandler, sources
>>> gh = sources.command(["gh", "auth", "token"], default_lifetime=3600)
>>> handler = GenericExternallyManagedJWTHandler(None, None, gh)

A source may get its token with the token of another source, to any depth. Each of them then has a cache of its own, so only
the token that is due is renewed. Files and variables of this machine are read each time.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from keyfob import _certificates
from keyfob._certificates import Cert, Verify
from keyfob._core import Profile, Source
from keyfob._grants import Client, client_credentials, jwt_bearer, token_exchange
from keyfob._token_requests import http, signed_jwt

__all__ = [
    "Client",
    "Source",
    "basic",
    "client_credentials",
    "command",
    "env",
    "file",
    "http",
    "jwt_bearer",
    "profile",
    "signed_jwt",
    "token_exchange",
]


def command(
    argv: Sequence[str | os.PathLike[str]],
    *,
    timeout: float | None = None,
    directory: str | os.PathLike[str] | None = None,
    default_lifetime: float | None = None,
) -> Source:
    """Reads the token from the output of a command: a bare token, or the output of a credential helper.

    The format is detected. The command runs without a shell, for a limited time and with limited output. Its output never
    appears in an error.

    Args:
        argv: The program and its arguments.
        timeout: How long it may run, in seconds; 30 unless given.
        directory: The directory it runs in; unless given, ``/``, or the temporary directory on Windows.
        default_lifetime: How long to use a token without an expiry, in seconds; until a server rejects it unless given.

    Raises:
        TypeError: ``argv`` is a single string instead of a sequence.
        ValueError: The program is missing, or a number is negative.

    >>> source = command(["echo", "t0ken"], timeout=10)
    >>> GenericExternallyManagedJWTHandler(None, None, source).get_valid_token() == "t0ken"
    True
    """
    if isinstance(argv, (str, bytes)):
        raise TypeError('argv must be a sequence of words, such as ["gh", "auth", "token"]')
    path = None if directory is None else os.fspath(directory)
    return Source.command([os.fspath(word) for word in argv], timeout, path, default_lifetime)


def file(path: str | os.PathLike[str], *, default_lifetime: float | None = None) -> Source:
    """Reads the token from a file, and reads it again when the file changes, as Kubernetes projects tokens.

    Args:
        path: The file.
        default_lifetime: How long to use a token without an expiry, in seconds; until a server rejects it unless given.

    Raises:
        ValueError: The number is negative.

    >>> source = file("/run/secrets/api-token", default_lifetime=3600)
    """
    return Source.file(os.fspath(path), default_lifetime)


def env(variable: str, *, default_lifetime: float | None = None) -> Source:
    """Reads the token from an environment variable each time a token is needed.

    Args:
        variable: The name of the variable.
        default_lifetime: How long to use a token without an expiry, in seconds; until a server rejects it unless given.

    Raises:
        ValueError: The number is negative.

    >>> source = env("API_TOKEN")
    """
    return Source.env(variable, default_lifetime)


def basic(
    user: str, password: str | None = None, *, default_lifetime: float | None = None
) -> Source:
    """Sends a user and a password as ``Authorization: Basic`` (RFC 7617), encoded as UTF-8.

    Both are references to secrets, as in a profile: ``env:NAME``, ``file:/path``, ``command:program argument`` or
    ``keyring:service/user``. They are read when a token is needed, and again when a server rejects them.

    Args:
        user: The name of the user, or a reference to it. A name alone needs a password.
        password: A reference to the password. Without one it is empty, as for an API key that is sent as the user.
        default_lifetime: How long to use them before they are read again, in seconds; until a server rejects them unless given.

    Raises:
        ValueError: One of them is no reference. The error does not quote it.

    >>> source = basic("reports", "env:REPORTS_PASSWORD")
    >>> source
    <keyfob source: basic>
    """
    return Source.basic(user, password, default_lifetime)


def profile(
    name: str,
    *,
    config: str | os.PathLike[str] | None = None,
    verify: Verify = None,
    cert: Cert = None,
) -> Source:
    """Uses the token source of a profile in a ``keyfob.toml`` for your own handler; :func:`keyfob.session` needs no handler.

    The token goes only to the origins of the profile, in sessions and auth objects over the handler too, unless you add
    others. The retry settings and the base URL of the profile apply to profile sessions only.

    Args:
        name: The name of the profile.
        config: The file; unless given, the one that ``KEYFOB_CONFIG`` names or the default one.
        verify: A file with certificate authorities (PEM) for the server that issues the token; see :func:`keyfob.session`. Your
            own client has a setting of its own.
        cert: The client certificate for that server: a file (PEM) with certificate and key, or the two files. Your own client has
            a setting of its own.

    Raises:
        ProfileError: The file has errors, or has no such profile.

    >>> handler = GenericExternallyManagedJWTHandler(None, None, profile("ehr", config=config))
    >>> requests.get(api, auth=handler.auth())
    <Response [200]>
    """
    return named(name, config, verify, cert).source()


def named(name: str, config: str | os.PathLike[str] | None, verify: Verify, cert: Cert) -> Profile:
    """The profile of this name, with the CA file that the caller, the profile or the environment names."""
    file = None if config is None else os.fspath(config)
    ca_file, default = _certificates.ca_file(verify), _certificates.of_requests()
    return Profile.named(name, file, ca_file, default, _certificates.files(cert))
