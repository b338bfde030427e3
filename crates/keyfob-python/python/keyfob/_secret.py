"""Text that is a secret."""

from __future__ import annotations

from typing import Any


class Secret(str):
    """A ``str`` that works as any other, but does not show in a ``repr``, and so in no traceback or dump of variables.

    Nor does it leave the process by accident: its pickle has no secret in it.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "'[redacted]'"

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: Any) -> Secret:
        return self

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return (str, ("[redacted]",))
