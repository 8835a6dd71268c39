"""A voice server for PersonaPlex: released weights, released wire protocol, its own engine."""

__version__ = "0.1.0"
