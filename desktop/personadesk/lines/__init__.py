"""The address that never changes, and what keeps it pointing at a live voice."""
