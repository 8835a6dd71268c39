"""Lines: what each shall be, how it stands, what the guardian did for it."""
