"""The voice console, in its first plain form: talk to a line, see and hear it."""
