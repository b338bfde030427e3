"""Checks arguments that several sources have."""

from __future__ import annotations

import os
from types import FunctionType, MethodType

from keyfob._core import Source
from keyfob._values import PrivateKey


def key_of(
    private_key: str | bytes, passphrase: str | None, key_id: str | None, algorithm: str | None
) -> PrivateKey:
    """The settings of a private key."""
    if isinstance(private_key, (bytes, bytearray)):
        private_key = private_key.decode("utf-8", "replace")
    if not isinstance(private_key, str):
        hint = ", such as Path(…).read_text()" if isinstance(private_key, os.PathLike) else ""
        raise TypeError(
            f"`private_key` must be the text of a key{hint}, not {kind_of(private_key)}"
        )
    return PrivateKey(private_key, passphrase, key_id, algorithm)


def checked_source(keyword: str, source: object) -> Source:
    """The source, if it is one."""
    if isinstance(source, Source):
        return source
    hint = (
        "; a function can only be the `get_token` of a handler"
        if isinstance(source, (FunctionType, MethodType))
        else ""
    )
    raise TypeError(f"`{keyword}` must be one of keyfob.sources, not {kind_of(source)}{hint}")


def kind_of(value: object) -> str:
    """The type of a value, for errors, which must not quote it."""
    return type(value).__name__
