"""Where tokens come from, besides a hook of your own: give one of these to a handler as its ``get_token``.

>>> from keyfob import GenericExternallyManagedJWTHandler, sources
>>> gh = sources.command(["gh", "auth", "token"], default_lifetime=3600)
>>> handler = GenericExternallyManagedJWTHandler(None, None, gh)
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from keyfob._core import Profile, Source

__all__ = ["Source", "command", "env", "file", "profile"]


def command(
    argv: Sequence[str | os.PathLike[str]],
    *,
    timeout: float | None = None,
    directory: str | os.PathLike[str] | None = None,
    default_lifetime: float | None = None,
) -> Source:
    """What a command prints: a token alone, or the output of a credential helper, which is recognised by itself.

    The command is run without a shell, and with an end to its time and its output. Nothing it prints enters an error.

    Args:
        argv: The program and its arguments.
        timeout: How long it may run, in seconds; 30 unless given.
        directory: Where it runs; the home directory unless given.
        default_lifetime: How long a token without an expiry is used, in seconds; until a server rejects it unless given.

    Raises:
        TypeError: ``argv`` is a single string; give its words.
        ValueError: The program is missing, or a number is negative.

    >>> source = command(["echo", "t0ken"], timeout=10)
    >>> GenericExternallyManagedJWTHandler(None, None, source).get_valid_token() == "t0ken"
    True
    """
    if isinstance(argv, (str, bytes)):
        raise TypeError('argv must be a sequence of words, such as ["gh", "auth", "token"]')
    place = None if directory is None else os.fspath(directory)
    return Source.command([os.fspath(word) for word in argv], timeout, place, default_lifetime)


def file(path: str | os.PathLike[str], *, default_lifetime: float | None = None) -> Source:
    """What a file holds; it is read again when it changes, as Kubernetes projects tokens.

    Args:
        path: The file.
        default_lifetime: How long a token without an expiry is used, in seconds; until a server rejects it unless given.

    Raises:
        ValueError: The number is negative.

    >>> source = file("/run/secrets/api-token", default_lifetime=3600)
    """
    return Source.file(os.fspath(path), default_lifetime)


def env(variable: str, *, default_lifetime: float | None = None) -> Source:
    """What an environment variable holds, whenever it is asked for.

    Args:
        variable: The variable's name.
        default_lifetime: How long a token without an expiry is used, in seconds; until a server rejects it unless given.

    Raises:
        ValueError: The number is negative.

    >>> source = env("API_TOKEN")
    """
    return Source.env(variable, default_lifetime)


def profile(name: str, *, config: str | os.PathLike[str] | None = None) -> Source:
    """What a profile of a ``keyfob.toml`` says, for a handler of your own; :func:`keyfob.session` needs none.

    The token goes to the origins of the profile alone, in sessions and auth objects of the handler as well, unless you add
    others. How often requests are retried, and the base URL, are a session's.

    Args:
        name: The profile's name.
        config: The file; unless given, the one that ``KEYFOB_CONFIG`` names or the usual one.

    Raises:
        ProfileError: The file has faults, or no such profile.

    >>> handler = GenericExternallyManagedJWTHandler(None, None, profile("ehr", config=config))
    >>> requests.get(api, auth=handler.auth())
    <Response [200]>
    """
    return Profile.named(name, None if config is None else os.fspath(config)).source()
