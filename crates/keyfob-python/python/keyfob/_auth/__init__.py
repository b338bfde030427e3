"""A handler as the ``auth`` of the user's own ``requests`` session or ``httpx`` client."""
