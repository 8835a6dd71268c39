"""What is remembered: SQLite for everything but secrets."""
