"""DigitalOcean's GPU Droplets."""

from personadesk.providers.digitalocean.calls import DigitalOcean

__all__ = ["DigitalOcean"]
