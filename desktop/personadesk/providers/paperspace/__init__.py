"""Paperspace's machines. Its owner, DigitalOcean, moves users to GPU Droplets; its API may be shut."""

from personadesk.providers.paperspace.calls import Paperspace

__all__ = ["Paperspace"]
