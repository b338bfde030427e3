"""Sessions of ``requests`` that put a credential on each request, renew it, and retry."""
