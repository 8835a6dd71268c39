"""Accounts at providers, what they offer and what is rented, as the window shows them."""
