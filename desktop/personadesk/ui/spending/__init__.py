"""Money: what everything costs, what may be spent, and what is left."""
