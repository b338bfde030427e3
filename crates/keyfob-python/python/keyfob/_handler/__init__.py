"""Handlers: one token that a hook renews, for any number of threads and sessions."""
