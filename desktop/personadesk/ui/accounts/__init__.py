"""The page of accounts: one tab a provider, and the form that takes a key."""
