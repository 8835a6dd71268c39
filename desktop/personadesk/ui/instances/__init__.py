"""Every machine of all accounts in one table."""
