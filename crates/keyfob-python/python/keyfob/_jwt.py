"""A token with its expiry."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass
class JWT:
    """A JSON web token and its expiry.

    ``expires`` is an aware datetime. The token does not show in the ``repr``:

    >>> from datetime import datetime, timezone
    >>> JWT("s3cret", datetime(2030, 1, 1, tzinfo=timezone.utc))
    JWT(jwt=[redacted], expires=datetime.datetime(2030, 1, 1, 0, 0, tzinfo=datetime.timezone.utc))
    """

    jwt: str
    expires: datetime

    def __repr__(self) -> str:
        return f"{type(self).__qualname__}(jwt=[redacted], expires={self.expires!r})"
