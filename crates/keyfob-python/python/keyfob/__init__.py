"""HTTP sessions that stay authenticated."""
